"""How much was spent, on what?"""

import polars as pl

from workbench.focus import AMOUNT

CURRENCY = "BillingCurrency"
COST = "BilledCost"


def spend(daily: pl.DataFrame, *by: str) -> pl.DataFrame:
    """Sum up spend and its share.

    Parameters
    ----------
    daily
        `date`, `BillingCurrency`, `BilledCost`, and the columns of `by`.
    by
        What to split by.

    Returns
    -------
    polars.DataFrame
        `by`, `BillingCurrency`, `BilledCost` (exact), `share` (of the currency's whole, 0 to 1; null where the whole
        is 0). Dearest first; null names stay null.
    """
    whole = pl.col(COST).sum().over(CURRENCY)
    sums = daily.group_by(*by, CURRENCY).agg(pl.col(COST).sum().cast(AMOUNT))
    share = pl.col(COST).cast(pl.Float64) / pl.when(whole != 0).then(whole).cast(pl.Float64)
    return sums.with_columns(share=share).sort(CURRENCY, COST, *by, descending=[False, True, *[False] * len(by)])


def daily_totals(daily: pl.DataFrame, *by: str, top: int | None = None) -> pl.DataFrame:
    """Sum up by day, keeping the `top` dearest of the first column of `by` and calling the others `others`.

    Returns
    -------
    polars.DataFrame
        `date`, `by`, `BillingCurrency`, `BilledCost`; its total equals that of `daily`.
    """
    if top is not None and by:
        kept = spend(daily, by[0]).filter(pl.int_range(pl.len()).over(CURRENCY) < top)
        flag = kept.select(CURRENCY, by[0], pl.lit(value=True).alias("kept"))
        daily = daily.join(flag, on=[CURRENCY, by[0]], how="left", nulls_equal=True)
        daily = daily.with_columns(
            pl.when(pl.col("kept").is_not_null()).then(by[0]).otherwise(pl.lit("others")).alias(by[0])
        )
    return daily.group_by("date", *by, CURRENCY).agg(pl.col(COST).sum().cast(AMOUNT)).sort("date", CURRENCY, *by)
