"""Does the warehouse hold what the bills say, to the last digit?"""

import polars as pl

from workbench.focus import AMOUNT


def reconcile(totals: pl.DataFrame, held: pl.DataFrame) -> pl.DataFrame:
    """Hold what the loads brought against what is there.

    Parameters
    ----------
    totals
        One row for each load of a file, currency and outcome: `currency`, `outcome`, `amount`, `amount_before`.
        `accepted` and `rejected` tell what the file said; `inserted` lines were new; `restated` ones replaced
        `amount_before` by `amount`; the other outcomes changed nothing.
    held
        `currency` and `in_warehouse`: the sum of all lines that are there.

    Returns
    -------
    polars.DataFrame
        By currency: `said` (all loads together, so a file loaded twice counts twice), `refused`, `known_already`,
        `restatements` (what they changed), `new`, `expected` (`new` + `restatements`), `in_warehouse`, `difference`
        (`in_warehouse` - `expected`; 0 when nothing is lost and nothing is counted twice).
    """
    amount, before = pl.col("amount").fill_null(0), pl.col("amount_before").fill_null(0)
    outcome = pl.col("outcome")
    parts = {
        "said": pl.when(outcome.is_in(["accepted", "rejected"])).then(amount),
        "refused": pl.when(outcome == "rejected").then(amount),
        "known_already": pl.when(outcome.is_in(["unchanged", "older", "repeated", "conflicting"])).then(amount),
        "restatements": pl.when(outcome == "restated").then(amount - before),
        "new": pl.when(outcome == "inserted").then(amount),
    }
    sums = totals.group_by("currency").agg([part.sum().cast(AMOUNT).alias(name) for name, part in parts.items()])
    both = sums.join(held, on="currency", how="full", coalesce=True).with_columns(
        pl.col(*parts, "in_warehouse").fill_null(0).cast(AMOUNT)
    )
    expected = (pl.col("new") + pl.col("restatements")).cast(AMOUNT)
    return (
        both.with_columns(expected=expected)
        .with_columns(difference=(pl.col("in_warehouse") - pl.col("expected")).cast(AMOUNT))
        .select("currency", *parts, "expected", "in_warehouse", "difference")
        .sort("currency")
    )
