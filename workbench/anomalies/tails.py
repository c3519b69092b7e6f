"""How rare a score is among the scores that the same series had before: -log10 of a tail probability.

The past is kept as counts in bins of equal ratio, so that it has one size however long it is, goes into a file, and
gives the same answer wherever a span was cut. Up to its 95th percentile a score's rank among the past says how rare it
is, above it an exponential tail with the mean excess that was seen (peaks over threshold, Pickands 1975, shape 0).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

REFRESH = 12
"""Columns, counted from 1970, after which the past is taken anew."""
LEAST = 100
"""So many scores have to be there before anything is called rare."""
RAREST = 4.0
"""No past of some thousand points can tell apart what is rarer than one in 10,000."""
_OCTAVE = 16
_LOW, _HIGH = -10.0, 10.0  # log2 of a score: from a thousandth of the scale to a thousand scales
BINS = int((_HIGH - _LOW) * _OCTAVE) + 2
"""The first bin holds what is smaller (as 0), the last what is larger."""
_TAIL = 0.05
_EDGES = np.concatenate([[0.0], 2.0 ** (_LOW + np.arange(BINS - 1) / _OCTAVE), [2.0 ** (_HIGH + 1)]])
_CENTRES = (_EDGES[:-1] + _EDGES[1:]) / 2


@dataclass(frozen=True)
class Tail:
    """The past of some rows of scores.

    Attributes
    ----------
    counts
        (rows, BINS): the scores up to the last refresh.
    waiting
        (rows, BINS): those of the block of columns that came last.
    block
        Its number, counted from 1970.
    """

    counts: np.ndarray
    waiting: np.ndarray
    block: int

    def rarity(self, scores: np.ndarray, column: int) -> "tuple[np.ndarray, Tail]":
        """-log10 of the probability of such a score or a larger one, 0 to `RAREST`; and the past with these in it.

        Parameters
        ----------
        scores
            (rows, points), at least 0; NaN is neither judged nor remembered.
        column
            The number of the first column, counted from 1970.
        """
        out, now = np.full(scores.shape, np.nan), self
        for first, last in _pieces(column, scores.shape[1]):
            piece, block = scores[:, first:last], (column + first) // REFRESH
            if block != now.block:
                now = Tail(now.counts + now.waiting, np.zeros_like(now.waiting), block)
            out[:, first:last] = _rarity(now.counts, piece)
            now = replace(now, waiting=now.waiting + _counted(piece))
        return out, now

    def arrays(self) -> dict[str, np.ndarray]:
        """All there is to keep in a file."""
        return {"counts": self.counts, "waiting": self.waiting, "block": np.array([self.block])}

    @classmethod
    def restored(cls, arrays: Mapping[str, np.ndarray]) -> "Tail":
        """Make it from what `arrays` gave."""
        return cls(arrays["counts"], arrays["waiting"], int(arrays["block"][0]))


def nothing_yet(rows: int) -> Tail:
    """A past without scores."""
    empty = np.zeros((rows, BINS), np.int32)
    return Tail(empty, empty.copy(), 0)


def _pieces(column: int, points: int) -> list[tuple[int, int]]:
    """Cut a span where the past is taken anew."""
    cuts = [0, *range(-column % REFRESH or REFRESH, points, REFRESH), points]
    return [(first, last) for first, last in pairwise(cuts) if last > first]


def _bin(scores: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        place = np.floor((np.log2(scores) - _LOW) * _OCTAVE) + 1
    return np.asarray(np.clip(np.nan_to_num(place, nan=0.0, neginf=0.0, posinf=BINS - 1), 0, BINS - 1).astype(np.int64))


def _counted(scores: np.ndarray) -> np.ndarray:
    rows, _ = np.nonzero(there := np.isfinite(scores))
    flat = rows * BINS + _bin(scores)[there]
    return np.bincount(flat, minlength=len(scores) * BINS).reshape(len(scores), BINS).astype(np.int32)


def _rarity(counts: np.ndarray, scores: np.ndarray) -> np.ndarray:
    total = counts.sum(axis=1)
    known = total >= LEAST
    above = total[:, None] - np.cumsum(counts, axis=1)  # in the bins beyond each
    at = _bin(scores)
    share = (scores - _EDGES[at]) / (_EDGES[at + 1] - _EDGES[at])  # of the own bin that lies below
    own = np.take_along_axis(counts, at, axis=1)
    here = np.take_along_axis(above, at, axis=1) + own * (1.0 - np.clip(share, 0.0, 1.0))
    rank = np.maximum(here, 0.5) / np.maximum(total, 1)[:, None]
    bound, excess = _beyond(counts, above, total)
    with np.errstate(over="ignore", invalid="ignore"):
        far = np.log10(1 / _TAIL) + (scores - bound[:, None]) / excess[:, None] / np.log(10)
    rarity = np.where(scores > bound[:, None], far, -np.log10(np.maximum(rank, _TAIL)))
    rarity = np.where(known[:, None], np.clip(rarity, 0.0, RAREST), 0.0)
    return np.where(np.isfinite(scores), rarity, np.nan)


def _beyond(counts: np.ndarray, above: np.ndarray, total: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The 95th percentile of each row, and the mean excess of what lies above it."""
    place = np.argmax(above <= _TAIL * total[:, None], axis=1)
    bound = _EDGES[place + 1]
    beyond = np.arange(BINS)[None, :] > place[:, None]
    number = np.where(beyond, counts, 0).sum(axis=1)
    over = (np.where(beyond, counts, 0) * _CENTRES).sum(axis=1) - number * bound
    step = _EDGES[place + 1] - _EDGES[place]  # nothing beyond: the width of a bin
    return bound, np.maximum(np.where(number > 0, over / np.maximum(number, 1), step), 1e-9)
