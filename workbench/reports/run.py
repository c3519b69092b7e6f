"""What is known of a run: `records/run.json`, and what `run()` returns."""

import datetime as dt
import json
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from workbench.reports.folder import replace_text
from workbench.reports.notebooks import Notebook
from workbench.settings import Settings

SCHEMA = 1
_PACKAGES = ("workbench", "polars", "pyarrow", "duckdb", "fakesnow", "snowflake-snowpark-python", "altair", "papermill")


@dataclass
class NotebookRun:
    """One notebook of a run: `status` is waiting, done, failed or skipped.

    `kept` says that this is the page of an earlier run, left in place by a run of other notebooks.
    """

    name: str
    title: str
    about: str = ""
    needs: list[str] = field(default_factory=list)
    status: str = "waiting"
    kept: bool = False
    seconds: float = 0.0
    cells: int = 0
    cells_done: int = 0
    reason: str = ""
    error: dict[str, Any] | None = None
    known_at: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def page(self) -> str:
        """The page's file name."""
        return f"{self.name}.html"


@dataclass
class Run:
    """One run of a report."""

    profile: str
    as_of: dt.date
    known_at: dt.datetime | None
    notebooks: list[NotebookRun]
    started: dt.datetime
    settings: str
    parameters: dict[str, object]
    local_zone: str = "UTC"
    finished: dt.datetime | None = None
    folder: Path | None = None

    @classmethod
    def begin(
        cls, settings: Settings, as_of: dt.date, known_at: dt.datetime | None, chosen: Iterable[Notebook],
        parameters: dict[str, object],
    ) -> "Run":  # fmt: skip
        """A run of which nothing is done yet."""
        known = known_at.isoformat() if known_at else ""
        entries = [
            NotebookRun(book.name, book.title, book.about, list(book.needs), cells=book.cells, known_at=known)
            for book in chosen
        ]
        return cls(
            settings.name, as_of, known_at, entries, dt.datetime.now(dt.UTC), settings.fingerprint(), parameters,
            settings.report.local_zone,
        )  # fmt: skip

    @property
    def by_name(self) -> dict[str, NotebookRun]:
        """The notebooks by name."""
        return {entry.name: entry for entry in self.notebooks}

    @property
    def exit_code(self) -> int:
        """0 when every notebook of this run was completed, else 1."""
        return int(any(entry.status != "done" for entry in self.notebooks if not entry.kept))

    @property
    def seconds(self) -> float:
        """From the start to the end."""
        return ((self.finished or dt.datetime.now(dt.UTC)) - self.started).total_seconds()

    def finish(self) -> None:
        """Stop the clock."""
        self.finished = dt.datetime.now(dt.UTC)

    def as_dict(self) -> dict[str, Any]:
        """The record of the run, for JSON."""
        return {
            "schema": SCHEMA,
            "profile": self.profile,
            "as_of": self.as_of.isoformat(),
            "known_at": self.known_at.isoformat() if self.known_at else "",
            "started": self.started.isoformat(timespec="seconds"),
            "finished": self.finished.isoformat(timespec="seconds") if self.finished else "",
            "seconds": round(self.seconds, 2),
            "exit_code": self.exit_code,
            "settings": self.settings,
            "parameters": self.parameters,
            "local_zone": self.local_zone,
            "versions": {"python": platform.python_version()} | _versions(),
            "notebooks": [asdict(entry) for entry in sorted(self.notebooks, key=lambda entry: entry.name)],
        }

    def write(self, path: Path) -> None:
        """Write the record."""
        replace_text(path, json.dumps(self.as_dict(), indent=1, ensure_ascii=False) + "\n")


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
