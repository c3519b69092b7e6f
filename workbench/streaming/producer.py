"""Sending: asynchronous and in batches, and yet no event is unaccounted for."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from confluent_kafka import KafkaException

from workbench.errors import BrokerError
from workbench.streaming.broker import Broker
from workbench.streaming.pace import Pace
from workbench.streaming.topics import MESSAGE_LIMIT, SCHEMA_VERSION, Topic

HEADERS = [("schema_version", SCHEMA_VERSION.encode())]
_SAMPLE_BYTES = 50_000
_SAMPLE_EVERY = 1_000_000  # bytes: less than the limit of what is on the way, so that a change is seen in time
_WORSE = 1.5  # what is sent may shrink less than the sample
_AT_ONCE = 2_000  # events between two looks at the pace and the delivery reports


@dataclass(frozen=True)
class Refused:
    """An event that was not sent."""

    reason: str
    value: bytes


@dataclass
class Sent:
    """What became of the events given to a producer: given = sent + refused; delivered = sent, or it is an error."""

    sent: int = 0
    delivered: int = 0
    failed: int = 0
    refused: list[Refused] = field(default_factory=list)


class EventProducer:
    """Sends values to one topic.

    Delivery reports come for failures only, because a call of Python for each event would take as long as the event
    itself; what was taken in, has not failed and is no longer on its way is delivered.
    """

    def __init__(self, broker: Broker, topic: Topic, pace: Pace | None = None) -> None:
        self._broker = broker
        self._name = broker.topic(topic)
        self._pace = pace or Pace(None, broker.timeout_s)
        self._errors: list[Any] = []
        self._share, self._until_sample = 1.0, 0
        self._producer = broker.client
        self.counts = Sent()

    def send(self, values: Sequence[bytes], keys: Sequence[str | None]) -> None:
        """Send values in this order, as fast as the broker takes them.

        One that is longer than a message may be is refused, and the rest goes on.

        Raises
        ------
        BrokerError
            The broker does not take them, or does not take them in time.
        """
        for start in range(0, len(values), _AT_ONCE):
            some, their = values[start : start + _AT_ONCE], keys[start : start + _AT_ONCE]
            sizes = list(map(len, some))
            if max(sizes) > MESSAGE_LIMIT:
                some, their, sizes = self._refuse(some, their)
            for group in _groups(sizes):
                self._pace.send(sum(sizes[group]), self._shrinks_to(some[group]))
                self._enqueue(some[group], their[group])
            self._producer.poll(0)
            self._raise_failures()

    def flush(self) -> Sent:
        """Wait until all is delivered.

        Raises
        ------
        BrokerError
            Something was not, with the first reason.
        """
        limit = time.monotonic() + self._broker.timeout_s + 5  # after its time-out each message has failed
        while (left := self._producer.flush(0.2)) and time.monotonic() < limit and not self._errors:
            pass
        self._raise_failures()
        if left:
            raise BrokerError(f"{left} of {self.counts.sent} events for {self._name} were not delivered in time")
        self.counts.delivered = self.counts.sent - self.counts.failed
        return self.counts

    def close(self) -> None:
        """Drop what has not been delivered."""
        if len(self._producer):
            self._producer.purge()
            self._producer.flush(1)
            self._broker.renew_client()  # what was purged would be missing from its sequence

    def _shrinks_to(self, values: Sequence[bytes]) -> float:
        """The share that compression leaves of these values, by a sample that is taken now and then."""
        if not self._pace.limited:
            return 1.0
        self._until_sample -= sum(map(len, values))
        if self._until_sample > 0:
            return self._share
        self._until_sample = _SAMPLE_EVERY
        sample = b"".join(
            value[:_SAMPLE_BYTES] for value in values[: _SAMPLE_BYTES // max(1, len(values[0]))] or values[:1]
        )
        self._share = min(1.0, len(pa.compress(sample, "zstd", asbytes=True)) / max(1, len(sample)) * _WORSE)
        return self._share

    def _enqueue(self, values: Sequence[bytes], keys: Sequence[str | None]) -> None:
        produce, name, report = self._producer.produce, self._name, self._report
        for value, key in zip(values, keys, strict=True):
            try:
                produce(name, value, key, headers=HEADERS, on_delivery=report)
            except BufferError:
                self._wait_and_produce(value, key)
            except KafkaException as error:
                raise self._broker.error(error.args[0], f"sending to {name}") from error
        self.counts.sent += len(values)

    def _wait_and_produce(self, value: bytes, key: str | None) -> None:
        """The queue is full: try again as it empties."""
        limit = time.monotonic() + self._broker.timeout_s + 5
        while True:
            self._producer.poll(0.05)
            self._raise_failures()
            try:
                self._producer.produce(self._name, value, key, headers=HEADERS, on_delivery=self._report)
            except BufferError:
                if time.monotonic() > limit:
                    raise BrokerError(f"{self._name} takes no more events: the producer's queue stays full") from None
            else:
                return

    def _refuse(
        self, values: Sequence[bytes], keys: Sequence[str | None]
    ) -> tuple[Sequence[bytes], Sequence[str | None], list[int]]:
        reason = f"the event is longer than {MESSAGE_LIMIT} bytes, the most that a message may have"
        self.counts.refused += [Refused(reason, value) for value in values if len(value) > MESSAGE_LIMIT]
        kept = [at for at, value in enumerate(values) if len(value) <= MESSAGE_LIMIT]
        return [values[at] for at in kept], [keys[at] for at in kept], [len(values[at]) for at in kept]

    def _report(self, error: Any, message: Any) -> None:  # noqa: ANN401
        """Called for each event that failed."""
        del message
        if error is not None:
            self.counts.failed += 1
            self._errors.append(error)

    def _raise_failures(self) -> None:
        if self._errors:
            first, count = self._errors[0], len(self._errors)
            raise self._broker.error(first, f"{count} of {self.counts.sent} events for {self._name} were not delivered")


def _groups(sizes: Sequence[int], most: int = 1_000_000) -> Iterator[slice]:
    """Parts of a run of events that are small enough to be waited for as one; a large event is one by itself."""
    if sum(sizes) <= most:
        yield slice(0, len(sizes))
        return
    start = total = 0
    for at, size in enumerate(sizes):
        if at > start and total + size > most:
            yield slice(start, at)
            start, total = at, 0
        total += size
    if start < len(sizes):
        yield slice(start, len(sizes))
