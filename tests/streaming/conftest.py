"""Brokers to test against: the embedded one always, a real Kafka where there can be one."""

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from workbench import events
from workbench.settings import KafkaBroker
from workbench.streaming.broker import Broker
from workbench.streaming.clusters import EmbeddedCluster, KafkaCluster
from workbench.streaming.feed import Values, values_of
from workbench.streaming.topics import COST, ROAD, SCHEMA_VERSION

from tests.real.kafka.fixture import kafka_address  # noqa: F401  isort: skip

DAY = datetime(2025, 10, 1, tzinfo=UTC)


def costs(count: int, prefix: str = "e", unit: str = "shop", amount: str = "1.5") -> pl.DataFrame:
    """Cost events `prefix-0`, `prefix-1` …, one an hour."""
    at = pl.int_range(count, eager=True)
    return pl.DataFrame(
        {
            "event_id": [f"{prefix}-{number}" for number in range(count)],
            "timestamp": pl.select(pl.lit(DAY) + pl.duration(hours=at % 500)).to_series(),
            "event_type": ["cloud_cost_incurred"] * count,
            "service": ["compute"] * count,
            "cost_amount": [Decimal(amount)] * count,
            "business_unit": [unit] * count,
            "metadata": ["{}"] * count,
            "currency": ["USD"] * count,
            "observed_at": [datetime(2025, 11, 1, tzinfo=UTC)] * count,
        },
        schema={name: events.COST[name] for name in ("event_id", "timestamp", "event_type", "service", "cost_amount",
                                                     "business_unit", "metadata", "currency", "observed_at")},
    )  # fmt: skip


def send_raw(broker: Broker, messages: Sequence[dict[str, Any]]) -> None:
    """Send messages as somebody else would: any bytes, any header, any key."""
    producer = broker.producer(1_000_000)
    for message in messages:
        producer.produce(broker.topic(COST), **{"headers": [("schema_version", SCHEMA_VERSION.encode())], **message})
    assert producer.flush(20) == 0


def good_values(count: int, prefix: str = "e") -> Values:
    return values_of(costs(count, prefix))


def wait_for(what: Callable[[], bool], seconds: float = 20) -> None:
    limit = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < limit, "it did not happen in time"
        time.sleep(0.02)


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.real)])
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """Each kind of broker, its topics made; on a real one under a prefix of this test's own."""
    made: Broker = EmbeddedCluster() if request.param == "embedded" else real(request.getfixturevalue("kafka_address"))
    with made:
        made.prepare(ROAD)
        yield made


@pytest.fixture
def embedded() -> Iterator[Broker]:
    with EmbeddedCluster(timeout_s=3) as made:
        made.prepare(ROAD)
        yield made


def real(address: str, **more: Any) -> KafkaCluster:
    settings = {"bootstrap_servers": address, "topic_prefix": f"t{uuid.uuid4().hex[:8]}-", **more}
    return KafkaCluster(KafkaBroker(**settings))
