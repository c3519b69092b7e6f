"""The road that events take: frames → broker → checked → curated table, with an account of every one.

    with open_road(warehouse, settings) as road:
        carried = road.carry("cost", frame)

What is sent is read again in the same run, by the same loop that reads what others have sent. All of it is in the
table when `carry` returns, or it raises; whatever happens in between may simply be done again.
"""

import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pyarrow.parquet

from workbench.errors import BrokerError
from workbench.pipelines.progress import Progress
from workbench.pipelines.streambook import DEAD_LETTERS, STREAM_RUNS, letters_page, run_page
from workbench.settings import Settings
from workbench.streaming.broker import Broker
from workbench.streaming.clusters import connect
from workbench.streaming.feed import Feed, Values
from workbench.streaming.letters import DeadLetters
from workbench.streaming.loop import Loop, Taken
from workbench.streaming.pace import Pace
from workbench.streaming.parcels import DeadLetter
from workbench.streaming.producer import Sent
from workbench.streaming.reader import reading
from workbench.streaming.topics import Topic, topic_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from workbench.warehouse import Merged, Warehouse

    Told = Callable[[int], None]

Data = pl.DataFrame | Path | Sequence[Path] | Iterable[pl.DataFrame | Values]
"""A frame of events, Parquet files, frames one after the other, or JSON values as they are."""

TABLES = {kind: f"finops_curated.{kind}_events" for kind in ("cost", "business", "resource")}

_ROWS = 50_000
_ON_THE_WAY = 4_000_000  # bytes; below what a partition of the embedded broker keeps, whatever their keys
OUTCOMES = ("inserted", "restated", "unchanged", "older", "repeated", "conflicts")


@dataclass(frozen=True)
class Carried:
    """What came of the events of one call.

    sent = delivered; read = delivered + others = valid + dead; valid = inserted + restated + unchanged + older +
    repeated + conflicts. `others` are messages that somebody else sent, or an earlier run that was killed. `refused`
    were too long to be sent.
    """

    topic: str
    run_id: str
    sent: int
    refused: int
    delivered: int
    read: int
    others: int
    valid: int
    dead: int
    inserted: int
    restated: int
    unchanged: int
    older: int
    repeated: int
    conflicts: int
    lag: int
    seconds: float
    marks: tuple[tuple[float, int], ...] = field(default=(), repr=False)
    """(seconds since the start, messages in the table) after each load."""

    @property
    def events_per_s(self) -> float:
        """Events read a second."""
        return self.read / self.seconds if self.seconds else 0.0


class Road:
    """See the module. It opens the broker when the first event is carried."""

    def __init__(self, warehouse: "Warehouse", settings: Settings) -> None:
        self.warehouse = warehouse
        self._settings = settings
        self._open: tuple[Broker, DeadLetters] | None = None

    @property
    def broker(self) -> Broker:
        """The broker, its topics made and checked."""
        return self._opened()[0]

    @property
    def letters(self) -> DeadLetters:
        """Where dead letters go."""
        return self._opened()[1]

    def _opened(self) -> tuple[Broker, DeadLetters]:
        if self._open is None:
            broker = connect(self._settings.broker)
            try:
                broker.prepare()
            except BaseException:
                broker.close()
                raise
            self._open = broker, DeadLetters(broker)
        return self._open

    def carry(
        self,
        kind: str,
        data: Data,
        progress: Progress | None = None,
        *,
        total: int = 0,
        loaded_at: datetime | None = None,
    ) -> Carried:
        """Send events of one kind, and return when they are in the table.

        Parameters
        ----------
        kind
            `"cost"`, `"business"` or `"resource"`.
        data
            A frame, Parquet files, an iterable of frames or of `Values`.
        progress
            Called as (what, done, total).
        total
            How many events there are, for `progress`, where it is known.
        loaded_at
            When the warehouse came to know it. Default: the start of the call.

        Raises
        ------
        BrokerError
            The broker lost or refused something, or the numbers do not add up.
        WarehouseError
            The warehouse refused. Nothing of that load is in it, nor committed: the next run reads it again.
        """
        topic = topic_of(kind)
        journey = _Journey(self, topic, load_group(self._settings), loaded_at)
        what = f"carry {kind} events"
        return journey.go(_parts(data), lambda done: progress(what, done, max(done, total)) if progress else None)

    def close(self) -> None:
        """Let go of the broker; the embedded one ends."""
        if self._open is not None:
            broker, letters = self._open
            letters.close()
            broker.close()


@contextmanager
def open_road(warehouse: "Warehouse", settings: Settings) -> Iterator[Road]:
    """Open the road into a warehouse, by the broker that the profile names."""
    road = Road(warehouse, settings)
    try:
        yield road
    finally:
        road.close()


def load_group(settings: Settings) -> str:
    """The group whose committed offsets tell what is in the profile's warehouse."""
    return f"{settings.name}.load"


class _Journey:
    """One call of `carry`."""

    def __init__(self, road: Road, topic: Topic, group: str, loaded_at: datetime | None) -> None:
        self._warehouse = road.warehouse
        self._broker, self._letters = road.broker, road.letters
        self._topic = topic
        self._group = group
        self._run_id = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"
        self._started_at = datetime.now(UTC)
        self._loaded_at = loaded_at or self._started_at
        self._merged: list[Merged] = []

    def go(self, data: Iterable[pl.DataFrame | Values], progress: "Told") -> Carried:
        """Send and read at the same time; then hold the numbers against each other."""
        started = time.monotonic()
        pace = Pace(_ON_THE_WAY if self._broker.keeps_bytes else None, self._broker.timeout_s)
        with reading(self._broker, self._topic, self._group, pace) as reader:
            feed = Feed(self._broker, self._topic, data, pace)
            end: dict[int, int] = {}

            def until() -> Mapping[int, int] | None:
                if not end and feed.done:
                    end.update(reader.ends())
                return end or None

            try:
                feed.start()
                taken = Loop(reader, self._topic.kind, self._sink, self._letters).run(until, progress)
            finally:
                feed.stop()
            arrived = sum(end.values()) - sum(reader.ends_before.values())
            lag = sum(reader.ends().values()) - sum(taken.committed.values())
        carried = self._account(feed.counts, taken, lag, started)
        check(carried, arrived)
        self._write(carried, feed.counts)
        return carried

    def _sink(self, frame: pl.DataFrame, dead: list[DeadLetter]) -> None:
        """Merge the events; their dead letters go into the book in the same transaction."""

        def beside(_: "Merged") -> dict[str, pl.DataFrame]:
            return {DEAD_LETTERS: letters_page(dead, self._run_id, self._loaded_at)} if dead else {}

        self._merged.append(self._warehouse.merge(frame, TABLES[self._topic.kind], self._loaded_at, beside))

    def _account(self, sent: Sent, taken: Taken, lag: int, started: float) -> Carried:
        outcomes = {name: sum(getattr(merged, name) for merged in self._merged) for name in OUTCOMES}
        return Carried(
            topic=self._broker.topic(self._topic), run_id=self._run_id,
            sent=sent.sent, refused=len(sent.refused), delivered=sent.delivered,
            read=taken.read, others=taken.read - sent.delivered, valid=taken.valid, dead=taken.dead, **outcomes,
            lag=lag, seconds=time.monotonic() - started,
            marks=tuple((at - started, done) for at, done in taken.marks),
        )  # fmt: skip

    def _write(self, carried: Carried, sent: Sent) -> None:
        """The book: the run, and what was too long to be sent."""
        self._warehouse.load(run_page(carried, self._started_at, self._loaded_at), STREAM_RUNS)
        if sent.refused:
            letters = [DeadLetter(carried.topic, None, None, each.reason, None, each.value) for each in sent.refused]
            self._warehouse.load(letters_page(letters, self._run_id, self._loaded_at), DEAD_LETTERS)


def check(carried: Carried, arrived: int) -> None:
    """Hold the numbers of a journey against each other; `arrived` is how many messages the topic has more than before.

    Raises
    ------
    BrokerError
        Something is missing.
    """
    c = carried
    merged = sum(getattr(c, name) for name in OUTCOMES)
    laws = {
        "sent = delivered": c.sent == c.delivered,
        "read = valid + dead": c.read == c.valid + c.dead,
        "valid = what the warehouse says became of them": c.valid == merged,
        "delivered ≤ what the topic grew by": c.delivered <= arrived,
        "delivered ≤ read": c.others >= 0,
    }
    broken = [law for law, holds in laws.items() if not holds]
    if broken:
        raise BrokerError(
            f"the numbers of {c.topic} do not add up ({'; '.join(broken)}): sent {c.sent}, delivered {c.delivered}, "
            f"grown by {arrived}, read {c.read}, valid {c.valid}, dead {c.dead}, merged {merged}. "
            "Load the sources again, which does no harm"
        )


def _parts(data: Data) -> Iterable[pl.DataFrame | Values]:
    if isinstance(data, pl.DataFrame):
        return [data]
    if isinstance(data, Path):
        return _of_files([data])
    if isinstance(data, Sequence) and all(isinstance(item, Path) for item in data):
        return _of_files([item for item in data if isinstance(item, Path)])
    return data  # type: ignore[return-value]


def _of_files(paths: Sequence[Path]) -> Iterator[pl.DataFrame]:
    """Parquet files piece by piece, so that none has to fit into memory."""
    for path in paths:
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(_ROWS):
                yield pl.DataFrame(pl.from_arrow(batch))
