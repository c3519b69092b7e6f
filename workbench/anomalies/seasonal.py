"""Seasonal residual: how far a point lies from what this time of day usually brings, at the present level."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np

from workbench.anomalies import robust
from workbench.anomalies.panel import Panel
from workbench.anomalies.past import column, rows, tame
from workbench.anomalies.periods import thin_width
from workbench.anomalies.profiles import Profiles, own_profiles, shared_profiles
from workbench.anomalies.rolling import Rolling
from workbench.anomalies.statistical import REFRESHES


@dataclass(frozen=True)
class SeasonalResidual:
    """Score = |x - (profile + level)| / scale.

    The profile is the seasonal part of STL, of up to two periods that are found from the history of each series
    (`periods.find_periods`; none found: no season); it stays as it was learned. The level is the median of the points
    before, without their season, and moves on with the span (`rolling`). The scale is 1.4826 times the median size of
    such residuals in the history, each against the level before it, widened by what a profile knows of its own history
    (`Profiles.surprise`; a shared one knows next to nothing).

    Attributes
    ----------
    level
        How far back the level is taken from; at least 24 points are.
    share
        Learn one profile from all series that have the same periods and give each series its amplitude, instead of one
        profile a series: for thousands of series, and for short histories of many that move alike.
    floor
        In metric units: smaller scales count as this; so does half of the `robust.noise` of the series' history.

    Notes
    -----
    A missing point has no score. Fewer than 12 known points before: no score.
    STL: Cleveland, Cleveland, McRae, Terpenning (1990), Journal of Official Statistics 6, 3-73; with two periods it is
    taken in turns, as in MSTL: Bandara, Hyndman, Bergmeir (2021), arXiv 2107.13462.
    """

    level: timedelta = timedelta(days=1)
    share: bool = False
    floor: float = 0.0
    name: str = "seasonal residual"

    def fit(self, history: Panel) -> "SeasonalFitted":
        """Find the periods, learn the profiles and the scale."""
        values = tame(history.values)
        first = column(history.start, history.step)
        width = thin_width(history.points, history.step)
        learn = shared_profiles if self.share else own_profiles
        profiles = learn(values, first, width, history.step)
        window = rows(self.level, history.step, REFRESHES)
        every = max(window // REFRESHES, 1)
        left = _without_season(history, profiles)
        level, _, _ = Rolling.begun(left.cut(0, 0), window, every).follow(left)
        unit = robust.spread(left.values - level, np.zeros(len(values)))
        if not self.share:
            unit = unit * profiles.surprise(history.points // width)
        least = np.maximum(robust.noise(values) / 2, self.floor)
        return SeasonalFitted(profiles, Rolling.begun(left, window, every), np.where(unit > least, unit, least))

    def restored(self, arrays: Mapping[str, np.ndarray]) -> "SeasonalFitted":
        """Go on from saved arrays."""
        return SeasonalFitted(Profiles.restored(arrays), Rolling.restored(arrays), arrays["scale"])


@dataclass(frozen=True)
class SeasonalFitted:
    """Profiles, the level's window (of points without their season), and the scale in metric units, shape (series,)."""

    profiles: Profiles
    rolling: Rolling
    scale: np.ndarray

    def score(self, span: Panel) -> "tuple[np.ndarray, SeasonalFitted]":
        """See `Fitted.score`; the unit is a standard deviation of usual residuals."""
        self.rolling.past.gap(span)  # refuses what does not go on
        left = _without_season(span, self.profiles)
        level, _, later = self.rolling.follow(left)
        scores = robust.ratio(np.abs(left.values - level), self.scale[:, None])
        return scores, SeasonalFitted(self.profiles, later, self.scale)

    def arrays(self) -> Mapping[str, np.ndarray]:
        """See `Fitted.arrays`."""
        return {**self.profiles.arrays(), **self.rolling.arrays(), "scale": self.scale}


def _without_season(span: Panel, profiles: Profiles) -> Panel:
    """Take the season from each point: a panel of what is left, in metric units."""
    season = profiles.at(column(span.start, span.step) + np.arange(span.points))
    return replace(span, values=tame(span.values) - season)
