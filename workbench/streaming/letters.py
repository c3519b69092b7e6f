"""The topic of dead letters: the original bytes, where they came from and why they were not taken."""

from collections.abc import Sequence
from typing import Any

from confluent_kafka import KafkaException

from workbench.errors import BrokerError
from workbench.streaming.broker import Broker
from workbench.streaming.parcels import REDRIVES, DeadLetter
from workbench.streaming.topics import DEAD_LETTERS, ROOM, SCHEMA_VERSION


class DeadLetters:
    """Writes dead letters to their topic. The value is the original's; the rest stands in the headers."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._name = broker.topic(DEAD_LETTERS)
        self._producer: Any = None
        self._errors: list[Any] = []

    def write(self, letters: Sequence[DeadLetter]) -> None:
        """Send the letters, and return when all have arrived. Raises BrokerError if one has not."""
        if not letters:
            return
        if self._producer is None:
            self._producer = self._broker.producer(2 * ROOM)
        for letter in letters:
            self._send(letter)
        left = self._producer.flush(self._broker.timeout_s + 5)
        if self._errors:
            raise self._broker.error(self._errors[0], f"{len(self._errors)} dead letters could not be written")
        if left:
            raise BrokerError(f"{left} dead letters were not written to {self._name} in time")

    def close(self) -> None:
        """Let go."""
        self._producer = None

    def _send(self, letter: DeadLetter) -> None:
        while True:
            try:
                self._producer.produce(
                    self._name, letter.value, letter.key, headers=headers_of(letter), on_delivery=self._report
                )
            except BufferError:
                self._producer.poll(0.1)
            except KafkaException as error:
                raise self._broker.error(error.args[0], f"writing to {self._name}") from error
            else:
                return

    def _report(self, error: Any, message: Any) -> None:  # noqa: ANN401
        del message
        if error is not None:
            self._errors.append(error)


def headers_of(letter: DeadLetter) -> dict[str, bytes]:
    """What stands beside the original bytes."""
    texts = {
        "schema_version": SCHEMA_VERSION,
        "reason": letter.reason,
        "topic": letter.topic,
        "partition": "" if letter.partition is None else str(letter.partition),
        "offset": "" if letter.offset is None else str(letter.offset),
    }
    if letter.redrives:
        texts[REDRIVES] = str(letter.redrives)
    return {name: text.encode() for name, text in texts.items()}
