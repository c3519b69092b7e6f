"""A simulated estate in a folder, as its readers see it: bills, events, metrics, graph; not its truth."""

import json
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl

from workbench.errors import SourceError, did_you_mean

MANIFEST = "estate.json"
DAILY = ("metrics", "calls", "logs")
"""Tables by minute, one file a day; columns: `sources.simulate.observe`, `sources.simulate.logs`."""
STANDING = ("workloads", "graph", "deployments", "calendar", "jobs", "grid")
"""Small tables, one file each."""


@dataclass(frozen=True)
class EstateFiles:
    """The files of an estate.

    Attributes
    ----------
    folder
        What `workbench simulate --out` wrote.
    about
        Its manifest: seed, days, rows by table, start and end.
    """

    folder: Path
    about: dict[str, Any]

    @property
    def end(self) -> date:
        """The day after the last one."""
        return date.fromisoformat(self.about["end"])

    def bills(self) -> list[tuple[Path, datetime]]:
        """Return the statements in the order in which the providers made them, and when that was."""
        made = {name: datetime.fromisoformat(moment) for name, moment in self.about["statements"].items()}
        return [
            (self.folder / "bills" / name, made[name]) for name in sorted(made, key=lambda name: (made[name], name))
        ]

    def events(self, kind: str) -> list[Path]:
        """Return the files of the `business` or `resource` events, by time."""
        return sorted((self.folder / "events" / kind).glob("*.parquet"))

    def daily(self, table: str, start: datetime, end: datetime) -> pl.DataFrame:
        """Read `metrics`, `calls` or `logs` of a half-open span; empty where there is nothing."""
        if table not in DAILY:
            raise SourceError(f"no table '{table}' by minute; there are {', '.join(DAILY)}{did_you_mean(table, DAILY)}")
        first, last = f"{start:%Y-%m-%d}", f"{end:%Y-%m-%d}"
        files = sorted((self.folder / table).glob("*.parquet"))
        some = [file for file in files if first <= file.stem <= last] or files[:1]
        if not some:
            return pl.DataFrame()
        return pl.scan_parquet(some).filter(pl.col("timestamp") >= start, pl.col("timestamp") < end).collect()

    def table(self, name: str) -> pl.DataFrame:
        """Read one of the small tables: `workloads`, `graph`, `deployments`, `calendar`, `jobs`, `grid`."""
        if name not in STANDING:
            raise SourceError(f"no table '{name}'; there are {', '.join(STANDING)}{did_you_mean(name, STANDING)}")
        return pl.read_parquet(self.folder / f"{name}.parquet")


def open_estate(folder: Path) -> EstateFiles:
    """Open what `workbench simulate` wrote.

    Raises
    ------
    SourceError
        The folder holds no estate, or one that cannot be read.
    """
    path = folder / MANIFEST
    try:
        return EstateFiles(folder, json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise SourceError(f"{folder} holds no estate; write one: workbench simulate --out {folder}") from None
    except (OSError, ValueError) as error:
        raise SourceError(f"{path} can't be read ({error}); write the estate anew") from error
