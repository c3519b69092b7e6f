"""Windows: how unlike everything before is what a series has just done, in the last minutes, hours and days."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from workbench.anomalies import robust
from workbench.anomalies.distances import filled, nearest, whole
from workbench.anomalies.panel import Panel
from workbench.anomalies.past import Past, column, tame
from workbench.anomalies.tails import Tail, nothing_yet


@dataclass(frozen=True)
class Windows:
    """Score = root mean square, over some lengths of window, of how rare the distance to earlier windows is.

    The distance is the one of `distances.nearest`; how rare it is, `tails` tells from the distances that the same
    series had before, as -log10 of a probability. Several lengths see a spike, a step and a changed pattern alike; a
    mean of squares lets one of them speak for itself, yet counts it more where the others agree.

    Attributes
    ----------
    lengths
        Of the windows, in points, not in time: what is noise at one sampling rate is a fact at another.
    memory
        So many points back are remembered: a week of five minutes.
    neighbours
        The nearest so many windows count.

    Notes
    -----
    A missing point has no score; within a window it counts as the last that was there.
    """

    lengths: tuple[int, ...] = (1, 6, 24, 72, 144)
    memory: int = 2_016
    neighbours: int = 5
    name: str = "windows"

    def fit(self, history: Panel) -> "WindowsFitted":
        """Take centre and spread of each series, and score the history itself, each point by those before it."""
        center, scale = robust.scale(tame(history.values))
        series = len(history.keys)
        before = np.full((series, self.memory + max(self.lengths)), np.nan)
        past = Past(history.keys, history.step, history.start, before)
        fresh = WindowsFitted(self, center, scale, past, nothing_yet(series * len(self.lengths)))
        return fresh.score(history)[1]

    def restored(self, arrays: Mapping[str, np.ndarray]) -> "WindowsFitted":
        """Go on from saved arrays."""
        past = Past.restored(arrays)
        return WindowsFitted(self, arrays["center"], arrays["scale"], past, Tail.restored(arrays))


@dataclass(frozen=True)
class WindowsFitted:
    """Centre and scale, shape (series,); the last columns in whole steps; the distances that there were."""

    settings: Windows
    center: np.ndarray
    scale: np.ndarray
    past: Past
    tail: Tail

    def score(self, span: Panel) -> "tuple[np.ndarray, WindowsFitted]":
        """See `Fitted.score`; the unit is a power of ten of rarity."""
        self.past.gap(span)
        values = tame(span.values)
        joined = filled(self.past.joined(replace(span, values=whole(values, self.center, self.scale))))
        distances = self._distances(joined, span.points)
        distances[:, ~np.isfinite(values)] = np.nan
        rows = distances.reshape(len(self.tail.counts), span.points)
        flat, tail = self.tail.rarity(rows, column(span.start, span.step))
        score = np.sqrt(np.square(flat.reshape(distances.shape)).mean(axis=0))
        return score, replace(self, past=self.past.after(span, joined), tail=tail)

    def _distances(self, joined: np.ndarray, points: int) -> np.ndarray:
        """(lengths, series, points); what lies before the first sample of all series is no window."""
        begun = int(np.argmax(np.isfinite(joined).any(axis=0)))
        first = max(joined.shape[1] - points - begun, 0)
        steps = np.nan_to_num(joined[:, joined.shape[1] - points - first :])
        its = self.settings
        return nearest(steps, first, its.lengths, its.memory, its.neighbours)

    def arrays(self) -> Mapping[str, np.ndarray]:
        """See `Fitted.arrays`."""
        return {**self.past.arrays(), **self.tail.arrays(), "center": self.center, "scale": self.scale}
