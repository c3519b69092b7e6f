"""The state of processors in its compacted topic: written with the outputs, read when a partition comes."""

import time
from collections import defaultdict
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, KafkaError, TopicPartition

from workbench.errors import BrokerError
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


def read_parts(broker: Broker, partition: int) -> Parts:
    """Read the state of a partition from the topic: the last part of each processor and unit.

    Only what was committed is seen. Whoever wrote before must have been fenced, so that nothing is open.

    Raises
    ------
    BrokerError
        A key that is none, or the topic can't be read.
    """
    name = broker.topic(STATE)
    consumer = broker.consumer(broker.group("state"), **{"enable.partition.eof": True})
    found: dict[bytes, bytes] = {}
    try:
        consumer.assign([TopicPartition(name, partition, OFFSET_BEGINNING)])
        limit = time.monotonic() + broker.timeout_s
        while not _read_some(broker, consumer, found):
            if time.monotonic() > limit:
                raise BrokerError(f"the state in {name}, partition {partition}, can't be read: its end has not come in "
                                  f"{broker.timeout_s:g} s; {broker.advice}")  # fmt: skip
    finally:
        consumer.close()
    parts: Parts = defaultdict(dict)
    for key, value in found.items():
        processor, separator, unit = key.decode(errors="replace").partition(_SEPARATOR)
        if not separator:
            raise BrokerError(
                f"{name}, partition {partition}, holds a key that is no processor and unit: {key[:80]!r}. Somebody "
                "else wrote there; `workbench stream reset` begins anew"
            )
        parts[processor][unit] = value
    return dict(parts)


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
