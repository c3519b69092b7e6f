"""The stream processors over what the warehouse holds: the same functions, the same tables, without a Kafka.

A bill tells hours at best, so costs are judged by the hour here, and there is nothing that comes late: a unit's bill
comes whole, so events are taken in the order of their time.
"""

import json
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

import polars as pl

from workbench.pipelines.outcomes import events_of
from workbench.pipelines.sinks import WarehouseCursors
from workbench.pipelines.told import REPLAY, TOLD, Told, rows_of
from workbench.streaming import replay
from workbench.streaming.processors import Processor, RightSizing, Roi, Rule, Spikes, Windows
from workbench.streaming.records import RECORDS

if TYPE_CHECKING:
    from workbench.warehouse import Merged, Warehouse

HOUR = timedelta(hours=1)
DAYS = 30
"""Days before the end that are replayed: two windows of right-sizing, and a month of baselines."""

_KINDS = ("cost", "business", "resource")
_READ = ("timestamp", "business_unit", "currency", "service", "cost_amount", "revenue_impact", "resource_id",
         "resource_type", "utilization", "cost_estimate")  # fmt: skip
_HELD = " UNION ALL ".join(
    f"SELECT '{kind}' AS kind, COUNT(*) AS many, MAX(loaded_at) AS latest FROM finops_curated.{kind}_events "  # noqa: S608
    "WHERE timestamp >= ? AND timestamp < ?"
    for kind in _KINDS
)


def hourly() -> tuple[Processor, ...]:
    """Return the processors for bills by the hour.

    What the live ones count in five minutes is counted in hours: a spike that lasts a day is the new normal, and a
    service that nothing was heard of for thirty days begins anew. Return is looked at an hour before and after, the
    least that hours allow.
    """
    rule = Rule(accept_after=24, forget=30 * 24)
    none = timedelta(0)
    return (
        Windows(bucket=HOUR, lateness=none),
        Spikes(bucket=HOUR, lateness=none, rule=rule),
        Roi(bucket=HOUR, lateness=none, reach=HOUR),
        RightSizing(),
    )


def stream_history(warehouse: "Warehouse", end: date, days: int = DAYS) -> dict[str, "Merged"]:
    """Replay the `days` before `end` (UTC), and put what the processors tell into their tables.

    It counts as known since the last of the events was known that it rests on. What an earlier replay told of the same
    days and this one does not is taken back. Nothing is done where the events are those of the last replay.

    Returns
    -------
    dict
        Table → what became of the records; empty where there was nothing to do.

    Raises
    ------
    WarehouseError
        The warehouse refused.
    """
    stop = datetime.combine(end, time(), UTC)
    start = stop - timedelta(days=days)
    held = warehouse.query(_HELD, (start, stop) * len(_KINDS)).sort("kind")
    cursors, mark = WarehouseCursors(warehouse, "replay"), _mark(held, start, stop)
    known = held["latest"].max()
    if not isinstance(known, datetime) or cursors.get("history") == mark:
        return {}
    now = datetime.now(UTC)
    events = {kind: events_of(warehouse, kind, (start, stop), now, _READ) for kind in _KINDS}
    told: dict[str, pl.DataFrame] = {}
    for processor in hourly():
        told |= replay({kind: events[kind] for kind in processor.kinds}, processor)
    merged = {}
    for goal in TOLD:
        rows = rows_of(told[goal.topic], goal, REPLAY, now)
        gone = _taken_back(warehouse, goal, rows, (start, stop), now)
        merged[goal.table] = warehouse.merge(pl.concat([rows, gone], how="diagonal"), goal.table, known)
    cursors.set("history", mark)
    return merged


def _mark(held: pl.DataFrame, start: datetime, stop: datetime) -> str:
    """All that decides what a replay tells: the events, the span, and the processors."""
    rows = [[kind, many, str(latest)] for kind, many, latest in held.select("kind", "many", "latest").iter_rows()]
    return json.dumps([rows, str(start), str(stop), [repr(processor) for processor in hourly()]])


def _taken_back(
    warehouse: "Warehouse", goal: Told, rows: pl.DataFrame, span: tuple[datetime, datetime], now: datetime
) -> pl.DataFrame:
    """What an earlier replay told of these days and this one does not, as rows that come to nothing."""
    sql = f"SELECT * FROM {goal.table} WHERE origin = ? AND {goal.about} >= ? AND {goal.about} < ?"  # noqa: S608
    before = warehouse.query(sql, (REPLAY, *span)).filter(goal.stands)
    typed = before.with_columns(pl.col(name).cast(dtype) for name, dtype in RECORDS[goal.topic].items())
    gone = typed.join(rows.select("record_id"), on="record_id", how="anti")
    observed = pl.lit(now).cast(rows.schema["observed_at"]).alias("observed_at")
    return gone.with_columns(*goal.nothing, observed).select(rows.columns)
