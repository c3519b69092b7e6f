"""What customers do, and what it earns: events that follow the traffic, and fail when it fails."""

from datetime import timedelta
from typing import NamedTuple

import numpy as np
import polars as pl

from workbench.events import ids
from workbench.focus import TIME
from workbench.sources.simulate.bill import trillionths
from workbench.sources.simulate.estate import Estate
from workbench.sources.simulate.flow import Flow
from workbench.sources.simulate.seeds import rng

PEOPLE = 40_000
IMPATIENCE = 0.35
"""How much of the will to buy is gone when a page takes twice as long as it should (1 - exp of it)."""


class Stream(NamedTuple):
    """A kind of event."""

    event_type: str
    feature: str
    action: str
    unit: str
    per_order: float
    usd: float
    """Median of what it earns; negative: it is given back."""
    spread: float
    """Sigma of the lognormal; 0: always the same amount."""


STREAMS = (
    Stream("purchase", "checkout", "completed_purchase", "checkout", 1.0, 38.0, 0.55),
    Stream("refund", "checkout", "refunded_purchase", "checkout", 0.04, -34.0, 0.5),
    Stream("subscription", "membership", "renewed_membership", "storefront", 0.12, 9.99, 0.0),
    Stream("ad_click", "sponsored_results", "clicked_sponsored_result", "search", 0.6, 0.45, 0.5),
    Stream("fee", "instalments", "chose_instalments", "payments", 0.08, 3.5, 0.3),
    Stream("fee", "express_delivery", "chose_express_delivery", "logistics", 0.15, 4.9, 0.0),
    Stream("feature_usage", "recommendations", "followed_recommendation", "ml-research", 0.5, 0.0, 0.0),
)


def will_to_buy(estate: Estate, flow: Flow, calm_latency_s: np.ndarray) -> np.ndarray:
    """Return the orders that are expected in each minute.

    Users who come through, as long as the checkout works, less those who are tired of waiting; at the estate's base
    level it comes to `orders_per_day`.

    Parameters
    ----------
    calm_latency_s
        Latency of each workload when nothing is wrong, shape (workloads,).
    """
    entries = estate.entries
    base = sum(estate.workloads[at].users for at in entries) * 1_440 * 0.6
    slow = np.maximum(flow.latency_s[entries] / calm_latency_s[entries, None] - 1.0, 0.0)
    users = flow.requests[entries] * (1.0 - flow.failed[entries]) * np.exp(-IMPATIENCE * slow)
    names = {workload.name: at for at, workload in enumerate(estate.workloads)}
    works = 1.0
    if "checkout" in names:
        at = names["checkout"]
        works = (1.0 - flow.failed[at]) * np.exp(
            -IMPATIENCE * np.maximum(flow.latency_s[at] / calm_latency_s[at] - 1.0, 0.0)
        )
    return np.asarray(users.sum(axis=0) * works * estate.orders_per_day / base)


def revenue_per_order() -> float:
    """Return what an order brings on average, with all that comes with it, in USD."""
    return sum(stream.per_order * stream.usd * float(np.exp(0.5 * stream.spread**2)) for stream in STREAMS)


def events(estate: Estate, orders: np.ndarray, first_minute: int) -> pl.DataFrame:
    """Return business events (`events.BUSINESS` without `loaded_at`), by time.

    Parameters
    ----------
    orders
        Expected orders a minute.
    first_minute
        Of `orders`, from the estate's start.
    """
    parts = [_events(estate, stream, number, orders, first_minute) for number, stream in enumerate(STREAMS)]
    return pl.concat(parts).sort("timestamp", "event_id")


def _events(estate: Estate, stream: Stream, number: int, orders: np.ndarray, first_minute: int) -> pl.DataFrame:
    noise = rng(estate.seed, "business", number, first_minute)
    count = noise.poisson(orders * stream.per_order)
    minute = np.repeat(np.arange(len(orders)), count) + first_minute
    total = len(minute)
    at = minute * 60_000_000 + noise.integers(0, 60_000_000, total)
    cents = np.rint(stream.usd * 100 * np.exp(stream.spread * noise.standard_normal(total))).astype(np.int64)
    people = np.minimum((PEOPLE * noise.random(total) ** 2).astype(np.int64), PEOPLE - 1)  # some come often
    stamps = pl.lit(estate.start, TIME) + pl.lit(pl.Series(at)).cast(pl.Duration("us"))
    frame = pl.select(timestamp=stamps).with_columns(
        event_type=pl.lit(stream.event_type),
        user_id=pl.format("u-{}", pl.lit(pl.Series(people)).cast(pl.String).str.zfill(5)),
        feature=pl.lit(stream.feature),
        action=pl.lit(stream.action),
        revenue_impact=pl.lit(trillionths(cents * 10_000_000_000)),
        business_unit=pl.lit(stream.unit),
        metadata=pl.lit('{"channel": "shop"}'),
        currency=pl.lit("USD"),
        observed_at=pl.col("timestamp") + timedelta(seconds=2),
        number=pl.int_range(pl.len()).cast(pl.String),
    )
    key = ["timestamp", "user_id", "feature", "action", "number"]
    return frame.with_columns(event_id=ids(frame, key)).drop("number").select(COLUMNS)


COLUMNS = ("event_id", "timestamp", "event_type", "user_id", "feature", "action", "revenue_impact", "business_unit",
           "metadata", "currency", "observed_at")  # fmt: skip
