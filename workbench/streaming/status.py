"""What lies in the topics, and how far a group has read."""

import polars as pl
from confluent_kafka import TopicPartition

from workbench.streaming.broker import Broker
from workbench.streaming.topics import INPUTS, OUTPUTS, ROAD, STATE

SCHEMA = pl.Schema(
    {"topic": pl.String(), "partition": pl.Int64(), "low": pl.Int64(), "high": pl.Int64(), "committed": pl.Int64(),
     "lag": pl.Int64()}
)  # fmt: skip


def topics_status(broker: Broker, group: str) -> pl.DataFrame:
    """One row a partition of each topic by contract that is there.

    `low` is the first offset that is still there, `high` the one after the last, `committed` the next that the group
    will read (null: it has read nothing), `lag` how many it has not read (for inputs).
    """
    there = broker.partitions((*ROAD, *OUTPUTS, STATE))
    inputs = {broker.topic(topic) for topic in INPUTS.values()}
    consumer = broker.consumer(broker.group(group))
    rows = []
    try:
        for name, count in sorted(there.items()):
            asked = [TopicPartition(name, partition) for partition in range(count)]
            for place in broker.committed(consumer, asked):
                low, high = broker.watermarks(consumer, name, place.partition)
                committed = place.offset if place.offset >= 0 else None
                lag = high - max(low, committed or 0) if name in inputs else None
                rows.append((name, place.partition, low, high, committed, lag))
    finally:
        consumer.close()
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")
