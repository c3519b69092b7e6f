"""Exactly once, on a real Kafka: members are killed at random moments, and no output is lost or doubled."""

import random
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl
import pytest
from confluent_kafka import OFFSET_BEGINNING, Message, TopicPartition

from tests.real.kafka.fixture import kafka_address  # noqa: F401
from workbench.errors import BrokerError
from workbench.settings import KafkaBroker
from workbench.streaming.broker import Broker
from workbench.streaming.clusters import KafkaCluster
from workbench.streaming.decode import decode
from workbench.streaming.feed import Feed, values_of
from workbench.streaming.live.changelog import key_of, read_parts
from workbench.streaming.live.service import Service, watched
from workbench.streaming.processors.windows import Windows
from workbench.streaming.topics import COST, OUTPUTS, ROAD, STATE, Topic

WORKER = Path(__file__).with_name("worker.py")
SUMS = Topic("finops.cost.aggregations")
pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def broker(kafka_address: str) -> Iterator[Broker]:  # noqa: F811
    prefix = f"t{uuid.uuid4().hex[:8]}-"
    with KafkaCluster(KafkaBroker(bootstrap_servers=kafka_address, topic_prefix=prefix)) as broker:
        broker.prepare((*ROAD, *OUTPUTS, STATE))
        yield broker


def costs(count: int, units: int = 20) -> pl.DataFrame:
    """One event every 3 seconds, of one unit after the other, some of them late."""
    at = pl.int_range(count, eager=True)
    late = pl.when(pl.col("at") % 97 == 0).then(1_800).otherwise(0)
    return pl.DataFrame({"at": at}).select(
        event_id=pl.format("e-{}", "at"),
        timestamp=pl.datetime(2025, 10, 1, time_zone="UTC") + pl.duration(seconds=pl.col("at") * 3 - late),
        event_type=pl.lit("cloud_cost_incurred"),
        service=pl.format("service-{}", pl.col("at") % 3),
        cost_amount=(pl.col("at") % 1000).cast(pl.Decimal(38, 12)) / 100,
        business_unit=pl.format("unit-{}", pl.col("at") % units),
        metadata=pl.lit("{}"),
        currency=pl.lit("USD"),
        observed_at=pl.datetime(2025, 11, 1, time_zone="UTC"),
    )


def send(broker: Broker, frame: pl.DataFrame) -> None:
    feed = Feed(broker, COST, [frame])
    feed.run()
    assert feed.done


def read_all(broker: Broker, topic: Topic) -> pl.DataFrame:
    parts = [messages_of(broker, topic, partition) for partition in range(4)]
    return as_read([message.value() for part in parts for message in part])


def undisturbed(broker: Broker) -> pl.DataFrame:
    """The same step over the same messages, partition by partition in one batch each, without any trouble."""
    told = []
    for partition in range(4):
        messages = messages_of(broker, COST, partition)
        processor = Windows()
        outputs, _ = processor.step({"cost": decode(messages, "cost").valid}, processor.empty())
        told.append(outputs[SUMS.name])
    return as_read(values_of(pl.concat(told)).values)


def messages_of(broker: Broker, topic: Topic, partition: int) -> list[Message]:
    """All messages of a partition that a reader of committed messages sees, in their order."""
    consumer = broker.consumer(f"look-{uuid.uuid4().hex}", **{"enable.partition.eof": True})
    consumer.assign([TopicPartition(broker.topic(topic), partition, OFFSET_BEGINNING)])
    found: list[Message] = []
    limit = time.monotonic() + 30
    ended = False
    while not ended:
        assert time.monotonic() < limit
        for message in consumer.consume(10_000, timeout=0.2):
            ended |= message.error() is not None
            found += [message] if message.error() is None else []
    consumer.close()
    return found


def as_read(values: Sequence[bytes]) -> pl.DataFrame:
    frame = pl.read_ndjson(b"\n".join(values)) if values else pl.DataFrame()
    return frame.sort("business_unit", "window_start", "revision") if frame.height else frame


def start(broker: Broker, address: str, batch: int = 500) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, str(WORKER), address, broker.prefix, str(batch)])


def wait_until_read(broker: Broker, seconds: float) -> None:
    """Until the group has committed all that is in the topic."""
    consumer = broker.consumer(broker.group("live"))
    limit = time.monotonic() + seconds
    while True:
        places = consumer.committed([TopicPartition(broker.topic(COST), p) for p in range(4)], timeout=10)
        ends = [broker.watermarks(consumer, broker.topic(COST), place.partition)[1] for place in places]
        if all(max(place.offset, 0) >= end for place, end in zip(places, ends, strict=True)):
            consumer.close()
            return
        assert time.monotonic() < limit, f"committed {[place.offset for place in places]} of {ends}"
        time.sleep(0.2)


def test_killed_members_lose_nothing_and_double_nothing(broker: Broker, kafka_address: str) -> None:  # noqa: F811
    chance = random.Random(7)
    frame = costs(60_000)
    send(broker, frame.head(20_000))
    members = [start(broker, kafka_address), start(broker, kafka_address)]
    try:
        for part in range(8):
            time.sleep(chance.uniform(0.5, 3.0))
            send(broker, frame.slice(20_000 + part * 5_000, 5_000))
            victim = chance.randrange(2)
            members[victim].kill()
            members[victim].wait()
            members[victim] = start(broker, kafka_address)
        wait_until_read(broker, 90)
    finally:
        for member in members:
            member.kill()
            member.wait()
    found, exact = read_all(broker, SUMS), undisturbed(broker)
    assert found.height > 1_000
    assert found.equals(exact)
    assert found["delta_cost"].cast(pl.Decimal(38, 12)).sum() == exact["delta_cost"].cast(pl.Decimal(38, 12)).sum()


def test_the_state_goes_on_where_it_was_and_a_second_member_takes_its_share(
    broker: Broker,
    kafka_address: str,  # noqa: F811
) -> None:
    frame = costs(9_000)
    send(broker, frame.head(4_000))
    first = start(broker, kafka_address)
    try:
        wait_until_read(broker, 60)
        first.terminate()
        first.wait(20)
        parts = [read_parts(broker, partition) for partition in range(4)]
        assert sum(len(part.get("windows", {})) for part in parts) == 20
        send(broker, frame.slice(4_000))
        others = [start(broker, kafka_address), start(broker, kafka_address)]
        try:
            wait_until_read(broker, 60)
        finally:
            for other in others:
                other.kill()
                other.wait()
    finally:
        first.kill()
        first.wait()
    assert read_all(broker, SUMS).equals(undisturbed(broker))


def test_a_state_that_cannot_be_read_is_an_error_with_a_way_out_and_commits_nothing(broker: Broker) -> None:
    producer = broker.producer()
    producer.produce(broker.topic(STATE), b"poison", key_of("windows", "unit-1"), partition=1)
    assert producer.flush(10) == 0
    send(broker, costs(500))
    service = Service(broker, [Windows()], "live", batch_s=0.1)
    with pytest.raises(BrokerError, match=r"unit-1.*can't be read.*stream reset"):
        service.run()
    consumer = broker.consumer(broker.group("live"))
    places = consumer.committed([TopicPartition(broker.topic(COST), partition) for partition in range(4)], timeout=10)
    assert all(place.offset < 0 for place in places)
    consumer.close()


def test_it_tells_how_it_is_doing(broker: Broker) -> None:
    import json
    import threading
    import urllib.request

    send(broker, costs(2_000))
    service = Service(broker, [Windows()], "live", batch=500, batch_s=0.1)
    with watched(service, "127.0.0.1", 0) as address:
        with pytest.raises(urllib.error.HTTPError, match="503"):
            urllib.request.urlopen(f"{address}/healthz")  # noqa: S310
        thread = threading.Thread(target=service.run)
        thread.start()
        try:
            limit = time.monotonic() + 60
            while service.counts.read < 2_000 and time.monotonic() < limit:
                time.sleep(0.1)
            told = json.load(urllib.request.urlopen(f"{address}/healthz"))  # noqa: S310
            metrics = urllib.request.urlopen(f"{address}/metrics").read().decode()  # noqa: S310
        finally:
            service.stop()
            thread.join(20)
    assert told["healthy"]
    assert told["partitions"] == [0, 1, 2, 3]
    assert told["read"] == 2_000
    assert "workbench_stream_read_total 2000.0" in metrics
