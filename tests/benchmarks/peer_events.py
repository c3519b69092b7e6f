"""Events for the tests of the peers, good and bad, and the exact sums of the good ones."""

from datetime import UTC, datetime
from decimal import Decimal

import polars as pl

MONEY = pl.Decimal(38, 12)
LONG_AFTER = datetime(2025, 10, 9, tzinfo=UTC)


def costs(count: int, latest: int, units: int = 20) -> pl.DataFrame:
    """One event every 2 seconds in two currencies; some come up to an hour late, a few come `latest` seconds late."""
    at = pl.col("at")
    late = pl.when(at % 2_003 == 2_002).then(latest).when(at % 97 == 96).then(at % 3_600).otherwise(0)
    return pl.DataFrame({"at": pl.int_range(count, eager=True)}).select(
        event_id=pl.format("e-{}", at),
        timestamp=pl.datetime(2025, 10, 2, time_zone="UTC") + pl.duration(seconds=at * 2 - late, milliseconds=at % 997),
        event_type=pl.lit("cloud_cost_incurred"),
        service=pl.format("service \"{}\"", at % 3),
        resource_id=pl.format("i-{}", at % 500),
        cost_amount=(at * 7_919 % 1_000_003).cast(MONEY) / 1_000_000 - pl.lit("0.000000000001").cast(MONEY),
        business_unit=pl.format("unit-{}", at % units),
        currency=pl.when(at % 5 == 0).then(pl.lit("EUR")).otherwise(pl.lit("USD")),
        observed_at=pl.datetime(2025, 11, 1, time_zone="UTC"),
    ).cast({"cost_amount": MONEY})  # fmt: skip


def exact_sums(events: pl.DataFrame) -> pl.DataFrame:
    window = pl.col("timestamp").dt.truncate("5m").alias("window_start")
    groups = events.group_by("business_unit", "currency", window)
    sums = groups.agg(total_cost=pl.sum("cost_amount").cast(MONEY), events=pl.len().cast(pl.Int64))
    return sums.sort("business_unit", "currency", "window_start")


def revenue(count: int) -> pl.DataFrame:
    """Business events at the times of costs."""
    renamed = costs(count, 3_000).rename({"cost_amount": "revenue_impact", "service": "feature"})
    return renamed.drop("resource_id").with_columns(
        event_type=pl.lit("order_placed"),
        user_id=pl.format("user-{}", "event_id"),
        revenue_impact=pl.col("revenue_impact") * 3,
    )


def use(days: int) -> pl.DataFrame:
    """One resource that does nothing, one that does all it can, one in between, hour by hour."""
    hours = pl.DataFrame({"hour": range(24 * days)})
    kinds = pl.DataFrame({"resource_id": ["idle", "busy", "usual"], "utilization": [0.01, 0.97, 0.6]})
    return hours.join(kinds, how="cross").select(
        event_id=pl.format("{}-{}", "resource_id", "hour"),
        timestamp=pl.datetime(2025, 10, 1, time_zone="UTC") + pl.duration(hours="hour"),
        event_type=pl.lit("resource_used"),
        service=pl.lit("compute"),
        resource_id="resource_id",
        resource_type=pl.lit("m5.large"),
        utilization="utilization",
        cost_estimate=pl.lit("0.10").cast(MONEY),
        business_unit=pl.lit("shop"),
        currency=pl.lit("USD"),
        observed_at=pl.datetime(2025, 11, 1, time_zone="UTC"),
    )


BAD = {
    b'{"event_id": "x", "timestamp": "2025-': "no valid JSON",
    b'{"event_id": "x", "timestamp": "soon", "cost_amount": "1", "currency": "USD"}': "timestamp is not an ISO 8601",
    b'{"event_id": "x", "timestamp": "2025-10-02T00:00:00Z", "cost_amount": "1.x", "currency": "USD"}': "not a number",
    b'{"event_id": "x", "timestamp": "2025-10-02T00:00:00Z", "cost_amount": "0.0000000000001", "currency": "USD"}':
        "more than 12 digits",
    b'{"event_id": "x", "timestamp": "2025-10-02T00:00:00Z", "cost_amount": "1", "currency": "dollars"}':
        "not a code of three letters",
    b'{"timestamp": "2025-10-02T00:00:00Z", "cost_amount": "1", "currency": "USD"}': "event_id is missing",
    b"[]": "no JSON object",
}  # fmt: skip


def closing(events: pl.DataFrame) -> pl.DataFrame:
    """One more event of each unit, long after its last."""
    last = events.unique("business_unit", keep="last", maintain_order=True)
    return last.with_columns(
        pl.format("closing-{}", "event_id"), timestamp=pl.lit(LONG_AFTER), observed_at=pl.lit(LONG_AFTER)
    )


def total(events: pl.DataFrame, amount: str) -> Decimal:
    return events[amount].cast(MONEY).sum()
