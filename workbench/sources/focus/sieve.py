"""Cut a CSV file into blocks of whole records, and hold back what would spoil the rest.

A CSV reader that meets a quote which is opened and never closed swallows the rest of the file; one that meets a
byte which is no UTF-8 gives up. The sieve stands before the reader: it counts quotes to cut only between records, so
that each block can be read by itself, and looks at single records only where something is wrong.
"""

import csv
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import numpy as np

LONGEST_TEXT = 65_536
"""Of a line over the limit at most so many bytes are kept."""

NO_TEXT = "holds bytes that are no UTF-8 text"
OPEN_QUOTE = "a quote is opened and never closed"

_READ = 1 << 20  # bytes; more does not fit the processor's cache
_NEWLINE, _QUOTE = 10, 34


class Block(NamedTuple):
    """Whole records, or (with a `fault`) one line that was held back.

    `line` is the physical line it begins on (from 1), `lines` how many it has.
    """

    data: bytes
    line: int
    lines: int
    fault: str | None = None


class Record(NamedTuple):
    """One record of a file and the physical line that it begins on."""

    data: bytes
    line: int


class Refused(NamedTuple):
    """What is no row: the line of the file, the reason, the text."""

    row: int
    reason: str
    text: str


def blocks(file: BinaryIO, longest: int, line: int) -> Iterator[Block]:
    """Cut what is left of `file` into blocks of about a megabyte.

    Parameters
    ----------
    file
        A CSV file with `"` as its quote, opened in binary, at the start of a record.
    longest
        A record of more bytes is held back: what is too long on one line, or a quote that is not closed by then.
    line
        The physical line that `file` stands at.
    """
    rest = b""
    ended = False
    while rest or not ended:
        if not ended:
            read = file.read(min(max(_READ, len(rest)), longest + 1 - len(rest)))
            ended = not read
            rest += read
        cut = _last_end(rest, ended=ended)
        if cut:
            lines = _count(np.frombuffer(rest, np.uint8, cut), _NEWLINE) + (rest[cut - 1] != _NEWLINE)
            yield Block(rest[:cut], line, lines)
            rest = rest[cut:]
        elif rest and (ended or len(rest) > longest):
            lines = 1
            data, reason, rest = _held_back(file, rest, longest)
            yield Block(data, line, lines, reason)
        else:
            continue
        line += lines


def _last_end(data: bytes, *, ended: bool) -> int:
    """Return where the last whole record of `data` ends (0: there is none)."""
    whole = len(data) if ended else data.rfind(b"\n") + 1
    codes = np.frombuffer(data, np.uint8, whole)
    if _count(codes, _QUOTE) % 2 == 0:
        return whole
    ends = _record_ends(codes)
    return int(ends[-1]) if len(ends) else 0


def _count(codes: np.ndarray, code: int) -> int:
    return int(np.count_nonzero(codes == code))


def _record_ends(codes: np.ndarray) -> np.ndarray:
    """Return the positions after each line end that lies outside of quotes."""
    ends = np.flatnonzero(codes == _NEWLINE) + 1
    quotes_before = np.searchsorted(np.flatnonzero(codes == _QUOTE), ends)
    return np.asarray(ends[quotes_before % 2 == 0])


def _held_back(file: BinaryIO, rest: bytes, longest: int) -> tuple[bytes, str, bytes]:
    """Take the first line off `rest`, since no record up to the limit ends there; returns why, and what follows."""
    end = rest.find(b"\n") + 1
    if end:
        return rest[:end], OPEN_QUOTE, rest[end:]
    if len(rest) <= longest:
        return rest, OPEN_QUOTE, b""
    more = b"?"
    while more and not more.endswith(b"\n"):
        more = file.readline(_READ)
    return rest[:LONGEST_TEXT], f"line is longer than {longest} bytes", b""


def is_text(data: bytes) -> bool:
    """Whether `data` is UTF-8 without NUL."""
    if b"\x00" in data:
        return False
    try:
        return data.isascii() or bool(data.decode())
    except UnicodeDecodeError:
        return False


def records(block: Block) -> list[Record]:
    """Split a block into its records, blank ones left out."""
    ends = _record_ends(np.frombuffer(block.data, np.uint8)).tolist()
    if not ends or ends[-1] < len(block.data):
        ends.append(len(block.data))
    found, start, line = [], 0, block.line
    for end in ends:
        data = block.data[start:end]
        if data.strip(b"\r\n"):
            found.append(Record(data, line))
        line += data.count(b"\n")
        start = end
    return found


def weed(found: list[Record], width: int, delimiter: str) -> tuple[list[Record], list[Refused]]:
    """Part records into those to be read and lines to be refused.

    A record of several lines of which one is a whole row by itself was made by two wrong quotes, which swallowed
    that row: its lines are taken apart. Bytes that are no UTF-8 are refused with their record.
    """
    good: list[Record] = []
    refused: list[Refused] = []
    for record in found:
        lines = _lines(record) if b"\n" in record.data[:-1] else []
        if any(_is_row(line, width, delimiter) for line in lines):
            good += (line for line in lines if _is_row(line, width, delimiter))
            refused += (refusal(line, OPEN_QUOTE) for line in lines if not _is_row(line, width, delimiter))
        elif is_text(record.data):
            good.append(record)
        else:
            refused.append(refusal(record, NO_TEXT))
    return good, refused


def _lines(record: Record) -> list[Record]:
    lines = record.data.removesuffix(b"\n").split(b"\n")
    return [Record(line + b"\n", number) for number, line in enumerate(lines, record.line)]


def _is_row(line: Record, width: int, delimiter: str) -> bool:
    data = line.data
    enough = data.count(delimiter.encode()) >= width - 1 > 0 and data.count(b'"') % 2 == 0
    return enough and is_text(data) and fields(data.decode(), delimiter) == width


def refusal(record: Record | Block, reason: str) -> Refused:
    """Refuse a record with its text, without its line end; what is no text is said to be no text."""
    reason = reason if is_text(record.data) else NO_TEXT
    return Refused(record.line, reason, record.data.decode(errors="replace").rstrip("\r\n"))


def fields(line: str, delimiter: str) -> int:
    """Return how many columns a line has by itself (0: it is no whole line)."""
    try:
        return len(next(csv.reader([line], delimiter=delimiter, strict=True), []))
    except csv.Error:
        return 0
