"""Merging a batch into a curated table: every event once, the later observation wins, what was believed is kept."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import polars as pl

from workbench.errors import WarehouseError
from workbench.focus import AMOUNT
from workbench.warehouse.frames import bind, received
from workbench.warehouse.merge_sql import MergeSql
from workbench.warehouse.staging import copy

MOST_CONFLICTS = 100

AMOUNTS = pl.Schema(
    {
        "outcome": pl.String(),
        "currency": pl.String(),
        "rows": pl.Int64(),
        "amount": AMOUNT,
        "amount_before": AMOUNT,
    }
)
CONFLICTS = pl.Schema({"event_id": pl.String(), "currency": pl.String(), "old": AMOUNT, "new": AMOUNT})

OUTCOMES = ("inserted", "restated", "unchanged", "older", "repeated", "conflict")
_SHOWN = {"confirmed": "unchanged"}


@dataclass(frozen=True)
class Merged:
    """What became of a batch's rows; the six numbers add up to the rows given.

    `inserted` are new events. `restated` are events with other content and a later observation, or with other labels
    (unit, project, environment) at the same moment; the former version is in the history. `unchanged` is the same
    content again, `older` another content observed before what is believed (ignored), `conflicts` another content
    observed at the same moment (ignored, and listed in `conflicting`: `old` is what stays, `new` what was offered; at
    most 100), `repeated` the same line again within the batch.

    `amounts` has one row for each outcome and currency: `rows`, `amount` (the batch's), `amount_before` (the
    table's; null for inserted).
    """

    inserted: int = 0
    restated: int = 0
    unchanged: int = 0
    older: int = 0
    repeated: int = 0
    conflicts: int = 0
    amounts: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=AMOUNTS))
    conflicting: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=CONFLICTS))

    @property
    def rows(self) -> int:
        """Rows in the batch."""
        return self.inserted + self.restated + self.unchanged + self.older + self.repeated + self.conflicts


def merge_file(cursor: Any, sql: MergeSql, stage_path: str, loaded_at: datetime) -> Merged:  # noqa: ANN401
    """Merge one uploaded file, inside the transaction that the caller has begun."""
    copy(cursor, stage_path, sql.load)
    cursor.execute(sql.look())
    rows, ids, wrong, first, last = cursor.fetchone()
    if wrong:
        key, period = sql.table.key, sql.table.period
        raise WarehouseError(
            f"{wrong} of {rows} rows have no {key}, no {period} or no observed_at: they can't be merged into "
            f"{sql.table.name}; reject them first"
        )
    merged = Merged()
    if rows:
        if ids < rows:
            for statement in sql.settle_twice():
                cursor.execute(statement)
        span = bind((first, last))
        (stamp,) = bind((loaded_at,))
        cursor.execute(sql.decide(), (stamp, *span))
        counted = received(cursor.execute(sql.count()))
        _write(cursor, sql, dict(counted.group_by("outcome").agg(pl.col("row_count").sum()).iter_rows()), stamp, span)
        merged = _summed(counted, cursor, sql)
    for statement in sql.clear(twice=ids < rows):
        cursor.execute(statement)
    return merged


def _write(cursor: Any, sql: MergeSql, rows: dict[str, int], stamp: Any, span: tuple[Any, ...]) -> None:  # noqa: ANN401
    """Only the statements that have something to do."""
    if "restated" in rows:
        cursor.execute(sql.keep_history(), (stamp, *span))
        cursor.execute(sql.restate(), (stamp, *span))
    if "confirmed" in rows:
        cursor.execute(sql.refresh(), span)
        cursor.execute(sql.confirm(), span)
    if "inserted" in rows:
        cursor.execute(sql.insert(all_new=set(rows) == {"inserted"}), (stamp,))


def _summed(counted: pl.DataFrame, cursor: Any, sql: MergeSql) -> Merged:  # noqa: ANN401
    amounts = _by_outcome(counted.rename({"row_count": "rows"}).with_columns(pl.col("outcome").replace(_SHOWN)))
    numbers = dict(amounts.group_by("outcome").agg(pl.col("rows").sum()).iter_rows())
    conflicting = pl.DataFrame(schema=CONFLICTS)
    if "conflict" in numbers:
        conflicting = received(cursor.execute(sql.conflicts(MOST_CONFLICTS))).cast(CONFLICTS)
    return _made(amounts, conflicting)


def _made(amounts: pl.DataFrame, conflicting: pl.DataFrame) -> Merged:
    numbers = dict(amounts.group_by("outcome").agg(pl.col("rows").sum()).iter_rows())
    counts = {outcome: numbers.get(outcome, 0) for outcome in OUTCOMES if outcome != "conflict"}
    return Merged(**counts, conflicts=numbers.get("conflict", 0), amounts=amounts, conflicting=conflicting)


def _by_outcome(amounts: pl.DataFrame) -> pl.DataFrame:
    known = pl.col("amount_before").count() > 0
    return (
        amounts.group_by("outcome", "currency")
        .agg(
            pl.col("rows").sum(),
            pl.col("amount").sum(),
            pl.when(known).then(pl.col("amount_before").sum()).alias("amount_before"),
        )
        .cast(AMOUNTS)
        .sort("outcome", "currency")
    )


def added(parts: list[Merged]) -> Merged:
    """The parts of one merge as one."""
    if not parts:
        return Merged()
    if len(parts) == 1:
        return parts[0]
    amounts = _by_outcome(pl.concat([part.amounts for part in parts]))
    return _made(amounts, pl.concat([part.conflicting for part in parts]).head(MOST_CONFLICTS))
