"""Parting a frame into rows that are right and rows that are refused, with nothing lost between the two."""

from collections.abc import Sequence
from typing import NamedTuple

import polars as pl

LONGEST_RECORD = 65_536
"""Of a refused row at most so many characters are kept."""

REJECTED = pl.Schema({"row": pl.Int64(), "reason": pl.String(), "value": pl.String(), "record": pl.String()})


class Checked(NamedTuple):
    """A frame of events, split.

    `valid` has the schema of its kind. `rejected` has `row` (position in the frame that was given), `reason`
    (a fixed text, to count by), `value` (what was found) and `record` (the row as given, as JSON).
    """

    valid: pl.DataFrame
    rejected: pl.DataFrame


def split(typed: pl.DataFrame, given: pl.DataFrame, faults: Sequence[tuple[str, pl.Expr]]) -> Checked:
    """Part the rows of `typed` by the first of `faults` that is not null for them.

    Parameters
    ----------
    typed, given
        The same rows, typed and as they came.
    faults
        Pairs of a column's name and an expression on `typed` that is null where the row is fine, else a reason.
    """
    reason = typed.select(pl.coalesce([fault for _, fault in faults]).alias("reason")).to_series()
    bad = reason.is_not_null()
    if not bad.any():
        return Checked(typed, _rejections(given.clear(), [], []))
    column = typed.select(
        pl.coalesce([pl.when(fault.is_not_null()).then(pl.lit(name)) for name, fault in faults])
    ).to_series()
    return Checked(typed.filter(~bad), _rejections(given.with_row_index("row").filter(bad), reason.filter(bad),
                                                   column.filter(bad)))  # fmt: skip


def when(fault: pl.Expr, reason: str) -> pl.Expr:
    """`reason` where `fault` is true, else null."""
    return pl.when(fault).then(pl.lit(reason))


def _rejections(
    rows: pl.DataFrame, reasons: Sequence[str] | pl.Series, columns: Sequence[str] | pl.Series
) -> pl.DataFrame:
    """Rows that were refused: where they stood, why, the value at fault, and all they held."""
    if rows.height == 0:
        return pl.DataFrame(schema=REJECTED)
    values = [None if (value := row.get(name)) is None else str(value)[:200]
              for row, name in zip(rows.iter_rows(named=True), columns, strict=True)]  # fmt: skip
    record = rows.drop("row").select(
        pl.struct(pl.all().cast(pl.String)).struct.json_encode().str.slice(0, LONGEST_RECORD)
    )
    return pl.DataFrame({"row": rows["row"].cast(pl.Int64), "reason": reasons, "value": values,
                         "record": record.to_series()}, schema=REJECTED)  # fmt: skip
