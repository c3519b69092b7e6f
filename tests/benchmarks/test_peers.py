"""The peers of the bench `stream` do the work they are compared by: their sums are exact, late events included."""

import json
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from benchmarks.peers import commands
from benchmarks.peers.commands import Run
from tests.real.kafka.fixture import kafka_address  # noqa: F401
from workbench.settings import KafkaBroker
from workbench.streaming.broker import Broker
from workbench.streaming.clusters import KafkaCluster
from workbench.streaming.feed import Feed
from workbench.streaming.topics import COST, OUTPUTS, ROAD, Topic

WINDOWS = Topic("finops.cost.aggregations")
MONEY = pl.Decimal(38, 12)
LONG_AFTER = datetime(2025, 10, 9, tzinfo=UTC)
real = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(400)]


def costs(count: int, latest: int, units: int = 20) -> pl.DataFrame:
    """One event every 2 seconds in two currencies; some come up to an hour late, a few come `latest` seconds late."""
    at = pl.col("at")
    late = pl.when(at % 2_003 == 2_002).then(latest).when(at % 97 == 96).then(at % 3_600).otherwise(0)
    return pl.DataFrame({"at": pl.int_range(count, eager=True)}).select(
        event_id=pl.format("e-{}", at),
        timestamp=pl.datetime(2025, 10, 2, time_zone="UTC") + pl.duration(seconds=at * 2 - late, milliseconds=at % 997),
        event_type=pl.lit("cloud_cost_incurred"),
        service=pl.format("service \"{}\"", at % 3),
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


@pytest.fixture
def brokers(kafka_address: str) -> Iterator[tuple[Broker, Broker]]:  # noqa: F811
    """One for what goes in, one for what comes out."""
    name = f"t{uuid.uuid4().hex[:8]}"
    with (
        KafkaCluster(KafkaBroker(bootstrap_servers=kafka_address, topic_prefix=f"{name}-in-")) as given,
        KafkaCluster(KafkaBroker(bootstrap_servers=kafka_address, topic_prefix=f"{name}-out-")) as told,
    ):
        given.prepare(ROAD)
        told.prepare(OUTPUTS)
        yield given, told


@contextmanager
def running(peer: str, given: Broker, told: Broker, folder: Path, **more: int) -> Iterator[Run]:
    """A peer that reads; at the end it has to close by itself."""
    run = Run(given.address, f"{told.prefix}{peer}", given.prefix, told.prefix, folder, **more)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(commands.command(peer, run), stdout=log, stderr=log)
    try:
        wait_for(lambda: process.poll() is not None or "READY" in (folder / "log").read_text(), 120)
        assert process.poll() is None, (folder / "log").read_text()
        yield run
        process.send_signal(signal.SIGTERM)
        assert process.wait(40) in {0, 143, -signal.SIGTERM}, (folder / "log").read_text()
    finally:
        process.kill()
        process.wait()


def wait_for(what: Callable[[], bool], seconds: float) -> None:
    limit = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < limit, "it did not happen in time"
        time.sleep(0.1)


def all_committed(broker: Broker, group: str, *topics: Topic) -> bool:
    """Whether a group has committed all that its topics hold."""
    consumer = broker.consumer(group)
    try:
        for topic in topics:
            parts = [TopicPartition(broker.topic(topic), partition) for partition in range(4)]
            for part in consumer.committed(parts, timeout=10):
                if max(part.offset, 0) < broker.watermarks(consumer, part.topic, part.partition)[1]:
                    return False
        return True
    finally:
        consumer.close()


def read_all(broker: Broker, topic: Topic) -> list[dict[str, object]]:
    """The JSON of all messages that a reader of committed messages sees, by partition, in order."""
    consumer: Consumer = broker.consumer("reader", **{"enable.partition.eof": True})
    consumer.assign([TopicPartition(broker.topic(topic), partition, OFFSET_BEGINNING) for partition in range(4)])
    found, ended = [], 0
    while ended < 4:
        for message in consumer.consume(10_000, timeout=5):
            if message.error():
                ended += 1
            else:
                found.append(json.loads(message.value()))
    consumer.close()
    return found


def last_sums(records: list[dict[str, object]]) -> pl.DataFrame:
    """What the last record of each window says."""
    frame = pl.DataFrame(records, infer_schema_length=None).select(
        "business_unit",
        "currency",
        pl.col("window_start").str.to_datetime("%+", time_unit="us", time_zone="UTC"),
        pl.col("total_cost").cast(MONEY),
        pl.col("events").cast(pl.Int64),
    )
    key = ["business_unit", "currency", "window_start"]
    return frame.unique(key, keep="last", maintain_order=True).sort(key)


def closing(events: pl.DataFrame) -> pl.DataFrame:
    """One more event of each unit, long after its last."""
    last = events.unique("business_unit", keep="last", maintain_order=True)
    return last.with_columns(
        pl.format("closing-{}", "event_id"), timestamp=pl.lit(LONG_AFTER), observed_at=pl.lit(LONG_AFTER)
    )


@pytest.mark.parametrize(
    ("peer", "latest"),
    [
        pytest.param("sum", 86_400, marks=real),
        pytest.param("quixstreams_sum", 86_400, marks=real),
        pytest.param("quixstreams_sum_closed", 3_000, marks=real),
    ],
)
def test_a_peers_five_minute_sums_are_exact_late_events_included(
    peer: str, latest: int, brokers: tuple[Broker, Broker], tmp_path: Path
) -> None:
    if lacking := commands.missing(peer):
        pytest.skip(lacking)
    given, told = brokers
    events = costs(20_000, latest)
    with running(peer, given, told, tmp_path) as run:
        feed = Feed(given, COST, [events, closing(events)])
        feed.run()
        assert feed.done
        wait_for(lambda: all_committed(given, run.application, COST), 120)
    found = last_sums(read_all(told, WINDOWS))
    assert found.filter(pl.col("window_start") < LONG_AFTER).equals(exact_sums(events))
