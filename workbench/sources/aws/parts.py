"""The parts of a statement → one file that the reader of bills takes."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from workbench.errors import SourceError
from workbench.sources.aws import cur
from workbench.sources.focus.files import BROKEN, is_parquet, open_bytes, read_head

_ROWS = 50_000


def merge_parts(parts: Sequence[Path], folder: Path, name: str) -> Path:
    """Write the parts as one file into `folder`; they are deleted as they are read.

    Parameters
    ----------
    parts
        Parquet files, or CSV files with the same header, compressed or not.
    folder, name
        Where to, and what the statement is called in errors.

    Raises
    ------
    SourceError
        A part is broken, or they do not fit together.
    """
    heads = [[column.strip() for column in read_head(part, ",").names] for part in parts]
    other = next((part for part, head in zip(parts, heads, strict=True) if sorted(head) != sorted(heads[0])), None)
    if other is not None:
        raise SourceError(f"{name}: its files have different columns ({parts[0].name}, {other.name}); "
                          "wait for the next delivery of the export")  # fmt: skip
    try:
        if cur.SIGN in heads[0]:
            return _write(_translated(parts), folder / "statement.parquet")
        if is_parquet(parts[0]):
            return _write(_tables(parts), folder / "statement.parquet")
        return _join(parts, folder / "statement.csv")
    except BROKEN as error:
        raise SourceError(f"{name}: can't be read ({next(iter(str(error).splitlines()), error)})") from error


def _tables(parts: Sequence[Path]) -> Iterator[pa.Table]:
    for part in parts:
        with pq.ParquetFile(part) as file:
            for batch in file.iter_batches(_ROWS):
                yield pa.Table.from_batches([batch])
        part.unlink()


def _translated(parts: Sequence[Path]) -> Iterator[pa.Table]:
    """CUR 2.0 as FOCUS, some rows at a time."""
    for part in parts:
        for rows in _cur_parquet(part) if is_parquet(part) else _cur_csv(part):
            yield cur.focus_of(rows).to_arrow()
        part.unlink()


def _cur_parquet(part: Path) -> Iterator[pl.DataFrame]:
    with pq.ParquetFile(part) as file:
        wanted = [name for name in file.schema_arrow.names if name in cur.WANTED]
        for batch in file.iter_batches(_ROWS, columns=wanted):
            yield pl.DataFrame(pl.from_arrow(pa.Table.from_batches([batch])))


def _cur_csv(part: Path) -> Iterator[pl.DataFrame]:
    """All columns as the text that they are."""
    names = read_head(part, ",").names
    wanted = [name for name in names if name in cur.WANTED]
    convert = pa_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), include_columns=wanted)
    parse = pa_csv.ParseOptions(newlines_in_values=True)
    with open_bytes(part) as file, pa_csv.open_csv(file, parse_options=parse, convert_options=convert) as batches:
        for batch in batches:
            yield pl.DataFrame(pl.from_arrow(pa.Table.from_batches([batch])))


def _write(tables: Iterator[pa.Table], path: Path) -> Path:
    """Write tables one after the other; all have the columns and types of the first."""
    writer: Any = None
    try:
        for table in tables:
            if writer is None:
                writer = pq.ParquetWriter(path, table.schema, compression="zstd")
            writer.write_table(table.select(writer.schema.names).cast(writer.schema))
    finally:
        if writer is not None:
            writer.close()
    if writer is None:
        raise SourceError("the export's files hold no rows yet; wait for the next delivery")
    return path


def _join(parts: Sequence[Path], path: Path) -> Path:
    """CSV after CSV, with one header."""
    with path.open("wb") as whole:
        header: list[str] = []
        for part in parts:
            head = read_head(part, ",")
            if header and head.names != header:
                raise SourceError(f"the columns of {part.name} have another order than those before")
            with open_bytes(part) as file:
                start = file.read(head.size)
                if not header:
                    whole.write(start)
                header = head.names
                shutil.copyfileobj(file, whole, 1 << 20)
            part.unlink()
    return path
