"""A statement of a whole billing period into the warehouse: what it says, and what it says no longer.

A provider restates a period as a whole. Lines that a later statement has not any more (usage that a commitment covers
after all) would stay beside those that came for them: they are set to 0, with their history kept.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from workbench.focus import COLUMNS, SCHEMA
from workbench.pipelines.account import account_of
from workbench.pipelines.ingest import FOCUS_COSTS, Ingested, load_file, reading_hash
from workbench.pipelines.road import Road
from workbench.settings import Limits
from workbench.sources.focus import cost_events
from workbench.sources.focus.lines import Reading
from workbench.sources.focus.read import read_file

_MEASURES = [name for name, kind in COLUMNS.items() if kind == "amount" or name.endswith("Quantity")]
_EARLIER = f"""
    SELECT * FROM {FOCUS_COSTS}
    WHERE source_name = ? AND source_file = ? AND observed_at < ? AND (BilledCost <> 0 OR EffectiveCost <> 0)
"""  # noqa: S608 (our own names)


def load_statement(road: Road, file: Path, reading: Reading, limits: Limits) -> dict[str, Any]:
    """Load a statement, and set to 0 what an earlier one of the same period said beyond; returns the account of it.

    Where a row was refused or is in conflict nothing is set to 0: what can't be read may still be said.

    Parameters
    ----------
    road
        Into the warehouse.
    file
        The whole statement, as FOCUS; the parts that it is read into go beside it.
    reading
        Names, the source, what the statements of this period are called, and when the provider made this one.
    limits
        What is too much.
    """
    read = read_file(file, reading, file.parent / "lines", limits)
    run_id = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    loaded = load_file(road, read, run_id, reading_hash(reading))
    withdrawn = 0 if loaded.failed else withdraw(road, reading.source_name, reading.source_file, reading.observed_at)
    account = account_of(Ingested(run_id, (loaded,)))
    return {**account["files"][0], "withdrawn": withdrawn, "failed": loaded.failed}


def withdraw(road: Road, source_name: str, source_file: str, made: datetime) -> int:
    """Set to 0 the lines of a period that were last seen before `made`; returns how many."""
    gone = road.warehouse.query(_EARLIER, (source_name, source_file, made))
    if gone.is_empty():
        return 0
    zero = gone.with_columns(
        *(pl.col(name) * 0 for name in _MEASURES if name in gone.columns),
        pl.lit(made).cast(SCHEMA["observed_at"]).alias("observed_at"),
    ).select(pl.col(name).cast(dtype) for name, dtype in SCHEMA.items() if name in gone.columns)
    loaded_at = datetime.now(UTC)
    road.carry("cost", cost_events(zero.lazy()).collect(), loaded_at=loaded_at)
    road.warehouse.merge(zero, FOCUS_COSTS, loaded_at)
    return zero.height
