"""The kernel: the history of one series as a pandas frame in, its forecast as a pandas frame out.

It knows nothing but pandas, NumPy and statsmodels and does no I/O, so that Snowflake can run it once a partition, where
a vectorised table function hands over pandas frames. One thread, no state, the same numbers each time.
"""

from datetime import date

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from workbench.errors import UsageError
from workbench.forecasts.cleaning import Cleaned, by_calendar, cleaned, monthly, on_every_day
from workbench.forecasts.models import Numbers, again, fit, paths

COLUMNS = ("date", "point", "lower", "upper", "sum_point", "sum_lower", "sum_upper", "model", "flags")
LEVEL = 0.95
"""Share of days that a band means to hold."""

DRAWS, SEED = 1_000, 20_251_101
_LONGEST_HISTORY = 400  # days; older ones tell nothing about next month
_LONGEST_HORIZON = 400


def forecast_series(history: pd.DataFrame, first: date, horizon: int = 30) -> pd.DataFrame:
    """Forecast one series of daily costs.

    Parameters
    ----------
    history
        One row a day: `date`; `cost`, all that was charged on that day, in one currency (a day without a row, or with
        NaN, is unknown, not 0); optionally `fees`, the part of `cost` that is charged once or twice a month.
    first
        First day ahead; days from it on are not looked at.
    horizon
        Days ahead, 1 to 400.

    Returns
    -------
    pandas.DataFrame
        One row a day ahead: `date`; `point`, `lower`, `upper`: what is expected that day, and the 95 % band around it;
        `sum_point`, `sum_lower`, `sum_upper`: the same for the sum of the days from `first` to that one, from simulated
        paths (a band of a sum is narrower than the sum of bands); `model`; `flags` (what to know, joined by `; `).

    Notes
    -----
    What runs from day to day is forecast by a model (`models`), after missing days were filled for the fit and short
    spikes set aside (`cleaning`). That is for the points, not for the bands: the simulated futures have spikes about as
    often as the past had. `fees` are no matter of chance: those of the last month come again on the same day
    of the month at the same amount, unless the month before had none; so do spikes that come by the month. They carry
    no band of their own. Where nothing was ever below 0, no future goes below 0.
    """
    _check(history, horizon)
    amounts = history.groupby(pd.to_datetime(history["date"]))[["cost", *_fees(history)]].sum(min_count=1)
    cost = on_every_day(amounts["cost"].astype(float), first)[-_LONGEST_HISTORY:]
    if cost.empty:
        return _nothing(first, horizon)
    fees = _calendar(amounts, cost.index)
    running = cleaned(cost - fees)
    with threadpool_limits(1):
        fitted = fit(running.series, horizon)
    spikes = pd.Series(running.aside, index=cost.index)
    each_month = monthly(spikes)
    calendar = by_calendar(fees + each_month, first, horizon)
    points, futures = fitted.points, paths(fitted, DRAWS, SEED)
    futures += again((spikes - each_month).to_numpy(), DRAWS, horizon, SEED + 1)
    if (running.series >= 0).all():
        points, futures = np.maximum(points, 0.0), np.maximum(futures, 0.0)
    flags = [*fitted.flags, *_said(cost, running, fees, calendar)]
    return _frame(first, points + calendar, futures + calendar, fitted.name, flags)


def _frame(first: date, points: Numbers, futures: Numbers, model: str, flags: list[str]) -> pd.DataFrame:
    edges = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    lower, upper = np.quantile(futures, edges, axis=0)
    sum_lower, sum_upper = np.quantile(futures.cumsum(axis=1), edges, axis=0)
    total = points.cumsum()
    found = {
        "date": pd.date_range(first, periods=len(points)).date,
        "point": points, "lower": np.minimum(lower, points), "upper": np.maximum(upper, points),
        "sum_point": total, "sum_lower": np.minimum(sum_lower, total), "sum_upper": np.maximum(sum_upper, total),
    }  # fmt: skip
    return pd.DataFrame(found).assign(model=model, flags="; ".join(flags))


def _said(cost: pd.Series, running: Cleaned, fees: pd.Series, calendar: Numbers) -> list[str]:
    """What a reader should know of the series, in words."""
    spikes = int(np.count_nonzero(running.aside))
    said = {
        f"{running.filled} missing days filled": running.filled > 0,
        f"{spikes} unusual {'day' if spikes == 1 else 'days'} set aside": spikes > 0,
        "monthly charges by calendar": bool(calendar.any()),
        "charges that came once are not repeated": bool(fees.any()) and not calendar.any(),
        "has negative days": bool((cost < 0).any()),
    }
    return [text for text, so in said.items() if so]


def _calendar(amounts: pd.DataFrame, days: pd.Index) -> pd.Series:
    fees = amounts["fees"] if "fees" in amounts else pd.Series(dtype=float)
    return fees.reindex(days).astype(float).fillna(0.0)


def _fees(history: pd.DataFrame) -> list[str]:
    return ["fees"] if "fees" in history else []


def _check(history: pd.DataFrame, horizon: int) -> None:
    missing = {"date", "cost"} - set(history.columns)
    if missing:
        raise UsageError(f"a history without {' and '.join(sorted(missing))} can't be forecast; it has "
                         f"{', '.join(map(str, history.columns)) or 'no columns'}")  # fmt: skip
    if not 1 <= horizon <= _LONGEST_HORIZON:
        raise UsageError(f"a horizon of {horizon} days can't be forecast; 1 to {_LONGEST_HORIZON} can")
    held = sorted(set(history["currency"].dropna())) if "currency" in history else []
    if len(held) > 1:
        raise UsageError(f"one series has one currency, and this has {' and '.join(held)}; forecast each by itself")


def _nothing(first: date, horizon: int) -> pd.DataFrame:
    none = np.zeros(horizon)
    return _frame(first, none, none[None, :], "none", ["no history"])
