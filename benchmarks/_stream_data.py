"""Events for the benches of the stream: hours of costs, revenue and use of 50 units, some of them late, and their sums.

The same numbers each time. A thousandth of the mixed events can't be read where that is asked for.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

import polars as pl

from workbench import events
from workbench.events import ids
from workbench.streaming.feed import Values, values_of

UNITS = 50
_PART = 50_000
_START = datetime(2025, 10, 1, tzinfo=UTC)
_SPAN_S = 86_400  # the day that a run tells of
_LATE_IN = 100
"""One event in so many comes late, by up to half an hour."""
_MONEY = pl.Decimal(38, 4)


def costs(count: int, first: int = 0, of: int | None = None) -> pl.DataFrame:
    """Cost events number `first` to `first + count` of `of` (default: `count`), evenly over the day."""
    at = pl.col("at")
    return _numbered(count, first, of or count).select(
        *ids(pl.DataFrame({"at": pl.int_range(first, first + count, eager=True)}), ["at"]).to_frame(),
        "timestamp",
        event_type=pl.lit("cloud_cost_incurred"),
        service=pl.format("service-{}", at * 7 % 20),
        cost_amount=(at * 7_919 % 1_000_003).cast(_MONEY) / 10_000,
        resource_id=pl.format("i-0{}", at * 104_729 % 3_000),
        business_unit=pl.format("unit-{}", at % UNITS),
        currency=pl.lit("USD"),
        observed_at=pl.lit(_START) + pl.duration(days=1),
    ).cast({"cost_amount": _MONEY})


def revenue(count: int, first: int = 0, of: int | None = None) -> pl.DataFrame:
    """Business events, likewise."""
    at = pl.col("at")
    return _numbered(count, first, of or count).select(
        *ids(pl.DataFrame({"at": pl.int_range(first, first + count, eager=True)}), ["at"]).to_frame(),
        "timestamp",
        event_type=pl.lit("order_placed"),
        user_id=pl.format("user-{}", at * 31 % 100_000),
        feature=pl.lit("checkout"),
        action=pl.lit("purchase"),
        revenue_impact=(at * 6_007 % 2_000_003).cast(_MONEY) / 10_000,
        business_unit=pl.format("unit-{}", at % UNITS),
        currency=pl.lit("USD"),
        observed_at=pl.lit(_START) + pl.duration(days=1),
    ).cast({"revenue_impact": _MONEY})


def use(count: int, first: int = 0, of: int | None = None) -> pl.DataFrame:
    """Resource events, likewise."""
    at = pl.col("at")
    return _numbered(count, first, of or count).select(
        *ids(pl.DataFrame({"at": pl.int_range(first, first + count, eager=True)}), ["at"]).to_frame(),
        "timestamp",
        event_type=pl.lit("resource_used"),
        service=pl.format("service-{}", at * 7 % 20),
        region=pl.format("eu-west-{}", at % 3),
        resource_id=pl.format("i-0{}", at % 3_000),
        resource_type=pl.lit("m5.large"),
        utilization=(at * 37 % 101) / 100,
        cost_estimate=pl.lit("0.096").cast(_MONEY),
        business_unit=pl.format("unit-{}", at % UNITS),
        project_id=pl.format("p-{}", at % 150),
        environment=pl.lit("production"),
        currency=pl.lit("USD"),
        observed_at=pl.lit(_START) + pl.duration(days=1),
    )


def _numbered(count: int, first: int, of: int) -> pl.DataFrame:
    at = pl.col("at")
    late = pl.when(at % _LATE_IN == _LATE_IN - 1).then(at * 13 % 1_800).otherwise(0)
    when = (at * _SPAN_S * 1_000 // of).alias("ms")
    return pl.DataFrame({"at": pl.int_range(first, first + count, eager=True)}).select(
        "at", timestamp=pl.lit(_START) + pl.duration(milliseconds=when) - pl.duration(seconds=late)
    )
