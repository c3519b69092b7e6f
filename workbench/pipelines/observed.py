"""What is known of the workloads beside their bill: who calls whom, metrics, logs. Today from simulated estates."""

from collections.abc import Sequence
from datetime import datetime

import polars as pl

from workbench.pipelines.estate import estates
from workbench.settings import Settings
from workbench.sources.simulate.write import GRAPH, WORKLOADS

_STANDING = {"workloads": WORKLOADS, "graph": GRAPH}


def standing(settings: Settings, table: str) -> pl.DataFrame:
    """Return `workloads` or `graph` of all sources that know it; empty where none does."""
    return _together([files.table(table) for files in estates(settings)], _STANDING[table])


def by_minute(settings: Settings, table: str, start: datetime, end: datetime) -> pl.DataFrame:
    """Return `metrics`, `calls` or `logs` of a half-open span (UTC); empty where no source has any."""
    found = [files.daily(table, start, end) for files in estates(settings)]
    return _together([frame for frame in found if frame.width], pl.Schema({"timestamp": pl.Datetime("us", "UTC")}))


def _together(frames: Sequence[pl.DataFrame], schema: pl.Schema) -> pl.DataFrame:
    return pl.concat(frames) if frames else pl.DataFrame(schema=schema)
