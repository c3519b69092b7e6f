"""Labelled spans: what the scorers read."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np

from workbench.errors import UsageError


class Span(NamedTuple):
    """Rows from `first` to `last`, both of them within: how NAB writes its windows."""

    first: int
    last: int


def span_of(moments: Sequence[datetime], first: datetime, last: datetime) -> Span:
    """The rows from one moment to another, both within. Raises UsageError where there are none."""
    inside = [at for at, moment in enumerate(moments) if first <= moment <= last]
    if not inside:
        raise UsageError(f"the labelled span {first} to {last} holds none of the rows")
    return Span(inside[0], inside[-1])


def covered(spans: Sequence[Span], points: int) -> np.ndarray:
    """1.0 in the spans, else 0.0; shape (points,)."""
    inside = np.zeros(points)
    for span in spans:
        inside[span.first : span.last + 1] = 1.0
    return inside


def runs(labels: np.ndarray) -> list[Span]:
    """The spans where labels are above 0, in their order."""
    edges = np.diff(np.concatenate([[0], (labels > 0).astype(np.int8), [0]]))
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    return [Span(int(start), int(end) - 1) for start, end in zip(starts, ends, strict=True)]
