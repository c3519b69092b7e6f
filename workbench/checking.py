"""Parting a frame into rows that are right and rows that are refused, with nothing lost between the two."""

from collections.abc import Sequence
from typing import NamedTuple

import polars as pl

from workbench.exact import as_text

REJECTED = pl.Schema({"row": pl.Int64(), "reason": pl.String(), "value": pl.String(), "record": pl.String()})

_LONGEST_VALUE = 200


class Checked(NamedTuple):
    """A frame of events, split.

    `valid` has the schema of its kind. `rejected` has `row` (position in the frame that was given), `reason`
    (a fixed text, to count by), `value` (what was found, at most its first 200 characters) and `record` (the row as
    given, as a JSON object).
    """

    valid: pl.DataFrame
    rejected: pl.DataFrame


Fault = tuple[str, pl.Expr | pl.Series]
"""A column's name, and a reason for each row at fault (null: the row is fine)."""


def split(typed: pl.DataFrame, given: pl.DataFrame, faults: Sequence[Fault]) -> Checked:
    """Part the rows of `typed` by the first of `faults` that is not null for them.

    Parameters
    ----------
    typed, given
        The same rows, typed and as they came.
    faults
        Reasons as expressions on `typed`, or as columns.
    """
    found = [fault if isinstance(fault, pl.Expr) else pl.lit(fault) for _, fault in faults]
    reason = typed.select(pl.coalesce(found).alias("reason")).to_series()
    bad = reason.is_not_null()
    if not bad.any():
        return Checked(typed, pl.DataFrame(schema=REJECTED))
    column = typed.filter(bad).select(pl.coalesce([_named(name, fault, bad) for name, fault in faults])).to_series()
    refused = given.with_row_index("\x00row").filter(bad)
    return Checked(typed.filter(~bad), _rejections(refused, reason.filter(bad), column))


def _named(name: str, fault: pl.Expr | pl.Series, bad: pl.Series) -> pl.Expr:
    """The column's name where it is at fault, among the bad rows."""
    among = fault if isinstance(fault, pl.Expr) else pl.lit(fault.filter(bad))
    return pl.when(among.is_not_null()).then(pl.lit(name))


def when(fault: pl.Expr, reason: str) -> pl.Expr:
    """`reason` where `fault` is true, else null."""
    return pl.when(fault).then(pl.lit(reason))


def _rejections(rows: pl.DataFrame, reasons: pl.Series, columns: pl.Series) -> pl.DataFrame:
    """Rows that were refused: where they stood, why, the value at fault, and all they held."""
    at, rows = rows.to_series(0), rows.select(as_text(rows[name]) for name in rows.columns[1:])
    values = pl.Series([None], dtype=pl.String).new_from_index(0, rows.height)
    for name in columns.unique().to_list():
        if name in rows.columns:
            values = rows[name].zip_with(columns == name, values)
    record = rows.select(pl.struct(pl.all()).struct.json_encode()).to_series()
    return pl.DataFrame(
        {"row": at.cast(pl.Int64), "reason": reasons, "value": values.str.slice(0, _LONGEST_VALUE), "record": record},
        schema=REJECTED,
    )
