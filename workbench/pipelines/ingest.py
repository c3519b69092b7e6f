"""A bill in: source → checked lines → warehouse, with an account of every row.

The whole line goes to `focus_costs`; its cost event, with the same id, goes by the broker to `cost_events`. Each
file is merged by itself, so that what came of it can be told: lines that were new, known already, restated by a later
file, older than what is known, or in conflict. Loading the same bill again changes nothing.
"""

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import xxhash

from workbench.errors import SourceError
from workbench.focus import IDENTITY
from workbench.pipelines.book import FileLoaded, loaded_before, pages
from workbench.pipelines.estate import carry_events, estate_of
from workbench.pipelines.progress import Progress
from workbench.pipelines.replayed import stream_history
from workbench.pipelines.road import Road, open_road
from workbench.settings import AwsSource, DemoSource, FocusSource, Settings
from workbench.sources.focus import FileRead, cost_events, find_files
from workbench.sources.focus.lines import Reading
from workbench.sources.focus.read import read_file

if TYPE_CHECKING:
    from workbench.warehouse import Warehouse

FOCUS_COSTS = "finops_curated.focus_costs"
COST_EVENTS = "finops_curated.cost_events"
_FILE_ROWS = 250_000  # bill lines that are merged at once: bounds the memory of both sides
_ROW_GROUP = 50_000


@dataclass(frozen=True)
class Ingested:
    """What came of a whole ingestion."""

    run_id: str
    files: tuple[FileLoaded, ...]

    @property
    def unread(self) -> list[FileRead]:
        """The files that could not be read."""
        return [file.read for file in self.files if file.read.error]

    @property
    def exit_code(self) -> int:
        """0: everything is in. 1: something was refused or could not be read."""
        return int(any(file.failed for file in self.files))


def ingest(
    warehouse: "Warehouse", settings: Settings, progress: Progress | None = None, *, again: bool = True
) -> Ingested:
    """Load all sources of a profile.

    Parameters
    ----------
    warehouse, settings
        Where to, and what.
    progress
        Called while files are read and loaded.
    again
        Also read files that have been loaded before, read in the same way and not written since. It changes nothing
        but the book of loads.

    Raises
    ------
    SourceError
        A source that is one single file can't be read.
    BrokerError
        The broker is not there, or lost something.
    WarehouseError
        The warehouse refused.
    """
    run_id = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    known = set() if again else loaded_before(warehouse)
    files: list[FileLoaded] = []
    with open_road(warehouse, settings) as road:
        for source in settings.sources:
            if isinstance(source, AwsSource):
                continue  # `workbench produce` reads it
            found = [each for each in files_of(source, settings, progress) if _signature(*each) not in known]
            for number, (path, reading) in enumerate(found):
                if progress:
                    progress(f"read and load {reading.source_file}", number, len(found))
                files.append(_take_in(road, path, reading, settings, run_id))
            if isinstance(source, DemoSource):
                carry_events(road, source, settings, run_id, known, progress=progress)
                stream_history(warehouse, source.end)
    if len(files) == 1 and files[0].read.error:
        raise SourceError(files[0].read.error)
    return Ingested(run_id, tuple(files))


def files_of(
    source: FocusSource | DemoSource, settings: Settings, progress: Progress | None = None
) -> list[tuple[Path, Reading]]:
    """Return the files of a source and how each is to be read; the demo's cloud is simulated first.

    Raises
    ------
    SourceError
        There are none.
    """
    if isinstance(source, DemoSource):
        bills = estate_of(source, settings, progress).bills()
        return [(path, Reading(settings.names, source.name, path.name, moment, None)) for path, moment in bills]
    mapping = settings.names.columns[source.mapping] if source.mapping else None
    base = source.path if source.path.is_dir() else source.path.parent
    return [
        (
            path,
            Reading(
                settings.names,
                source.name,
                path.relative_to(base).as_posix() if path.is_relative_to(base) else path.name,
                source.observed_at or datetime.fromtimestamp(path.stat().st_mtime, UTC),
                mapping,
            ),
        )
        for path in find_files(source.path)
    ]


def _take_in(road: Road, path: Path, reading: Reading, settings: Settings, run_id: str) -> FileLoaded:
    """Read one file and load it; one that can't be read is written down as such, and the others go on."""
    with _place(settings) as folder:
        try:
            read = read_file(path, reading, folder, settings.limits)
        except SourceError as error:
            said = str(error).replace(str(path), reading.source_file)  # no folder of this machine on a page
            read = FileRead(path, reading.source_name, reading.source_file, reading.observed_at, error=said)
        return load_file(road, read, run_id, reading_hash(reading))


def reading_hash(reading: Reading) -> str:
    """Return a short hash of all that decides how a file is understood."""
    mapping = reading.mapping.model_dump_json() if reading.mapping else ""
    words = [reading.names.model_dump_json(exclude={"columns"}), mapping, *IDENTITY]
    return xxhash.xxh3_64_hexdigest(json.dumps(words).encode())


def _signature(path: Path, reading: Reading) -> tuple[object, ...]:
    """What a file is known by: the same signature, the same lines."""
    size = path.stat().st_size
    return (reading.source_name, reading.source_file, size, reading.observed_at, reading_hash(reading))


def load_file(road: Road, file: FileRead, run_id: str, reading: str = "") -> FileLoaded:
    """Load one file that was read: first its events by the road, then its lines.

    The book of loads is written in the same transaction as the lines, so that it always closes; a file whose load dies
    in between is not in it, and is read and sent again.
    """
    warehouse, loaded_at = road.warehouse, datetime.now(UTC)
    if file.error is not None:
        unread = FileLoaded(file, None)
        for name, frame in pages(unread, run_id, loaded_at, reading).items():
            warehouse.load(frame, name)
        return unread
    with tempfile.TemporaryDirectory(prefix="workbench-parts-") as folder:
        lines, events = _gathered(file.parts, Path(folder))
        road.carry("cost", events, loaded_at=loaded_at)
        merged = warehouse.merge(
            lines, FOCUS_COSTS, loaded_at, lambda done: pages(FileLoaded(file, done), run_id, loaded_at, reading)
        )
    return FileLoaded(file, merged)


def _gathered(parts: Sequence[Path], folder: Path) -> tuple[list[Path], list[Path]]:
    """Write many small parts as few large files, of lines and of their cost events: each file merged costs a while."""
    lines, events = [], []
    for number, group in enumerate(_groups(parts)):
        frame = pl.read_parquet(group)
        lines.append(folder / f"lines-{number:05}.parquet")
        events.append(folder / f"events-{number:05}.parquet")
        frame.write_parquet(lines[-1], compression="lz4", row_group_size=_ROW_GROUP)
        cost_events(frame.lazy()).collect().write_parquet(events[-1], compression="lz4", row_group_size=_ROW_GROUP)
    return lines, events


def _groups(parts: Sequence[Path]) -> Iterator[list[Path]]:
    group: list[Path] = []
    rows = 0
    for part in parts:
        group.append(part)
        rows += pl.scan_parquet(part).select(pl.len()).collect().item()
        if rows >= _FILE_ROWS:
            yield group
            group, rows = [], 0
    if group:
        yield group


@contextmanager
def _place(settings: Settings) -> Iterator[Path]:
    """A folder under the state for the parts of a bill, gone afterwards."""
    (settings.state / "cache").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bill-", dir=settings.state / "cache") as folder:
        yield Path(folder)
