"""Median and spread of the last points of many series, refreshed on a grid that is counted from 1970."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from workbench.anomalies import robust
from workbench.anomalies.panel import Panel
from workbench.anomalies.past import Past, column

LEAST = 12
"""Fewer known points in a window say nothing."""

_AT_ONCE = 1 << 21  # values in memory


@dataclass(frozen=True)
class Rolling:
    """What the last `window` points of each series were like.

    The numbers are refreshed at columns that are multiples of `every`, counted from 1970, and hold until the next
    refresh: a point is compared with the `window` points before the last refresh (the end of the history is the first
    one), never with itself. So a span in
    pieces gives what it gives in one piece, to the last bit, and a point costs window / every comparisons.

    Attributes
    ----------
    past
        The last window + every - 1 points.
    window, every
        In points.
    block
        Number of the refresh that `center` and `spread` are of; they need not be worked out again while it holds.
    center, spread
        float64, shape (series,): median and 1.4826 MAD; NaN where fewer than 12 points, or than the window, are known.
    """

    past: Past
    window: int
    every: int
    block: int
    center: np.ndarray
    spread: np.ndarray

    @classmethod
    def begun(cls, history: Panel, window: int, every: int) -> Self:
        """Begin at the end of a history: the first refresh is there, the next on the grid."""
        past = Past.of(history, window + every - 1)
        block = column(history.end, history.step) // every
        return cls(past, window, every, block, *_described(past.values[:, -window:]))

    def follow(self, span: Panel) -> "tuple[np.ndarray, np.ndarray, Rolling]":
        """Give centre and spread for each point of a span, both of shape (series, points), and move on."""
        joined = self.past.joined(span)
        first = column(span.start, span.step)
        of_point = (first + np.arange(span.points)) // self.every
        blocks = np.unique(of_point)
        center, wide = self._of_blocks(joined, blocks, first)
        place = of_point - (blocks[0] if blocks.size else 0)
        now = (int(blocks[-1]), center[:, -1], wide[:, -1]) if blocks.size else (self.block, self.center, self.spread)
        later = Rolling(self.past.after(span, joined), self.window, self.every, *now)
        return center[:, place], wide[:, place], later

    def _of_blocks(self, joined: np.ndarray, blocks: np.ndarray, first: int) -> tuple[np.ndarray, np.ndarray]:
        series = len(joined)
        center, wide = np.full((2, series, blocks.size), np.nan)
        done = int(blocks.size > 0 and blocks[0] == self.block)
        if done:
            center[:, 0], wide[:, 0] = self.center, self.spread
        starts = blocks * self.every - self.window - first + self.past.kept
        windows = np.lib.stride_tricks.sliding_window_view(joined, self.window, axis=1)
        many = max(_AT_ONCE // (series * self.window), 1) if series else 1
        for at in range(done, blocks.size, many):
            some = slice(at, at + many)
            center[:, some], wide[:, some] = _described(windows[:, starts[some]])
        return center, wide

    def arrays(self) -> dict[str, np.ndarray]:
        """All there is to keep in a file."""
        numbers = np.array([self.window, self.every, self.block], dtype=np.int64)
        return {**self.past.arrays(), "rolling": numbers, "center": self.center, "spread": self.spread}

    @classmethod
    def restored(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Make it from what `arrays` gave."""
        window, every, block = map(int, arrays["rolling"])
        return cls(Past.restored(arrays), window, every, block, arrays["center"], arrays["spread"])


def _described(windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    enough = robust.known(windows) >= min(LEAST, windows.shape[-1])
    center = np.where(enough, robust.median(windows), np.nan)
    return center, robust.spread(windows, center)
