"""What changed from one week to the next?"""

from datetime import date, timedelta
from typing import NamedTuple

import polars as pl

from workbench.costs.spend import COST, CURRENCY
from workbench.focus import AMOUNT

REST = "all others"


class Weeks(NamedTuple):
    """Two spans of days that are compared, half open: [`previous`, `current`) and [`current`, `end`)."""

    previous: date
    current: date
    end: date


def weeks(as_of: date, days: int = 7) -> Weeks:
    """Return the last `days` before `as_of`, and as many before them."""
    return Weeks(as_of - timedelta(days=2 * days), as_of - timedelta(days=days), as_of)


def week_over_week(daily: pl.DataFrame, span: Weeks, *by: str) -> pl.DataFrame:
    """Compare the two spans, joined on the names and the currency: what is missing in one of them cost 0 there.

    Returns
    -------
    polars.DataFrame
        `by`, `BillingCurrency`, `previous`, `current`, `change` (current - previous; positive: dearer), `ratio`
        (change to previous; null where previous is 0). The changes add up to the change of the whole.
    """
    day, cost = pl.col("date"), pl.col(COST)
    before = pl.when((day >= span.previous) & (day < span.current)).then(cost)
    after = pl.when((day >= span.current) & (day < span.end)).then(cost)
    seen = daily.filter((day >= span.previous) & (day < span.end))
    sums = seen.group_by(*by, CURRENCY).agg(previous=before.sum().cast(AMOUNT), current=after.sum().cast(AMOUNT))
    change = (pl.col("current") - pl.col("previous")).cast(AMOUNT)
    base = pl.when(pl.col("previous") != 0).then(pl.col("previous").cast(pl.Float64).abs())
    result = sums.with_columns(change=change).with_columns(ratio=pl.col("change").cast(pl.Float64) / base)
    return result.sort(CURRENCY, pl.col("change").abs(), *by, descending=[False, True, *[False] * len(by)])


def largest_changes(compared: pl.DataFrame, most: int = 10) -> pl.DataFrame:
    """Keep the `most` largest changes of each currency and sum the rest up in one row, so that nothing is left out.

    Parameters
    ----------
    compared
        A result of `week_over_week` with one or more columns to split by.

    Returns
    -------
    polars.DataFrame
        The same columns; the last row of a currency is called `all others` where there are any.
    """
    by = compared.columns[: compared.columns.index(CURRENCY)]
    ranked = compared.with_columns(rank=pl.col("change").abs().rank("ordinal", descending=True).over(CURRENCY))
    top = ranked.filter(pl.col("rank") <= most).sort(CURRENCY, "rank")
    rest = ranked.filter(pl.col("rank") > most).group_by(CURRENCY).agg(pl.col("previous", "current", "change").sum())
    base = pl.when(pl.col("previous") != 0).then(pl.col("previous").cast(pl.Float64).abs())
    rest = rest.with_columns(pl.lit(REST).alias(name) for name in by).with_columns(
        pl.col("previous", "current", "change").cast(AMOUNT), ratio=pl.col("change").cast(pl.Float64) / base
    )
    return pl.concat([top.select(compared.columns), rest.select(compared.columns)]).sort(CURRENCY, maintain_order=True)
