"""One partition: its state, and the transaction that takes a batch of it from inputs to outputs."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import polars as pl
from confluent_kafka import KafkaException, TopicPartition

from workbench.streaming.broker import Broker
from workbench.streaming.feed import values_of
from workbench.streaming.letters import headers_of
from workbench.streaming.live.changelog import Parts, key_of, read_parts
from workbench.streaming.parcels import DeadLetter
from workbench.streaming.processors.processor import Processor
from workbench.streaming.processors.state import State, changed
from workbench.streaming.producer import HEADERS
from workbench.streaming.topics import DEAD_LETTERS, ROOM, STATE

_INIT_S = 30.0
_TRANSACTION_MS = 60_000


@dataclass
class Step:
    """What a batch comes to: messages to send, and where reading goes on."""

    outputs: dict[str, pl.DataFrame] = field(default_factory=dict)
    """Topic → rows with `business_unit`."""
    changes: dict[str, Mapping[str, bytes]] = field(default_factory=dict)
    """Processor → unit → part."""
    dead: Sequence[DeadLetter] = ()
    offsets: Sequence[TopicPartition] = ()


class PartitionTask:
    """A partition that has been assigned to us. Its transactional id fences whoever had it before."""

    def __init__(self, broker: Broker, partition: int, processors: Sequence[Processor], group: str) -> None:
        self.broker, self.partition, self.processors = broker, partition, processors
        self._producer = broker.producer(
            ROOM,
            **{
                "transactional.id": f"{broker.group(group)}-{partition}",
                "transaction.timeout.ms": _TRANSACTION_MS,
                "message.timeout.ms": _TRANSACTION_MS,
                "linger.ms": 5,
            },
        )
        self._begin_reign()
        self.states = self._restored(read_parts(broker, partition))

    def _begin_reign(self) -> None:
        """Fence the one before; its open transaction is aborted. The coordinator may still be loading."""
        limit = time.monotonic() + _INIT_S
        while True:
            try:
                self._producer.init_transactions(_INIT_S)
            except KafkaException as error:
                if not error.args[0].retriable() or time.monotonic() > limit:
                    raise self.broker.error(error.args[0], f"partition {self.partition} can't be taken over") from error
                time.sleep(0.1)
            else:
                return

    def _restored(self, parts: Parts) -> dict[str, State]:
        return {each.name: each.restore(parts.get(each.name, {})) for each in self.processors}

    def step(
        self, batches: Mapping[str, pl.DataFrame], dead: Sequence[DeadLetter], offsets: Sequence[TopicPartition]
    ) -> Step:
        """Run the processors over a batch; the state moves on, and what is to be written is returned."""
        done = Step(dead=dead, offsets=offsets)
        for processor in self.processors:
            mine = {kind: frame for kind, frame in batches.items() if kind in processor.kinds and frame.height}
            if mine:
                outputs, after = processor.step(mine, self.states[processor.name])
                self._take(processor, outputs, after, done)
        return done

    def advance(self) -> Step:
        """Let the clock close what waits for silent units."""
        done = Step()
        for processor in self.processors:
            outputs, after = processor.advance(self.states[processor.name], datetime.now(UTC))
            self._take(processor, outputs, after, done)
        return done

    def _take(self, processor: Processor, outputs: Mapping[str, pl.DataFrame], after: State, done: Step) -> None:
        for topic, frame in outputs.items():
            if frame.height:
                held = done.outputs.get(topic)
                done.outputs[topic] = frame if held is None else pl.concat([held, frame], how="diagonal")
        changes = changed(self.states[processor.name], after)
        if changes:
            done.changes[processor.name] = changes
        self.states[processor.name] = after

    def commit(self, step: Step, group: Any) -> int:  # noqa: ANN401 (confluent_kafka's group metadata)
        """Write a step in one transaction: outputs, dead letters, state, offsets. Returns the messages written.

        Raises
        ------
        BrokerError
            It is not committed, and nothing of it will be seen.
        """
        try:
            self._producer.begin_transaction()
            written = self._produce(step)
            if step.offsets:
                self._producer.send_offsets_to_transaction(list(step.offsets), group, _INIT_S)
            self._producer.commit_transaction(_INIT_S)
        except KafkaException as error:
            raise self.broker.error(error.args[0], f"the transaction of partition {self.partition} failed") from error
        return written

    def _produce(self, step: Step) -> int:
        written = 0
        for topic, frame in step.outputs.items():
            given = values_of(frame)
            for value, key in zip(given.values, given.keys, strict=True):
                self._send(self.broker.prefix + topic, value, key, headers=HEADERS)
            written += frame.height
        for letter in step.dead:
            name = self.broker.topic(DEAD_LETTERS)
            self._send(name, letter.value, letter.key, headers=list(headers_of(letter).items()))
        for processor, parts in step.changes.items():
            for unit, part in parts.items():
                self._send(self.broker.topic(STATE), part, key_of(processor, unit), partition=self.partition)
        return written + len(step.dead)

    def _send(self, topic: str, value: bytes | None, key: Any, **more: Any) -> None:  # noqa: ANN401
        while True:
            try:
                self._producer.produce(topic, value, key, **more)
            except BufferError:
                self._producer.poll(0.05)
            else:
                return

    def close(self) -> None:
        """Let go; what is open is aborted by the broker, or by the one who comes after us."""
        self._producer.purge()
        self._producer = None
