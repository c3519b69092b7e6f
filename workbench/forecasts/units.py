"""The forecast of each unit and of all of them: Polars frames around the kernel."""

from collections.abc import Iterator
from datetime import date, timedelta

import polars as pl

from workbench.errors import UsageError
from workbench.focus import AMOUNT, UNALLOCATED

ALL = "(all)"
"""What the rows of the whole are called, beside the units."""

CURRENCY = "BillingCurrency"
_COST = "BilledCost"
_PLACES = pl.Decimal(38, 6)
_AMOUNTS = ("point", "lower", "upper", "sum_point", "sum_lower", "sum_upper")
_POINTS = ("point", "sum_point")
_EDGES = {"lower": "point", "upper": "point", "sum_lower": "sum_point", "sum_upper": "sum_point"}
_SUMMED = "points are the sum of the units"


def forecast(history: pl.DataFrame, by: str, first: date, horizon: int = 31) -> pl.DataFrame:
    """Forecast the daily cost of each unit and of the whole, each currency by itself.

    Parameters
    ----------
    history
        `date`, `by`, `BillingCurrency`, `BilledCost` and, where known, `fees` (see `split_fees`). On a day of which the
        currency's bill speaks at all, a unit without a row cost 0; any other day is unknown, and no 0.
    by
        The column that names the units; null is `unallocated`.
    first
        First day ahead; history from it on is not looked at.
    horizon
        Days ahead.

    Returns
    -------
    polars.DataFrame
        One row a unit, currency and day, and one of `(all)`: `by`, `BillingCurrency`, `date`, `point`, `lower`, `upper`
        (95 %), `sum_point`, `sum_lower`, `sum_upper` (of the days from `first` to that one), `model`, `flags`. Amounts
        are decimals with six places.

    Notes
    -----
    Bottom-up: a point of `(all)` is exactly the sum of the units' points. Its band is no sum of bands (units do not all
    miss on the same side) but that of a model of the whole series, laid around the sum. It is on neither side narrower
    than that of its least sure unit, nor wider than all of them would be if they missed together.
    """
    known = named(history, by).filter(pl.col("date") < first)
    parts = [_of_one(series, first, horizon).select(pl.lit(unit).alias(by), pl.lit(currency).alias(CURRENCY), pl.all())
             for (unit, currency), series in complete(known, by)]  # fmt: skip
    if not parts:
        return _typed(pl.DataFrame(schema=_schema(by)), by)
    units = _typed(pl.concat(parts), by)
    return pl.concat([units, *_wholes(known, units, by, first, horizon)]).sort(CURRENCY, by, "date")


def complete(history: pl.DataFrame, by: str) -> Iterator[tuple[tuple[str, str], pl.DataFrame]]:
    """Each unit and currency with its series on all days that the currency's bill speaks of, from its first one on."""
    amounts = [name for name in (_COST, "fees") if name in history.columns]
    for currency in history[CURRENCY].unique().sort():
        bill = history.filter(pl.col(CURRENCY) == currency)
        days = bill.select(pl.col("date").unique().sort())
        for unit in bill[by].unique().sort():
            own = bill.filter(pl.col(by) == unit).group_by("date").agg(pl.col(amounts).sum().cast(AMOUNT))
            since = days.filter(pl.col("date") >= own["date"].min())
            yield (unit, currency), since.join(own, on="date", how="left").fill_null(0).sort("date")


def named(history: pl.DataFrame, by: str) -> pl.DataFrame:
    """The history with a name for each unit."""
    missing = [name for name in ("date", by, CURRENCY, _COST) if name not in history.columns]
    if missing:
        raise UsageError(
            f"a history without {', '.join(missing)} can't be forecast; it has {', '.join(history.columns)}"
        )
    if (history[by] == ALL).any():
        raise UsageError(
            f"a unit is called '{ALL}', which is the name of the whole: rename it in the profile's names.units"
        )
    return history.with_columns(pl.col(by).fill_null(UNALLOCATED), pl.col(CURRENCY).fill_null("unknown"))


def until(forecasted: pl.DataFrame, end: date) -> pl.DataFrame:
    """Return what is expected from the first day ahead up to `end` (that day excluded), with the band of the sum.

    Returns
    -------
    polars.DataFrame
        The other columns' names, `BillingCurrency`, `expected`, `lower`, `upper`, `model`, `flags`.
    """
    last = forecasted["date"].max()
    if isinstance(last, date) and end > last + timedelta(days=1):
        raise UsageError(f"the forecast ends on {last} and can't be summed up to {end}; give it a longer horizon")
    sums = {"sum_point": "expected", "sum_lower": "lower", "sum_upper": "upper"}
    rows = forecasted.filter(pl.col("date") == end - timedelta(days=1)).drop("date", "point", "lower", "upper")
    return rows.rename(sums).sort(CURRENCY, "expected", descending=[False, True], maintain_order=True)


def month_end(history: pl.DataFrame, forecasted: pl.DataFrame, by: str, first: date) -> pl.DataFrame:
    """Return what the month of `first` will have cost at its end: what is spent, exactly, plus what is expected.

    Returns
    -------
    polars.DataFrame
        `by`, `BillingCurrency`, `spent` (before `first`), `expected`, `lower`, `upper` (of the whole month), ….
    """
    start = first.replace(day=1)
    end = (start + timedelta(days=32)).replace(day=1)
    month = named(history, by).filter((pl.col("date") >= start) & (pl.col("date") < first))
    every = pl.concat([month, month.with_columns(pl.lit(ALL).alias(by))])
    spent = every.group_by(by, CURRENCY).agg(spent=pl.col(_COST).sum().cast(AMOUNT))
    ahead = until(forecasted, end).join(spent, on=[by, CURRENCY], how="left", maintain_order="left")
    done = pl.col("spent").fill_null(0).cast(AMOUNT)
    whole = [(pl.col(name) + done).cast(AMOUNT).alias(name) for name in ("expected", "lower", "upper")]
    return ahead.select(by, CURRENCY, done, *whole, "model", "flags")


def _wholes(known: pl.DataFrame, units: pl.DataFrame, by: str, first: date, horizon: int) -> Iterator[pl.DataFrame]:
    """The rows of the whole, a frame a currency: the units' sum, in the band of the whole's own model."""
    for (_, currency), series in complete(known.with_columns(pl.lit(ALL).alias(by)), by):
        own = _of_one(series, first, horizon).select(pl.lit(ALL).alias(by), pl.lit(currency).alias(CURRENCY), pl.all())
        parts = units.filter(pl.col(CURRENCY) == currency)
        summed = parts.group_by("date").agg(
            *(pl.col(point).sum().name.suffix("_units") for point in _POINTS),
            *(_off(edge, point).max().alias(f"{edge}_least") for edge, point in _EDGES.items()),
            *(_off(edge, point).sum().alias(f"{edge}_most") for edge, point in _EDGES.items()),
        )
        both = _typed(own, by).join(summed, on="date", how="left", maintain_order="left")
        edges = [_edge(edge, point) for edge, point in _EDGES.items()]
        more = pl.when(pl.col("flags") != "").then("flags")
        said = pl.concat_str(pl.lit(_SUMMED), more, separator="; ", ignore_nulls=True)
        points = [pl.col(f"{point}_units").cast(AMOUNT).alias(point) for point in _POINTS]
        yield both.with_columns(*edges, flags=said).with_columns(points).select(units.columns)


def _edge(edge: str, point: str) -> pl.Expr:
    """An edge of the whole's band: as far off as its own model says, between the least sure unit and all together."""
    off = pl.min_horizontal(pl.max_horizontal(_off(edge, point), f"{edge}_least"), f"{edge}_most")
    middle = pl.col(f"{point}_units")
    return (middle - off if edge.endswith("lower") else middle + off).cast(AMOUNT).alias(edge)


def _off(edge: str, point: str) -> pl.Expr:
    """How far an edge lies from its point."""
    return (pl.col(point) - pl.col(edge)).abs()


def _of_one(series: pl.DataFrame, first: date, horizon: int) -> pl.DataFrame:
    """One series through the kernel."""
    import pandas as pd

    from workbench.forecasts.kernel import forecast_series

    numbers = {"cost": series[_COST].cast(pl.Float64).to_numpy()}
    if "fees" in series.columns:
        numbers["fees"] = series["fees"].cast(pl.Float64).to_numpy()
    found = forecast_series(pd.DataFrame({"date": series["date"].to_list(), **numbers}), first, horizon)
    return pl.DataFrame({name: found[name].to_list() for name in found.columns})


def _typed(found: pl.DataFrame, by: str) -> pl.DataFrame:
    """Amounts as decimals, and the sums of the points anew from these, so that they add up."""
    exact = found.with_columns(pl.col(_AMOUNTS).cast(_PLACES).cast(AMOUNT))
    sums = pl.col("point").cum_sum().over(by, CURRENCY, order_by="date").cast(AMOUNT)
    return exact.with_columns(sum_point=sums).select(*_schema(by))


def _schema(by: str) -> dict[str, pl.DataType]:
    text = pl.String()
    amounts = dict.fromkeys(_AMOUNTS, AMOUNT)
    return {by: text, CURRENCY: text, "date": pl.Date()} | amounts | {"model": text, "flags": text}
