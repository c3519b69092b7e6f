"""Messages → checked events, and dead letters with what was wrong: nothing is lost between the two."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

import polars as pl

from workbench import events
from workbench.streaming.producer import HEADERS
from workbench.streaming.topics import MESSAGE_LIMIT, SCHEMA_VERSION

_VERSION = "schema_version"
REDRIVES = "redrives"
"""Header of an event that was a dead letter before: how often it has been sent back."""


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


@dataclass(frozen=True)
class Decoded:
    """What a batch of messages holds: `valid` in the schema of the kind, in the order of the messages; and the rest."""

    valid: pl.DataFrame
    dead: list[DeadLetter]
    read: int


def decode(messages: Sequence[Any], kind: str, columns: Collection[str] | None = None) -> Decoded:
    """Read a batch of messages (`confluent_kafka.Message`) of events of `kind` at once.

    An event that does not say when it was observed was observed when the broker took it: read again it says the same.
    A message without a key is read; its unit stands in the value. `columns`: as for `events.validate`.
    """
    values = [message.value() for message in messages]
    faults = _envelope_faults(messages, values)
    good = messages
    if faults:
        good = [message for at, message in enumerate(messages) if at not in faults]
        values = [value for at, value in enumerate(values) if at not in faults]
    read = events.read_values(values, kind, columns)
    frame = _observed(read.frame, good, read.kept)
    checked = events.with_refused(events.validate(frame, kind, columns=columns), read, values)
    wrong = zip(checked.rejected["row"], checked.rejected["reason"], strict=True)
    dead = [letter_of(messages[at], reason) for at, reason in faults.items()]
    dead += [letter_of(good[row], reason) for row, reason in wrong]
    if checked.valid.height + len(dead) != len(messages):
        raise AssertionError(f"{len(messages)} messages became {checked.valid.height} events and {len(dead)} letters")
    return Decoded(checked.valid, dead, len(messages))


def _envelope_faults(messages: Sequence[Any], values: Sequence[bytes | None]) -> dict[int, str]:
    """What is wrong with messages before anyone looks inside: place → reason."""
    headers = [message.headers() for message in messages]
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


def _observed(frame: pl.DataFrame, messages: Sequence[Any], kept: Sequence[int]) -> pl.DataFrame:
    """Fill in when the broker took what does not say when it was observed."""
    given = frame["observed_at"]
    lacking = given.is_null() | (given.str.strip_chars() == "")
    if not lacking.any():
        return frame
    taken = [datetime.fromtimestamp(messages[at].timestamp()[1] / 1000, UTC).isoformat() for at in kept]
    return frame.with_columns(given.set(lacking, None).fill_null(pl.Series(taken, dtype=pl.String)))


def letter_of(message: Any, reason: str) -> DeadLetter:  # noqa: ANN401
    """Make the letter of a message that can't be taken."""
    redrives = redrives_of(message.headers())
    return DeadLetter(
        message.topic(), message.partition(), message.offset(), reason, message.key(), message.value(), redrives
    )
