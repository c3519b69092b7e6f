"""`workbench report`: load what is new, settle the as-of date, run the notebooks."""

from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path

from workbench.errors import SourceError
from workbench.pipelines.ingest import Ingested, ingest
from workbench.pipelines.opening import resolve_as_of, resolve_known_at
from workbench.pipelines.progress import bar
from workbench.reports.crew import crew
from workbench.reports.folder import check_writable
from workbench.reports.notebooks import find, select
from workbench.reports.run import Run
from workbench.reports.runner import folder_of, run
from workbench.settings import Settings, load, write_input_profile
from workbench.warehouse import Warehouse


def make(
    profile: str,
    names: Sequence[str],
    *,
    as_of: str = "",
    known_at: str = "",
    input_file: Path | None = None,
    quiet: bool = False,
) -> tuple[Run, Ingested]:
    """Make a report; returns the run, and what came of the bills.

    Parameters
    ----------
    profile
        A profile's name or file; with `input_file` it lends its names and settings only.
    names
        Notebooks to run (default: those of the profile, or all).
    as_of, known_at
        ISO texts, or empty for the defaults of `workbench.open`.
    input_file
        A bill of the user's own.
    quiet
        Show no progress.

    Raises
    ------
    SettingsError, SourceError, WarehouseError, ReportError, UsageError
        What stands in the way before a notebook runs.
    """
    settings = settings_for(profile, input_file)
    # What would stop the report at its end is better known before a large bill is loaded.
    select(find(folder_of(settings)), names or settings.report.notebooks)
    check_writable(settings.reports, settings.name)
    with crew(folder_of(settings)) as ready:
        ready.prepare(1)
        loaded, day, moment = _load(settings, as_of, known_at, quiet=quiet)
        return run(settings, day, moment, names=names or None, progress=not quiet, ready=ready), loaded


def _load(settings: Settings, as_of: str, known_at: str, *, quiet: bool) -> tuple[Ingested, date, datetime]:
    with Warehouse(settings) as warehouse:
        with bar(hidden=quiet) as show:
            loaded = ingest(warehouse, settings, show, again=False)
        _something_came(loaded, settings)
        day = resolve_as_of(warehouse, settings, as_of)
        moment = resolve_known_at(warehouse, settings, known_at)
    return loaded, day, moment


def settings_for(profile: str, input_file: Path | None) -> Settings:
    """Load the profile; for a bill of the user's own, write and load one for it."""
    if input_file is None:
        return load(profile)
    base = load(profile, check_files=False)
    return load(write_input_profile(input_file, base, base.root / ".workbench" / "profiles"))


def _something_came(loaded: Ingested, settings: Settings) -> None:
    """A report about nothing helps nobody."""
    broken = loaded.unread
    if loaded.files and len(broken) == len(loaded.files):
        reasons = "\n  ".join(f"{file.source_file}: {file.error}" for file in broken)
        raise SourceError(f"none of the {len(broken)} files of '{settings.name}' could be read:\n  {reasons}")
