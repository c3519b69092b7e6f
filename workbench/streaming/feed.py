"""Sending in the background, while the loop reads: frames of events, or values as they are."""

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import polars as pl

from workbench.events import to_json_lines
from workbench.streaming.broker import Broker
from workbench.streaming.pace import Pace
from workbench.streaming.producer import EventProducer, Sent
from workbench.streaming.topics import Topic

_ROWS = 50_000
_KEY = "business_unit"
_NOT_SENT = ("loaded_at",)  # the warehouse's own


@dataclass(frozen=True)
class Values:
    """Events as JSON objects, and their keys."""

    values: Sequence[bytes]
    keys: Sequence[str | None]


def values_of(frame: pl.DataFrame) -> Values:
    """A frame of events as it is sent."""
    written = frame.drop(_NOT_SENT, strict=False)
    keys: Sequence[str | None] = written[_KEY].to_list() if _KEY in written.columns else [None] * frame.height
    return Values(to_json_lines(written).splitlines(), keys)


class Feed(threading.Thread):
    """Sends all of `data` to a topic; `done` and `counts` tell how far it is."""

    def __init__(
        self, broker: Broker, topic: Topic, data: Iterable[pl.DataFrame | Values], pace: Pace | None = None
    ) -> None:
        super().__init__(name=f"feed {topic.name}", daemon=True)
        self._data = data
        self._pace = pace
        self._producer = EventProducer(broker, topic, pace)
        self._error: BaseException | None = None
        self._done = threading.Event()
        self._stopped = False

    @property
    def counts(self) -> Sent:
        """What has been sent so far."""
        return self._producer.counts

    @property
    def done(self) -> bool:
        """Whether all is delivered. Raises what stood in the way."""
        if self._error is not None:
            raise self._error
        return self._done.is_set()

    def run(self) -> None:
        """Send; an error is kept for who asks whether it is done."""
        try:
            for data in self._data:
                self._send(data)
            self._producer.flush()
            self._done.set()
        except BaseException as error:  # noqa: BLE001 (raised again in the thread that waits)
            self._error = error

    def stop(self) -> None:
        """Send nothing more, and let go."""
        self._stopped = True
        if self._pace:
            self._pace.stop()
        if self.ident:
            self.join(timeout=10)
        self._producer.close()

    def _send(self, data: pl.DataFrame | Values) -> None:
        if isinstance(data, Values):
            self._producer.send(data.values, data.keys)
            return
        for part in data.iter_slices(_ROWS):
            if not self._stopped:
                given = values_of(part)
                self._producer.send(given.values, given.keys)
