"""A member of the group: partitions come and go, batches are stepped and committed, one transaction each."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from confluent_kafka import KafkaException, Message, TopicPartition

from workbench.errors import BrokerError
from workbench.streaming.broker import Broker
from workbench.streaming.decode import unpacked
from workbench.streaming.live.hands import Hands
from workbench.streaming.live.task import PartitionTask, Step
from workbench.streaming.parcels import AT_ONCE, Parcel, parcels
from workbench.streaming.processors.processor import Processor
from workbench.streaming.swift import Sweeper, no_collection, swift_switches
from workbench.streaming.topics import INPUTS

SESSION_MS = 10_000
BATCH = 50_000
"""Messages of a batch at most: what a step costs beside its events is shared by so many."""
MOST_UNDER_WAY = 3
"""Parts of batches that are stepped and committed at a time, while the next batch is read."""
STUCK_S = 45.0
"""A transaction that is neither through nor refused after so long is given up: its client had 30 s to say so."""
LAG_EVERY_S = 2.0


@dataclass
class Counts:
    """What has been done since the start, for whoever watches."""

    read: int = 0
    dead: int = 0
    written: int = 0
    transactions: int = 0
    partitions: list[int] = field(default_factory=list)
    lag: dict[tuple[str, int], int] = field(default_factory=dict)
    """Topic and partition → messages that wait."""
    polled: float = 0.0
    """When the broker was last asked, in monotonic seconds."""
    restarts: int = 0


class Done(NamedTuple):
    """What a transaction came to, in messages."""

    read: int
    dead: int
    written: int


class Member:
    """One consumer of the group, with a task for each partition that it holds.

    A partition is the same number in all input topics: the range assignor gives them to one member together, because
    all have the same number of partitions. A failed transaction ends the membership: whoever calls `run` joins again,
    and reads state and offsets as they were committed.
    """

    def __init__(
        self, broker: Broker, processors: Sequence[Processor], group: str, *, batch: int = BATCH,
        batch_s: float = 0.5, counts: Counts | None = None,
    ) -> None:  # fmt: skip
        self.broker, self.processors, self.group = broker, processors, group
        self.batch, self.batch_s = batch, batch_s
        self.counts = counts or Counts()
        kinds = sorted({kind for processor in processors for kind in processor.kinds})
        self.topics = {broker.topic(INPUTS[kind]): kind for kind in kinds}
        self.columns = {name for processor in processors for name in processor.columns}
        self._tasks: dict[int, PartitionTask] = {}
        self._under_way: dict[int, Future[Done]] = {}
        self._trouble: BaseException | None = None
        self._looked = 0.0

    def run(self, stopped: Callable[[], bool], idle_s: float = 60.0) -> None:
        """Read, step and commit until `stopped()`.

        Parameters
        ----------
        stopped
            Asked between batches.
        idle_s
            After so long without a message of any partition the clock closes what waits.

        Raises
        ------
        BrokerError
            Something was not committed; nothing of it is seen. Run again.
        """
        consumer = self._joined()
        hands = Hands()
        with no_collection(), swift_switches():
            try:
                self._go_on(consumer, hands, stopped, idle_s)
                self._settle_all()
            finally:
                self._leave(consumer)

    def _go_on(self, consumer: Any, hands: Hands, stopped: Callable[[], bool], idle_s: float) -> None:  # noqa: ANN401
        heard, sweeper = time.monotonic(), Sweeper()
        while not stopped():
            given = self._taken(consumer)
            self._settle_done()
            self._look_at_lag(consumer)
            if given:
                heard = time.monotonic()
                self._work(consumer, given, hands)
            elif time.monotonic() - heard > idle_s:
                heard = time.monotonic()
                self._advance(consumer, hands)
            del given
            sweeper.sweep()

    def _joined(self) -> Any:  # noqa: ANN401
        consumer = self.broker.consumer(
            self.broker.group(self.group),
            **{
                "partition.assignment.strategy": "range",
                "session.timeout.ms": SESSION_MS,
                "max.poll.interval.ms": 300_000,
                "auto.offset.reset": "earliest",
            },
        )
        consumer.subscribe(
            list(self.topics), on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost_partitions
        )
        return consumer

    def _taken(self, consumer: Any) -> list[Parcel]:  # noqa: ANN401
        """The next batch, taken apart; what went wrong in a callback is raised here."""
        found: list[Parcel] = []
        limit, count = time.monotonic() + self.batch_s, 0
        while count < self.batch and (left := limit - time.monotonic()) > 0:
            messages = consumer.consume(min(self.batch - count, AT_ONCE), timeout=left)
            self.counts.polled = time.monotonic()
            if self._trouble is not None:
                raise self._trouble
            count += len(messages)
            found += parcels(self._without_errors(messages))
        return found

    def _without_errors(self, messages: list[Any]) -> list[Any]:
        errors = list(map(Message.error, messages))
        if not any(errors):  # they can't be compared with None
            return messages
        for message, error in zip(messages, errors, strict=True):
            if error is not None and (error.fatal() or not error.retriable()):
                raise self.broker.error(error, f"reading {message.topic()}")
        return [message for message, error in zip(messages, errors, strict=True) if error is None]

    def _work(self, consumer: Any, given: Sequence[Parcel], hands: Hands) -> None:  # noqa: ANN401
        """Let each partition's part of a batch be stepped and committed while the next one is read."""
        group = consumer.consumer_group_metadata()
        for partition, parts in by_partition(given, self.topics).items():
            task = self._tasks.get(partition)
            if task is not None:  # else it was taken from us meanwhile: whoever has it reads these messages
                self._settle(partition)
                self._make_room()
                self._under_way[partition] = hands.begin(self._through, task, parts, group)

    def _make_room(self) -> None:
        """Wait for the oldest transactions: what is under way is what the memory holds."""
        while len(self._under_way) >= MOST_UNDER_WAY:
            self._settle(next(iter(self._under_way)))

    def _through(self, task: PartitionTask, parts: dict[str, list[Parcel]], group: Any) -> Done:  # noqa: ANN401
        """Take a part of a batch from messages to what is committed."""
        offsets = [TopicPartition(name, task.partition, part[-1].end) for name, part in parts.items()]
        frames, dead, read = {}, [], 0
        for name, part in parts.items():
            decoded = unpacked(part, self.topics[name], self.columns)
            frames[self.topics[name]] = decoded.valid
            dead += decoded.dead
            read += decoded.read
        return Done(read, len(dead), task.commit(task.step(frames, dead, offsets), group))

    def _advance(self, consumer: Any, hands: Hands) -> None:  # noqa: ANN401
        group = consumer.consumer_group_metadata()
        for partition, task in list(self._tasks.items()):
            self._settle(partition)
            step = task.advance()
            if step.outputs or step.changes:
                self._under_way[partition] = hands.begin(_closed, task, step, group)

    def _settle(self, partition: int) -> None:
        """Wait for the transaction of a partition. Raises what stood in its way."""
        future = self._under_way.pop(partition, None)
        if future is None:
            return
        if not wait([future], STUCK_S).done:
            raise BrokerError(
                f"the transaction of partition {partition} is neither through nor refused after {STUCK_S:g} s: given up"
            )
        done = future.result()
        self.counts.read += done.read
        self.counts.dead += done.dead
        self.counts.written += done.written
        self.counts.transactions += 1

    def _settle_done(self) -> None:
        """Book the transactions that are through."""
        for partition, future in list(self._under_way.items()):
            if future.done():
                self._settle(partition)

    def _look_at_lag(self, consumer: Any) -> None:  # noqa: ANN401
        """Note now and then how many messages wait."""
        if time.monotonic() - self._looked < LAG_EVERY_S:
            return
        self._looked = time.monotonic()
        lag = {}
        for place in consumer.position(consumer.assignment()):
            _, high = consumer.get_watermark_offsets(place, cached=True)
            lag[place.topic, place.partition] = max(high - max(place.offset, 0), 0) if high >= 0 else 0
        self.counts.lag = lag

    def _settle_all(self) -> None:
        for partition in list(self._under_way):
            self._settle(partition)

    def _assigned(self, consumer: Any, places: Sequence[TopicPartition]) -> None:  # noqa: ANN401
        """Partitions come: fence whoever had them, read their state; only then are the offsets looked up."""
        try:
            new = sorted({place.partition for place in places} - self._tasks.keys())
            with ThreadPoolExecutor(8) as pool:  # each waits for the broker most of the time
                self._tasks |= dict(zip(new, pool.map(self._task, new), strict=True))
            self.counts.partitions = sorted(self._tasks)
            consumer.assign(list(places))
        except (BrokerError, KafkaException) as error:
            self._trouble = error

    def _task(self, partition: int) -> PartitionTask:
        return PartitionTask(self.broker, partition, self.processors, self.group)

    def _revoked(self, consumer: Any, places: Sequence[TopicPartition]) -> None:  # noqa: ANN401
        """Partitions go: finish what is under way, and let go."""
        del consumer
        try:
            for partition in {place.partition for place in places}:
                self._settle(partition)
                self._drop(partition)
        except BrokerError as error:
            self._trouble = error

    def _lost_partitions(self, consumer: Any, places: Sequence[TopicPartition]) -> None:  # noqa: ANN401
        """Partitions are gone already: what is under way will be refused."""
        del consumer
        for partition in {place.partition for place in places}:
            self._under_way.pop(partition, None)
            self._drop(partition)

    def _drop(self, partition: int) -> None:
        task = self._tasks.pop(partition, None)
        if task is not None:
            task.close()
        self.counts.partitions = sorted(self._tasks)

    def _leave(self, consumer: Any) -> None:  # noqa: ANN401
        """Let go of everything, whatever state it is in."""
        self._under_way.clear()
        for partition in list(self._tasks):
            self._drop(partition)
        consumer.close()


def _closed(task: PartitionTask, step: Step, group: Any) -> Done:  # noqa: ANN401
    return Done(0, 0, task.commit(step, group))


def by_partition(given: Sequence[Parcel], topics: Mapping[str, str]) -> dict[int, dict[str, list[Parcel]]]:
    """Parcels by partition and topic, in their order."""
    found: dict[int, dict[str, list[Parcel]]] = {}
    for parcel in given:
        if parcel.topic in topics:
            found.setdefault(parcel.partition, {}).setdefault(parcel.topic, []).append(parcel)
    return found
