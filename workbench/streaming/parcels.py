"""Messages as columns: taken apart while they lie in the processor's cache, and let go.

A message of the client is some objects for each event. Ten walks through 50,000 of them cost more than reading what
they say; through 2,000 at a time, a third.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from workbench.lines import block
from workbench.streaming.producer import HEADERS
from workbench.streaming.topics import MESSAGE_LIMIT, SCHEMA_VERSION

AT_ONCE = 2_000
"""Messages to take from the client at a time, so that they are still in the cache when they are taken apart."""

REDRIVES = "redrives"
"""Header of an event that was a dead letter before: how often it has been sent back."""

_VERSION = "schema_version"


class DeadLetter(NamedTuple):
    """A message that could not be read, as it came, and why."""

    topic: str
    partition: int | None
    offset: int | None
    reason: str
    key: bytes | None
    value: bytes | None
    redrives: int = 0
    """How often it has been sent back before (`workbench stream redrive`)."""


class Parcel(NamedTuple):
    """Messages of one partition of a topic, in their order. `dead` are those that need not be looked into."""

    topic: str
    partition: int
    end: int
    """The offset after the last of them."""
    read: int
    """How many messages, dead ones included."""
    dead: Sequence[DeadLetter]
    values: Sequence[bytes]
    """Of the others; a `jsonlines.Block` where it can be. `keys` and so on: likewise."""
    keys: Sequence[bytes | None]
    offsets: Sequence[int]
    stamps: Sequence[tuple[int, int]]
    """(type, milliseconds since 1970) that the broker gave."""
    redrives: Mapping[int, int]
    """Place → how often it has been sent back, where it has."""

    def letter(self, place: int, reason: str) -> DeadLetter:
        """Make the letter of a message that was looked into in vain."""
        return DeadLetter(self.topic, self.partition, self.offsets[place], reason, self.keys[place],
                          self.values[place], self.redrives.get(place, 0))  # fmt: skip


def parcels(messages: Sequence[Any]) -> list[Parcel]:
    """Take messages (`confluent_kafka.Message`) apart, one parcel for each run of one partition."""
    if not messages:
        return []
    of = type(messages[0])
    topics, partitions = list(map(of.topic, messages)), list(map(of.partition, messages))
    if partitions.count(partitions[0]) == len(messages) == topics.count(topics[0]):
        return [_parcel(messages, of)]
    done, start = [], 0
    for _, run in groupby(zip(topics, partitions, strict=True)):
        end = start + sum(1 for _ in run)
        done.append(_parcel(messages[start:end], of))
        start = end
    return done


def _parcel(messages: Sequence[Any], of: Any) -> Parcel:  # noqa: ANN401 (the messages' class)
    """Take the messages of one partition apart. Functions of the class are called, which is faster than methods."""
    first, last, count = messages[0], messages[-1], len(messages)
    headers, values = list(map(of.headers, messages)), list(map(of.value, messages))
    redrives: dict[int, int] = {}
    dead: list[DeadLetter] = []
    if faults := _faults(headers, values):
        dead = [letter_of(messages[at], reason) for at, reason in faults.items()]
        messages, headers, values = (_without(faults, items) for items in (messages, headers, values))
    if headers.count(HEADERS) < len(headers):
        redrives = {at: sent for at, held in enumerate(headers) if (sent := redrives_of(held))}
    columns: tuple[Callable[[Any], Any], ...] = (of.key, of.offset, of.timestamp)
    keys, offsets, stamps = (list(map(column, messages)) for column in columns)
    return Parcel(first.topic(), first.partition(), last.offset() + 1, count, dead, block(values), keys, offsets,
                  stamps, redrives)  # fmt: skip


def _without(faults: Mapping[int, str], items: Sequence[Any]) -> list[Any]:
    return [item for at, item in enumerate(items) if at not in faults]


def _faults(headers: Sequence[Any], values: Sequence[bytes | None]) -> dict[int, str]:
    """What is wrong with messages before anyone looks inside: place → reason."""
    faults: dict[int, str] = {}
    if headers.count(HEADERS) < len(headers):
        faults = {at: reason for at, held in enumerate(headers) if held != HEADERS and (reason := _version_fault(held))}
    if not all(values):
        faults |= {at: "the value is null or empty" for at, value in enumerate(values) if not value}
    if max(map(len, filter(None, values)), default=0) > MESSAGE_LIMIT:
        reason = f"the value is longer than {MESSAGE_LIMIT} bytes"
        faults |= {at: reason for at, value in enumerate(values) if value and len(value) > MESSAGE_LIMIT}
    return faults


def _version_fault(headers: Iterable[tuple[str, bytes | None]] | None) -> str:
    found = [value for name, value in headers or () if name == _VERSION]
    if not found:
        return f"no {_VERSION} in the header; {SCHEMA_VERSION} is known"
    if found != [SCHEMA_VERSION.encode()]:
        return f"another {_VERSION} in the header than {SCHEMA_VERSION}, which is known"
    return ""


def is_about_version(reason: str) -> bool:
    """Whether a letter's reason is the version in the header, so that nobody has looked inside."""
    return f"{_VERSION} " in reason and " in the header" in reason


def redrives_of(headers: Iterable[tuple[str, bytes | None]] | None) -> int:
    """How often a message has been sent back, as its header says; 0 where that says nothing sensible."""
    found = [value for name, value in headers or () if name == REDRIVES and value and value.isdigit()]
    return int(found[-1][:9]) if found else 0


def letter_of(message: Any, reason: str) -> DeadLetter:  # noqa: ANN401
    """Make the letter of a message that can't be taken."""
    redrives = redrives_of(message.headers())
    return DeadLetter(
        message.topic(), message.partition(), message.offset(), reason, message.key(), message.value(), redrives
    )
