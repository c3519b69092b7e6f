"""Names and currencies of a frame of costs, as a page shows them."""

import polars as pl

from workbench.costs.spend import COST, CURRENCY

NOT_STATED = "(not stated)"


def named(frame: pl.DataFrame, *columns: str) -> pl.DataFrame:
    """Put `(not stated)` where a name is missing, so that no line disappears from a picture."""
    return frame.with_columns(pl.col(name).fill_null(NOT_STATED) for name in columns)


def currencies(frame: pl.DataFrame) -> list[str]:
    """Return the currencies of a frame, the one with most lines first."""
    counted = frame.group_by(CURRENCY).agg(pl.len().alias("rows")).sort("rows", CURRENCY, descending=[True, False])
    return counted[CURRENCY].to_list()


def only(frame: pl.DataFrame, currency: str) -> pl.DataFrame:
    """Keep the rows in one currency: sums over several would mean nothing."""
    return frame.filter(pl.col(CURRENCY) == currency)


def combined(frame: pl.DataFrame, name: str, *columns: str) -> pl.DataFrame:
    """Join the names of several columns to one, `checkout · Amazon EC2`, in the column `name`."""
    joined = named(frame, *columns).with_columns(pl.concat_str(columns, separator=" · ").alias(name))
    return joined.drop(column for column in columns if column != name)


def top_share(spent: pl.DataFrame, name: str) -> tuple[str, float]:
    """Return the dearest name of a `spend` frame of one currency and its share (0 where nothing was spent)."""
    if spent.height == 0:
        return NOT_STATED, 0.0
    first = spent.sort(COST, descending=True, maintain_order=True).row(0, named=True)
    return first[name] or NOT_STATED, first["share"] or 0.0
