"""Business events from JSON lines: a file that may still grow, or a stream that ends.

Each event brings its own `event_id`: what a line is, only its sender knows. A line that can't be read is refused by
itself, with its reason, and the rest goes on.
"""

import json
import os
import select
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import xxhash

from workbench.checking import Checked
from workbench.errors import SourceError
from workbench.events import read_values, validate, with_refused
from workbench.sources.handed import Clock, Cursors, Sink

BATCH_LINES = 50_000
BATCH_BYTES = 32 << 20
LONGEST_LINE = 10_000_000
"""Bytes; a longer line is refused."""

_CURSOR = "business"
_BLOCK = 1 << 20
_PATIENCE_S = 1.0
_BEGINNING = 4_096  # bytes
_MOST_REASONS = 20


@dataclass
class LinesRead:
    """What came of lines: read = accepted + rejected."""

    accepted: int = 0
    rejected: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    """Reason → how many lines, for the first few reasons."""

    @property
    def read(self) -> int:
        """All lines that were not blank."""
        return self.accepted + self.rejected

    def add(self, checked: Checked) -> None:
        """Count a batch."""
        self.accepted += checked.valid.height
        self.rejected += checked.rejected.height
        for reason, count in checked.rejected["reason"].value_counts().iter_rows():
            if reason in self.reasons or len(self.reasons) < _MOST_REASONS:
                self.reasons[reason] = self.reasons.get(reason, 0) + count


def check_lines(lines: Sequence[bytes], clock: Clock) -> Checked:
    """Read lines (none of them blank) into business events and refusals; `row` is the place in `lines`."""
    given = [line if len(line) <= LONGEST_LINE else line[:1000] for line in lines]  # cut, it is no JSON any more
    read = read_values(given, "business")
    return with_refused(validate(read.frame, "business", observed_at=clock()), read, given)


def send_stream(given: BinaryIO, sink: Sink, clock: Clock, stop: Callable[[], bool]) -> LinesRead:
    """Send all lines of a stream until it ends; there is no going back in one, so it has no cursor.

    Lines wait for others for a second at most. Asked to `stop`, it sends what has come by then: half a line is refused.
    """
    done = LinesRead()
    for batch in _arriving(given.fileno(), stop):
        _send(batch, sink, clock, done)
    return done


def _arriving(descriptor: int, stop: Callable[[], bool]) -> Iterator[list[bytes]]:
    """What comes, in batches."""
    held, since, ended = bytearray(), time.monotonic(), False
    while not ended:
        ready, _, _ = select.select([descriptor], [], [], _PATIENCE_S / 4)
        if ready:
            read = os.read(descriptor, _BLOCK)
            held += read
            ended = not read
        ended = ended or stop()
        now = time.monotonic()
        if ended or len(held) >= BATCH_BYTES or now - since >= _PATIENCE_S:
            end = len(held) if ended or len(held) > BATCH_BYTES + LONGEST_LINE else held.rfind(b"\n") + 1
            lines = [line.strip() for line in bytes(held[:end]).split(b"\n") if line.strip()]
            del held[:end]
            since = now
            yield from (lines[at : at + BATCH_LINES] for at in range(0, len(lines), BATCH_LINES))


def _send(batch: Sequence[bytes], sink: Sink, clock: Clock, done: LinesRead) -> None:
    checked = check_lines(batch, clock)
    sink.take("business", checked)
    done.add(checked)


@dataclass(frozen=True)
class GrowingFile:
    """A file of JSON lines that others append to. The cursor is the place in the file, and how the file began."""

    path: Path
    sink: Sink
    cursors: Cursors
    clock: Clock
    stop: Callable[[], bool]
    """Asked after each batch."""

    def round(self, *, last: bool = False) -> LinesRead:
        """Send what has been added since; a line without an end is still being written, unless this is the `last` time.

        A file that was replaced or cut is read from its start.

        Raises
        ------
        SourceError
            It can't be read.
        """
        done = LinesRead()
        try:
            with self.path.open("rb") as file:
                start = self._start()
                file.seek(start)
                for batch, after in _whole_lines(file, start, last=last):
                    if batch:
                        _send(batch, self.sink, self.clock, done)
                    self.cursors.set(self._key, json.dumps([after, _beginning(self.path, after)]))
                    if self.stop():
                        break
        except OSError as error:
            raise SourceError(f"{self.path}: can't be read ({error.strerror})") from error
        return done

    @property
    def _key(self) -> str:
        return f"{_CURSOR}:{self.path.absolute()}"

    def _start(self) -> int:
        """Where to go on: at the start where the file is another one, by what it begins with, or was cut."""
        held = self.cursors.get(self._key)
        place, beginning = json.loads(held) if held else (0, "")
        same = self.path.stat().st_size >= place and _beginning(self.path, place) == beginning
        return int(place) if same else 0


def _beginning(path: Path, place: int) -> str:
    """A hash of what a file begins with, up to a place. (A number of the file system's may come again.)"""
    with path.open("rb") as file:
        return xxhash.xxh3_64_hexdigest(file.read(min(place, _BEGINNING)))


def _whole_lines(file: BinaryIO, here: int, *, last: bool) -> Iterator[tuple[list[bytes], int]]:
    """Batches of lines, with the place in the file behind them."""
    lines: list[bytes] = []
    start = here
    for line, after in _lines(file, here):
        if not line.endswith(b"\n") and not last:
            break
        here = after
        if line.strip():
            lines.append(line.strip())
        if len(lines) >= BATCH_LINES or here - start >= BATCH_BYTES:
            yield lines, here
            lines, start = [], here
    if here > start:
        yield lines, here


def _lines(file: BinaryIO, here: int) -> Iterator[tuple[bytes, int]]:
    """Lines and the places behind them. Of one that is too long only the start is kept, which is no JSON."""
    while line := file.readline(LONGEST_LINE + 1):
        here += len(line)
        rest = line
        while len(rest) > LONGEST_LINE and not rest.endswith(b"\n"):
            rest = file.readline(LONGEST_LINE + 1)
            here += len(rest)
            if len(rest) <= LONGEST_LINE or rest.endswith(b"\n"):
                line = line[:1000] + (b"\n" if rest.endswith(b"\n") else b"")
        yield line, here
