"""What each time of a period usually brings: the seasonal parts of many series, learned by STL."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

import numpy as np

from workbench.anomalies import robust
from workbench.anomalies.periods import cut_off, find_periods, thinned

_TURNS = 2  # with two periods, as MSTL does by default
_CYCLES = 3  # the last ones make the profile
_SMOOTH = 13  # cycles that STL smooths a phase over
_REWEIGHTED = 3  # times: outliers have little say by then
_KNOTS = 10  # in a period: between them STL interpolates


@dataclass(frozen=True)
class Profiles:
    """The seasons of many series.

    Attributes
    ----------
    width
        Points that a column of a profile stands for; between the middles of columns it is interpolated.
    periods
        int64, shape (series, 2), in such columns; 0 is none.
    values
        float64, shape (series, 2, longest period), metric units; column 0 stands for phase 0 counted from 1970.
    """

    width: int
    periods: np.ndarray
    values: np.ndarray

    def at(self, columns: np.ndarray) -> np.ndarray:
        """Tell the season at points (numbers of steps since 1970): float64, shape (series, points)."""
        whole, part = np.divmod(2 * columns + 1 - self.width, 2 * self.width)
        share = part / (2 * self.width)
        total = np.zeros((len(self.periods), len(columns)))
        for at in np.flatnonzero(self.periods.any(axis=0)):
            period = np.maximum(self.periods[:, at], 1)[:, None]
            before, after = (np.take_along_axis(self.values[:, at], (whole + k) % period, axis=1) for k in (0, 1))
            total += before * (1 - share) + after * share
        return total

    def surprise(self, columns: int) -> np.ndarray:
        """Tell how much wider residuals are on new points than on those that the profiles were learned from.

        A mean of n cycles is off by 1/n of the noise's variance: it takes as much away from the residuals of its own
        cycles as it adds to those of others. So it is √((n + 1) / (n - 1)), and 1 without a season.

        Parameters
        ----------
        columns
            How many each series was learned from.

        Returns
        -------
        float64, shape (series,)
        """
        longest = self.periods.max(axis=1)
        cycles = np.clip(columns // np.maximum(longest, 1), 2, _SMOOTH)
        return np.where(longest > 0, np.sqrt((cycles + 1) / (cycles - 1)), 1.0)

    def arrays(self) -> dict[str, np.ndarray]:
        """All there is to keep in a file."""
        return {"width": np.array([self.width]), "periods": self.periods, "profiles": self.values}

    @classmethod
    def restored(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Make it from what `arrays` gave."""
        return cls(int(arrays["width"][0]), arrays["periods"], arrays["profiles"])


def own_profiles(values: np.ndarray, first: int, width: int, step: timedelta) -> Profiles:
    """Learn a profile for each series.

    Parameters
    ----------
    values
        Shape (series, points).
    first
        Number of the first column, counted from 1970.
    width
        Points that are taken together before anything is learned.
    step
        From one point to the next.
    """
    columns = thinned(values, first, width)
    periods = find_periods(columns, width * step)
    profiles = np.zeros((len(values), 2, max(int(periods.max(initial=0)), 1)))
    for at in np.flatnonzero(periods.any(axis=1)):
        for place, profile in enumerate(_decomposed(columns[at], first // width, periods[at])):
            profiles[at, place, : len(profile)] = profile
    return Profiles(width, periods, profiles)


def shared_profiles(values: np.ndarray, first: int, width: int, step: timedelta) -> Profiles:
    """Learn one profile for all series with the same periods, and the amplitude of each series by least squares.

    The profile is that of the median of the series, each scaled by its own median and spread, without outliers; an
    amplitude is at least 0. Parameters are those of `own_profiles`.
    """
    columns = thinned(values, first, width)
    periods = find_periods(columns, width * step)
    profiles = np.zeros((len(values), 2, max(int(periods.max(initial=0)), 1)))
    unit, scaled = robust.scale(columns)[1], cut_off(columns)
    for both in np.unique(periods[periods.any(axis=1)], axis=0):
        some = np.flatnonzero((periods == both).all(axis=1))
        usual = robust.median(scaled[some].T)
        phase = first // width + np.arange(columns.shape[1])
        for place, profile in enumerate(_decomposed(usual, first // width, both)):
            height = _amplitudes(scaled[some], profile[phase % len(profile)])
            profiles[some, place, : len(profile)] = (height * unit[some])[:, None] * profile
    return Profiles(width, periods, profiles)


def _amplitudes(values: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """By how much a shape has to be stretched to come nearest to each series: shape (series,), at least 0."""
    there = np.isfinite(values)
    number = np.maximum(there.sum(axis=1, keepdims=True), 1)
    known = np.where(there, values, 0.0)
    centred = np.where(there, known - known.sum(axis=1, keepdims=True) / number, 0.0)
    weight = np.where(there, shape - shape.mean(), 0.0)
    power = (weight * weight).sum(axis=1)
    height = np.divide((centred * weight).sum(axis=1), power, out=np.zeros(len(values)), where=power > 0)
    return np.asarray(np.maximum(height, 0.0))


def _decomposed(values: np.ndarray, first: int, periods: np.ndarray) -> list[np.ndarray]:
    """Give the profile of each period that there is, phase 0 first; `first` is the number of the first column."""
    from statsmodels.tsa.seasonal import STL

    lags = [int(period) for period in periods if period]
    place = np.arange(len(values))
    there = np.isfinite(values)
    center, unit = robust.scale(values)
    filled = (np.interp(place, place[there], values[there]) - center) / unit
    parts = [np.zeros(len(values)) for _ in lags]
    for _ in range(_TURNS if len(lags) > 1 else 1):
        for at, lag in enumerate(lags):
            others = sum((part for index, part in enumerate(parts) if index != at), np.zeros(len(values)))
            jump = max(lag // _KNOTS, 1)
            model = STL(filled - others, period=lag, seasonal=_SMOOTH, seasonal_deg=0, robust=True, trend_jump=jump,
                        low_pass_jump=jump)  # fmt: skip
            parts[at] = np.asarray(model.fit(outer_iter=_REWEIGHTED).seasonal)
    return [_last_cycles(part, first, lag) * unit for part, lag in zip(parts, lags, strict=True)]


def _last_cycles(seasonal: np.ndarray, first: int, lag: int) -> np.ndarray:
    """Take the median of the last cycles of a seasonal part, turned so that phase 0 comes first."""
    cycles = min(len(seasonal) // lag, _CYCLES)
    begin = len(seasonal) - cycles * lag
    return np.roll(np.median(seasonal[begin:].reshape(cycles, lag), axis=0), (first + begin) % lag)
