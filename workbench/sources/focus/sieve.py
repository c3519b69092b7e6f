"""Let only whole, readable lines of a CSV file through, and keep the others with their reason.

A CSV reader that meets an opened quote which is never closed swallows the rest of the file; one that meets a byte
which is no UTF-8 gives up. The sieve stands before the reader: it passes blocks on as they are while nothing is
wrong (a count of quotes and one decode a block), and goes line by line only around a fault.
"""

import io
import sys
from typing import BinaryIO, NamedTuple

_BLOCK = 1 << 20


class Fault(NamedTuple):
    """A line that was held back. `line` counts the file's physical lines from 1."""

    line: int
    reason: str
    text: str


class Sieve(io.RawIOBase):
    """A readable stream of the whole lines of `file`; what it held back stands in `faults`.

    Parameters
    ----------
    file
        A CSV file with `"` as its quote, opened in binary.
    longest
        A record longer than so many bytes is held back.
    """

    def __init__(self, file: BinaryIO, longest: int) -> None:
        self.faults: list[Fault] = []
        self.lines_passed = 0  # physical lines, held back ones included
        self._file = file
        self._longest = longest
        self._rest = b""  # read, but not yet known to end outside of a quote
        self._ready = memoryview(b"")
        self._ended = False

    def readable(self) -> bool:
        """Say that this stream can be read."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return `size` checked bytes (less only at the end; all of them by default)."""
        pieces = []
        wanted = size if size >= 0 else sys.maxsize
        while wanted and (self._ready or not self._ended or self._rest):
            if not self._ready:
                self._ready = memoryview(self._next())
            pieces.append(self._ready[:wanted])
            self._ready = self._ready[wanted:]
            wanted -= len(pieces[-1])
        return b"".join(pieces)

    def _next(self) -> bytes:
        """Return the next bytes that end with a line, outside of a quote."""
        block = b"" if self._ended else self._file.read(_BLOCK)
        self._ended = self._ended or not block
        data = self._rest + block
        cut = len(data) if self._ended else data.rfind(b"\n") + 1
        cut = _balanced_cut(data, cut)
        if cut:
            self._rest = data[cut:]
            return self._checked(data[:cut])
        self._rest = data
        if self._ended or len(data) > self._longest:
            self._hold_back_first_line()
        return b""

    def _hold_back_first_line(self) -> None:
        """Nothing in `_rest` up to the limit ends outside of a quote: its first line is at fault."""
        end = self._rest.find(b"\n") + 1
        if not end and not self._ended:  # one line longer than the limit: skip to its end
            head = self._rest[:200]
            while not end and (block := self._file.read(_BLOCK)):
                end = block.find(b"\n") + 1
                self._rest = block
            self._ended = not end
            self._rest = self._rest if end else b""
            self._fault(head, f"line is longer than {self._longest} bytes")
        elif self._rest:
            reason = "a quote is opened and never closed" if b'"' in self._rest[: end or None] else "half a line"
            self._fault(self._rest[: end or None], reason)
        self._rest = self._rest[end:] if end else b""

    def _checked(self, data: bytes) -> bytes:
        """Pass `data` on, without the lines that are too long or no UTF-8."""
        lines = data.count(b"\n") + (not data.endswith(b"\n"))
        if len(data) <= self._longest and _is_text(data):
            self.lines_passed += lines
            return data
        good = []
        for line in data.splitlines(keepends=True):
            if len(line) > self._longest:
                self._fault(line, f"line is longer than {self._longest} bytes")
            elif not _is_text(line):
                self._fault(line, "holds bytes that are no UTF-8 text")
            else:
                self.lines_passed += 1
                good.append(line)
        return b"".join(good)

    def _fault(self, line: bytes, reason: str) -> None:
        self.lines_passed += 1
        self.faults.append(Fault(self.lines_passed, reason, line[:65_536].decode(errors="replace").rstrip("\r\n")))


def _balanced_cut(data: bytes, cut: int) -> int:
    """Return the last line end at or before `cut` that lies outside of quotes (0: there is none)."""
    odd = data.count(b'"', 0, cut) % 2
    while odd and cut > 0:
        end = data.rfind(b"\n", 0, cut - 1) + 1
        odd ^= data.count(b'"', end, cut) % 2
        cut = end
    return cut


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return b"\x00" not in data
