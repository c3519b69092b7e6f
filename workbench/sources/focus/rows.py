"""A file of a bill as batches of rows: CSV, CSV.gz and Parquet, read piece by piece.

The values come as they stand in the file (text, or Parquet's own types); only the texts `NULL`, `null` and nothing
are null. What is no row at all is refused by itself, with the line it stood in.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple, cast

import polars as pl
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from workbench.sources.focus.files import Head, is_parquet, open_bytes
from workbench.sources.focus.sieve import OPEN_QUOTE, Block, Refused, blocks, fields, is_text, records, refusal, weed

_BATCH_BYTES = 16 << 20
_BATCH_ROWS = 50_000
_NULLS = ["", "NULL", "null", "Null"]


class Batch(NamedTuple):
    """Some rows of a file.

    `rows` has the chosen columns, `refused` is what was no row, `place` tells the line of the file for a position in
    `rows` (from 1, the header being 1; of a Parquet file the row, from 1).
    """

    rows: pl.DataFrame
    refused: list[Refused]
    place: Callable[[int], int]


@dataclass(frozen=True)
class Rows:
    """The rows of one file.

    Parameters
    ----------
    path, head
        The file and its first line.
    columns
        Position of a column in the file → its name in the batches. Others are not read.
    delimiter, longest
        What separates columns, and how many bytes a line may have (CSV).
    """

    path: Path
    head: Head
    columns: Mapping[int, str]
    delimiter: str
    longest: int

    def pieces(self) -> Iterator[Callable[[], Batch]]:
        """Yield functions that each read some rows; they may run side by side. Both raise what is in `BROKEN`."""
        yield from self._parquet() if is_parquet(self.path) else self._csv()

    def _parquet(self) -> Iterator[Callable[[], Batch]]:
        names = {self.head.names[at]: name for at, name in self.columns.items()}
        first = 1
        with pq.ParquetFile(self.path) as file:
            for rows in file.iter_batches(_BATCH_ROWS, columns=list(names), use_threads=False):
                yield partial(_parquet_batch, rows, names, first)
                first += rows.num_rows

    def _csv(self) -> Iterator[Callable[[], Batch]]:
        with open_bytes(self.path) as file:
            file.read(self.head.size)
            held: list[Block] = []
            size = _BATCH_BYTES // 4  # small ones first: the second thread has work sooner, and small files have two
            for block in blocks(file, self.longest, self.head.lines + 1):
                held.append(block)
                if sum(len(each.data) for each in held) >= size:
                    yield partial(self._read, held)
                    held, size = [], min(2 * size, _BATCH_BYTES)
            if held:
                yield partial(self._read, held)

    def _read(self, held: Sequence[Block]) -> Batch:
        pieces = [self._read_block(block) for block in held]
        table = pa.concat_tables(piece.table for piece in pieces)
        refused = [line for piece in pieces for line in piece.refused]
        starts = [0, *accumulate(piece.table.num_rows for piece in pieces)]

        def place(row: int) -> int:
            at = bisect_right(starts, row) - 1
            return pieces[at].line(row - starts[at])

        return Batch(cast("pl.DataFrame", pl.from_arrow(table)), refused, place)

    def _read_block(self, block: Block) -> "_Piece":
        """Read a block; look at its records one by one only where something is odd about it."""
        if block.fault and fields(block.data.decode(errors="replace"), self.delimiter) != self.head.width:
            return _Piece(self._parse(b"")[0], [refusal(block, block.fault)], int)
        readable = is_text(block.data)
        table, ragged = self._parse(block.data if readable else b"")
        if readable and block.lines == table.num_rows + len(ragged):
            return self._piece(table, ragged, [], lambda record: record + block.line)
        found = records(block)
        good, refused = weed(found, self.head.width, self.delimiter)
        if refused:
            table, ragged = self._parse(b"".join(record.data for record in good))
        return self._piece(table, ragged, refused, lambda record: good[min(record, len(good) - 1)].line)

    def _piece(
        self,
        table: pa.Table,
        ragged: Sequence[tuple[int, str]],
        refused: list[Refused],
        line: Callable[[int], int],
    ) -> "_Piece":
        """Refuse what is ragged. `ragged` and `line` count records, the rows of the table are what is left of them."""
        for record, text in ragged:
            count = fields(text, self.delimiter)
            reason = f"has {count} columns where the header has {self.head.width}" if count else OPEN_QUOTE
            refused.append(Refused(line(record), reason, text))
        starts = [record - before for before, (record, _) in enumerate(ragged)]
        return _Piece(table, refused, lambda row: line(row + bisect_right(starts, row)))

    def _parse(self, data: bytes) -> tuple[pa.Table, list[tuple[int, str]]]:
        """Parse CSV; returns the rows, and those that have another number of columns: their record, their text."""
        ragged: list[tuple[int, str]] = []

        def refuse(row: pa_csv.InvalidRow) -> str:
            ragged.append((row.number - 1, row.text))
            return "skip"

        if data[:1] in {b"", b"\r", b"\n"} and not data.strip(b"\r\n"):
            return pa.table({name: pa.array([], pa.string()) for name in self.columns.values()}), ragged
        parse = pa_csv.ParseOptions(delimiter=self.delimiter, newlines_in_values=True, invalid_row_handler=refuse)
        read = pa_csv.ReadOptions(block_size=len(data) + 1, use_threads=False, column_names=self._names)
        return pa_csv.read_csv(pa.BufferReader(data), read, parse, self._convert), ragged

    @cached_property
    def _names(self) -> list[str]:
        return [self.columns.get(at, f"\x00{at}") for at in range(self.head.width)]

    @cached_property
    def _convert(self) -> pa_csv.ConvertOptions:
        return pa_csv.ConvertOptions(
            check_utf8=False,  # the sieve has seen to it
            column_types=dict.fromkeys(self.columns.values(), pa.string()),
            include_columns=list(self.columns.values()),
            null_values=_NULLS,
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        )


class _Piece(NamedTuple):
    """A block, read: its rows, what was refused, and the line of the file for each row of the table."""

    table: pa.Table
    refused: list[Refused]
    line: Callable[[int], int]


def _parquet_batch(batch: pa.RecordBatch, names: Mapping[str, str], first: int) -> Batch:
    columns = {names[name]: _known(column) for name, column in zip(batch.schema.names, batch.columns, strict=True)}
    rows = cast("pl.DataFrame", pl.from_arrow(pa.table(columns)))
    return Batch(rows.with_columns(pl.col(pl.String).replace(_NULLS, None)), [], lambda row: row + first)


def _known(column: pa.Array) -> pa.Array:
    """Columns of types that Polars does not know as text, and dictionaries as what they hold."""
    if pa.types.is_dictionary(column.type):
        return column.dictionary_decode()
    return column.cast(pa.string()) if pa.types.is_decimal256(column.type) else column
