"""Robust rolling z: how far a point lies from the median of the points before it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from workbench.anomalies import robust
from workbench.anomalies.panel import Panel
from workbench.anomalies.past import rows, tame
from workbench.anomalies.rolling import Rolling

REFRESHES = 24
"""So many times within its length a rolling window is looked at anew."""


@dataclass(frozen=True)
class RollingZ:
    """Score = |x - median| / max(1.4826 MAD, floor), both of the window before the point.

    Attributes
    ----------
    window
        How far back; at least 24 points are taken. Median and MAD are refreshed every 24th of it, on a grid counted
        from 1970, from points before the refresh (`rolling`), so a point is never compared with itself.
    floor
        In metric units: smaller spreads count as this. Beside it always counts half of the `robust.noise` of the
        series' history, which keeps quantised and flat series from endless scores; above these floors the score does
        not change with the series' unit or level.

    Notes
    -----
    A missing point has no score, and takes part in no median. Fewer than 12 known points in the window: no score.
    Median and MAD for mean and standard deviation: Iglewicz and Hoaglin (1993), How to Detect and Handle Outliers.
    """

    window: timedelta = timedelta(days=1)
    floor: float = 0.0
    name: str = "rolling z"

    def fit(self, history: Panel) -> "RollingZFitted":
        """Take the noise of each series, and its last window."""
        window = rows(self.window, history.step, REFRESHES)
        floor = np.maximum(robust.noise(tame(history.values)) / 2, self.floor)
        return RollingZFitted(Rolling.begun(history, window, max(window // REFRESHES, 1)), floor)

    def restored(self, arrays: Mapping[str, np.ndarray]) -> "RollingZFitted":
        """Go on from saved arrays."""
        return RollingZFitted(Rolling.restored(arrays), arrays["floor"])


@dataclass(frozen=True)
class RollingZFitted:
    """The last window, and the least spread of each series in metric units, shape (series,)."""

    rolling: Rolling
    floor: np.ndarray

    def score(self, span: Panel) -> "tuple[np.ndarray, RollingZFitted]":
        """See `Fitted.score`; the unit is a standard deviation."""
        center, wide, later = self.rolling.follow(span)
        scores = robust.ratio(np.abs(tame(span.values) - center), np.maximum(wide, self.floor[:, None]))
        return scores, RollingZFitted(later, self.floor)

    def arrays(self) -> Mapping[str, np.ndarray]:
        """See `Fitted.arrays`."""
        return {**self.rolling.arrays(), "floor": self.floor}
