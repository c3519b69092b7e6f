"""The demo's simulated estate: written once into the profile's state, then read like anybody's files."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import SourceError, UsageError
from workbench.pipelines.book import events_page
from workbench.pipelines.progress import Progress, bar
from workbench.settings import DemoSource, Settings
from workbench.sources import simulate
from workbench.sources.estate import MANIFEST, EstateFiles, open_estate

if TYPE_CHECKING:
    from workbench.pipelines.road import Road

KINDS = ("business", "resource")


def estate_of(source: DemoSource, settings: Settings, progress: Progress | None = None) -> EstateFiles:
    """Return the estate of a demo source; simulated where it is not there yet.

    Raises
    ------
    SourceError
        The disk refuses.
    """
    folder = estate_folder(source, settings)
    with _alone(folder):
        if not (folder / MANIFEST).is_file():
            estate = simulate.make(source.seed, source.days, source.end, source.workloads, source.orders_per_day)
            simulate.write(estate, simulate.tell(estate), folder, source.metric_days, progress)
    return open_estate(folder)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time; the others wait, and find what it has written."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = folder.with_suffix(".lock").open("w")
    except OSError as error:
        raise SourceError(
            f"{folder.parent} can't be written ({error.strerror}); see `state:` in the profile"
        ) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def estate_folder(source: DemoSource, settings: Settings) -> Path:
    """Return where the estate of a demo source lies; another source, another folder."""
    words = (source.end, source.days, source.workloads, source.seed, source.metric_days, f"{source.orders_per_day:g}")
    return settings.state / "cache" / ("estate-" + "-".join(map(str, words)))


def estates(settings: Settings) -> list[EstateFiles]:
    """Return the estates of a profile's demo sources, simulated where they are not there yet."""
    return [estate_of(source, settings) for source in settings.sources if isinstance(source, DemoSource)]


def carry_events(
    road: "Road", source: DemoSource, settings: Settings, run_id: str, known: set[tuple[object, ...]], *,
    progress: Progress | None = None,
) -> None:  # fmt: skip
    """Send the estate's business and resource events down the road, unless they are known, and write it in the book."""
    estate = estate_of(source, settings)
    for kind in KINDS:
        files = estate.events(kind)
        name, size = f"{kind} events", sum(file.stat().st_size for file in files)
        observed_at = datetime.fromisoformat(estate.about["end"] + "T00:00:00+00:00")
        if (source.name, name, size, observed_at, "") not in known:
            total = estate.about["rows"][f"{kind}_events"]
            carried = road.carry(kind, files, progress, total=total)
            for table, page in events_page(
                carried, run_id, source.name, name, size=size, observed_at=observed_at
            ).items():
                road.warehouse.load(page, table)


def simulate_to(
    out: Path, seed: int, days: int, end: str, workloads: int, *, orders_per_day: float, metric_days: int | None
) -> simulate.Written:
    """Write an estate where a person wants it, with a bar on standard error.

    Raises
    ------
    UsageError
        An impossible size, or an end that is no date.
    SourceError
        The folder holds something else, or the disk refuses.
    """
    try:
        last = date.fromisoformat(end)
    except ValueError:
        raise UsageError(f"--end '{end}' is no date; write it like 2025-11-01") from None
    if metric_days is not None and metric_days < 0:
        raise UsageError(f"--metric-days can't be negative, as {metric_days} is; 0 writes no metrics")
    estate = simulate.make(seed, days, last, workloads, orders_per_day)
    with bar("simulate") as show:
        return simulate.write(estate, simulate.tell(estate), out, metric_days, show)
