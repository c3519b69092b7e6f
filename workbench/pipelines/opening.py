"""The one call that gives a notebook its data: `wb = workbench.open(profile, as_of)`."""

from datetime import UTC, date, datetime
from pathlib import Path

from workbench.errors import UsageError
from workbench.pipelines.book import RUNS, is_loaded
from workbench.pipelines.ingest import FOCUS_COSTS, Ingested, ingest
from workbench.pipelines.notebook import Workbench
from workbench.pipelines.outputs import Outputs
from workbench.pipelines.progress import Progress, bar
from workbench.pipelines.streambook import STREAM_RUNS
from workbench.settings import Settings, load
from workbench.warehouse import Warehouse

_LATEST = " UNION ALL ".join(f"SELECT MAX(loaded_at) AS latest FROM {book}" for book in (RUNS, STREAM_RUNS))  # noqa: S608


def open_workbench(
    profile: str | Path = "demo",
    as_of: str | date | None = None,
    known_at: str | datetime | None = None,
    run_dir: str | Path | None = None,
    *,
    notebook: str = "notebook",
    progress: Progress | None = None,
) -> Workbench:
    """Open a profile's data; where its sources were never loaded, load them first, with a bar.

    Parameters
    ----------
    profile
        Name of a profile in `params/`, or a path to one.
    as_of
        ISO date. Default: the profile's, else the day after the last charge.
    known_at
        ISO time with its zone. Default: the profile's, else the latest load.
    run_dir
        Folder of a run to write tables and the record to; empty in JupyterLab.
    notebook
        What the outputs are called after.
    progress
        Called while sources are loaded. Default: a bar on standard error.

    Raises
    ------
    SettingsError, SourceError, WarehouseError
        Whatever stands in the way, by name, with the way out.
    """
    settings = load(profile)
    warehouse = Warehouse(settings)
    ensure_loaded(warehouse, settings, progress)
    day = resolve_as_of(warehouse, settings, as_of)
    moment = resolve_known_at(warehouse, settings, known_at)
    context = {
        "profile": settings.name,
        "as_of": day.isoformat(),
        "known_at": moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    }
    outputs = Outputs(notebook, Path(run_dir) if run_dir else None, context)
    return Workbench(settings, warehouse, day, moment, outputs)


def ensure_loaded(warehouse: Warehouse, settings: Settings, progress: Progress | None = None) -> Ingested | None:
    """Load the profile's sources unless all of them have been loaded before."""
    if is_loaded(warehouse, settings):
        return None
    if progress:
        return ingest(warehouse, settings, progress)
    with bar() as show:
        return ingest(warehouse, settings, show)


def resolve_as_of(warehouse: Warehouse, settings: Settings, given: str | date | None) -> date:
    """Return the as-of date: as given, else the profile's, else the day after the last charge."""
    if isinstance(given, str) and given:
        try:
            return date.fromisoformat(given)
        except ValueError:
            raise UsageError(f"as-of '{given}' is no date; write it like 2025-11-01") from None
    if isinstance(given, date):
        return given
    if settings.as_of:
        return settings.as_of
    last = warehouse.query(f"SELECT MAX(ChargePeriodStart) AS latest FROM {FOCUS_COSTS}", ())["latest"][0]  # noqa: S608
    if last is None:
        raise UsageError(f"no charge has come in for the profile '{settings.name}'; give an as-of date, or check "
                         "`workbench ingest` and `workbench produce aws-export`")  # fmt: skip
    return date.fromordinal(last.toordinal() + 1)


def resolve_known_at(warehouse: Warehouse, settings: Settings, given: str | datetime | None) -> datetime:
    """Return the moment whose knowledge counts: as given, else the profile's, else the latest load."""
    if isinstance(given, str) and given:
        try:
            given = datetime.fromisoformat(given)
        except ValueError:
            raise UsageError(f"known-at '{given}' is no time; write it like 2025-11-01T06:00:00Z") from None
    if isinstance(given, datetime):
        if given.tzinfo is None:
            raise UsageError(f"known-at '{given}' has no time zone; add Z for UTC")
        return given.astimezone(UTC)
    if settings.report.known_at:
        return settings.report.known_at
    latest = warehouse.query(_LATEST)["latest"].max()
    return latest if isinstance(latest, datetime) else datetime.now(UTC)
