"""Medians, spreads and sums over the last axis that take NaN as missing, and give the same bits in pieces."""

from collections.abc import Callable

import numpy as np

TO_SD = 1.4826
"""From a median absolute deviation to the standard deviation of a normal distribution with the same one."""

MOST = 1e9
"""Higher than this no score gets."""

_FLAT = 1e-3  # of its level, and in metric units at level 0: what counts as a change in a series that never changed


def known(values: np.ndarray) -> np.ndarray:
    """How many values along the last axis are not missing."""
    return np.asarray(np.isfinite(values).sum(axis=-1))


def median(values: np.ndarray) -> np.ndarray:
    """Take the median of what is known along the last axis; NaN where nothing is."""
    length = values.shape[-1]
    if not length:
        return np.full(values.shape[:-1], np.nan)
    count = known(values)
    if (count == length).all():
        ordered = np.partition(values, sorted({(length - 1) // 2, length // 2}), axis=-1)
    else:
        ordered = np.sort(values, axis=-1)  # NaN comes last
    low, high = (_picked(ordered, at) for at in (np.maximum(count - 1, 0) // 2, count // 2))
    return low / 2 + high / 2


def _picked(ordered: np.ndarray, places: np.ndarray) -> np.ndarray:
    return np.take_along_axis(ordered, places[..., None], axis=-1)[..., 0]


def spread(values: np.ndarray, center: np.ndarray) -> np.ndarray:
    """Take 1.4826 times the median distance from `center`, which has no last axis: a robust standard deviation."""
    return TO_SD * median(np.abs(values - center[..., None]))


def noise(values: np.ndarray) -> np.ndarray:
    """Tell how much a series moves from one point to the next; never 0.

    Returns
    -------
    shape without the last axis, in metric units: the robust standard deviation of the differences over √2. Where most
    points equal the one before, the median size of those changes that there are, times their share, over √2. Where
    there are none, a thousandth of the level; where that is 0, or nothing is known, 0.001.
    """
    moves = np.abs(np.diff(values, axis=-1))
    usual = TO_SD * median(moves)
    changed = np.where(moves > 0, moves, np.nan)
    rare = median(changed) * known(changed) / np.maximum(known(moves), 1)
    flat = _FLAT * np.abs(median(values))
    found = np.where(usual > 0, usual, rare) / np.sqrt(2)
    return np.where(found > 0, found, np.where(flat > 0, flat, _FLAT))


def scale(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Take the centre and the robust standard deviation of each series; the latter is at least its `noise`, never 0."""
    center = median(values)
    wide = spread(values, center)
    least = noise(values)
    return np.nan_to_num(center), np.where(wide > least, wide, least)


def ratio(distance: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Divide a distance by its unit (> 0), up to 1e9; NaN stays."""
    with np.errstate(over="ignore"):
        return np.asarray(np.minimum(distance / unit, MOST))


def trailing(values: np.ndarray, length: int, join: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
    """Join each value with the `length - 1` before it: a running sum for np.add, a running maximum for np.fmax.

    Windows are put together from windows of 1, 2, 4, … values, so what comes out depends on the values of the window
    alone, to the last bit, and not on where the array begins; no running total loses digits.

    Parameters
    ----------
    values
        Shape (series, points), without NaN where `join` would pass it on.
    length
        At least 1.

    Returns
    -------
    shape (series, points - length + 1): the first window that is whole comes first.
    """
    width = max(values.shape[1] - length + 1, 0)
    power, size, done = values, 1, 0
    result: np.ndarray | None = None
    while True:
        if length & size:
            first = length - done - size
            part = power[:, first : first + width]
            result = part if result is None else join(result, part)
            done += size
        if 2 * size > length or not width:
            return values[:, :0] if result is None else result
        power = join(power[:, :-size], power[:, size:])
        size *= 2


def trailing_mean(values: np.ndarray, length: int, least: int) -> np.ndarray:
    """Take the mean of what is known of each window of `trailing`; NaN where fewer than `least` values are."""
    there = np.isfinite(values)
    total = trailing(np.where(there, values, 0.0), length, np.add)
    count = trailing(there.astype(np.float64), length, np.add)
    return np.where(count >= least, total / np.maximum(count, 1.0), np.nan)
