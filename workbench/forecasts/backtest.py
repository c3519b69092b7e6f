"""How good would these forecasts have been? Asked of the past, and measured.

At several days of the past (*origins*) the forecast is made from what was charged before, and held against what came.
Two things are known better than they were then: restated amounts, and which charges come by the month (`split_fees` saw
the whole history).
"""

from datetime import date, timedelta

import numpy as np
import polars as pl

from workbench.errors import UsageError
from workbench.focus import AMOUNT
from workbench.forecasts.units import ALL, CURRENCY, complete, forecast, named

_LEAST_HISTORY = 28
_LEAST_HORIZON, _MOST_HORIZON = 7, 30
_WEEK = 7


def backtest_horizon(days: int, most: int = _MOST_HORIZON) -> int:
    """Return how many days ahead a history of so many days can be tested: a quarter of it, 7 to 30."""
    return max(_LEAST_HORIZON, min(most, days // 4))


def backtest(
    history: pl.DataFrame, by: str, first: date, horizon: int = 30, *, origins: int = 8, step: int = _WEEK
) -> pl.DataFrame:
    """Forecast from the past, and hold it against what came.

    Parameters
    ----------
    history
        As for `forecast`.
    first
        The day after the last one that counts.
    horizon
        Days ahead that are tested.
    origins
        How many origins at most: the last is `horizon` days before `first`, the others each `step` days earlier, as
        long as four weeks of history are left before them.
    step
        Days between two origins. With less than `horizon` the tests overlap, and are worth less than their number.

    Returns
    -------
    polars.DataFrame
        One row a unit (and `(all)`), currency and origin: `by`, `BillingCurrency`, `origin`, `days` (tested), `held`
        (days inside the 95 % band), `error`, `last_week_error` (mean absolute error a day of the forecast and of the
        last week, repeated; in the currency), `mase`, `last_week_mase` (the same, divided by the mean absolute change
        from one week to the next before the origin; Hyndman and Koehler 2006; null where nothing ever changed),
        `actual`, `expected`, `lower`, `upper` (of the sum of these days), `sum_held`.
    """
    if min(horizon, origins, step) < 1:
        raise UsageError(
            f"a backtest over {origins} origins of {horizon} days, {step} apart, is none; all must be 1 or more"
        )
    known = named(history, by).filter(pl.col("date") < first)
    start = known["date"].min()
    rows: list[dict[str, object]] = []
    for ago in range(origins):
        origin = first - timedelta(days=horizon + ago * step)
        if isinstance(start, date) and (origin - start).days >= _LEAST_HISTORY:
            rows += _at(known, by, origin, horizon)
    return pl.DataFrame(rows, schema=_schema(by)).sort(CURRENCY, by, "origin")


def verdicts(tested: pl.DataFrame) -> pl.DataFrame:
    """Sum a backtest up in one row and one plain sentence a unit.

    Returns
    -------
    polars.DataFrame
        `by`, `BillingCurrency`, `origins`, `coverage` (share of the tested days inside the band; it means to be 0.95),
        `sums_held` (origins whose sum was inside its band), `mase`, `last_week_mase` (means over the origins), `better`
        (origins at which the forecast beat the last week), `verdict`.
    """
    by = tested.columns[0]
    better = (pl.col("error") < pl.col("last_week_error")).sum()
    sums = tested.group_by(by, CURRENCY).agg(
        origins=pl.len().cast(pl.Int64), coverage=pl.col("held").sum() / pl.col("days").sum(),
        sums_held=pl.col("sum_held").sum().cast(pl.Int64), mase=pl.col("mase").mean(),
        last_week_mase=pl.col("last_week_mase").mean(), better=better.cast(pl.Int64),
    )  # fmt: skip
    worse = pl.col("origins") - pl.col("better")
    good = pl.format("better than the last week in {} of {}", "better", "origins")
    bad = pl.format("no better than the last week in {} of {}", worse, "origins")
    said = pl.when(pl.col("better") > worse).then(good).otherwise(bad)
    return sums.with_columns(verdict=said).sort(CURRENCY, pl.col(by) != ALL, by)


def _at(known: pl.DataFrame, by: str, origin: date, horizon: int) -> list[dict[str, object]]:
    """The rows of one origin."""
    before = known.filter(pl.col("date") < origin)
    found = forecast(before, by, origin, horizon)
    whole = pl.concat([known, known.with_columns(pl.lit(ALL).alias(by))])
    end = origin + timedelta(days=horizon)
    rows = []
    for (unit, currency), series in complete(whole, by):
        expected = found.filter((pl.col(by) == unit) & (pl.col(CURRENCY) == currency))
        came = series.filter((pl.col("date") >= origin) & (pl.col("date") < end)).join(expected, on="date")
        if came.height:
            past = series.filter(pl.col("date") < origin)
            rows.append({by: unit, CURRENCY: currency, "origin": origin} | _compared(past, came, origin))
    return rows


def _compared(past: pl.DataFrame, came: pl.DataFrame, origin: date) -> dict[str, object]:
    """One unit at one origin. What is unknown on some days is compared on the others."""
    actual = came["BilledCost"]
    known = dict(past.select("date", pl.col("BilledCost").cast(pl.Float64)).iter_rows())
    again = [known.get(_last_week(day, origin), np.nan) for day in came["date"]]
    naive = np.abs(actual.cast(pl.Float64).to_numpy() - np.array(again, dtype=float))
    moved = [abs(cost - known[day - timedelta(days=_WEEK)]) for day, cost in known.items()
             if day - timedelta(days=_WEEK) in known]  # fmt: skip
    scale = float(np.mean(moved)) if moved else 0.0
    error = float((actual - came["point"]).abs().cast(pl.Float64).mean())  # type: ignore[arg-type]
    last_week = float(np.nanmean(naive)) if np.isfinite(naive).any() else None
    lower, upper = (came[name].tail(1).item() for name in ("sum_lower", "sum_upper"))
    total = actual.sum()
    return {
        "days": came.height, "held": int(((actual >= came["lower"]) & (actual <= came["upper"])).sum()),
        "error": error, "last_week_error": last_week, "mase": error / scale if scale else None,
        "last_week_mase": last_week / scale if scale and last_week is not None else None,
        "actual": total, "expected": came["point"].sum(), "lower": lower, "upper": upper,
        "sum_held": lower <= total <= upper,
    }  # fmt: skip


def _last_week(day: date, origin: date) -> date:
    """The same weekday within the week before the origin."""
    return day - timedelta(days=_WEEK * ((day - origin).days // _WEEK + 1))


def _schema(by: str) -> dict[str, pl.DataType]:
    number, money = pl.Float64(), AMOUNT
    return {
        by: pl.String(), CURRENCY: pl.String(), "origin": pl.Date(), "days": pl.Int64(), "held": pl.Int64(),
        "error": number, "last_week_error": number, "mase": number, "last_week_mase": number,
        "actual": money, "expected": money, "lower": money, "upper": money, "sum_held": pl.Boolean(),
    }  # fmt: skip
