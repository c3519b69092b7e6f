"""The loop: topic → checked events → sink, and only then is it remembered that they were read.

While the sink works on one load the next is read and checked. An offset is committed after the sink has taken
everything before it and the dead letters are written: who is killed in between reads again, and because an event that
comes twice changes nothing, the totals stay right.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from workbench.streaming.decode import Decoded, decode
from workbench.streaming.letters import DeadLetters
from workbench.streaming.parcels import DeadLetter
from workbench.streaming.reader import Offsets, TopicReader
from workbench.streaming.swift import no_collection, swift_switches

Sink = Callable[[pl.DataFrame, list[DeadLetter]], None]
"""Takes valid events, and the letters that fell out beside them; all of it or nothing."""

Decoder = Callable[[Sequence[Any], str], Decoded]
"""Reads messages of a kind: `decode.decode`, or `records.decode_records`."""

LOAD_ROWS = 250_000
"""Events that go to the sink at once: few large loads cost less than many small ones."""

LOAD_BYTES = 128_000_000
"""Dead letters that are held at most until they go to the sink."""


@dataclass
class Taken:
    """What the loop has done: read = valid + dead."""

    read: int = 0
    valid: int = 0
    dead: int = 0
    committed: dict[int, int] = field(default_factory=dict)
    marks: list[tuple[float, int]] = field(default_factory=list)
    """(monotonic seconds, messages done) after each load."""


@dataclass
class _Load:
    """What has been read and waits for the sink."""

    valid: list[pl.DataFrame] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    read: int = 0
    bytes: int = 0

    def add(self, decoded: Decoded) -> None:
        self.valid.append(decoded.valid)
        self.dead += decoded.dead
        self.read += decoded.read
        self.bytes += sum(len(letter.value or b"") for letter in decoded.dead)

    @property
    def full(self) -> bool:
        return self.read >= LOAD_ROWS or self.bytes >= LOAD_BYTES


class Loop:
    """Takes a topic of one kind of event, or of what `decoder` reads, into a sink."""

    def __init__(
        self, reader: TopicReader, kind: str, sink: Sink, letters: DeadLetters, decoder: Decoder = decode
    ) -> None:
        self._reader = reader
        self._kind = kind
        self._decoder = decoder
        self._sink = sink
        self._letters = letters
        self._under_way: tuple[Future[None], _Load, Offsets] | None = None
        self.taken = Taken(committed=dict(reader.first))

    def run(self, until: Callable[[], Offsets | None], on_progress: Callable[[int], None] = lambda _: None) -> Taken:
        """Go on until everything before `until()` is in the sink and committed.

        Parameters
        ----------
        until
            The offsets to stop at, or None as long as they aren't known. May raise to stop the loop.
        on_progress
            Told how many messages are in the sink.

        Raises
        ------
        BrokerError
            Messages are lost, or the broker is.
        """
        load = _Load()
        with swift_switches(), ThreadPoolExecutor(1, thread_name_prefix="sink") as sink:
            while not self._reached(end := until()):
                decoded = self._next()
                if decoded:
                    load.add(decoded)
                elif end is not None:
                    self._reader.expect_more()
                if load.full:
                    self._hand_over(sink, load)
                    load = _Load()
                on_progress(self.taken.read)
            self._hand_over(sink, load)
            self._settle()
            on_progress(self.taken.read)
        return self.taken

    def _next(self) -> Decoded | None:
        """The next batch, read and checked; None where there is nothing just now."""
        with no_collection():
            messages = self._reader.batch()
            return self._decoder(messages, self._kind) if messages else None

    def _reached(self, end: Offsets | None) -> bool:
        position = self._reader.position
        return end is not None and all(position[partition] >= offset for partition, offset in end.items())

    def _hand_over(self, sink: ThreadPoolExecutor, load: _Load) -> None:
        """Give a load to the sink, when it is done with the one before."""
        self._settle()
        if load.read:
            position = self._reader.position
            self._under_way = (sink.submit(self._give, load), load, position)

    def _give(self, load: _Load) -> None:
        self._sink(pl.concat(load.valid), load.dead)
        self._letters.write(load.dead)

    def _settle(self) -> None:
        """Wait for the sink, then commit what it has taken."""
        if self._under_way is None:
            return
        future, load, position = self._under_way
        self._under_way = None
        future.result()
        self._reader.commit(changed(self.taken.committed, position))
        self.taken.committed = dict(position)
        self.taken.read += load.read
        self.taken.dead += len(load.dead)
        self.taken.valid += load.read - len(load.dead)
        self.taken.marks.append((time.monotonic(), self.taken.read))


def changed(before: Mapping[int, int], after: Mapping[int, int]) -> dict[int, int]:
    """The offsets that have moved."""
    return {partition: offset for partition, offset in after.items() if before.get(partition) != offset}
