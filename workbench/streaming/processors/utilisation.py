"""How much resources were used, hour by hour over a sliding window, in one byte an hour; and what that says.

A level is a two-hundredth of full use, rounded up; 255 is an hour of which nothing is known. A ring holds the hours of
the last days, the oldest first, and ends with the last hour of a day (UTC).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HOURS = 24
STEPS = 200
UNKNOWN = 255

KEEP, TERMINATE, UPSIZE, SCHEDULE, DOWNSIZE = range(5)
ACTIONS = ("keep", "terminate", "upsize", "schedule-off", "downsize")

_WEEK = 168
_FIRST_WEEKDAY = 3  # 1 January 1970 was a Thursday

Rings = NDArray[np.uint8]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What use calls for which advice.

    Parameters
    ----------
    quantile
        The hours below this share are looked at: a use that is reached in the busiest 5 % of hours only, at 0.95.
    idle
        Use up to this is none: `terminate` where the quantile is, `schedule-off` for hours of the week that always are.
    low, high
        `downsize` up to, `upsize` from this quantile on.
    off_least
        The least share of the week that is worth switching off.
    coverage_least
        Of the window's hours, so many have to be known before anything is advised.
    slack
        Advice that was given stands until its limit is passed by this share of it.
    hold
        Other advice has to come on so many days in a row before it is given.
    """

    quantile: float = 0.95
    idle: float = 0.03
    low: float = 0.4
    high: float = 0.85
    off_least: float = 0.25
    coverage_least: float = 0.5
    slack: float = 0.1
    hold: int = 2


@dataclass(frozen=True)
class Use:
    """One entry a resource: the quantile and mean of use (0 to 1), known hours to all hours, idle hours of a week."""

    quantile: Floats
    mean: Floats
    coverage: Floats
    off_hours: Ints


def slid(rings: Rings, days: Ints) -> Rings:
    """Let time go on by `days` in each ring: the oldest fall out, the new are unknown."""
    hours = rings.shape[1]
    places = np.arange(hours) + HOURS * np.minimum(days, hours // HOURS)[:, None]
    padded = np.pad(rings, ((0, 0), (0, hours)), constant_values=UNKNOWN)
    return np.take_along_axis(padded, places, axis=1)


def noted(rings: Rings, rows: Ints, places: Ints, levels: Rings) -> None:
    """Write levels into rings, in place; of all for one hour the largest counts. What is out of reach is left out."""
    within = (places >= 0) & (places < rings.shape[1])
    rows, places, levels = rows[within], places[within], levels[within]
    known = np.zeros(rings.shape, np.uint8)  # one more than the level, so that 0 is unknown
    np.maximum.at(known, (rows, places), levels + np.uint8(1))
    rings += np.uint8(1)  # 255 becomes 0
    np.maximum(rings, known, out=rings)
    rings -= np.uint8(1)


def window(rings: Rings, ahead: Ints, days: int) -> Rings:
    """Cut `days` out of each ring, up to the day that is `ahead` days before its last."""
    last = rings.shape[1] // HOURS - ahead
    places = (last[:, None] - days) * HOURS + np.arange(days * HOURS)
    return np.take_along_axis(rings, places, axis=1)


def use_of(rings: Rings, last_day: int, limits: Limits) -> Use:
    """Sum rings up; `last_day` (days since 1970) is the one they end with. Each has one hour that is known at least."""
    known = rings != UNKNOWN
    count = known.sum(axis=1)
    place = np.maximum(np.ceil(limits.quantile * count).astype(np.int64) - 1, 0)
    quantile = np.take_along_axis(np.sort(rings, axis=1), place[:, None], axis=1)[:, 0] / STEPS
    mean = np.where(known, rings, 0).sum(axis=1) / np.maximum(count, 1) / STEPS
    return Use(quantile, mean, count / rings.shape[1], _off_hours(rings, known, last_day, limits.idle))


def _off_hours(rings: Rings, known: Flags, last_day: int, idle: float) -> Ints:
    """How many hours of a week are always idle: by hour of the day (UTC), working days and weekends apart."""
    days = rings.shape[1] // HOURS
    shape = (len(rings), days, HOURS)
    busy, seen = (known & (rings > idle * STEPS)).reshape(shape), known.reshape(shape)
    weekend = (np.arange(last_day - days + 1, last_day + 1) + _FIRST_WEEKDAY) % 7 >= 5
    hours = np.zeros(len(rings), np.int64)
    for chosen, times in ((~weekend, 5), (weekend, 2)):
        off = seen[:, chosen].any(axis=1) & ~busy[:, chosen].any(axis=1)
        hours += times * off.sum(axis=1)
    return hours


def advise(use: Use, given: Ints, down_saves: Floats, up_possible: Flags, limits: Limits) -> Ints:
    """Say what each resource calls for.

    Parameters
    ----------
    given
        The advice that stands; its limits are wider by the slack.
    down_saves
        Share of the price that the next smaller size saves; not above 0: there is none.
    up_possible
        Whether there is a larger size.
    """
    quantile, off = use.quantile, use.off_hours / _WEEK
    wider = 1 + limits.slack * np.eye(len(ACTIONS))[given]
    terminate = quantile <= limits.idle * wider[:, TERMINATE]
    upsize = (quantile >= limits.high * (2 - wider[:, UPSIZE])) & up_possible
    downsize = (quantile <= limits.low * wider[:, DOWNSIZE]) & (down_saves > 0)
    schedule = (off >= limits.off_least * (2 - wider[:, SCHEDULE])) & ~(downsize & (down_saves >= off))
    wanted = np.select([terminate, upsize, schedule, downsize], [TERMINATE, UPSIZE, SCHEDULE, DOWNSIZE], KEEP)
    return np.where(use.coverage >= limits.coverage_least, wanted, given)


def held(wanted: Ints, given: Ints, candidate: Ints, days: Ints, limits: Limits) -> tuple[Ints, Ints, Ints]:
    """Let advice change only when the same other advice has come `hold` days in a row.

    Returns
    -------
    given, candidate, days
        The advice that stands now, what may follow it, and on how many days that came.
    """
    days = np.where(wanted == given, 0, np.where(wanted == candidate, days + 1, 1))
    changes = days >= limits.hold
    return np.where(changes, wanted, given), wanted, np.where(changes, 0, days)


def confidence(use: Use, given: Ints, limits: Limits) -> Floats:
    """Rank advice from 0 to 1: coverage, times how far (from a half to all the way) its limit is passed.

    It is an order in which to look at things, no probability.
    """
    quantile, off = use.quantile, use.off_hours / _WEEK
    margin = np.select(
        [given == TERMINATE, given == UPSIZE, given == SCHEDULE, given == DOWNSIZE],
        [
            1 - quantile / limits.idle,
            (quantile - limits.high) / (1 - limits.high),
            (off - limits.off_least) / (1 - limits.off_least),
            1 - quantile / limits.low,
        ],
        1.0,
    )
    ranked: Floats = use.coverage * (1 + np.clip(margin, 0, 1)) / 2
    return ranked
