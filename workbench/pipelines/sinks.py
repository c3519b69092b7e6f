"""Where a producer's events go, and where its cursors are kept.

On a Kafka they go to the topics, for whoever reads them; the embedded broker lives for a run only, so there they are
carried straight on into the warehouse. What was refused goes to the dead letters either way.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import polars as pl
import xxhash

from workbench.checking import Checked
from workbench.events import COST
from workbench.pipelines.road import Road, open_road
from workbench.pipelines.streambook import DEAD_LETTERS, letters_page
from workbench.settings import KafkaBroker, Settings
from workbench.sources.handed import Sink
from workbench.streaming.broker import Broker
from workbench.streaming.feed import values_of
from workbench.streaming.letters import DeadLetters
from workbench.streaming.parcels import DeadLetter
from workbench.streaming.producer import EventProducer
from workbench.streaming.topics import topic_of

if TYPE_CHECKING:
    from workbench.warehouse import Warehouse

CURSORS = "finops_staging.cursors"
_ROWS = 50_000
_MOST_REMEMBERED = 200_000
_CURSOR = f"SELECT value FROM {CURSORS} WHERE source = ? AND key = ?"  # noqa: S608 (our own names)
_KNOWN = "SELECT * FROM finops_curated.cost_events WHERE timestamp >= ? AND timestamp < ? AND metadata LIKE ?"


class WarehouseCursors:
    """Cursors of one source, in a small table of the warehouse."""

    def __init__(self, warehouse: "Warehouse", source: str) -> None:
        self._warehouse = warehouse
        self._source = source

    def get(self, key: str) -> str | None:
        """Return what was set last, or None."""
        found = self._warehouse.query(_CURSOR, (self._source, key))
        return found["value"][0] if found.height else None

    def set(self, key: str, value: str) -> None:
        """Remember, instead of what was there."""
        place = {"source": self._source, "key": key}
        row = pl.DataFrame([{**place, "value": value, "updated_at": datetime.now(UTC)}])
        self._warehouse.load(row, CURSORS, place)


class _Letters:
    """Refused records as dead letters in the warehouse; the same one again within a run is written once."""

    def __init__(self, warehouse: "Warehouse") -> None:
        self._warehouse = warehouse
        self._run_id = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"
        self._seen: set[bytes] = set()

    def write(self, topic: str, rejected: pl.DataFrame) -> list[DeadLetter]:
        """Write what is new, and return it."""
        rows = rejected.select("reason", "record").iter_rows()
        letters = [DeadLetter(topic, None, None, reason, None, (record or "").encode()) for reason, record in rows]
        return self.keep(letters)

    def keep(self, letters: list[DeadLetter]) -> list[DeadLetter]:
        """Write letters as they are, but for those that were written before."""
        new = {
            xxhash.xxh3_128_digest(b"\x1f".join((each.reason.encode(), each.value or b""))): each for each in letters
        }
        fresh = [letter for digest, letter in new.items() if digest not in self._seen]
        if fresh:
            self._warehouse.load(letters_page(fresh, self._run_id, datetime.now(UTC)), DEAD_LETTERS)
            if len(self._seen) < _MOST_REMEMBERED:
                self._seen.update(new)
        return fresh


class RoadSink:
    """Into the warehouse, by the broker that lives in this process."""

    def __init__(self, road: Road) -> None:
        self._road = road
        self._letters = _Letters(road.warehouse)

    def take(self, kind: str, checked: Checked) -> None:
        """Carry the valid ones; all of them are in the table when it returns."""
        if checked.rejected.height:
            self._letters.write(topic_of(kind).name, checked.rejected)
        if checked.valid.height:
            self._road.carry(kind, checked.valid)


class TopicSink:
    """Into the topics of a Kafka; who reads them is somebody else's business."""

    def __init__(self, broker: Broker, topic_letters: DeadLetters, warehouse: "Warehouse") -> None:
        self._broker = broker
        self._topic_letters = topic_letters
        self._letters = _Letters(warehouse)

    def take(self, kind: str, checked: Checked) -> None:
        """Send the valid ones; the broker has confirmed all of them when it returns."""
        topic = topic_of(kind)
        if checked.rejected.height:
            self._topic_letters.write(self._letters.write(self._broker.topic(topic), checked.rejected))
        if not checked.valid.height:
            return
        producer = EventProducer(self._broker, topic)
        try:
            for part in checked.valid.iter_slices(_ROWS):
                given = values_of(part)
                producer.send(given.values, given.keys)
            sent = producer.flush()
        finally:
            producer.close()
        name = self._broker.topic(topic)
        self._letters.keep([DeadLetter(name, None, None, each.reason, None, each.value) for each in sent.refused])


@contextmanager
def open_sink(warehouse: "Warehouse", settings: Settings) -> Iterator[tuple[Sink, Road]]:
    """Open the sink that fits the profile's broker, and the road beside it."""
    with open_road(warehouse, settings) as road:
        if isinstance(settings.broker, KafkaBroker):
            yield TopicSink(road.broker, road.letters, warehouse), road
        else:
            yield RoadSink(road), road


def known_costs(warehouse: "Warehouse", collector: str, start: datetime, end: datetime) -> pl.DataFrame:
    """Return the cost events in a half-open span that `collector` has brought; see `sources.handed.Known`."""
    found = warehouse.query(_KNOWN, (start, end, f'%"collector":"{collector}"%'))
    mine = found.filter(pl.col("metadata").str.json_path_match("$.collector") == collector)
    return mine.select(pl.col(name).cast(dtype) for name, dtype in COST.items())
