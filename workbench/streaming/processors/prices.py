"""What a resource costs an hour, and what its next smaller and larger size would."""

import polars as pl

from workbench.errors import EventError
from workbench.focus import AMOUNT
from workbench.streaming.processors.quotient import quotient

MONTH_HOURS = 730
"""Hours of a month in price lists: 365 x 24 / 12."""

PRICES = pl.Schema(
    {
        "resource_type": pl.String(),
        "currency": pl.String(),
        "price_hour": AMOUNT,
        "smaller": pl.String(),  # type of the next smaller size; null: there is none
        "larger": pl.String(),
    }
)
"""A price table."""

_KEY = ["resource_type", "currency"]


def ladder(prices: pl.DataFrame) -> pl.DataFrame:
    """Put the neighbours' prices beside each size.

    Parameters
    ----------
    prices
        Columns as in `PRICES`.

    Returns
    -------
    polars.DataFrame
        The same with `price_smaller` and `price_larger`; null where there is no such neighbour in the table.

    Raises
    ------
    EventError
        A column is missing, or a type is in the table twice.
    """
    if missing := sorted(set(PRICES) - set(prices.columns)):
        raise EventError(f"the price table has no {', '.join(missing)}; it needs {', '.join(PRICES)}")
    table = prices.select(PRICES.names()).cast(PRICES)
    twice = table.filter(pl.struct(_KEY).is_duplicated())
    if twice.height:
        raise EventError(f"the price table has '{twice['resource_type'][0]}' in {twice['currency'][0]} twice; keep one")
    for side in ("smaller", "larger"):
        other = table.select(
            pl.col("resource_type").alias(side), "currency", pl.col("price_hour").alias(f"price_{side}")
        )
        table = table.join(other, on=[side, "currency"], how="left")
    return table


def priced(resources: pl.DataFrame, table: pl.DataFrame, size_ratio: float) -> pl.DataFrame:
    """Add prices to resources: from the table, else the estimate of the event (`price`) and sizes by `size_ratio`.

    Returns
    -------
    polars.DataFrame
        `resources` with `hourly` (exact; null: unknown), `smaller`, `larger`, `price_smaller`, `price_larger`,
        `listed`, `down_saves` (share of the price; 0: there is no smaller size) and `up_possible`.
    """
    rows = resources.join(table, on=_KEY, how="left", maintain_order="left")
    listed = pl.col("price_hour").is_not_null()
    saves = 1 - quotient(pl.col("price_smaller"), pl.col("price_hour"))
    return rows.with_columns(
        listed.alias("listed"),
        pl.coalesce("price_hour", "price").alias("hourly"),
        pl.when(listed).then(saves.fill_null(0.0)).otherwise(1 - size_ratio).alias("down_saves"),
        pl.when(listed).then(pl.col("price_larger").is_not_null()).otherwise(pl.lit(value=True)).alias("up_possible"),
    )


def monthly_saving(action: pl.Expr, off_hours: pl.Expr, size_ratio: float) -> pl.Expr:
    """What a month costs less (negative: more), exactly, for rows of `priced`."""
    hourly, listed = pl.col("hourly"), pl.col("listed")
    down = pl.when(listed).then(_times(hourly - pl.col("price_smaller"), pl.lit(MONTH_HOURS))).otherwise(
        _times(hourly, pl.lit(round(MONTH_HOURS * (1 - size_ratio)))))  # fmt: skip
    up = pl.when(listed).then(_times(hourly - pl.col("price_larger"), pl.lit(MONTH_HOURS))).otherwise(
        _times(hourly, pl.lit(-round(MONTH_HOURS * (1 / size_ratio - 1)))))  # fmt: skip
    off = _times(hourly, quotient(off_hours * MONTH_HOURS, pl.lit(168)).round().cast(pl.Int64))
    return (
        pl.when(action == "terminate").then(_times(hourly, pl.lit(MONTH_HOURS)))
        .when(action == "downsize").then(down)
        .when(action == "upsize").then(up)
        .when(action == "schedule-off").then(off)
        .otherwise(pl.lit(0, AMOUNT))
    )  # fmt: skip


def _times(price: pl.Expr, hours: pl.Expr) -> pl.Expr:
    return (price * hours).cast(AMOUNT)
