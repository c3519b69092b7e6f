"""Events by the broker into the curated table, for the bench `ingest`.

The clock starts when the events stand as JSON values in memory and stops when all of them are in the table: each was
sent, delivered, read, decoded, checked and merged, the bad ones are dead letters in topic and book, and the offsets are
committed. Sender, reader and the embedded broker share one process, the warehouse has its own.
"""

import os
import resource
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import NamedTuple

import polars as pl

from benchmarks._bench import Figure
from workbench.events import ids
from workbench.pipelines.road import Road, open_road
from workbench.settings import DemoSource, EmbeddedBroker, KafkaBroker, Settings
from workbench.streaming.feed import Feed, Values, values_of
from workbench.streaming.topics import COST
from workbench.warehouse import Warehouse, stop
from workbench.warehouse.place import Place

Broker = EmbeddedBroker | KafkaBroker

EVENTS, QUICK_EVENTS = 1_000_000, 20_000
_PART = 50_000
_BAD_IN = 1_000  # one message in so many can't be read
_START = datetime(2025, 7, 1, tzinfo=UTC)

UNITS = {
    "events_per_s": "events → broker → checked → curated table, the median run",
    "events_per_s_best": "the best of these runs",
    "events_per_cpu_s": "the same by processor time of all processes: events a second of one core",
    "last_over_first": "rate of the last tenth into the full table over that of the first into the empty one",
    "kafka_events_per_s": "the same through a real Kafka on this machine",
    "kafka_events_per_s_best": "the best of these runs",
    "kafka_last_over_first": "the same ratio",
    "kafka_waiting_events_per_s": "real Kafka → checked → curated table, the events being in the topic beforehand",
    "events": "events of a run",
    "events_dead": "of them dead letters",
    "event_bytes": "mean length of one as JSON",
}


class Run(NamedTuple):
    """One run: events a second, by the clock and of one core; and the dead letters."""

    rate: float
    cpu_rate: float
    dead: int


def measure(broker: Broker | None, prefix: str, count: int, runs: int) -> dict[str, Figure]:
    """The figures of one kind of broker; empty ones where there is none."""
    names = [f"{prefix}events_per_s", f"{prefix}events_per_s_best", f"{prefix}last_over_first"]
    if broker is None:
        return dict.fromkeys(names)
    done = sorted((_whole(count, broker) for _ in range(runs)), key=lambda run: run.rate)
    middle = done[len(done) // 2]
    figures: dict[str, Figure] = dict(
        zip(names, [round(middle.rate), round(done[-1].rate), _ratio(count, broker)], strict=True)
    )
    if not prefix:
        values = values_of(events(1_000)).values
        figures |= {"events_per_cpu_s": round(max(run.cpu_rate for run in done)), "events": count,
                    "events_dead": middle.dead, "event_bytes": round(sum(map(len, values)) / len(values))}  # fmt: skip
    return figures


def events(count: int, first: int = 0) -> pl.DataFrame:
    """Hourly cost events of 50 units, 40 services and 3,000 resources; `first` numbers the first of them."""
    at = pl.col("at")
    frame = pl.DataFrame({"at": pl.int_range(first, first + count, eager=True)}).select(
        timestamp=pl.lit(_START) + pl.duration(hours=at // 400 % 2_880),
        event_type=pl.lit("cloud_cost_incurred"),
        service=pl.format("Service {}", at * 7 % 40),
        region=pl.format("eu-west-{}", at % 5),
        cost_amount=((at * 7_919 % 1_000_003).cast(pl.Decimal(38, 12)) / 10_000).cast(pl.Decimal(38, 12)),
        resource_id=pl.format("i-0{}", at * 104_729 % 3_000),
        business_unit=pl.format("unit-{}", at % 50),
        project_id=pl.format("project-{}", at % 150),
        environment=pl.lit("production"),
        metadata=pl.lit('{"ChargeCategory":"Usage","ProviderName":"AWS"}'),
        currency=pl.lit("USD"),
        observed_at=pl.lit(_START) + pl.duration(days=121),
        number=at,
    )
    return frame.with_columns(ids(frame.select("number"), ["number"])).drop("number")


def _values(count: int, first: int = 0) -> list[Values]:
    """The events as JSON, one in a thousand of them broken in one of three ways."""
    return [_with_bad(values_of(part)) for part in events(count, first).iter_slices(_PART)]


def _with_bad(given: Values) -> Values:
    values = list(given.values)
    for place in range(_BAD_IN - 1, len(values), _BAD_IN):
        value = values[place]
        ways = (value[:100], value.replace(b'"cost_amount":"', b'"cost_amount":"x'), value.replace(b"2025-", b"soon-"))
        values[place] = ways[place // _BAD_IN % 3]
    return Values(values, given.keys)


def _whole(count: int, broker: Broker) -> Run:
    """All events in one go."""
    parts = _values(count)
    with _road(broker) as (road, cpu):
        before = cpu()
        carried = road.carry("cost", parts)
        spent = cpu() - before
    bad = sum(len(part.values) // _BAD_IN for part in parts)
    if (carried.sent, carried.dead, carried.inserted) != (count, bad, count - bad):
        raise AssertionError(f"{count} events were sent, {bad} of them bad, but the account says {carried}")
    return Run(carried.events_per_s, count / spent, carried.dead)


def waiting(count: int, broker: Broker | None) -> dict[str, Figure]:
    """How fast a topic that is full is taken into the table, without anybody sending."""
    name = "kafka_waiting_events_per_s"
    if broker is None:
        return {name: None}
    with _road(broker) as (road, _):
        feed = Feed(road.broker, COST, _values(count))
        feed.run()
        if not feed.done:
            raise AssertionError("not all events were delivered")
        carried = road.carry("cost", [])
    if carried.read != count:
        raise AssertionError(f"{count} events waited, {carried.read} were read")
    return {name: round(carried.events_per_s)}


def _ratio(count: int, broker: Broker) -> float:
    """The last tenth beside the first: three carries, each timed by itself, into one table."""
    tenth = count // 10
    first, most, last = _values(tenth), _values(count - 2 * tenth, tenth), _values(tenth, count - tenth)
    with _road(broker) as (road, _):
        rates = [road.carry("cost", parts).events_per_s for parts in (first, most, last)]
    return round(rates[2] / rates[0], 3)


@contextmanager
def kafka() -> Iterator[KafkaBroker | None]:
    """A real Kafka that is started for the bench; None, saying why, where there can be none."""
    from tests.real.kafka import start

    lacking = start.missing()
    if lacking:
        print(f"No real Kafka here ({lacking}): its figures are left out.")
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="workbench-kafka-") as folder:
        port = start.free_port()
        process = start.start(port, Path(folder))
        try:
            yield KafkaBroker(bootstrap_servers=f"127.0.0.1:{port}")
        finally:
            start.stop(process)


@contextmanager
def _road(broker: Broker) -> Iterator[tuple[Road, Callable[[], float]]]:
    """A warm road into a new warehouse (something was carried, and taken out again), and a clock of processor time."""
    if isinstance(broker, KafkaBroker):
        broker = broker.model_copy(update={"topic_prefix": f"bench-{uuid.uuid4().hex[:8]}-"})
    with tempfile.TemporaryDirectory(prefix="workbench-bench-") as folder:
        state = Path(folder) / "state"
        demo = [DemoSource(name="demo", end=date(2025, 11, 1))]
        settings = Settings(name=f"bench-{os.getpid()}", root=state.parent, state=state, sources=demo, broker=broker)
        try:
            with Warehouse(settings) as warehouse, open_road(warehouse, settings) as road:
                road.carry("cost", _values(2_000, -2_000))
                warehouse.session.sql("DELETE FROM finops_curated.cost_events").collect()
                yield road, lambda: _cpu(settings)
        finally:
            stop(settings)


def _cpu(settings: Settings) -> float:
    """Processor seconds so far of this process and the warehouse's."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    address = Place(settings.state).read()
    if address is None:
        return own.ru_utime + own.ru_stime
    fields = Path(f"/proc/{address.pid}/stat").read_text().rpartition(")")[2].split()
    return own.ru_utime + own.ru_stime + (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
