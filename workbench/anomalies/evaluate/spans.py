"""Labelled spans: what the scorers read."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Span(NamedTuple):
    """Rows from `first` to `last`, both of them within: how NAB writes its windows."""

    first: int
    last: int


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
