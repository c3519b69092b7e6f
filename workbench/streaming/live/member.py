"""A member of the group: partitions come and go, batches are stepped and committed, one transaction each."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import polars as pl
from confluent_kafka import KafkaException, TopicPartition

from workbench.errors import BrokerError
from workbench.streaming.broker import Broker
from workbench.streaming.decode import DeadLetter, decode
from workbench.streaming.live.task import PartitionTask, Step
from workbench.streaming.processors.processor import Processor
from workbench.streaming.topics import INPUTS

SESSION_MS = 10_000
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


class Member:
    """One consumer of the group, with a task for each partition that it holds.

    A partition is the same number in all input topics: the range assignor gives them to one member together, because
    all have the same number of partitions. A failed transaction ends the membership: whoever calls `run` joins again,
    and reads state and offsets as they were committed.
    """

    def __init__(
        self, broker: Broker, processors: Sequence[Processor], group: str, *, batch: int = 50_000,
        batch_s: float = 0.5, counts: Counts | None = None,
    ) -> None:  # fmt: skip
        self.broker, self.processors, self.group = broker, processors, group
        self.batch, self.batch_s = batch, batch_s
        self.counts = counts or Counts()
        kinds = sorted({kind for processor in processors for kind in processor.kinds})
        self.topics = {broker.topic(INPUTS[kind]): kind for kind in kinds}
        self._tasks: dict[int, PartitionTask] = {}
        self._under_way: dict[int, Future[int]] = {}
        self._steps: dict[int, Step] = {}
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
        heard = time.monotonic()
        with ThreadPoolExecutor(8, thread_name_prefix="commit") as pool:
            try:
                while not stopped():
                    messages = self._taken(consumer)
                    self._settle_done()
                    self._look_at_lag(consumer)
                    if messages:
                        heard = time.monotonic()
                        self._work(consumer, messages, pool)
                    elif time.monotonic() - heard > idle_s:
                        heard = time.monotonic()
                        self._advance(consumer, pool)
                self._settle_all()
            finally:
                self._leave(consumer)

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

    def _taken(self, consumer: Any) -> list[Any]:  # noqa: ANN401
        """The next batch; what went wrong in a callback is raised here."""
        found = consumer.consume(self.batch, timeout=self.batch_s)
        self.counts.polled = time.monotonic()
        if self._trouble is not None:
            raise self._trouble
        good = []
        for message in found:
            error = message.error()
            if error is None:
                good.append(message)
            elif error.fatal() or not error.retriable():
                raise self.broker.error(error, f"reading {message.topic()}")
        return good

    def _work(self, consumer: Any, messages: Sequence[Any], pool: ThreadPoolExecutor) -> None:  # noqa: ANN401
        """Step each partition's part of a batch, and let it be committed while the next one is read."""
        for partition, parts in by_partition(messages, self.topics).items():
            task = self._tasks.get(partition)
            if task is None:  # taken from us meanwhile: whoever has it reads these messages
                continue
            frames, dead = self._decoded(parts)
            offsets = [TopicPartition(name, partition, part[-1].offset() + 1) for name, part in parts.items()]
            step = task.step(frames, dead, offsets, sum(map(len, parts.values())))
            self._hand_over(task, step, consumer, pool)

    def _decoded(self, parts: Mapping[str, Sequence[Any]]) -> tuple[dict[str, pl.DataFrame], list[DeadLetter]]:
        frames, dead = {}, []
        for name, part in parts.items():
            read = decode(part, self.topics[name])
            frames[self.topics[name]] = read.valid
            dead += read.dead
        return frames, dead

    def _advance(self, consumer: Any, pool: ThreadPoolExecutor) -> None:  # noqa: ANN401
        for task in list(self._tasks.values()):
            step = task.advance()
            if step.outputs or step.changes:
                self._hand_over(task, step, consumer, pool)

    def _hand_over(self, task: PartitionTask, step: Step, consumer: Any, pool: ThreadPoolExecutor) -> None:  # noqa: ANN401
        """Commit a step in the background, after the one before it."""
        self._settle(task.partition)
        self._steps[task.partition] = step
        self._under_way[task.partition] = pool.submit(task.commit, step, consumer.consumer_group_metadata())

    def _settle(self, partition: int) -> None:
        """Wait for the transaction of a partition. Raises what stood in its way."""
        future = self._under_way.pop(partition, None)
        if future is None:
            return
        written, step = future.result(), self._steps.pop(partition)
        self.counts.written += written
        self.counts.read += step.read
        self.counts.dead += len(step.dead)
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


def by_partition(messages: Sequence[Any], topics: Mapping[str, str]) -> dict[int, dict[str, list[Any]]]:
    """Messages by partition and topic, in their order."""
    found: dict[int, dict[str, list[Any]]] = {}
    for message in messages:
        if message.topic() in topics:
            found.setdefault(message.partition(), {}).setdefault(message.topic(), []).append(message)
    return found
