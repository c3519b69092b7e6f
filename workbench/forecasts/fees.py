"""Which charges come by the month, and which run from day to day?"""

import polars as pl

from workbench.focus import AMOUNT

_BY_MONTH = 2  # days a month
_NO_USE = ("Purchase", "Tax", "Credit", "Adjustment")
_NOT_METERED = ("Recurring", "One-Time")
CHARGE = ("ServiceName", "ChargeCategory", "ChargeFrequency", "covers_days")
"""What makes two lines the same charge on two days."""


def split_fees(charges: pl.DataFrame, *by: str) -> pl.DataFrame:
    """Tell what is charged by the month from what runs from day to day.

    A charge (a unit's service, category, frequency and length) is a *fee* when it is no metered use (its category is a
    purchase, tax, credit or adjustment, its frequency recurring or one-time, or one line covers more than two days) and
    falls on at most two days of a month in which it is seen. A support fee on the first is one; a commitment that is
    charged by the hour is not, and neither is a month-end peak of use.

    Parameters
    ----------
    charges
        `date`, `by`, `BillingCurrency`, `BilledCost`, and what tells charges apart: `ServiceName`, `ChargeCategory`,
        `ChargeFrequency`, `covers_days` (length of the charge period; null: not stated).

    Returns
    -------
    polars.DataFrame
        `date`, `by`, `BillingCurrency`, `BilledCost` (all charges), `fees` (the part of it that is charged by the
        month; both exact). The sum of `BilledCost` equals that of `charges`.
    """
    same = list(dict.fromkeys([*by, "BillingCurrency", *CHARGE]))
    by_line = pl.col("covers_days") > 2
    loose = pl.col("ChargeCategory").is_in(_NO_USE) | pl.col("ChargeFrequency").is_in(_NOT_METERED) | by_line
    days = pl.col("date").n_unique().over(same)
    months = pl.col("date").dt.truncate("1mo").n_unique().over(same)
    fee = loose.fill_null(value=False) & (days <= _BY_MONTH * months)
    amount = pl.col("BilledCost")
    return (
        charges.with_columns(fees=pl.when(fee).then(amount).otherwise(0).cast(AMOUNT))
        .group_by("date", *by, "BillingCurrency")
        .agg(pl.col("BilledCost", "fees").sum().cast(AMOUNT))
        .sort("date", *by, "BillingCurrency")
    )
