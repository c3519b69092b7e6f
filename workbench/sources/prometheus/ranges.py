"""Named queries over a span, asked of all servers at once.

**Several servers** are taken as copies of each other (the usual pair for availability): where both have a sample of the
same moment of a series, the first server's counts; where only one has it, that one's. Each moment of a query has to be
answered by one server at least, because a server's silence is not the same as missing samples. A server that is much
slower than another is not waited for. What the servers leave out (staleness) has no row.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime, timedelta

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
        pools = [ThreadPoolExecutor(WORKERS, thread_name_prefix="prometheus") for _ in self.askers]
        try:
            self._wait(dict(self._asked(pools)), limit)
        finally:
            for asker in self.askers:
                asker.stop()
            for pool in pools:
                pool.shutdown(wait=False, cancel_futures=True)

    def _asked(self, pools: Sequence[ThreadPoolExecutor]) -> Iterator[tuple[Future[None], int]]:
        for metric, query in self.wanted.queries.items():
            for place, asker in enumerate(self.askers):
                reading = self.read[metric, place]
                yield pools[place].submit(read_metric, asker, metric, query, reading, self.wanted.limits), place

    def _wait(self, pending: dict[Future[None], int], limit: float) -> None:
        began, patient = time.monotonic(), True
        while pending:
            done, _ = wait(pending, timeout=max(0.0, limit - time.monotonic()), return_when=FIRST_COMPLETED)
            for future in done:
                self._finish(future, pending.pop(future))
            if not done:
                for place in pending.values():
                    self.troubles.setdefault(place, f"{self.askers[place].server.url} was too slow to be waited for")
                return
            complete = set(range(len(self.askers))) - set(pending.values()) - self.troubles.keys()
            if patient and complete:
                took = time.monotonic() - began
                limit, patient = min(limit, time.monotonic() + max(PATIENCE_S, took)), False

    def _finish(self, future: Future[None], place: int) -> None:
        try:
            future.result()
        except Unanswered as error:
            self.troubles.setdefault(place, str(error))

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
