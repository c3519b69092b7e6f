"""After how long many series repeat themselves, found from their autocorrelation."""

from datetime import timedelta
from itertools import count

import numpy as np

from workbench.anomalies import robust

HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(days=7)
MOST_COLUMNS = 2_016
"""Longer histories are looked at in means of several points: a week of 5 minutes."""

_SHORTEST = 4  # columns in a period
_TIMES = {HOUR: 3, DAY: 3, WEEK: 2}  # so often a history must hold a period
_LEAST, _CONTRAST = 0.25, 0.2
_AS_GOOD = 0.05
_OUTLIER = 4.0
_SERIES_AT_ONCE = 500
_SNAP = 0.03
_HILL = 1.3  # times the lag at which it begins
_ROUNDING = 1e-6  # standard deviations: what is left of a straight line is no season


def thin_width(points: int, step: timedelta, most: int = MOST_COLUMNS) -> int:
    """Tell how many points to take the mean of, so that at most `most` means are left and days stay whole."""
    need = max(-(-points // most), 1)
    for unit in (HOUR, DAY):
        steps, rest = divmod(unit, step)
        if not rest and need <= steps:
            return next(width for width in count(need) if steps % width == 0)
    return need


def thinned(values: np.ndarray, first: int, width: int) -> np.ndarray:
    """Take the means of what is known of each `width` columns, on a grid counted from column 0.

    Parameters
    ----------
    values
        Shape (series, points).
    first
        Number of the first column; the first mean is of the block that it lies in, as far as it is known.
    """
    lead = first % width
    trail = -(lead + values.shape[1]) % width
    blocks = np.pad(values, ((0, 0), (lead, trail)), constant_values=np.nan).reshape(len(values), -1, width)
    number = robust.known(blocks)
    total = np.where(np.isfinite(blocks), blocks, 0.0).sum(axis=-1)
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)


def find_periods(values: np.ndarray, step: timedelta) -> np.ndarray:
    """Find up to two periods of each series.

    Looked at are an hour, a day and a week, where the history holds three of them (two weeks), and the lag of the
    strongest peak of the autocorrelation. A period counts if the autocorrelation there is at least 0.25 (and three
    times its standard error), and 0.2 higher than at half of it, so that slow drift is no season. The shortest of
    those that are as good as the best (within 0.05) is taken, by preference one with a name. The second is found in
    the same way after the first is taken out. Outliers are cut off at four robust standard deviations.

    Parameters
    ----------
    values
        Shape (series, columns), NaN is missing.
    step
        From one column to the next.

    Returns
    -------
    int64, shape (series, 2), in columns, the shorter first; 0: none.
    """
    many = range(0, max(len(values), 1), _SERIES_AT_ONCE)
    return np.concatenate([_two_periods(values[at : at + _SERIES_AT_ONCE], step) for at in many])


def _two_periods(values: np.ndarray, step: timedelta) -> np.ndarray:
    flat = _detrended(values)
    first = _strongest(flat, step)
    second = np.where(first > 0, _strongest(without(flat, first), step), 0)
    second[second == first] = 0
    both = np.sort(np.stack([first, second], axis=1), axis=1)
    return np.where(both[:, :1] > 0, both, both[:, ::-1])


def without(values: np.ndarray, periods: np.ndarray) -> np.ndarray:
    """Take the mean of each phase out of each series; `periods`, shape (series,), 0 leaves it as it is."""
    left = values.copy()
    for period in np.unique(periods[periods > 0]):
        some = values[periods == period]
        whole = -some.shape[1] % period
        cycles = np.pad(some, ((0, 0), (0, whole)), constant_values=np.nan).reshape(len(some), -1, period)
        number = robust.known(cycles.swapaxes(1, 2))
        means = np.where(np.isfinite(cycles), cycles, 0.0).sum(axis=1) / np.maximum(number, 1)
        left[periods == period] = (cycles - means[:, None]).reshape(len(some), -1)[:, : some.shape[1]]
    return left


def autocorrelation(values: np.ndarray) -> np.ndarray:
    """Correlate each series with itself at every lag, over the pairs that are known, by fast Fourier transform.

    Returns
    -------
    float64, shape (series, lags), lag 0 first (1, or 0 for a series that never moves).
    """
    points = values.shape[1]
    there = np.isfinite(values)
    length = 1 << (2 * points - 1).bit_length()
    products, pairs = (
        np.fft.irfft(np.abs(np.fft.rfft(part, length)) ** 2, length)[:, :points]
        for part in (np.where(there, values, 0.0), there.astype(np.float64))
    )
    mean = products / np.maximum(np.round(pairs), 1.0)
    power = mean[:, :1]
    return np.divide(mean, power, out=np.zeros_like(mean), where=power > 0)


def _detrended(values: np.ndarray) -> np.ndarray:
    """Take a straight line out of each series, and cut off outliers before that and after it."""
    left = _without_line(cut_off(values))
    size = np.abs(np.nan_to_num(left)).max(axis=1, initial=0.0, keepdims=True)
    left = cut_off(np.where(size > _ROUNDING, left, np.where(np.isfinite(left), 0.0, np.nan)))
    number = np.maximum(robust.known(left), 1)[:, None]
    return np.asarray(left - np.nan_to_num(left).sum(axis=1, keepdims=True) / number)


def cut_off(values: np.ndarray) -> np.ndarray:
    """Scale by median and spread, and cut off what lies further out than four standard deviations."""
    center, unit = robust.scale(values)
    with np.errstate(over="ignore"):
        return np.asarray(np.clip((values - center[:, None]) / unit[:, None], -_OUTLIER, _OUTLIER))


def _without_line(values: np.ndarray) -> np.ndarray:
    """Take out the straight line that is nearest by least squares to what is known."""
    there = np.isfinite(values)
    number = np.maximum(there.sum(axis=1, keepdims=True), 1)
    known = np.where(there, values, 0.0)
    known = known - np.where(there, known.sum(axis=1, keepdims=True) / number, 0.0)
    time = np.where(there, np.arange(values.shape[1], dtype=np.float64), 0.0)
    time = time - np.where(there, time.sum(axis=1, keepdims=True) / number, 0.0)
    slope = (known * time).sum(axis=1, keepdims=True) / np.maximum((time * time).sum(axis=1, keepdims=True), 1.0)
    return np.where(there, known - slope * time, np.nan)


def _strongest(values: np.ndarray, step: timedelta) -> np.ndarray:
    """Find the best period of each series, shape (series,), in columns; 0: none."""
    points = values.shape[1]
    if points < 3 * _SHORTEST:
        return np.zeros(len(values), dtype=np.int64)
    found = autocorrelation(values)
    lags = np.arange(points)
    least = np.maximum(_LEAST, 3.0 / np.sqrt(np.maximum(robust.known(values), 1)))[:, None]
    clear = (found >= least) & (found - found[:, lags // 2] >= _CONTRAST) & (lags >= _SHORTEST)
    named = _named(points, step)
    peaks = clear & (lags <= points // 3) & _peaks(found)
    strength = np.where(clear, found, 0.0)
    heights = np.where(peaks, found, 0.0)
    best = np.maximum(strength[:, named].max(axis=1, initial=0.0), heights.max(axis=1))
    own = _refined(found, _first_peak(heights, best))
    good = (strength[:, named] > 0) & (strength[:, named] >= best[:, None] - _AS_GOOD)
    shortest = np.array([*named, 0])[np.where(good.any(axis=1), good.argmax(axis=1), -1)] if named else 0
    return np.where(best > 0, np.where(good.any(axis=1), shortest, _snapped(own, named)), 0)


def _snapped(lags: np.ndarray, named: list[int]) -> np.ndarray:
    """Take a period with a name for one that is within 3 % of it."""
    for lag in named:
        lags = np.where(np.abs(lags - lag) <= _SNAP * lag, lag, lags)
    return lags


def _first_peak(heights: np.ndarray, best: np.ndarray) -> np.ndarray:
    """Find the top of the first hill that is as high as the best; noise makes a hill of several peaks."""
    first = ((heights > 0) & (heights >= best[:, None] - _AS_GOOD)).argmax(axis=1)
    hill = np.arange(heights.shape[1]) <= _HILL * first[:, None]
    return np.asarray(np.where(hill, heights, 0.0).argmax(axis=1))


def _refined(found: np.ndarray, lags: np.ndarray) -> np.ndarray:
    """Take, within a tenth of a lag, the one that is the best together with its multiples up to half the history."""
    better = lags.copy()
    for at in np.flatnonzero(lags):
        near = np.arange(int(0.9 * lags[at]), int(1.1 * lags[at]) + 2)
        times = np.arange(1, max(found.shape[1] // 2 // int(near[-1]), 1) + 1)
        better[at] = near[found[at][near[:, None] * times].mean(axis=1).argmax()]
    return better


def _peaks(found: np.ndarray) -> np.ndarray:
    """Where a value is no smaller than both its neighbours."""
    inside = (found[:, 1:-1] >= found[:, :-2]) & (found[:, 1:-1] >= found[:, 2:])
    return np.pad(inside, ((0, 0), (1, 1)))


def _named(points: int, step: timedelta) -> list[int]:
    """Hour, day and week in columns, as far as they are whole numbers of them and the history holds enough."""
    whole = [(unit // step, times) for unit, times in _TIMES.items() if not unit % step]
    return [lag for lag, times in whole if lag >= _SHORTEST and times * lag <= points and lag < points]
