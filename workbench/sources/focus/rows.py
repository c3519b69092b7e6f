"""A file of a bill as batches of rows: CSV, CSV.gz and Parquet, read piece by piece.

The values come as they stand in the file (text, or Parquet's own types); only the texts `NULL`, `null` and nothing
are null. What is no row at all is refused by itself, with the line it stood in.
"""

import csv
import gzip
import io
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

import polars as pl
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from workbench.errors import SourceError
from workbench.sources.focus.sieve import Sieve

ROW = "row"
"""Column of a batch: the line of the file (from 1, the header is 1) that the row stood in."""

_BLOCK = 4 << 20
_NULLS = ["", "NULL", "null", "Null"]
_BATCH_ROWS = 50_000


class Refused(NamedTuple):
    """What is no row: the line of the file, the reason, the text."""

    row: int
    reason: str
    text: str


class Rows:
    """The rows of one file.

    Parameters
    ----------
    path
        The file.
    columns
        Column of the file → name in the batches. Others are not read.
    delimiter, longest
        What separates columns, and how many bytes a line may have (CSV).

    Attributes
    ----------
    refused
        What was no row; complete when `batches` has ended.
    """

    def __init__(self, path: Path, columns: Mapping[str, str], *, delimiter: str, longest: int) -> None:
        self.refused: list[Refused] = []
        self._path = path
        self._columns = dict(columns)
        self._delimiter = delimiter
        self._longest = longest

    def batches(self) -> Iterator[pl.DataFrame]:
        """Yield frames of the chosen columns and `row`.

        Raises
        ------
        SourceError
            The file can't be read to its end: broken compression, no Parquet inside.
        """
        try:
            yield from self._parquet() if is_parquet(self._path) else self._csv()
        except (OSError, EOFError, zlib.error, pa.ArrowInvalid) as error:
            raise SourceError(f"{self._path}: can't be read to its end ({str(error).splitlines()[0]})") from error

    def _parquet(self) -> Iterator[pl.DataFrame]:
        first = 1
        with pq.ParquetFile(self._path) as file:
            for batch in file.iter_batches(_BATCH_ROWS, columns=list(self._columns)):
                frame = cast("pl.DataFrame", pl.from_arrow(batch)).rename(self._columns)
                yield frame.with_row_index(ROW, first)
                first += frame.height

    def _csv(self) -> Iterator[pl.DataFrame]:
        with open_bytes(self._path) as file:
            sieve = Sieve(file, self._longest)
            ragged: list[tuple[int, str]] = []  # position among the rows, text
            first = 0
            for frame in self._parse(sieve, ragged):
                yield self._numbered(frame, first, ragged, sieve)
                first += frame.height
            yield from self._second_chance(sieve, ragged, first)

    def _parse(self, file: BinaryIO | Sieve, ragged: list[tuple[int, str]]) -> Iterator[pl.DataFrame]:
        """Parse CSV; rows with another number of columns than the header go to `ragged`."""

        def refuse(row: pa_csv.InvalidRow) -> str:
            ragged.append((row.number, row.text))
            return "skip"

        options = pa_csv.ConvertOptions(
            check_utf8=False,  # the sieve has seen to it
            column_types=dict.fromkeys(self._columns, pa.string()),
            include_columns=list(self._columns),
            null_values=_NULLS,
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        )
        parse = pa_csv.ParseOptions(delimiter=self._delimiter, newlines_in_values=True, invalid_row_handler=refuse)
        read = pa_csv.ReadOptions(block_size=_BLOCK, use_threads=False)  # one thread: rows keep their numbers
        with pa_csv.open_csv(file, read_options=read, parse_options=parse, convert_options=options) as reader:
            for batches in _gathered(reader):
                table = pa.Table.from_batches(batches)
                yield cast("pl.DataFrame", pl.from_arrow(table)).rename(self._columns)

    def _numbered(
        self, frame: pl.DataFrame, first: int, ragged: list[tuple[int, str]], sieve: Sieve
    ) -> pl.DataFrame:
        """Give each row its line: its place among the parsed rows, and the rows left out before it."""
        lines = pl.int_range(first + 2, first + 2 + frame.height, dtype=pl.Int64, eager=True)
        for skipped in ([number for number, _ in ragged], [fault.line for fault in sieve.faults]):
            if skipped:
                starts = pl.Series([line - before for before, line in enumerate(skipped)], dtype=pl.Int64)
                lines = lines + starts.search_sorted(lines, side="right").cast(pl.Int64)
        return frame.with_columns(lines.alias(ROW))

    def _second_chance(self, sieve: Sieve, ragged: list[tuple[int, str]], first: int) -> Iterator[pl.DataFrame]:
        """Read the lines that a wrongly opened quote had swallowed, and refuse what still is no row."""
        self.refused += [Refused(fault.line, fault.reason, fault.text) for fault in sieve.faults]
        width = len(header(self._path, self._delimiter))
        swallowed = []
        for number, text in ragged:
            lines = text.splitlines() if "\n" in text else []
            saved = [line for line in lines if _fields(line, self._delimiter) == width]
            if saved:
                swallowed += saved
                text = next(line for line in lines if line not in saved)  # noqa: PLW2901
            count = _fields(text, self._delimiter)
            self.refused.append(
                Refused(number, f"has {count} columns where the header has {width}", text[:65_536])
            )
        if swallowed:
            head = self._delimiter.join(header(self._path, self._delimiter))
            again = io.BytesIO("\n".join([head, *swallowed, ""]).encode())
            for frame in self._parse(again, []):
                yield self._numbered(frame, first, ragged, sieve)


def _gathered(batches: Iterable[pa.RecordBatch]) -> Iterator[list[pa.RecordBatch]]:
    """Gather small batches into some of `_BATCH_ROWS` rows: each one costs a fixed time later on."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        held.append(batch)
        if sum(each.num_rows for each in held) >= _BATCH_ROWS:
            yield held
            held = []
    if held:
        yield held


def is_parquet(path: Path) -> bool:
    """Whether the name says Parquet."""
    return path.suffix.lower() in {".parquet", ".pq"}


def open_bytes(path: Path) -> BinaryIO:
    """Open a CSV file, compressed or not."""
    return cast("BinaryIO", gzip.open(path)) if path.suffix.lower() == ".gz" else path.open("rb")


def header(path: Path, delimiter: str) -> list[str]:
    """Return the column names of a file.

    Raises
    ------
    SourceError
        The file is missing, empty, unreadable, or is no table.
    """
    try:
        if is_parquet(path):
            return list(pq.read_schema(path).names)
        with open_bytes(path) as file:
            line = file.readline(1 << 20)
        names = next(csv.reader([line.decode("utf-8-sig")], delimiter=delimiter), [])
    except UnicodeDecodeError:
        raise SourceError(f"{path}: is no text in UTF-8; a bill is CSV, CSV.gz or Parquet") from None
    except (OSError, EOFError, zlib.error, pa.ArrowInvalid, csv.Error) as error:
        raise SourceError(f"{path}: can't be read ({str(error).splitlines()[0]})") from error
    if not any(name.strip() for name in names):
        raise SourceError(f"{path}: is empty; a bill begins with a line of column names")
    return names


def _fields(line: str, delimiter: str) -> int:
    try:
        return len(next(csv.reader([line], delimiter=delimiter, strict=True), []))
    except csv.Error:
        return 0
