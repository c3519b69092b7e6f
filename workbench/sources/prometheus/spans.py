"""A span cut into questions that Prometheus answers: pure."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from workbench.errors import UsageError

MOST_POINTS = 10_000
"""Points of a series in one answer; Prometheus refuses more than 11,000."""

MOST_SAMPLES = 500_000
"""Samples of one answer, over all its series: about 20 MB."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)


class Span(NamedTuple):
    """The points `first`, `first + step`, … up to and with `last`, as Prometheus counts."""

    first: datetime
    last: datetime
    step: timedelta

    @property
    def points(self) -> int:
        """How many there are."""
        return (self.last - self.first) // self.step + 1

    def question(self) -> dict[str, str]:
        """As parameters of `query_range`."""
        return {"start": _seconds(self.first), "end": _seconds(self.last), "step": f"{self.step // _SECOND}"}


def whole_span(start: datetime, end: datetime, step: timedelta) -> Span | None:
    """The multiples of the step since 1970 in a half-open span; None where there is none.

    Raises
    ------
    UsageError
        A time without a zone, or a step that is not a whole number of seconds, one at least.
    """
    if start.tzinfo is None or end.tzinfo is None:
        raise UsageError(f"the span {start} to {end} has no time zone; give times in UTC")
    if step < _SECOND or step % _SECOND:
        raise UsageError(f"the step {step} is not a whole number of seconds; write timedelta(seconds=60)")
    first = _EPOCH - (_EPOCH - start) // step * step  # at or after start
    last = _EPOCH + ((end - _EPOCH - timedelta(microseconds=1)) // step) * step  # before end
    return Span(first.astimezone(UTC), last.astimezone(UTC), step) if first <= last else None


def pieces(span: Span, series: int, most_points: int = MOST_POINTS, most_samples: int = MOST_SAMPLES) -> Iterator[Span]:
    """Cut a span so that no answer has too many points a series or samples; each point is in one piece.

    Parameters
    ----------
    series
        How many there are about.
    """
    points = max(1, min(most_points, most_samples // max(series, 1)))
    first = span.first
    while first <= span.last:
        last = min(first + (points - 1) * span.step, span.last)
        yield Span(first, last, span.step)
        first = last + span.step


def samples_of(span: Span, count: int) -> Span:
    """A few points of a span, evenly apart, the first and nearly the last with them."""
    every = max(1, -(-(span.points - 1) // max(count - 1, 1)))
    step = every * span.step
    return Span(span.first, span.first + (span.points - 1) // every * step, step)


def _seconds(moment: datetime) -> str:
    return f"{(moment - _EPOCH) // _SECOND}"
