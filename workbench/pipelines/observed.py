"""What is known of the workloads beside their bill: who calls whom, metrics, logs. Today from simulated estates."""

from collections.abc import Sequence
from datetime import datetime

import polars as pl

from workbench.pipelines.estate import estates
from workbench.settings import Settings

WORKLOADS = pl.Schema(
    {"workload": pl.String(), "business_unit": pl.String(), "provider": pl.String(), "region": pl.String(),
     "zone": pl.String(), "kind": pl.String(), "vcpus": pl.Int32(), "entry": pl.Boolean()}
)  # fmt: skip
GRAPH = pl.Schema({"caller": pl.String(), "callee": pl.String(), "kind": pl.String()})
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
