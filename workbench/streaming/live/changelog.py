"""The state of processors in its compacted topic: written with the outputs, read when a partition comes."""

import time
from collections import defaultdict
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, KafkaError, TopicPartition

from workbench.errors import BrokerError, BrokerRefused
from workbench.streaming.broker import Broker
from workbench.streaming.topics import STATE

Parts = dict[str, dict[str, bytes]]
"""Processor → unit → its part of the state."""

_SEPARATOR = "\x1f"
_AT_ONCE = 10_000
_PATIENCE_S = 0.1  # a call waits so long for a full batch


def key_of(processor: str, unit: str) -> bytes:
    """The key of a part: compaction keeps the last one of each."""
    return f"{processor}{_SEPARATOR}{unit}".encode()


def owner_of(key: bytes) -> tuple[str, str] | None:
    """The processor and the unit of a key; None where it is none of ours."""
    processor, separator, unit = key.decode(errors="replace").partition(_SEPARATOR)
    return (processor, unit) if separator else None


def read_parts(broker: Broker, partition: int) -> Parts:
    """Read the state of a partition from the topic: the last part of each processor and unit.

    Raises
    ------
    BrokerRefused
        A key that is none, or a part of the topic is gone.
    BrokerError
        The topic can't be read.
    """
    parts: Parts = defaultdict(dict)
    for key, value in read_state(broker, partition).items():
        owner = owner_of(key)
        if owner is None:
            raise BrokerRefused(
                f"{broker.topic(STATE)}, partition {partition}, holds a key that is no processor and unit: "
                f"{key[:80]!r}. Somebody else wrote there, and nothing was committed; `workbench stream reset "
                "--replay` begins anew"
            )
        parts[owner[0]][owner[1]] = value
    return dict(parts)


def read_state(broker: Broker, partition: int) -> dict[bytes, bytes]:
    """Read a partition of the topic as it is: key → its last value.

    Only what was committed is seen. Whoever wrote before must have been fenced, so that nothing is open.

    Raises
    ------
    BrokerRefused
        A part of the topic is gone.
    BrokerError
        The topic can't be read.
    """
    name = broker.topic(STATE)
    consumer = broker.consumer(broker.group("state"), **{"enable.partition.eof": True})
    found: dict[bytes, bytes] = {}
    try:
        _must_be_whole(broker, consumer, partition)
        consumer.assign([TopicPartition(name, partition, OFFSET_BEGINNING)])
        limit = time.monotonic() + broker.timeout_s
        while not _read_some(broker, consumer, found):
            if time.monotonic() > limit:
                raise BrokerError(f"the state in {name}, partition {partition}, can't be read: its end has not come in "
                                  f"{broker.timeout_s:g} s; {broker.advice}")  # fmt: skip
    finally:
        consumer.close()
    return found


def _must_be_whole(broker: Broker, consumer: Any, partition: int) -> None:  # noqa: ANN401
    """A Kafka compacts the topic, and keeps each key's last value; the embedded broker just drops what is old."""
    if not broker.keeps_bytes:
        return
    name = broker.topic(STATE)
    low, _ = broker.watermarks(consumer, name, partition)
    if low > 0:
        raise BrokerRefused(
            f"a part of the state in {name}, partition {partition}, is gone: the embedded broker keeps only the last "
            f"{broker.keeps_bytes // 1024 // 1024} MB of a partition, from offset {low} on. Nothing was committed; run "
            "again, which begins without a state, replay history by `workbench.streaming.replay`, or take a Kafka "
            "(broker.engine: kafka)"
        )


def _read_some(broker: Broker, consumer: Any, found: dict[bytes, bytes]) -> bool:  # noqa: ANN401
    """Take the next messages; whether that was all."""
    ended = False
    for message in consumer.consume(_AT_ONCE, timeout=_PATIENCE_S):
        error = message.error()
        if error is None:
            _book(found, message.key() or b"", message.value())
        elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 (its public name)
            ended = True
        elif not error.retriable():
            raise broker.error(error, f"reading {broker.topic(STATE)}")
    return ended


def _book(found: dict[bytes, bytes], key: bytes, value: bytes | None) -> None:
    if value is None:
        found.pop(key, None)
    else:
        found[key] = value
