"""Reading bills: FOCUS 1.0 to 1.2, and any CSV by a mapping; one file, a folder, or a pattern.

Each file is read in batches of some thousand rows: one thread splits the file, two turn rows into lines, and the
lines go to Parquet parts, so that memory does not grow with the bill.
"""

import glob
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from workbench.checking import Checked
from workbench.errors import SourceError, WorkbenchError
from workbench.focus import COLUMNS, REQUIRED
from workbench.settings import Limits, Mapping, Names
from workbench.sources.focus.bill import MEASURES, REJECTED_LINES, TOTALS, Bill, FileRead, add_up, new_folder
from workbench.sources.focus.lines import Reading, lines
from workbench.sources.focus.ordinals import number_equal_lines
from workbench.sources.focus.rows import ROW, Rows, header

_ENDINGS = (".csv", ".csv.gz", ".parquet", ".pq")
_THREADS = 2
_PART_ROWS = 200_000


def find_files(path: str | Path) -> list[Path]:
    """Return the bill files that `path` means: itself, those of a folder (and its folders), or those of a pattern.

    Raises
    ------
    SourceError
        There is none.
    """
    path = Path(path)
    if path.is_file():
        return [path]
    found = path.rglob("*") if path.is_dir() else (Path(name) for name in glob.glob(str(path), recursive=True))  # noqa: PTH207
    files = sorted(file for file in found if file.is_file() and file.name.lower().endswith(_ENDINGS))
    if not files:
        what = "holds no file that ends in" if path.is_dir() else "does not exist, or matches nothing that ends in"
        raise SourceError(f"{path} {what} {', '.join(_ENDINGS)}")
    return files


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
        When the provider said so (default: when the file was written).
    limits
        What is too long.
    folder
        Where the lines are kept (default: a temporary folder that goes with the bill).
    progress
        Called after each file.

    Returns
    -------
    Bill
        `.by("ServiceName")`, `.lines()`, `.rejected`, `.totals`, `.events()`, `.to_pandas()`.

    Raises
    ------
    SourceError
        Nothing to read, or the only file can't be read. Of several files a bad one is left out, with its error in
        `Bill.files`.
    """
    files = find_files(path)
    place = folder or new_folder()
    base = Path(path) if Path(path).is_dir() else Path(path).parent
    read: list[FileRead] = []
    for number, file in enumerate(files):
        moment = observed_at or datetime.fromtimestamp(file.stat().st_mtime, UTC)
        shown = file.relative_to(base).as_posix() if file.is_relative_to(base) else file.name
        reading = Reading(names or Names(), source_name, shown, moment, mapping)
        try:
            done = read_file(file, reading, place / f"{number:05}", limits or Limits())
        except WorkbenchError as error:
            if len(files) == 1:
                raise
            done = FileRead(file, source_name, shown, moment, error=str(error))
        read.append(done)
        if progress:
            progress(done)
    return Bill(read, place, keep=folder is not None)


def read_file(path: Path, reading: Reading, folder: Path, limits: Limits) -> FileRead:
    """Read one file into Parquet parts under `folder`."""
    delimiter = reading.mapping.delimiter if reading.mapping else ","
    rows = Rows(
        path, choose_columns(path, reading.mapping, delimiter), delimiter=delimiter, longest=limits.max_line_bytes
    )
    folder.mkdir(parents=True, exist_ok=True)
    parts: list[Path] = []
    rejected: list[pl.DataFrame] = []
    totals: list[pl.DataFrame] = []
    counted = accepted = 0
    waiting: list[pl.DataFrame] = []
    for seen, checked in _checked(rows, reading):
        counted += seen
        accepted += checked.valid.height
        rejected.append(checked.rejected)
        totals += [_sums(checked.valid, "accepted"), _rejected_sums(checked.rejected)]
        waiting.append(checked.valid)
        if sum(frame.height for frame in waiting) >= _PART_ROWS:
            parts.append(_write(folder, len(parts), waiting))
            waiting = []
    if any(frame.height for frame in waiting):
        parts.append(_write(folder, len(parts), waiting))
    refused = _with_refused(rejected, rows, reading)
    equal = number_equal_lines(parts)
    kept = accepted + refused.height
    return FileRead(
        path, reading.source_name, reading.source_file, reading.observed_at, tuple(parts),
        rows=counted + len(rows.refused), filtered=counted + len(rows.refused) - kept, accepted=accepted,
        equal_lines=equal, rejected=refused, totals=add_up(totals),
    )  # fmt: skip


def choose_columns(path: Path, mapping: Mapping | None, delimiter: str) -> dict[str, str]:
    """Column of the file → name in the workbench.

    Raises
    ------
    SourceError
        A column twice, or one that is needed and missing.
    """
    found = header(path, delimiter)
    folded: dict[str, str] = {}
    for name in found:
        if name.strip().casefold() in folded:
            raise SourceError(
                f"{path}: has the column '{name}' twice; which one counts can't be guessed: remove one"
            )
        folded[name.strip().casefold()] = name
    if mapping is None:
        chosen = {folded[name.casefold()]: name for name in COLUMNS if name.casefold() in folded}
        missing = [name for name in REQUIRED if name not in chosen.values()]
        if missing:
            raise SourceError(f"{path}: is no FOCUS bill, the column {' and '.join(missing)} is missing; "
                              f"found {_shown(found)}. {_advice(found, delimiter)}")  # fmt: skip
        return chosen
    wanted = dict.fromkeys([*mapping.fields.values(), *mapping.rows])
    absent = [name for name in wanted if name.strip().casefold() not in folded]
    if absent:
        raise SourceError(f"{path}: lacks the mapped column {', '.join(absent)}; found {_shown(found)}. "
                          f"{_advice(found, delimiter)}")  # fmt: skip
    return {folded[name.strip().casefold()]: name for name in wanted}


def _checked(rows: Rows, reading: Reading) -> Iterator[tuple[int, Checked]]:
    """Turn batches into lines on two threads, in order, with few batches in flight."""
    flight: deque[tuple[int, Future[Checked]]] = deque()
    with ThreadPoolExecutor(_THREADS) as pool:
        for batch in rows.batches():
            flight.append((batch.height, pool.submit(_batch, batch, reading)))
            if len(flight) > 2 * _THREADS:
                seen, future = flight.popleft()
                yield seen, future.result()
        for seen, future in flight:
            yield seen, future.result()


def _batch(rows: pl.DataFrame, reading: Reading) -> Checked:
    mapping = reading.mapping
    if mapping:
        for column, value in mapping.rows.items():
            rows = rows.filter(pl.col(column).cast(pl.String).str.strip_chars() == value)
        rows = rows.select(ROW, *(pl.col(source).alias(target) for target, source in mapping.fields.items()))
    return lines(rows, reading)


def _write(folder: Path, number: int, frames: list[pl.DataFrame]) -> Path:
    part = folder / f"part-{number:05}.parquet"
    pl.concat(frames).drop(ROW).write_parquet(part, compression="lz4")
    return part


def _sums(frame: pl.DataFrame, outcome: str) -> pl.DataFrame:
    sums = [pl.len().cast(pl.Int64).alias("lines"), *(pl.col(name).sum() for name in MEASURES)]
    return frame.group_by("BillingCurrency").agg(sums).with_columns(outcome=pl.lit(outcome)).select(list(TOTALS))


def _rejected_sums(rejected: pl.DataFrame) -> pl.DataFrame:
    """What the refused rows would have cost, as far as it can be read."""
    if rejected.height == 0:
        return pl.DataFrame(schema=TOTALS)
    read = rejected.select(
        pl.col("record").str.json_path_match("$.BillingCurrency").str.to_uppercase().alias("BillingCurrency"),
        *(pl.col("record").str.json_path_match(f"$.{name}").cast(TOTALS[name], strict=False).alias(name)
          for name in MEASURES),
    )  # fmt: skip
    return _sums(read, "rejected")


def _with_refused(rejected: list[pl.DataFrame], rows: Rows, reading: Reading) -> pl.DataFrame:
    """All that was refused of a file: lines that broke a rule, and what was no row at all."""
    broken = pl.DataFrame(
        [(line.row, line.reason, None, line.text) for line in rows.refused],
        schema={"row": pl.Int64, "reason": pl.String, "value": pl.String, "record": pl.String}, orient="row",
    )  # fmt: skip
    whole = pl.concat([*rejected, broken]).with_columns(source_file=pl.lit(reading.source_file))
    return whole.select(list(REJECTED_LINES)).sort("row")


def _shown(names: list[str]) -> str:
    return f"{', '.join(repr(name[:40]) for name in names[:6])}{' …' if len(names) > 6 else ''}"


def _advice(found: list[str], delimiter: str) -> str:
    other = next((mark for mark in ";\t|," if mark != delimiter and any(mark in name for name in found)), None)
    if other:
        return f"Its columns seem to be separated by {other!r}, not {delimiter!r}: set `delimiter` in a mapping."
    return "Describe its columns under names.columns in the profile (see params/binder.yaml)."
