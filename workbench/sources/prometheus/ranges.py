"""Named queries over a span, asked of all servers at once.

**Several servers** are taken as copies of each other (the usual pair for availability): where both have a sample of the
same moment of a series, the first server's counts; where only one has it, that one's. Each moment of a query has to be
answered by one server at least, because a server's silence is not the same as missing samples. A server that is much
slower than another is not waited for. What the servers leave out (staleness) has no row.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeAlias

import numpy as np

from workbench.errors import SourceError
from workbench.sources.measured import SAMPLES, Samples, settled, united
from workbench.sources.prometheus.asking import Asker, Unanswered
from workbench.sources.prometheus.matrix import HISTOGRAMS, Block, Key, frame_of, labels_of, names_of
from workbench.sources.prometheus.reading import Limits, Reading, read_metric
from workbench.sources.prometheus.server import Server
from workbench.sources.prometheus.spans import Span, whole_span

WORKERS = 4
"""Questions at once, to each server."""

PATIENCE_S = 10.0
"""So long, and as long as it took itself, the other servers are waited for once one has answered everything."""

_GRACE_S = 2.0  # a question ends by itself when the time is up; a thread that does not is left behind

_Done: TypeAlias = "SimpleQueue[tuple[int, Exception | None]]"
"""Which server has finished a query, and what was wrong."""


@dataclass(frozen=True)
class Wanted:
    """What to read.

    Attributes
    ----------
    queries
        Metric → PromQL.
    labels
        Those that make a series' name; none: those that differ.
    timeout_s
        After so many seconds it ends, with an error or without.
    limits
        What is refused.
    """

    queries: Mapping[str, str]
    labels: Sequence[str] = ()
    timeout_s: float = 120.0
    limits: Limits = field(default_factory=Limits)
    pause: Callable[[float], None] = field(default=time.sleep, repr=False)


def read_ranges(servers: Sequence[Server], wanted: Wanted, start: datetime, end: datetime, step: timedelta) -> Samples:
    """Ask for all queries over a half-open span, at the multiples of the step since 1970.

    Raises
    ------
    SourceError
        A server refuses a query, a query has too many series, or none of the servers has answered it in time.
    UsageError
        A span without zone, or a step that is no whole number of seconds.
    """
    span = whole_span(start, end, step)
    if span is None or not wanted.queries:
        return Samples(SAMPLES.to_frame(), step=step)
    limit = time.monotonic() + wanted.timeout_s
    askers = [Asker(server, limit, wanted.timeout_s / 2, wanted.pause) for server in servers]
    round_ = _Round(askers, wanted, span)
    round_.run(limit + _GRACE_S)
    return round_.samples()


class _Round:
    """One reading of all queries from all servers."""

    def __init__(self, askers: Sequence[Asker], wanted: Wanted, span: Span) -> None:
        self.askers, self.wanted, self.span = askers, wanted, span
        self.read: dict[tuple[str, int], Reading] = {
            (metric, place): Reading(span) for metric in wanted.queries for place in range(len(askers))
        }
        self.troubles: dict[int, str] = {}

    def run(self, limit: float) -> None:
        """Ask, until all have answered, or one has and the rest is too slow, or the time is up."""
        done: _Done = SimpleQueue()
        try:
            for place in range(len(self.askers)):
                self._start(place, done)
            self._wait(done, limit)
        finally:
            for asker in self.askers:
                asker.stop()

    def _start(self, place: int, done: _Done) -> None:
        """Threads of a server. As daemons, so that one that hangs does not hold the process when all else is done."""
        tasks: SimpleQueue[str] = SimpleQueue()
        for metric in self.wanted.queries:
            tasks.put(metric)
        for _ in range(min(WORKERS, len(self.wanted.queries))):
            Thread(target=self._work, args=(place, tasks, done), name="prometheus", daemon=True).start()

    def _work(self, place: int, tasks: "SimpleQueue[str]", done: _Done) -> None:
        while True:
            try:
                metric = tasks.get_nowait()
            except Empty:
                return
            query, reading = self.wanted.queries[metric], self.read[metric, place]
            try:
                read_metric(self.askers[place], metric, query, reading, self.wanted.limits)
            except Exception as error:  # noqa: BLE001 (raised again where it is waited for)
                done.put((place, error))
            else:
                done.put((place, None))

    def _wait(self, done: _Done, limit: float) -> None:
        began, patient = time.monotonic(), True
        open_ = dict.fromkeys(range(len(self.askers)), len(self.wanted.queries))
        while any(open_.values()):
            try:
                place, error = done.get(timeout=max(0.0, limit - time.monotonic()))
            except Empty:
                for place in (place for place, count in open_.items() if count):
                    self.troubles.setdefault(place, f"{self.askers[place].server.url} was too slow to be waited for")
                return
            open_[place] -= 1
            if isinstance(error, Unanswered):
                self.troubles.setdefault(place, str(error))
            elif error:
                raise error
            if patient and any(not count and each not in self.troubles for each, count in open_.items()):
                took = time.monotonic() - began
                limit, patient = min(limit, time.monotonic() + max(PATIENCE_S, took)), False

    def samples(self) -> Samples:
        """What was read, put together."""
        parts = [self._metric(metric) for metric in self.wanted.queries]
        told = [f"{text}; what it would have said comes from another server" for text in self.troubles.values()]
        return united([*parts, Samples(SAMPLES.to_frame(), told=told)], self.span.step)

    def _metric(self, metric: str) -> Samples:
        readings = [self.read[metric, place] for place in range(len(self.askers))]
        if not np.logical_or.reduce([reading.covered for reading in readings]).all():
            raise SourceError(f"metric '{metric}' can't be read: " + "; ".join(self.troubles.values()))
        blocks = [list(reading.blocks) for reading in readings]  # a server that was left behind may still bring some
        names = names_of(metric, (key for each in blocks for block in each for key in block.keys), self.wanted.labels)
        parts = [self._of_server(metric, each, names) for each in blocks]
        told = {f"metric '{metric}': {text}" for reading in readings for text in reading.warnings}
        if not any(part.frame.height for part in parts):
            told.add(self._nothing(metric))
        return united([*parts, Samples(SAMPLES.to_frame(), labels_of(metric, names), told=sorted(told))])

    def _of_server(self, metric: str, blocks: Sequence[Block], names: Mapping[Key, str]) -> Samples:
        frame, dropped = settled(frame_of(metric, blocks, names))
        histograms = sum(block.histograms for block in blocks)
        return Samples(frame, dropped=dropped | ({HISTOGRAMS: histograms} if histograms else {}))

    def _nothing(self, metric: str) -> str:
        first, last = (f"{moment:%Y-%m-%d %H:%M}" for moment in self.span[:2])
        return (
            f"metric '{metric}': no samples from {first} to {last} UTC by {self.wanted.queries[metric]}; see "
            "whether the server knows what it names, or name your own under queries"
        )
