"""Does the warehouse hold what the bills say, to the last digit?"""

import polars as pl

from workbench.focus import AMOUNT


def reconcile(totals: pl.DataFrame, held: pl.DataFrame) -> pl.DataFrame:
    """Hold what all loads brought against what is there.

    Parameters
    ----------
    totals
        One row for each load of a file and currency, exact amounts: `currency`, `inserted_total` (lines that were
        new), `restated_delta` (what restatements changed).
    held
        `currency` and `in_warehouse`: the sum of all lines that are there.

    Returns
    -------
    polars.DataFrame
        By currency: `new`, `restatements`, `expected` (their sum), `in_warehouse`, `difference` (`in_warehouse` -
        `expected`; 0 when nothing is lost and nothing is counted twice).
    """
    parts = {"new": pl.col("inserted_total"), "restatements": pl.col("restated_delta")}
    sums = totals.group_by("currency").agg(part.sum().cast(AMOUNT).alias(name) for name, part in parts.items())
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


def against_files(said: pl.DataFrame, held: pl.DataFrame) -> pl.DataFrame:
    """Hold what the files of each source say against what the warehouse holds of that source.

    Parameters
    ----------
    said
        The latest load of each file: `source_name`, `currency`, `read_total`, `rejected_total`, `accepted_total`.
    held
        `source_name`, `currency`, `in_warehouse`.

    Returns
    -------
    polars.DataFrame
        `source_name`, `currency`, `files_say`, `refused`, `accepted`, `in_warehouse`, `in_several_files` (`accepted` -
        `in_warehouse`: lines that more than one file holds count once; 0 where no two files overlap).
    """
    parts = {"files_say": "read_total", "refused": "rejected_total", "accepted": "accepted_total"}
    sums = said.group_by("source_name", "currency").agg(pl.col(name).sum().alias(new) for new, name in parts.items())
    both = sums.join(held, on=["source_name", "currency"], how="left").with_columns(
        pl.col(*parts, "in_warehouse").fill_null(0).cast(AMOUNT)
    )
    overlap = (pl.col("accepted") - pl.col("in_warehouse")).cast(AMOUNT)
    columns = ("source_name", "currency", *parts, "in_warehouse")
    return both.select(*columns, in_several_files=overlap).sort("source_name", "currency")
