"""What is done to a series before a model sees it: days that are missing, days that stand out, charges by the month."""

from datetime import date
from typing import NamedTuple

import numpy as np
import pandas as pd

from workbench.forecasts.models import WEEK, Numbers

_AROUND = 15  # days whose median a day is held against
_SPIKE = 8.0  # robust standard deviations
_MATERIAL = 0.15  # of the usual level
_LONGEST_SPIKE = 3  # days; what lasts longer is a new level
_RARE = 0.25  # of the days; where more stand out, that is what the series is like
_MOSTLY = 0.5  # of the days
_AROUND_DAY = pd.Timedelta(days=3)
_NORMAL = 1.4826  # median absolute deviation → standard deviation of a normal distribution


class Cleaned(NamedTuple):
    """A series a model can be fitted to, and what was set aside."""

    series: Numbers
    aside: Numbers
    """What stood out by so much, day by day (0 on all others): actual - series."""
    filled: int
    """Days that were missing and got a value for the fit."""


def on_every_day(amounts: pd.Series, end: date) -> pd.Series:
    """Lay a series on every day from its first known one to the day before `end`: a missing day is NaN, never 0."""
    known: pd.Series = amounts[np.isfinite(amounts) & (amounts.index < pd.Timestamp(end))]
    if not known.empty:
        known = known.reindex(pd.date_range(known.index.min(), pd.Timestamp(end) - pd.Timedelta(days=1)))
    return known


def cleaned(amounts: pd.Series) -> Cleaned:
    """Fill what is missing and set aside what stands out and has ended.

    A missing day gets the mean of the same weekday a week before and after, else of its neighbours. A day stands out
    when it is more than 8 robust standard deviations, and 15 % of the usual level, off the median of the 15 days around
    it (freed of the weekday), for at most 3 days; the last days stay, since nobody can know yet whether they will.
    Where more than a quarter of the days would stand out, or most are 0, none does: that is what the series is like.
    """
    filled = _filled(amounts)
    spikes = _spikes(filled)
    calm = _filled(filled.mask(spikes))
    values = calm.to_numpy(dtype=np.float64)
    return Cleaned(values, filled.to_numpy(dtype=np.float64) - values, int(amounts.isna().sum()))


def _filled(amounts: pd.Series) -> pd.Series:
    week = pd.concat([amounts.shift(WEEK), amounts.shift(-WEEK)], axis=1).mean(axis=1)
    filled: pd.Series = amounts.fillna(week).interpolate(limit_direction="both")
    return filled


def _spikes(amounts: pd.Series) -> pd.Series:
    """Which days stand out, where at least two weeks are there to tell."""
    around = amounts.rolling(_AROUND, center=True, min_periods=1).median()
    off = amounts - around
    off = off - off.groupby(np.arange(len(off)) % WEEK).transform("median")
    spread = max(_NORMAL * float(off.abs().median()), 1e-9 * float(amounts.abs().max()))
    out = (off.abs() > _SPIKE * spread) & (off.abs() > _MATERIAL * around.abs())
    run = (out != out.shift()).cumsum()
    length = out.groupby(run).transform("size")
    ended = run < run.iloc[-1]
    found = out & ended & (length <= _LONGEST_SPIKE)
    told = len(amounts) >= 2 * WEEK and (amounts == 0).mean() <= _MOSTLY and found.mean() <= _RARE
    return found if told else found & False


def monthly(aside: pd.Series) -> pd.Series:
    """Keep of what stood out what comes by the month: on the same day a month before or after something did too."""
    out = aside.index[aside != 0]
    near = [{day + pd.DateOffset(months=step) for day in pd.DatetimeIndex(out)} for step in (-1, 1)]
    return aside.where(aside.index.isin([*near[0], *near[1]]), 0.0)


def by_calendar(charges: pd.Series, first: date, horizon: int) -> Numbers:
    """Repeat what was charged in the last month on the same day of the months to come.

    Parameters
    ----------
    charges
        One number a day, without gaps, up to the day before `first`; 0 on days without a charge.
    first
        First day ahead.
    horizon
        Days ahead.

    Returns
    -------
    numpy.ndarray
        One number a day ahead. A charge of the 31st falls on the last day of a shorter month. What was charged in the
        last month, but not in the month before (three days more or less), came once and is not repeated, unless the
        month before lies before the first day of `charges`.
    """
    found = np.zeros(horizon)
    start = pd.Timestamp(first)
    due = charges[(charges.index >= start - pd.DateOffset(months=1)) & (charges != 0)]
    for day, amount in zip(pd.DatetimeIndex(due.index), due.to_numpy(), strict=True):
        before = day - pd.DateOffset(months=1)
        seen = (charges[before - _AROUND_DAY : before + _AROUND_DAY] != 0).any()
        if before >= charges.index[0] and not seen:
            continue
        for months in range(1, horizon // 28 + 2):
            ahead = (day + pd.DateOffset(months=months) - start).days
            if 0 <= ahead < horizon:
                found[ahead] += amount
    return found
