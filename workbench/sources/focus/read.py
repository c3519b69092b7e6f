"""Reading bills: FOCUS 1.0 to 1.2, and any CSV by a mapping; one file, a folder, or a pattern.

Each file is cut into batches of some ten thousand rows: one thread cuts, others read the rows and turn them into lines,
and the lines go to Parquet parts, so that memory does not grow with the bill.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple

import polars as pl

from workbench.errors import SourceError, UsageError, WorkbenchError
from workbench.events import COST
from workbench.focus import SCHEMA
from workbench.settings import Limits, Mapping, Names
from workbench.sources.focus.bill import REJECTED_LINES, SHOWN_BY_EVENTS, Bill, FileRead, Place, cost_events
from workbench.sources.focus.files import BROKEN, choose_columns, find_files, read_head, unreadable
from workbench.sources.focus.lines import Reading, lines
from workbench.sources.focus.ordinals import EVENT_ORDER, number_equal, number_equal_lines
from workbench.sources.focus.rows import Batch, Rows
from workbench.sources.focus.totals import together

__all__ = ["find_files", "read_file", "read_focus"]

Keep = Literal["lines", "events"]

_THREADS = 3  # one more than two processors, because they wait for each other at times
_FOR_EVENTS = tuple(dict.fromkeys([*SHOWN_BY_EVENTS, *EVENT_ORDER]))
_MOST_REFUSED = 100_000


def read_focus(
    path: str | Path,
    *,
    names: Names | None = None,
    mapping: Mapping | None = None,
    source_name: str = "file",
    observed_at: datetime | None = None,
    limits: Limits | None = None,
    folder: Path | None = None,
    progress: Callable[[FileRead], None] | None = None,
    keep: Keep = "lines",
) -> Bill:
    """Read a bill.

    Parameters
    ----------
    path
        A CSV, CSV.gz or Parquet file, a folder of them, or a pattern with `*`.
    names
        The user's own words: tag keys and unit names.
    mapping
        How the columns become FOCUS ones; without it the file must be FOCUS 1.0 to 1.2.
    source_name
        How the lines call their source.
    observed_at
        When the provider said so, with its zone (default: when the file was written).
    limits
        What is too long.
    folder
        Where the lines are kept (default: a temporary folder that goes with the bill).
    progress
        Called after each file.
    keep
        `"lines"`: all columns, on disk. `"events"`: the same rows checked in the same way, but only their cost events
        are kept, in memory; faster, and `Bill.events()` is all there is.

    Returns
    -------
    Bill
        `.by("ServiceName")`, `.lines()`, `.rejected`, `.totals`, `.events()`, `.to_pandas()`.

    Raises
    ------
    SourceError
        Nothing to read, or the only file can't be read. Of several files a bad one is left out, with its error in
        `Bill.files`.
    UsageError
        `observed_at` has no zone.
    """
    if observed_at is not None and observed_at.tzinfo is None:
        raise UsageError(f"observed_at {observed_at} has no time zone; e.g. datetime(2025, 11, 1, tzinfo=UTC)")
    files = find_files(path)
    place = Place(folder)
    base = Path(path) if Path(path).is_dir() else Path(path).parent
    read: list[FileRead] = []
    for number, file in enumerate(files):
        moment = observed_at or datetime.fromtimestamp(file.stat().st_mtime, UTC)
        shown = file.relative_to(base).as_posix() if file.is_relative_to(base) else file.name
        reading = Reading(names or Names(), source_name, shown, moment.astimezone(UTC), mapping)
        try:
            done = read_file(file, reading, place.folder / f"{number:05}", limits or Limits(), keep)
        except WorkbenchError as error:
            if len(files) == 1:
                raise
            done = FileRead(file, source_name, shown, reading.observed_at, error=str(error).replace(str(file), shown))
        read.append(replace(done, place=place))
        if progress:
            progress(read[-1])
    return Bill(read)


def read_file(path: Path, reading: Reading, folder: Path, limits: Limits, keep: Keep = "lines") -> FileRead:
    """Read one file into Parquet parts under `folder`, or into events.

    Raises
    ------
    SourceError
        The file can't be read, or most of its rows are refused.
    """
    delimiter = reading.mapping.delimiter if reading.mapping else ","
    head = read_head(path, delimiter)
    columns = choose_columns(path, head, reading.mapping, delimiter)
    rows = Rows(path, head, columns, delimiter=delimiter, longest=limits.max_line_bytes)
    if keep == "lines":
        folder.mkdir(parents=True, exist_ok=True)
    taken: list[_Taken] = []
    try:
        for each in _side_by_side(rows, reading, folder, keep):
            taken.append(each)
            _stop_if_misunderstood(path, taken)
    except BROKEN as error:
        raise unreadable(path, error) from error
    parts = tuple(each.kept for each in taken if isinstance(each.kept, Path))
    events, equal = _events(taken) if keep == "events" else (None, number_equal_lines(parts))
    return FileRead(
        path,
        reading.source_name,
        reading.source_file,
        reading.observed_at,
        parts,
        events,
        rows=sum(each.rows for each in taken),
        filtered=sum(each.rows - each.accepted - each.rejected.height for each in taken),
        accepted=sum(each.accepted for each in taken),
        equal_lines=equal,
        rejected=pl.concat([pl.DataFrame(schema=REJECTED_LINES), *(each.rejected for each in taken)]),
        totals=together(each.totals for each in taken),
    )


def _events(taken: Sequence["_Taken"]) -> tuple[pl.DataFrame, int]:
    kept = [each.kept for each in taken if isinstance(each.kept, pl.DataFrame)]
    events, equal = number_equal(pl.concat(kept)) if kept else (pl.DataFrame(schema=COST), 0)
    return events.select(COST.names()), equal


class _Taken(NamedTuple):
    """What came of one batch; its lines are in `kept`, unless there are none."""

    rows: int
    accepted: int
    rejected: pl.DataFrame
    totals: pl.DataFrame
    kept: Path | pl.DataFrame | None


def _side_by_side(rows: Rows, reading: Reading, folder: Path, keep: Keep) -> Iterator[_Taken]:
    """Take the batches in side by side, in order, with few in flight."""
    flight: deque[Future[_Taken]] = deque()
    with ThreadPoolExecutor(_THREADS) as pool:
        for number, piece in enumerate(rows.pieces()):
            part = folder / f"part-{number:05}.parquet" if keep == "lines" else None
            flight.append(pool.submit(_take, piece, reading, part))
            if len(flight) > _THREADS:
                yield flight.popleft().result()
        while flight:
            yield flight.popleft().result()


def _take(piece: Callable[[], Batch], reading: Reading, part: Path | None) -> _Taken:
    batch = piece()
    rows, at = _mapped(batch.rows, reading.mapping)
    valid, rejected, totals = lines(rows, reading, tuple(SCHEMA) if part else _FOR_EVENTS)
    positions = rejected["row"] if at is None else at.gather(rejected["row"])
    numbers = pl.Series("row", map(batch.place, positions.to_list()), pl.Int64)
    refused = pl.DataFrame(
        [(line.row, line.reason, None, line.text) for line in batch.refused],
        schema=rejected.schema,
        orient="row",
    )
    whole = pl.concat([rejected.with_columns(numbers), refused]).sort("row", maintain_order=True)
    whole = whole.select(pl.lit(reading.source_file).alias("source_file"), pl.all())
    return _Taken(batch.rows.height + len(batch.refused), valid.height, whole, totals, _kept(valid, part))


def _kept(valid: pl.DataFrame, part: Path | None) -> Path | pl.DataFrame | None:
    if valid.is_empty():
        return None
    if part is None:
        return cost_events(valid.lazy(), also=EVENT_ORDER[:2]).collect()
    valid.write_parquet(part, compression="lz4", statistics=False)
    return part


def _mapped(rows: pl.DataFrame, mapping: Mapping | None) -> tuple[pl.DataFrame, pl.Series | None]:
    """Keep the rows that the mapping wants, under FOCUS names; returns their positions too (None: all)."""
    if mapping is None:
        return rows, None
    kept = pl.Series([True]).new_from_index(0, rows.height)
    for column, value in mapping.rows.items():
        kept &= (rows[column].cast(pl.String, strict=False).str.strip_chars() == value).fill_null(value=False)
    chosen = rows.filter(kept).select(pl.col(source).alias(target) for target, source in mapping.fields.items())
    return chosen, kept.arg_true()


def _stop_if_misunderstood(path: Path, taken: Sequence[_Taken]) -> None:
    """Give up on a large file of which most rows are refused: what it means was got wrong as a whole."""
    refused = sum(each.rejected.height for each in taken)
    if refused <= max(_MOST_REFUSED, sum(each.accepted for each in taken)):
        return
    reasons = pl.concat([each.rejected for each in taken])["reason"].value_counts(sort=True)
    reason, count = reasons.row(0)
    raise SourceError(
        f"{path}: most of its rows are refused, {count} of the first {refused} because {reason}; nothing of it is "
        "taken. Describe its columns under names.columns, or put the file right."
    )
