"""The road in: Parquet files of a bearable size, PUT to the stage, COPY INTO a table."""

import shutil
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from workbench.errors import WarehouseError, did_you_mean
from workbench.warehouse.frames import unknown_columns
from workbench.warehouse.protocols import Engine

Data = pl.DataFrame | pl.LazyFrame | Sequence[Path] | Path
"""What can be loaded: a frame, or Parquet files as they are."""

STAGE = "@finops_staging.loads"
CELLS_A_FILE = 14_000_000
"""A million rows of a cost event; a merge handles a file at a time, which bounds its memory."""

ROW_GROUP = 50_000
"""Small enough that both engines read a file with all cores."""


@contextmanager
def parquet_files(data: Data, columns: Sequence[str]) -> Iterator[list[Path]]:
    """`data` as Parquet files in a temporary folder, under safe and ordered names.

    Raises WarehouseError when there is a column that the table has not, so that nothing is lost by silence.
    """
    with tempfile.TemporaryDirectory(prefix="workbench-load-") as name:
        folder = Path(name)
        if isinstance(data, pl.DataFrame | pl.LazyFrame):
            frame = data.lazy().collect()
            _check(frame.columns, columns, "the frame")
            yield _written(frame, folder)
        else:
            yield _linked([data] if isinstance(data, Path) else list(data), folder, columns)


@contextmanager
def uploaded(engine: Engine, cursor: Any, files: Sequence[Path]) -> Iterator[list[str]]:  # noqa: ANN401
    """PUT the files to the stage, and take away what is left of them in the end; yields the stage path of each."""
    if not files:
        yield []
        return
    batch = uuid.uuid4().hex
    try:
        yield _put(cursor, files, batch)
    except BaseException:
        engine.forget(cursor, batch, failed=True)
        raise
    engine.forget(cursor, batch, failed=False)


def _put(cursor: Any, files: Sequence[Path], batch: str) -> list[str]:  # noqa: ANN401
    folder = str(files[0].parent).replace("\\", "\\\\").replace("'", "\\'")
    cursor.execute(f"PUT 'file://{folder}/part-*.parquet' {STAGE}/{batch} AUTO_COMPRESS=FALSE SOURCE_COMPRESSION=NONE")
    failed = [row for row in cursor.fetchall() if row[6] not in {"UPLOADED", "SKIPPED"}]
    if failed:
        raise WarehouseError(f"{len(failed)} of {len(files)} files did not reach the stage: {failed[0]}")
    return [f"{STAGE}/{batch}/{file.name}" for file in files]


def copy(cursor: Any, stage_path: str, table: str) -> int:  # noqa: ANN401
    """COPY one uploaded file INTO `table`, by column name, and away with it; returns the number of rows."""
    cursor.execute(
        f"COPY INTO {table} FROM {stage_path} FILE_FORMAT = (TYPE = PARQUET) "
        "MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE PURGE = TRUE"
    )
    return sum(int(row[3]) for row in cursor.fetchall())


def _written(frame: pl.DataFrame, folder: Path) -> list[Path]:
    """The frame in slices; times without zone, because that is what TIMESTAMP_NTZ is."""
    zoned = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Datetime)]
    frame = frame.with_columns(
        pl.col(name).dt.convert_time_zone("UTC").dt.replace_time_zone(None).cast(pl.Datetime("us"))
        if frame.schema[name].time_zone  # type: ignore[attr-defined]
        else pl.col(name).cast(pl.Datetime("us"))
        for name in zoned
    )
    rows = max(50_000, CELLS_A_FILE // max(1, frame.width))
    files = []
    for number, part in enumerate(frame.iter_slices(rows)):
        file = folder / f"part-{number:05d}.parquet"
        part.write_parquet(file, compression="snappy", row_group_size=ROW_GROUP)
        files.append(file)
    return files


def _linked(given: Sequence[Path], folder: Path, columns: Sequence[str]) -> list[Path]:
    files = []
    for number, path in enumerate(given):
        try:
            names = pl.read_parquet_schema(path)
        except (OSError, pl.exceptions.PolarsError) as error:
            raise WarehouseError(f"{path} can't be read as Parquet: {error}") from error
        _check(names, columns, str(path))
        file = folder / f"part-{number:05d}.parquet"
        try:
            file.symlink_to(Path(path).absolute())
        except OSError:  # a system without symbolic links
            shutil.copyfile(path, file)
        files.append(file)
    return files


def _check(given: Iterable[str], columns: Sequence[str], what: str) -> None:
    if strange := unknown_columns(given, columns):
        hints = "".join(did_you_mean(name, columns) for name in strange[:1])
        raise WarehouseError(
            f"{what} has columns that the table has not: {', '.join(strange[:10])}; "
            f"the table has {', '.join(columns)}{hints}"
        )
