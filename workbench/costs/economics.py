"""What came of the money: return on what was spent, and what one order or action cost.

A *business* frame has `date` (UTC), `currency`, `events` (count), `earning` (count of those that brought money),
`revenue_impact` (exact; refunds are negative) and any further columns to split by. Each side is summed by itself before
the two meet: joined event by event, a cost would count once for each sale of its day.
"""

import polars as pl

from workbench.costs.spend import COST, CURRENCY
from workbench.errors import UsageError
from workbench.focus import AMOUNT

_COUNTS = ("earning", "events")


def overlap(daily: pl.DataFrame, business: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Keep the days of which both sides speak: revenue of a month against costs of a year would say nothing."""
    if daily.is_empty() or business.is_empty():
        return daily.clear(), business.clear()
    sides = pl.concat(
        [side.select(first=pl.col("date").min(), last=pl.col("date").max()) for side in (daily, business)]
    )
    within = pl.col("date").is_between(sides["first"].max(), sides["last"].min())
    return daily.filter(within), business.filter(within)


def roi(daily: pl.DataFrame, business: pl.DataFrame, *by: str) -> pl.DataFrame:
    """Hold what was earned against what was spent.

    Parameters
    ----------
    daily
        `date`, `BillingCurrency`, `BilledCost`, and the columns of `by`.
    business
        The same days and names; see above.
    by
        What to split by; `date` for day by day.

    Returns
    -------
    polars.DataFrame
        `by`, `BillingCurrency`, `cost`, `revenue`, `gain` (revenue - cost; all exact), `roi` (gain to cost; null where
        there is no cost to divide by, because it is 0 or a credit). Cost without revenue is kept, and revenue without
        cost: both columns add up to their whole in each currency, and currencies never meet.
    """
    spent = daily.group_by(*by, CURRENCY).agg(cost=pl.col(COST).sum().cast(AMOUNT))
    sides = business.rename({"currency": CURRENCY})
    earned = sides.group_by(*by, CURRENCY).agg(revenue=pl.col("revenue_impact").sum().cast(AMOUNT))
    both = spent.join(earned, on=[*by, CURRENCY], how="full", coalesce=True, nulls_equal=True)
    exact = both.with_columns(pl.col("cost", "revenue").fill_null(0).cast(AMOUNT))
    gain = (pl.col("revenue") - pl.col("cost")).cast(AMOUNT)
    base = pl.when(pl.col("cost") > 0).then(pl.col("cost")).cast(pl.Float64)
    found = exact.with_columns(gain=gain).with_columns(roi=pl.col("gain").cast(pl.Float64) / base)
    days = [name for name in by if name == "date"]
    return found.sort(CURRENCY, *days, pl.col("gain").neg(), *by)


def unit_economics(
    daily: pl.DataFrame, business: pl.DataFrame, *by: str, count: str = "earning", every: str | None = "1w"
) -> pl.DataFrame:
    """Divide what was spent by what was done with it: cost per order, per use, per whatever `business` counts.

    Parameters
    ----------
    daily, business
        As for `roi`. Filter `business` before to count one action only.
    by
        What to split by.
    count
        `earning` (events that brought money: orders, subscriptions) or `events` (all of them).
    every
        Length of a period, `1w` (from Monday) or `1mo`; None: all days together.

    Returns
    -------
    polars.DataFrame
        `period` (its first day; those at the ends may be partial; only with `every`), `by`, `BillingCurrency`, `cost`
        (exact), `count`, `cost_each` (rounded to 12 places; null where the count is 0). Costs add up to the
        whole of their currency. A count is no money: it is that of all currencies, beside each currency's cost.
    """
    if count not in _COUNTS:
        raise UsageError(f"'{count}' can't be counted; {' and '.join(_COUNTS)} can")
    period = [pl.col("date").dt.truncate(every).alias("period")] if every else []
    keys = [*(["period"] if every else []), *by]
    spent = daily.with_columns(period).group_by(*keys, CURRENCY).agg(cost=pl.col(COST).sum().cast(AMOUNT))
    done = business.with_columns(*period, _key=0).group_by("_key", *keys).agg(count=pl.col(count).sum())
    both = spent.with_columns(_key=0).join(done, on=["_key", *keys], how="left", nulls_equal=True).drop("_key")
    number = pl.col("count").fill_null(0).cast(pl.Int64)
    each = pl.col("cost") / pl.when(number != 0).then(number).cast(AMOUNT)
    return both.with_columns(count=number, cost_each=each.cast(AMOUNT)).sort(CURRENCY, *keys)
