"""Dead letters back to where they came from, exactly once: what was bad for an old reader may be good for a new one.

A group remembers one offset a partition, and a filter leaves letters in between. So a letter that does not match, but
stands before one that does, is written again at the topic's end, as it is, in the transaction that moves the offset
past it: it is left for the next time, nothing is lost and nothing is sent twice. Behind the last letter that matches
nothing is touched.
"""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from confluent_kafka import KafkaException, TopicPartition

from workbench.errors import BrokerError
from workbench.streaming.broker import Broker
from workbench.streaming.parcels import REDRIVES, is_about_version, redrives_of
from workbench.streaming.producer import HEADERS
from workbench.streaming.reader import TopicReader, reading
from workbench.streaming.topics import DEAD_LETTERS, INPUTS, OUTPUTS, ROOM

GROUP = "redrive"
_AT_ONCE = 5_000
_BYTES_AT_ONCE = 64_000_000
_PATIENCE_S = 30.0
_TRANSACTION_MS = 60_000


@dataclass(frozen=True)
class Choice:
    """Which letters are sent back.

    `reason` stands in the letter's reason, large and small letters alike; empty: any. Letters whose fault was the
    schema version are sent only where `any_version` says that they are what this version reads. `limit`: so many at
    most.
    """

    reason: str = ""
    any_version: bool = False
    limit: int | None = None

    def takes(self, reason: str) -> bool:
        """Whether a letter with this reason is meant."""
        return self.reason.casefold() in reason.casefold() and (self.any_version or not is_about_version(reason))


@dataclass
class Redriven:
    """What was done, or would be: read = chosen + left."""

    read: int = 0
    chosen: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Topic and reason → letters that are sent back."""
    left: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Topic and reason → letters that stay."""


def redrive(broker: Broker, choice: Choice, *, dry_run: bool = False) -> Redriven:
    """Send the letters of choice back to their topics, with their own key and value.

    Everything in `finops.deadletter` that the group `redrive` has not been past is looked at, up to the end as it is
    now. With `dry_run` nothing is sent and nothing remembered.

    Raises
    ------
    BrokerRefused
        A topic is missing, or something is not allowed.
    BrokerError
        The broker lost or refused something; what has been committed is done, the rest comes next time.
    """
    broker.must_allow(reads=[DEAD_LETTERS])
    backs = {broker.topic(topic) for topic in (*INPUTS.values(), *OUTPUTS)}
    with reading(broker, DEAD_LETTERS, GROUP) as reader:
        found, until = _look(reader, choice, backs)
    if dry_run or not found.chosen:
        return found
    topics = [
        topic for topic in (*INPUTS.values(), *OUTPUTS) if broker.topic(topic) in {name for name, _ in found.chosen}
    ]
    broker.must_allow(writes=[*topics, DEAD_LETTERS])
    with _Sender(broker, choice, backs) as sender, reading(broker, DEAD_LETTERS, GROUP) as reader:
        for messages in _upto(reader, until):
            sender.send(messages, reader)
    return found


def _look(reader: TopicReader, choice: Choice, backs: set[str]) -> tuple[Redriven, dict[int, int]]:
    """What there is, and for each partition the offset after the last letter of choice."""
    found, until = Redriven(), dict(reader.first)
    for messages in _upto(reader, reader.ends()):
        for message in messages:
            about = _about(message)
            full = choice.limit is not None and found.chosen.total() >= choice.limit
            if not full and about[0] in backs and choice.takes(about[1]):
                found.chosen[about] += 1
                until[message.partition()] = message.offset() + 1
            else:
                found.left[about] += 1
            found.read += 1
    return found, until


def _upto(reader: TopicReader, ends: Mapping[int, int]) -> Iterator[Sequence[Any]]:
    """Batches of the messages before `ends`."""
    while any(reader.position[partition] < min(end, reader.until_end()[partition]) for partition, end in ends.items()):
        messages = [message for message in reader.batch() if message.offset() < ends[message.partition()]]
        if messages:
            yield from _few(messages)
        else:
            reader.expect_more()


def _few(messages: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Parts that fit into a transaction."""
    part: list[Any] = []
    size = 0
    for message in messages:
        if part and (len(part) == _AT_ONCE or size + len(message) > _BYTES_AT_ONCE):
            yield part
            part, size = [], 0
        part.append(message)
        size += len(message)
    yield part


def _about(message: Any) -> tuple[str, str]:  # noqa: ANN401
    """Topic and reason of a letter."""
    held = {name: (value or b"").decode(errors="replace") for name, value in message.headers() or ()}
    return held.get("topic", ""), held.get("reason", "")


class _Sender:
    """Transactions that send letters back and move the group's offsets; whoever comes later fences us."""

    def __init__(self, broker: Broker, choice: Choice, backs: set[str]) -> None:
        self._broker, self._choice, self._backs = broker, choice, backs
        self._letters = broker.topic(DEAD_LETTERS)
        self._producer = broker.producer(
            2 * ROOM,
            **{
                "transactional.id": broker.group(GROUP),
                "transaction.timeout.ms": _TRANSACTION_MS,
                "message.timeout.ms": _TRANSACTION_MS,
            },
        )

    def __enter__(self) -> Self:
        limit = time.monotonic() + _PATIENCE_S
        while True:
            try:
                self._producer.init_transactions(_PATIENCE_S)
            except KafkaException as error:
                if not error.args[0].retriable() or time.monotonic() > limit:
                    raise self._broker.error(error.args[0], f"letters of {self._letters} can't be sent back") from error
                time.sleep(0.1)
            else:
                return self

    def __exit__(self, *_: object) -> None:
        self._producer.purge()

    def send(self, messages: Sequence[Any], reader: TopicReader) -> None:
        """One transaction: each letter goes back or to the end, and the offsets move past them."""
        ends = {message.partition(): message.offset() + 1 for message in messages}
        places = [TopicPartition(self._letters, *place) for place in ends.items()]
        try:
            self._producer.begin_transaction()
            for message in messages:
                self._produce(message)
            self._producer.send_offsets_to_transaction(places, reader.membership, _PATIENCE_S)
            self._producer.commit_transaction(_PATIENCE_S)
        except KafkaException as error:
            raise self._broker.error(error.args[0], f"letters of {self._letters} were not sent back") from error

    def _produce(self, message: Any) -> None:  # noqa: ANN401
        topic, reason = _about(message)
        if topic in self._backs and self._choice.takes(reason):
            count = redrives_of(message.headers()) + 1
            self._send(topic, message, [*HEADERS, (REDRIVES, str(count).encode())])
        else:
            self._send(self._letters, message, message.headers())

    def _send(self, topic: str, message: Any, headers: Any) -> None:  # noqa: ANN401
        limit = time.monotonic() + _PATIENCE_S
        while True:
            try:
                self._producer.produce(topic, message.value(), message.key(), headers=headers)
            except BufferError:
                self._producer.poll(0.1)
                if time.monotonic() > limit:
                    raise BrokerError(f"{topic} takes no more: the producer's queue stays full") from None
            else:
                return
