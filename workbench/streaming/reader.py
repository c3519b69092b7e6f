"""Reading a topic from where it was left, and noticing what is missing."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from confluent_kafka import KafkaError, TopicPartition

from workbench.errors import BrokerError, BrokerUnavailable
from workbench.streaming.broker import Broker
from workbench.streaming.pace import Pace
from workbench.streaming.topics import Topic

Offsets = Mapping[int, int]
"""Partition → the next offset to read."""

_BATCH = 50_000
_BATCH_BYTES = 32_000_000
_AT_ONCE = 10_000
_UNSEEN = 2**62
_PATIENCE_S = 0.05  # how long a batch waits for more, once it holds something


class TopicReader:
    """All partitions of a topic, from the offsets that its group has committed.

    Not a member that shares its partitions with others: each reader reads everything, because who loads a bill waits
    for its own events. Two at once are harmless, since an event that comes twice changes nothing.
    """

    def __init__(self, broker: Broker, topic: Topic, group: str, pace: Pace | None = None) -> None:
        self._broker = broker
        self._name = broker.topic(topic)
        self._pace = pace
        count = broker.partitions([topic]).get(self._name, 0)
        if not count:
            raise BrokerError(f"there is no topic {self._name} at {broker.address}; `workbench ingest` makes it")
        self._consumer = broker.consumer(broker.group(group), **{"enable.partition.eof": True})
        self._ended: set[int] = set()
        self.ends_before: dict[int, int] = {}
        """Partition → the offset after its last message, when reading began."""
        self._next = {partition: self._start(partition, at) for partition, at in self._committed(count).items()}
        self.first: Offsets = dict(self._next)
        """Where reading began."""
        self._consumer.assign([TopicPartition(self._name, *place) for place in self._next.items()])
        self._heard = time.monotonic()

    @property
    def position(self) -> dict[int, int]:
        """Partition → the next offset."""
        return dict(self._next)

    @property
    def membership(self) -> Any:  # noqa: ANN401 (confluent_kafka's group metadata)
        """What a transaction needs to commit offsets of our group."""
        return self._consumer.consumer_group_metadata()

    def ends(self) -> dict[int, int]:
        """Partition → the offset after its last message, as the broker says now."""
        return {partition: self._watermarks(partition)[1] for partition in self._next}

    def until_end(self) -> Offsets:
        """Where to stop so that each partition is read once to the end of what is committed there (`Loop.run`).

        The offset after a topic's last message says less: where transactions are, it counts their marks and what is
        not committed yet, which no reader is given. Where the end hasn't been seen yet it is out of reach.
        """
        return {partition: at if partition in self._ended else _UNSEEN for partition, at in self._next.items()}

    def batch(self) -> list[Any]:
        """Take the next messages, at most some tens of thousands or megabytes; none where there are none just now.

        Raises
        ------
        BrokerError
            Messages have been deleted before they were read.
        BrokerUnavailable
            Nothing has been heard for too long.
        """
        taken: list[Any] = []
        size = 0
        while len(taken) < _BATCH and size < _BATCH_BYTES:
            some = self._consumer.consume(min(_AT_ONCE, _BATCH - len(taken)), timeout=_PATIENCE_S)
            messages = self._good(some)
            if messages:
                size += self._arrived(messages)
                taken += messages
            self._note_ends(some)
            if not some:
                break
        return taken

    def expect_more(self) -> None:
        """Raise BrokerUnavailable if there should be more, but nothing has come for too long."""
        if (silent := time.monotonic() - self._heard) > self._broker.timeout_s:
            raise BrokerUnavailable(
                f"nothing has come from {self._name} for {silent:.0f} s, though there is more to read at offsets "
                f"{self._next}: the broker at {self._broker.address} is down or out of reach; {self._broker.advice}. "
                "What was not committed is read again next time"
            )

    def commit(self, offsets: Offsets) -> None:
        """Remember that everything before these offsets is done."""
        places = [TopicPartition(self._name, *place) for place in offsets.items()]
        for place in self._broker.told(self._consumer.commit, offsets=places, asynchronous=False) if places else []:
            if place.error:
                raise self._broker.error(place.error, f"{self._name} can't be committed")

    def close(self) -> None:
        """Let go."""
        self._consumer.close()

    def _good(self, messages: list[Any]) -> list[Any]:
        """The messages among what has come; an error that matters is raised."""
        wrong = [message for message in messages if message.error() is not None]
        if not wrong:
            return messages
        for message in wrong:
            error = message.error()
            if error.name() == "_AUTO_OFFSET_RESET":
                raise self._lost(message.partition())
            if error.fatal() or (not error.retriable() and error.name() not in _PASSING):
                raise self._broker.error(error, f"reading {self._name}")
        return [message for message in messages if message.error() is None]

    def _note_ends(self, messages: Sequence[Any]) -> None:
        """An end is said after the last message: what lies between the two are marks of transactions."""
        for message in messages:
            if message.error() is not None and message.error().code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
                self._heard = time.monotonic()
                self._ended.add(message.partition())
                self._next[message.partition()] = max(self._next[message.partition()], message.offset())

    def _arrived(self, messages: Sequence[Any]) -> int:
        """Book what has come in: no offset may be missing. Returns its bytes."""
        self._heard = time.monotonic()
        partitions = np.array([message.partition() for message in messages])
        offsets = np.array([message.offset() for message in messages])
        for partition in np.unique(partitions).tolist():
            self._follow(partition, offsets[partitions == partition])
        size = sum(map(len, messages))
        if self._pace:
            self._pace.taken(size)
        return size

    def _follow(self, partition: int, offsets: "np.ndarray[Any, Any]") -> None:
        """A gap may be the mark of a transaction; on the embedded broker, or below all that is left, it is loss."""
        expected = self._next[partition]
        if offsets[0] != expected and self._watermarks(partition)[0] > expected:
            raise self._lost(partition)
        if self._broker.keeps_bytes and (offsets[0] != expected or offsets[-1] - offsets[0] != len(offsets) - 1):
            raise self._lost(partition)
        self._next[partition] = int(offsets[-1]) + 1

    def _committed(self, count: int) -> dict[int, int]:
        asked = [TopicPartition(self._name, partition) for partition in range(count)]
        found = self._broker.committed(self._consumer, asked)
        return {place.partition: place.offset for place in found}

    def _start(self, partition: int, committed: int) -> int:
        """The committed offset, or the first that is there: when nothing was committed, or the topic was made anew."""
        low, high = self._watermarks(partition)
        self.ends_before[partition] = high
        if committed < 0 and self._broker.keeps_bytes:
            committed = 0  # it was empty when the run began
        if committed < 0 or committed > high:
            return low
        if low > committed:
            self._next = {partition: committed}
            raise self._lost(partition)
        return committed

    def _watermarks(self, partition: int) -> tuple[int, int]:
        return self._broker.watermarks(self._consumer, self._name, partition)

    def _lost(self, partition: int) -> BrokerError:
        low, expected = self._watermarks(partition)[0], self._next[partition]
        what = f"messages of {self._name}, partition {partition}, are lost: the next to read is {expected}, but "
        if self._broker.keeps_bytes:
            return BrokerError(
                f"{what}the embedded broker keeps only the last {self._broker.keeps_bytes // 1024 // 1024} MB of a "
                f"partition, from {low} on. Load the sources again, which does no harm; for producers that do not "
                "wait, take a Kafka (broker.engine: kafka)"
            )
        return BrokerError(
            f"{what}the broker has deleted all before {low}. Give the topic a longer retention.ms, set the group "
            f"{self._broker.group('…')} to the earliest offset (kafka-consumer-groups --reset-offsets --to-earliest), "
            "and load the sources again, which does no harm"
        )


_PASSING = {"_TRANSPORT", "_ALL_BROKERS_DOWN", "_TIMED_OUT", "_RESOLVE", "_WAIT_COORD", "_PARTITION_EOF"}
"""Errors after which librdkafka goes on by itself; a broker that stays away is noticed by the clock."""


@contextmanager
def reading(broker: Broker, topic: Topic, group: str, pace: Pace | None = None) -> Iterator[TopicReader]:
    """A reader that is let go at the end."""
    reader = TopicReader(broker, topic, group, pace)
    try:
        yield reader
    finally:
        reader.close()
