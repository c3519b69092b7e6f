"""What the stream told, brought down to what a person reads: spells of spikes, return by unit, rules side by side."""

import polars as pl

_KEY = ["business_unit", "service", "currency"]


def spells(spikes: pl.DataFrame) -> pl.DataFrame:
    """Take the spikes of one service that follow each other in a row as one spell.

    Parameters
    ----------
    spikes
        `business_unit`, `service`, `currency`, `window_start`, `window_end`, `streak` (1 where a row begins),
        `excess_amount` (exact), `ratio`.

    Returns
    -------
    polars.DataFrame
        The key, `from`, `until` (UTC, half open), `windows` (count), `excess` (exact: what it cost beyond what was
        usual), `times_usual` (the largest ratio; null where nothing was expected). The dearest first.
    """
    begins = (pl.col("streak") == 1).cum_sum().over(_KEY).alias("nth")
    rows = spikes.sort(*_KEY, "window_start", nulls_last=True).with_columns(begins)
    return (
        rows.group_by(*_KEY, "nth", maintain_order=True)
        .agg(
            pl.col("window_start").min().alias("from"),
            pl.col("window_end").max().alias("until"),
            pl.len().cast(pl.Int64).alias("windows"),
            pl.col("excess_amount").sum().alias("excess"),
            pl.col("ratio").max().alias("times_usual"),
        )
        .drop("nth")
        .sort("excess", descending=True, maintain_order=True)
    )


def return_by_unit(returns: pl.DataFrame) -> pl.DataFrame:
    """Sum up what was told of cost and revenue window by window, by unit.

    Parameters
    ----------
    returns
        `business_unit`, `currency`, `own_cost`, `own_revenue` (exact, of the moment's own bucket, so that they add
        up), `gain` (of the window around it).

    Returns
    -------
    polars.DataFrame
        `business_unit`, `currency`, `cost`, `revenue`, `gain` (exact), `roi` (gain to cost; null without cost),
        `share` (of the windows, those at a loss). The largest gain first.
    """
    sums = returns.group_by("business_unit", "currency").agg(
        pl.col("own_cost").sum().alias("cost"),
        pl.col("own_revenue").sum().alias("revenue"),
        (pl.col("gain") < 0).mean().alias("share"),
    )
    gain = (pl.col("revenue") - pl.col("cost")).alias("gain")
    base = pl.when(pl.col("cost") > 0).then("cost").cast(pl.Float64)
    rows = sums.with_columns(gain).with_columns((pl.col("gain").cast(pl.Float64) / base).alias("roi"))
    order = ["business_unit", "currency", "cost", "revenue", "gain", "roi", "share"]
    return rows.select(order).sort("gain", "business_unit", descending=[True, False])


def by_rule(spikes: pl.DataFrame, rules: list[str]) -> pl.DataFrame:
    """Count what each rule calls a spike, and add up its worth.

    Parameters
    ----------
    spikes
        `rule`, `business_unit`, `service`, `currency`, `excess_amount` (exact).
    rules
        All names, in the order wanted; one without spikes is there with 0.

    Returns
    -------
    polars.DataFrame
        `rule`, `currency` (null without spikes), `spikes`, `services` (counts; a service of a unit), `excess` (exact).
    """
    services = pl.struct("business_unit", "service").n_unique().cast(pl.Int64).alias("services")
    many = pl.len().cast(pl.Int64).alias("spikes")
    counted = spikes.group_by("rule", "currency").agg(many, services, pl.col("excess_amount").sum().alias("excess"))
    named = pl.DataFrame({"rule": rules}, schema={"rule": pl.String}).join(
        counted.sort("currency"), on="rule", how="left", maintain_order="left_right"
    )
    return named.with_columns(pl.col("spikes", "services").fill_null(0), pl.col("excess").fill_null(0))
