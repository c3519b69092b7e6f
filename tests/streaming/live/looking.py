"""Sending a stream of costs, and looking at what a reader of committed messages sees."""

import time
import uuid

import polars as pl
from confluent_kafka import OFFSET_BEGINNING, Message, TopicPartition

from workbench.streaming.broker import Broker
from workbench.streaming.feed import Feed
from workbench.streaming.topics import COST, Topic


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
    """Send all of it."""
    feed = Feed(broker, COST, [frame])
    feed.run()
    assert feed.done


def read_all(broker: Broker, topic: Topic) -> pl.DataFrame:
    """All records of a topic."""
    values = [message.value() for partition in range(4) for message in messages_of(broker, topic, partition)]
    frame = pl.read_ndjson(b"\n".join(values)) if values else pl.DataFrame()
    return frame.sort("business_unit", "window_start", "revision") if frame.height else frame


def messages_of(broker: Broker, topic: Topic, partition: int) -> list[Message]:
    """All messages of a partition, in their order."""
    consumer = broker.consumer(f"look-{uuid.uuid4().hex}", **{"enable.partition.eof": True})
    consumer.assign([TopicPartition(broker.topic(topic), partition, OFFSET_BEGINNING)])
    found: list[Message] = []
    limit, ended = time.monotonic() + 30, False
    while not ended:
        assert time.monotonic() < limit
        for message in consumer.consume(10_000, timeout=0.2):
            ended |= message.error() is not None
            found += [message] if message.error() is None else []
    consumer.close()
    return found
