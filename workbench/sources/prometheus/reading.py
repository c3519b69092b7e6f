"""One query, one server, one span: counted first, then read piece by piece."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from workbench.errors import SourceError
from workbench.sources.prometheus.asking import Answer, Asker, Unanswered
from workbench.sources.prometheus.matrix import Block, Key, block_of
from workbench.sources.prometheus.spans import Span, pieces, samples_of

COUNTED_AT = 11
"""Moments of the span at which the series are counted before they are read."""

_SHOWN = 300


@dataclass(frozen=True)
class Limits:
    """What is refused before it is in memory: so many series of a query, so many samples of it."""

    series: int = 50_000
    samples: int = 20_000_000


@dataclass
class Reading:
    """What has come so far. `covered` says for each point of the span whether the server has answered for it."""

    span: Span
    blocks: list[Block] = field(default_factory=list)
    keys: set[Key] = field(default_factory=set)
    warnings: set[str] = field(default_factory=set)
    covered: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.covered = np.zeros(self.span.points, dtype=bool)

    def take(self, piece: Span, block: Block, warnings: tuple[str, ...]) -> None:
        """Keep the answer for a piece."""
        at = (piece.first - self.span.first) // self.span.step
        self.blocks.append(block)
        self.keys.update(block.keys)
        self.warnings.update(warnings)
        self.covered[at : at + piece.points] = True


def read_metric(asker: Asker, metric: str, query: str, reading: Reading, limits: Limits) -> None:
    """Read a query into `reading`.

    Raises
    ------
    SourceError
        The server refuses the query, or it has too many series or samples; says how many and how to narrow it.
    Unanswered
        The server does not answer (any more); what it has answered is kept.
    """
    about = f"the query of '{metric}', {query if len(query) <= _SHOWN else query[:_SHOWN] + '…'}"
    span = reading.span
    series = _count(asker, query, span, about)
    _check(series, limits, about)
    if (samples := series * span.points) > limits.samples:
        raise SourceError(
            f"{about}, has about {samples:,} samples ({series:,} series at {span.points:,} moments), more than the "
            f"{limits.samples:,} that are read at once; take a shorter span or a longer step"
        )
    for piece in pieces(span, series):
        answer = _ask(asker, query, piece, about)
        reading.take(piece, _block(answer, asker, about), answer.warnings)
        _check(len(reading.keys), limits, about)


def _ask(asker: Asker, query: str, span: Span, about: str) -> Answer:
    question: Mapping[str, str] = {"query": query, **span.question()}
    return asker.ask("query_range", question, about)


def _count(asker: Asker, query: str, span: Span, about: str) -> int:
    """About how many series a query has: the most at a few moments. 0 where it can't be counted."""
    try:
        answer = _ask(asker, f"count(\n{query}\n)", samples_of(span, COUNTED_AT), f"the number of series of {about}")
    except Unanswered:
        raise
    except SourceError:  # the query itself will tell what is wrong, in words that know nothing of a count
        return 0
    return max((int(value) for value in _block(answer, asker, about).values), default=0)


def _check(series: int, limits: Limits, about: str) -> None:
    if series > limits.series:
        raise SourceError(
            f"{about}, has {series:,} series, more than the {limits.series:,} that are read at once; narrow it by "
            "{label='…'}, sum over the label that makes so many (`sum without (label) (…)`), or raise most_series"
        )


def _block(answer: Answer, asker: Asker, about: str) -> Block:
    try:
        return block_of(answer.data)
    except ValueError as error:
        raise Unanswered(f"{asker.server.url} answers {about} with {error}; see whether the address is right") from None
