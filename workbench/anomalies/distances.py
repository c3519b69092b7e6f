"""How far a window of a series is from the nearest windows that came before it: exact, and the same in any pieces.

Values are whole numbers of a small part of their scale, so that sums of squares are whole too and no rounding depends
on where a span begins: what is scored minute by minute equals what is scored at once, to the last digit.

Two windows are compared as they are, not standardised one by one: a shift of level is strange (a left, level-aware
matrix profile; Yeh et al., Matrix Profile I, ICDM 2016, for the idea). A lag is how far back the other window begins;
it is at least the window's length. To be near `k` windows means near k that do not tell the same: of each run of
`length` lags only the nearest counts.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

UNIT = 128.0
"""Steps of one scale; below that, values are the same."""
FURTHEST = 512.0
"""Scales from the centre; what is further away is there. Keeps all sums below 2**53, where float64 is exact."""
_CELLS = 1_500_000
"""Cells of a block of work: some arrays of so many fit into the cache and the memory of small machines."""


def whole(values: np.ndarray, centre: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Values as whole steps from their centre; a missing one repeats the last, and stays NaN before the first.

    Parameters
    ----------
    values
        (series, points), NaN where missing.
    centre, scale
        (series,); the scale is above 0.
    """
    with np.errstate(over="ignore"):
        steps = np.rint(np.clip((values - centre[:, None]) / scale[:, None], -FURTHEST, FURTHEST) * UNIT)
    return filled(steps)


def filled(values: np.ndarray) -> np.ndarray:
    """Missing values as the last one that was there; NaN before the first."""
    there = np.isfinite(values)
    last = np.maximum.accumulate(np.where(there, np.arange(values.shape[1]), -1), axis=1)
    held = np.take_along_axis(values, np.maximum(last, 0), axis=1)
    return np.where(last < 0, np.nan, held)


def nearest(steps: np.ndarray, first: int, lengths: Sequence[int], memory: int, neighbours: int) -> np.ndarray:
    """Root mean square distance of the windows that end at each point to their nearest earlier ones.

    Parameters
    ----------
    steps
        (series, points) of whole numbers, `whole`, none missing.
    first
        The first column to score; those before it are the memory.
    lengths
        Of the windows, in points.
    memory
        The longest lag.
    neighbours
        So many of the nearest; fewer where there are not so many.

    Returns
    -------
    (lengths, series, points - first), in scales; 0 where nothing came before.
    """
    series, points = steps.shape
    out = np.empty((len(lengths), series, points - first))
    if not out.size:
        return out
    width = max(1, min(series, _CELLS // max(1, points)))
    starts = range(0, series, width)

    def work(start: int) -> None:
        """Fill in the series of one block."""
        part = slice(start, start + width)
        out[:, part] = _nearest(steps[part], first, lengths, memory, neighbours)

    with ThreadPoolExecutor(2) as hands:  # numpy lets go of Python's lock
        list(hands.map(work, starts))
    return out


def _nearest(steps: np.ndarray, first: int, lengths: Sequence[int], memory: int, neighbours: int) -> np.ndarray:
    """`nearest` for as many series as fit into one block."""
    begin = max(0, first - max(lengths) + 1)
    shape = (len(steps), steps.shape[1] - first)
    nears = [Nearest(shape, neighbours) for _ in lengths]
    longest = min(memory, steps.shape[1] - 1)
    for lag in range(1, longest + 1):
        start = max(begin, lag)  # the first column that has another one so far back
        sums = _running(steps, start, lag)
        for length, near in zip(lengths, nears, strict=True):
            if lag >= length < sums.shape[1]:
                near.offer(*_windows(sums, length, start, first))
            if lag >= length and ((lag + 1) % length == 0 or lag == longest):
                near.close()
    return np.stack([near.root_mean(length) for near, length in zip(nears, lengths, strict=True)])


def _running(steps: np.ndarray, start: int, lag: int) -> np.ndarray:
    """Running sums of the squared differences to what was `lag` columns before, from column `start` on; a 0 first."""
    sums = np.zeros((len(steps), steps.shape[1] - start + 1))
    gap = sums[:, 1:]
    np.subtract(steps[:, start:], steps[:, start - lag : steps.shape[1] - lag], out=gap)
    np.multiply(gap, gap, out=gap)
    np.cumsum(gap, axis=1, out=gap)
    return sums


def _windows(sums: np.ndarray, length: int, start: int, first: int) -> tuple[int, np.ndarray]:
    """Where in the scored columns the windows of a lag begin to be whole, and their sums of squares from there on."""
    begin = max(first, start + length - 1)
    at = begin - start + 1
    return begin - first, sums[:, at:] - sums[:, at - length : sums.shape[1] - length]


class Nearest:
    """The smallest sums of squares so far, each from a run of lags of its own."""

    def __init__(self, shape: tuple[int, int], neighbours: int) -> None:
        self._run = np.full(shape, np.inf)
        self._kept = [np.full(shape, np.inf) for _ in range(neighbours)]

    def offer(self, begin: int, sums: np.ndarray) -> None:
        """Look at the windows of one lag."""
        if sums.shape[1]:
            held = self._run[:, begin:]
            np.minimum(held, sums, out=held)

    def close(self) -> None:
        """End a run: its nearest is one of the neighbours, if it is near enough."""
        new = self._run
        for at, kept in enumerate(self._kept):
            self._kept[at], new = np.minimum(kept, new), np.maximum(kept, new)
        self._run.fill(np.inf)

    def root_mean(self, length: int) -> np.ndarray:
        """Root mean square distance over the neighbours and the window's points, in scales."""
        found = np.stack(self._kept)
        there = np.isfinite(found)
        mean = np.where(there, found, 0.0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
        return np.asarray(np.sqrt(mean / length) / UNIT)
