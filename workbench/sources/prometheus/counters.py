"""Counters: numbers that only grow, and begin again at 0 when their process does."""

from datetime import timedelta

import numpy as np


def increase_per_second(values: np.ndarray, step: timedelta) -> np.ndarray:
    """How fast a raw counter grew since its last sample, where the server was not asked for `rate()`.

    A drop is a reset: the counter began again at 0, so what it shows now has been added since. What was counted between
    the last sample and the reset is lost to everybody, so the rate is a lower bound there.

    Parameters
    ----------
    values
        float64, shape (..., points), one a step; NaN is missing. Below 0 is no counter and taken as missing.
    step
        From one point to the next.

    Returns
    -------
    The same shape, per second, never below 0. After a gap it is the mean rate since the last sample before it. NaN at
    the first sample of a series and where there is none. The sum of rate times elapsed time is what was counted.

    Source: Prometheus' `rate` and `increase` treat drops in the same way, without the extrapolation that they add.
    """
    points = np.asarray(values, dtype=np.float64)
    known = np.isfinite(points) & (points >= 0)
    place = np.arange(points.shape[-1])
    newest = np.maximum.accumulate(np.where(known, place, -1), axis=-1)
    before = np.concatenate([np.full((*points.shape[:-1], 1), -1), newest[..., :-1]], axis=-1)[..., : points.shape[-1]]
    usable = known & (before >= 0)
    last = np.take_along_axis(points, np.maximum(before, 0), axis=-1) if points.size else points
    with np.errstate(invalid="ignore"):
        grown = np.where(points >= last, points - last, points)
    elapsed = (place - before) * step.total_seconds()
    return np.where(usable, grown / elapsed, np.nan)
