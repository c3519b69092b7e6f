"""What is usual for many series at once: a running level and spread that do not learn from what is unusual.

Level and spread are exponentially weighted means, of the values and of their distance from the level; a value counts as
no further away than `_REACH` spreads. That is Holt's and Gelper's robust smoothing, with a clip for the loss function:
Gelper, Fried, Croux: Robust forecasting with exponential and Holt-Winters smoothing, Journal of Forecasting 29, 2010.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

_REACH = 4.0
_LEAST_SPREAD = 0.01  # of the level, so that a series that never moved may begin to


@dataclass(frozen=True, kw_only=True)
class Rule:
    """When a value is a spike, and how what is usual is learned.

    Parameters
    ----------
    ratio
        A spike is more than this many times the level,
    floor
        and more than this, in the currency,
    deviations
        and above the level by more than this many spreads (mean absolute deviations; 0: not asked),
    least_history
        once this many values were learned from.
    weight
        What a new value counts; before there is history all count alike (1, 1/2, 1/3 …), if that is more.
    accept_after
        So many spikes in a row are the new normal: the baseline begins anew. 0: never.
    robust
        Whether one value moves level and spread by a few spreads at most.
    forget
        After so many buckets without a value, the baseline begins anew.
    """

    ratio: float = 1.5
    floor: float = 1.0
    deviations: float = 6.0
    least_history: int = 24
    weight: float = 0.05
    accept_after: int = 288
    robust: bool = True
    forget: int = 30 * 288

    def flags(self, values: Floats, level: Floats, spread: Floats, history: Ints) -> Flags:
        """Tell which values are spikes."""
        above = np.maximum(level * self.ratio, level + self.deviations * spread)
        return (history >= self.least_history) & (values > above) & (values > self.floor) & (values > level)


@dataclass
class Baseline:
    """One entry a series; changed in place by `judge`."""

    level: Floats
    spread: Floats
    history: Ints
    streak: Ints
    last: Ints
    """The bucket that was judged last."""


@dataclass(frozen=True)
class Judged:
    """One entry a value: the baseline as it stood before, and the verdict. `streak`: spikes in a row, this included."""

    expected: Floats
    spread: Floats
    history: Ints
    streak: Ints
    flagged: Flags


def judge(rule: Rule, base: Baseline, series: Ints, buckets: Ints, values: Floats) -> Judged:
    """Judge values one after the other within each series, all series at once.

    Parameters
    ----------
    base
        What was learned before; changed in place.
    series
        Which series a value belongs to: ascending places in `base`.
    buckets, values
        In the order in which they are to be judged within a series.
    """
    size = len(values)
    floats, ints = np.zeros((2, size)), np.zeros((2, size), np.int64)
    found = Judged(floats[0], floats[1], ints[0], ints[1], np.zeros(size, bool))
    for rows in _rounds(series):
        at, value = series[rows], values[rows]
        gone = buckets[rows] - base.last[at] > rule.forget
        level, spread = (np.where(gone, 0.0, of[at]) for of in (base.level, base.spread))
        history, streak = (np.where(gone, 0, of[at]) for of in (base.history, base.streak))
        flagged = rule.flags(value, level, spread, history)
        streak = np.where(flagged, streak + 1, 0)
        verdict = Judged(level, spread, history, streak, flagged)
        for name, of in vars(verdict).items():
            getattr(found, name)[rows] = of
        _learn(rule, base, at, value, verdict)
        base.last[at] = np.maximum(base.last[at], buckets[rows])
    return found


def _rounds(series: Ints) -> Iterator[Ints]:
    """The first row of each series, then the second of each …"""
    if not len(series):
        return
    starts = np.flatnonzero(np.r_[True, series[1:] != series[:-1]])
    rank = np.arange(len(series)) - np.repeat(starts, np.diff(np.r_[starts, len(series)]))
    order = np.argsort(rank, kind="stable")
    yield from np.split(order, np.cumsum(np.bincount(rank))[:-1])


def _learn(rule: Rule, base: Baseline, at: Ints, value: Floats, verdict: Judged) -> None:
    """Move the baselines `at` towards the values that are no spikes."""
    level, spread, history, flagged = verdict.expected, verdict.spread, verdict.history, verdict.flagged
    weight = np.where(history < rule.least_history, np.maximum(rule.weight, 1.0 / (history + 1)), rule.weight)
    away = np.where(history > 0, value - level, 0.0)
    limit = _REACH * (spread + _LEAST_SPREAD * np.abs(level))
    bounded = rule.robust & (limit > 0)
    step = np.where(bounded, np.clip(away, -limit, limit), away)
    moved = np.where(history > 0, level + weight * step, value)
    widened = np.where(history > 0, spread + weight * (np.abs(step) - spread), 0.0)
    accepted = flagged & (verdict.streak >= rule.accept_after) & (rule.accept_after > 0)
    base.level[at] = np.where(flagged, level, moved)
    base.spread[at] = np.where(flagged, spread, widened)
    base.history[at] = np.where(accepted, 0, np.where(flagged, history, history + 1))
    base.streak[at] = np.where(accepted, 0, verdict.streak)
