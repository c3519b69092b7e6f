"""Exact totals of a bill, by currency and by what became of its rows."""

from collections.abc import Iterable
from typing import Literal

import polars as pl

from workbench.focus import AMOUNT

MEASURES = ("BilledCost", "ListCost")
"""The amounts whose totals are kept of each file."""

TOTALS = pl.Schema(
    {"BillingCurrency": pl.String(), "outcome": pl.String(), "lines": pl.Int64()} | dict.fromkeys(MEASURES, AMOUNT)
)


def add_up(rows: pl.DataFrame, outcome: Literal["accepted", "rejected"]) -> pl.DataFrame:
    """Sum up lines by currency; what is null adds nothing."""
    sums = [pl.len().cast(pl.Int64).alias("lines"), *(pl.col(name).sum() for name in MEASURES)]
    return rows.group_by("BillingCurrency").agg(sums).with_columns(outcome=pl.lit(outcome)).select(TOTALS.names())


def together(totals: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Add up totals of parts."""
    whole = pl.concat([pl.DataFrame(schema=TOTALS), *totals])
    sums = whole.group_by("BillingCurrency", "outcome").agg(pl.col("lines", *MEASURES).sum())
    return sums.sort("BillingCurrency", "outcome").cast(dict(TOTALS))  # type: ignore[arg-type]
