"""From the processors' topics into the warehouse: each record once, and offsets are committed after the merge.

    with KafkaCluster(settings.broker) as broker:
        load_outputs(warehouse, broker, load_group(settings))

Whoever is killed in between reads again, which changes nothing: a record has an id of its own.
"""

import time
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from workbench.errors import UsageError
from workbench.pipelines.road import OUTCOMES, Carried, check, load_group
from workbench.pipelines.rounds import rounds, stopping
from workbench.pipelines.streambook import DEAD_LETTERS, STREAM_RUNS, letters_page, run_page
from workbench.pipelines.told import STREAM, TOLD, Told, rows_of
from workbench.settings import KafkaBroker, Settings
from workbench.streaming.broker import Broker
from workbench.streaming.clusters import KafkaCluster
from workbench.streaming.letters import DeadLetters
from workbench.streaming.loop import Loop
from workbench.streaming.parcels import DeadLetter
from workbench.streaming.reader import reading
from workbench.streaming.records import decode_records
from workbench.streaming.topics import DEAD_LETTERS as LETTERS_TOPIC
from workbench.streaming.topics import OUTPUTS, Topic

if TYPE_CHECKING:
    from workbench.warehouse import Merged, Warehouse

EVERY_S = 10.0
"""Seconds between two rounds of `follow`."""

_TOPICS = {topic.name: topic for topic in OUTPUTS}


def load_outputs(warehouse: "Warehouse", broker: Broker, group: str) -> tuple[Carried, ...]:
    """Take what the output topics hold, committed and not loaded before, into `finops_aggregated`.

    Parameters
    ----------
    warehouse, broker
        Where to, and where from; topics that are missing are made.
    group
        Whose committed offsets tell what has been loaded (`road.load_group`).

    Returns
    -------
    tuple of Carried
        One a topic of which something was read. sent = 0; read = valid + dead; valid = inserted + restated (a larger
        revision of a spike) + unchanged + older + repeated + conflicts. Each is a row of `stream_runs` too.

    Raises
    ------
    BrokerError
        Messages are lost, or the broker is.
    WarehouseError
        The warehouse refused. Nothing of that load is in it, nor committed: the next run reads it again.
    """
    broker.prepare((*(_TOPICS[told.topic] for told in TOLD), LETTERS_TOPIC))
    letters = DeadLetters(broker)
    try:
        done = [_Loading(warehouse, broker, told, letters).go(group) for told in TOLD]
    finally:
        letters.close()
    return tuple(carried for carried in done if carried.read)


class _Loading:
    """One topic into its table."""

    def __init__(self, warehouse: "Warehouse", broker: Broker, told: Told, letters: DeadLetters) -> None:
        self._warehouse, self._broker, self._told, self._letters = warehouse, broker, told, letters
        self._run_id = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"
        self._started_at = datetime.now(UTC)
        self._merged: list[Merged] = []

    def go(self, group: str) -> Carried:
        """Read to the end of what is committed; then hold the numbers against each other."""
        started, topic = time.monotonic(), _TOPICS[self._told.topic]
        with reading(self._broker, topic, group) as reader:
            loop = Loop(reader, self._told.topic, self._sink, self._letters, decode_records)
            taken = loop.run(reader.until_end)
        carried = self._account(topic, taken.read, taken.valid, taken.dead, time.monotonic() - started)
        if carried.read:
            check(carried, 0)
            self._warehouse.load(run_page(carried, self._started_at, self._started_at), STREAM_RUNS)
        return carried

    def _sink(self, frame: pl.DataFrame, dead: list[DeadLetter]) -> None:
        """Merge the records; their dead letters go into the book in the same transaction."""

        def beside(_: "Merged") -> dict[str, pl.DataFrame]:
            return {DEAD_LETTERS: letters_page(dead, self._run_id, self._started_at)} if dead else {}

        rows = rows_of(frame, self._told, STREAM)
        self._merged.append(self._warehouse.merge(rows, self._told.table, self._started_at, beside))

    def _account(self, topic: Topic, read: int, valid: int, dead: int, seconds: float) -> Carried:
        outcomes = {name: sum(getattr(merged, name) for merged in self._merged) for name in OUTCOMES}
        return Carried(
            topic=self._broker.topic(topic), run_id=self._run_id, sent=0, refused=0, delivered=0, read=read,
            others=read, valid=valid, dead=dead, **outcomes, lag=0, seconds=seconds,
        )  # fmt: skip


def load_stream(settings: Settings, say: Callable[[str], None], *, follow: bool = False) -> dict[str, Any]:
    """Load the outputs of a profile's stream; with `follow` again and again until SIGTERM or SIGINT.

    Returns
    -------
    dict
        `topics`: one entry a topic of which something was read, with its counts over all rounds; and `exit_code`: 1
        where something became a dead letter, is in conflict, or the last round failed.

    Raises
    ------
    UsageError
        The profile's broker lives for a run only.
    BrokerError, WarehouseError
        Without `follow`, whatever stands in the way; with it, it is told to `say`, and tried again.
    """
    from workbench.warehouse import Warehouse

    if not isinstance(settings.broker, KafkaBroker):
        raise UsageError(
            f"profile '{settings.name}' has the embedded broker, which holds nothing between runs; a stream needs a "
            "Kafka: `make kafka` starts one, params/kafka.yaml names it"
        )
    done: list[Carried] = []
    good = True
    with Warehouse(settings) as warehouse, KafkaCluster(settings.broker) as broker:

        def work() -> bool:
            done.extend(load_outputs(warehouse, broker, load_group(settings)))
            return True

        if follow:
            with stopping() as stop:
                good = rounds(
                    work, timedelta(seconds=EVERY_S), stop, lambda error, pause: say(f"{error}; again in {pause:.0f} s")
                )
        else:
            work()
    return account_of(done, good=good)


def account_of(done: Sequence[Carried], *, good: bool = True) -> dict[str, Any]:
    """Return what several loads come to, by topic, as plain data."""
    counts = ("read", "valid", "dead", *OUTCOMES)
    topics = [
        {"topic": topic, **{name: sum(getattr(one, name) for one in done if one.topic == topic) for name in counts}}
        for topic in sorted({one.topic for one in done})
    ]
    failed = not good or any(topic["dead"] or topic["conflicts"] for topic in topics)
    return {"topics": topics, "exit_code": int(failed)}
