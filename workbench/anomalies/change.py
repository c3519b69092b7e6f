"""Change point: the mean of the last points against such means of the long past."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from workbench.anomalies import robust
from workbench.anomalies.panel import Panel
from workbench.anomalies.past import EPOCH, Past, column, rows, tame
from workbench.anomalies.rolling import Rolling

_REFRESHES = 96
_POINTS = "points_"  # before the names of the arrays that hold points, not means


@dataclass(frozen=True)
class ChangePoint:
    """Score = |mean of the last points - median of earlier such means| / their robust standard deviation.

    Earlier means are taken every half window. How widely they are spread already holds what autocorrelation and the
    daily cycle do to a mean of so many points, so nothing has to be assumed about an effective number of points.

    Attributes
    ----------
    rows
        How many points the mean is of, the point itself among them; at least half of them must be known.
    window
        How far back the earlier means are taken from, at least 48 of them; they end before the first point of the mean
        that is compared.
    floor
        In metric units: smaller spreads of means count as this; so does half of their `robust.noise` in the history.

    Notes
    -----
    A missing point has no score, though the mean around it may be known. What went wrong is remembered for `rows`
    points in the mean, and for `window` as one of many earlier means. Fewer than 12 earlier means: no score.
    """

    rows: int = 30
    window: timedelta = timedelta(days=14)
    floor: float = 0.0
    name: str = "change point"

    def fit(self, history: Panel) -> "ChangePointFitted":
        """Take the means of the history."""
        grid = max(self.rows // 2, 1)
        recent = self.rows // grid + 2
        means = _history_means(history, self.rows, grid, recent)
        window = rows(self.window, means.step, _REFRESHES // 2)
        begun = Rolling.begun(means.cut(0, means.points - recent), window, max(window // _REFRESHES, 1))
        center, wide, rolling = begun.follow(means.cut(means.points - recent))
        floor = np.maximum(robust.noise(means.values) / 2, self.floor)
        return ChangePointFitted(self.rows, Past.of(history, 2 * self.rows + grid), rolling, center, wide, floor)

    def restored(self, arrays: Mapping[str, np.ndarray]) -> "ChangePointFitted":
        """Go on from saved arrays."""
        points = {name.removeprefix(_POINTS): arrays[name] for name in arrays if name.startswith(_POINTS)}
        means = (arrays["mean_center"], arrays["mean_spread"], arrays["floor"])
        return ChangePointFitted(self.rows, Past.restored(points), Rolling.restored(arrays), *means)


@dataclass(frozen=True)
class ChangePointFitted:
    """What is known of the series.

    Attributes
    ----------
    rows
        Points in a mean; one is kept every rows // 2 points ("grid"), where a multiple of it, counted from 1970, ends.
    past
        The last 2 rows + grid points.
    rolling
        Median and spread of the means, as a panel whose step is the grid.
    center, spread
        float64, shape (series, recent): what held at the last means.
    floor
        float64, shape (series,), metric units.
    """

    rows: int
    past: Past
    rolling: Rolling
    center: np.ndarray
    spread: np.ndarray
    floor: np.ndarray

    def score(self, span: Panel) -> "tuple[np.ndarray, ChangePointFitted]":
        """See `Fitted.score`; the unit is a standard deviation of a mean."""
        gap = min(self.past.gap(span), self.rows)
        if not gap:
            return self._scored(span)
        nothing = Panel(span.keys, self.past.end, span.step, np.full((len(span.keys), gap), np.nan))
        return self._scored(nothing)[1]._scored(span)  # means that begin before a gap may end in it  # noqa: SLF001

    def _scored(self, span: Panel) -> "tuple[np.ndarray, ChangePointFitted]":
        joined = self.past.joined(span)
        means = robust.trailing_mean(joined, self.rows, (self.rows + 1) // 2)
        grid = max(self.rows // 2, 1)
        first = column(span.start, span.step)
        columns = first + np.arange(span.points)
        compared = (columns - self.rows + 1) // grid  # the first mean on the grid that isn't wholly before this one
        fresh = self._fresh(span, means, compared)
        center, wide, rolling = self.rolling.follow(fresh)
        center, wide = (np.concatenate(pair, axis=1) for pair in ((self.center, center), (self.spread, wide)))
        end = column(fresh.end, fresh.step)
        place = compared - (end - center.shape[1])
        now = means[:, means.shape[1] - span.points :]
        unit = np.maximum(wide[:, place], self.floor[:, None])
        scores = robust.ratio(np.abs(now - center[:, place]), unit)
        kept = self.center.shape[1]
        later = ChangePointFitted(
            self.rows, self.past.after(span, joined), rolling, center[:, -kept:], wide[:, -kept:], self.floor
        )
        return np.where(np.isfinite(span.values), scores, np.nan), later

    def _fresh(self, span: Panel, means: np.ndarray, compared: np.ndarray) -> Panel:
        """Take the means on the grid that ended since the last span, as far back as they are needed."""
        grid = max(self.rows // 2, 1)
        step = grid * span.step
        first, known = column(span.start, span.step), column(self.rolling.past.end, step)
        begin = max(known, int(compared[0])) if compared.size else known
        end = max((first + span.points) // grid, begin)
        ends = np.arange(begin, end) * grid + grid - 1
        place = ends - first + self.past.kept - self.rows + 1
        return Panel(span.keys, EPOCH + begin * step, step, means[:, place])

    def arrays(self) -> Mapping[str, np.ndarray]:
        """See `Fitted.arrays`."""
        points = {f"{_POINTS}{name}": array for name, array in self.past.arrays().items()}
        means = {"mean_center": self.center, "mean_spread": self.spread, "floor": self.floor}
        return {**self.rolling.arrays(), **points, **means}


def _history_means(history: Panel, length: int, grid: int, before: int) -> Panel:
    """Take the means on the grid; `before` missing ones come first."""
    padding = np.full((len(history.keys), length - 1), np.nan)
    means = robust.trailing_mean(np.concatenate([padding, tame(history.values)], axis=1), length, (length + 1) // 2)
    first = column(history.start, history.step)
    begin, end = -(-first // grid), (first + history.points) // grid
    place = np.arange(begin, end) * grid + grid - 1 - first
    missing = np.full((len(history.keys), before + max(begin - end, 0)), np.nan)
    step = grid * history.step
    values = np.concatenate([missing, means[:, place]], axis=1)
    return Panel(history.keys, EPOCH + (end - values.shape[1]) * step, step, values)
