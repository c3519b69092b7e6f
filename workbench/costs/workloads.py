"""What does each workload cost a day?"""

from datetime import date

import polars as pl

from workbench.costs.spend import COST
from workbench.focus import AMOUNT, UNALLOCATED

SHARED = "shared"


def workload_costs(daily: pl.DataFrame, workloads: pl.DataFrame, first: date, end: date) -> pl.DataFrame:
    """Put the cost of each workload beside its owner, for `plots.estate_map`.

    Parameters
    ----------
    daily
        Spend by day in one currency: `date`, `project_id` (what the bill calls a workload), `business_unit`,
        `BilledCost`.
    workloads
        `workload`, `business_unit`, `kind`, `region`, `entry`.
    first, end
        Days, half open.

    Returns
    -------
    polars.DataFrame
        `name`, `group` (the owner), `amount` (BilledCost a day, rounded to the 12th decimal; null for a workload that
        no bill knows), `entry`, `words`. What names no workload is `shared`. The amounts times the days are
        the spend, but for that rounding.
    """
    days = (end - first).days
    spent = daily.filter((pl.col("date") >= first) & (pl.col("date") < end)).group_by(
        pl.col("project_id").fill_null(SHARED).alias("name")
    )
    amount = (pl.col(COST).sum() / pl.lit(days).cast(AMOUNT)).cast(AMOUNT)
    costs = spent.agg(amount=amount, owner=pl.col("business_unit").first())
    words = pl.concat_str([pl.col("kind"), pl.col("region")], separator=" in ", ignore_nulls=True)
    known = workloads.select("entry", words.alias("words"), name="workload", group="business_unit")
    both = known.join(costs, on="name", how="full", coalesce=True)
    owner = pl.coalesce("group", "owner").fill_null(UNALLOCATED)
    return both.select("name", owner.alias("group"), "amount", pl.col("entry").fill_null(value=False), "words").sort(
        "name"
    )
