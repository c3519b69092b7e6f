"""The peers of the bench `stream` do the work they are compared by: their sums are exact, late events included."""

import json
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition

from benchmarks.peers import commands
from benchmarks.peers.commands import Run
from tests.benchmarks.peer_events import BAD, LONG_AFTER, MONEY, closing, costs, exact_sums, revenue, total, use
from tests.real.kafka.fixture import kafka_address  # noqa: F401
from workbench.settings import KafkaBroker
from workbench.streaming.broker import Broker
from workbench.streaming.clusters import KafkaCluster
from workbench.streaming.feed import Feed, Values
from workbench.streaming.topics import BUSINESS, COST, DEAD_LETTERS, OUTPUTS, RESOURCE, ROAD, Topic

SPIKES, WINDOWS, RETURNS, ADVICE = OUTPUTS[:4]
real = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.fixture
def brokers(kafka_address: str) -> Iterator[tuple[Broker, Broker]]:  # noqa: F811
    """One for what goes in, one for what comes out."""
    name = f"t{uuid.uuid4().hex[:8]}"
    with (
        KafkaCluster(KafkaBroker(bootstrap_servers=kafka_address, topic_prefix=f"{name}-in-")) as given,
        KafkaCluster(KafkaBroker(bootstrap_servers=kafka_address, topic_prefix=f"{name}-out-")) as told,
    ):
        given.prepare(ROAD)
        told.prepare(OUTPUTS)
        yield given, told


@contextmanager
def running(peer: str, given: Broker, told: Broker, folder: Path, **more: int) -> Iterator[Run]:
    """A peer that reads; at the end it has to close by itself."""
    run = Run(given.address, f"{told.prefix}{peer}", given.prefix, told.prefix, folder, **more)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(commands.command(peer, run), stdout=log, stderr=log)
    try:
        wait_for(lambda: process.poll() is not None or "READY" in (folder / "log").read_text(), 120)
        assert process.poll() is None, (folder / "log").read_text()
        yield run
        process.send_signal(signal.SIGTERM)
        assert process.wait(40) in {0, 143, -signal.SIGTERM}, (folder / "log").read_text()
    finally:
        process.kill()
        process.wait()


def wait_for(what: Callable[[], bool], seconds: float) -> None:
    limit = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < limit, "it did not happen in time"
        time.sleep(0.1)


def send(broker: Broker, topic: Topic, *data: pl.DataFrame | Values) -> None:
    feed = Feed(broker, topic, data)
    feed.run()
    assert feed.done


def all_committed(broker: Broker, group: str, *topics: Topic) -> bool:
    """Whether a group has committed all that its topics hold."""
    return all_committed_of(broker, group, [Topic(broker.topic(topic)) for topic in topics])


def all_committed_of(broker: Broker, group: str, topics: list[Topic]) -> bool:
    """The same, for topics by their whole names."""
    consumer = broker.consumer(group)
    try:
        for topic in topics:
            parts = [TopicPartition(topic.name, partition) for partition in range(4)]
            for part in consumer.committed(parts, timeout=10):
                if max(part.offset, 0) < broker.watermarks(consumer, part.topic, part.partition)[1]:
                    return False
        return True
    finally:
        consumer.close()


def read_all(broker: Broker, topic: Topic) -> list[dict[str, Any]]:
    """The JSON of all messages that a reader of committed messages sees, by partition, in order."""
    return [json.loads(message.value()) for message in messages_of(broker, topic)]


def messages_of(broker: Broker, topic: Topic) -> list[Message]:
    consumer: Consumer = broker.consumer("reader", **{"enable.partition.eof": True})
    consumer.assign([TopicPartition(broker.topic(topic), partition, OFFSET_BEGINNING) for partition in range(4)])
    found, ended = [], 0
    while ended < 4:
        for message in consumer.consume(10_000, timeout=5):
            if message.error():
                ended += 1
            else:
                found.append(message)
    consumer.close()
    return found


def last_sums(records: list[dict[str, Any]]) -> pl.DataFrame:
    """What the last record of each window says."""
    frame = pl.DataFrame(records, infer_schema_length=None).select(
        "business_unit",
        "currency",
        pl.col("window_start").str.to_datetime("%+", time_unit="us", time_zone="UTC"),
        pl.col("total_cost").cast(MONEY),
        pl.col("events").cast(pl.Int64),
    )
    key = ["business_unit", "currency", "window_start"]
    return frame.unique(key, keep="last", maintain_order=True).sort(key)


@pytest.mark.parametrize(
    ("peer", "latest"),
    [
        pytest.param("sum", 86_400, marks=real),
        pytest.param("quixstreams_sum", 86_400, marks=real),
        pytest.param("quixstreams_sum_closed", 3_000, marks=real),
    ],
)
def test_a_peers_five_minute_sums_are_exact_late_events_included(
    peer: str, latest: int, brokers: tuple[Broker, Broker], tmp_path: Path
) -> None:
    if lacking := commands.missing(peer):
        pytest.skip(lacking)
    given, told = brokers
    events = costs(20_000, latest)
    with running(peer, given, told, tmp_path) as run:
        send(given, COST, events, closing(events))
        wait_for(lambda: all_committed(given, run.application, COST), 120)
    found = last_sums(read_all(told, WINDOWS))
    assert found.filter(pl.col("window_start") < LONG_AFTER).equals(exact_sums(events))


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_whole_job_counts_every_event_once_and_buries_what_it_cannot_read(
    brokers: tuple[Broker, Broker], tmp_path: Path
) -> None:
    if lacking := commands.missing("whole"):
        pytest.skip(lacking)
    given, told = brokers
    spent, earned = costs(20_000, 86_400), revenue(20_000)
    send(given, COST, spent, Values(list(BAD), ["unit-1"] * len(BAD)))
    send(given, BUSINESS, earned)
    send(given, RESOURCE, use(12))
    with running("whole", given, told, tmp_path, idle_ms=2_000) as run:
        wait_for(lambda: all_committed(given, run.application, COST, BUSINESS, RESOURCE), 120)
        wait_for(lambda: told_cost(told) >= total(spent, "cost_amount"), 60)
    windows = pl.DataFrame(read_all(told, WINDOWS), infer_schema_length=None)
    assert deltas(windows, "window_start", "cost").equals(exact_sums(spent).drop("events"))
    in_time = windows.filter(~pl.col("beyond_horizon"))
    beyond = windows.filter("beyond_horizon").select("business_unit", "currency", "window_start").unique()
    assert beyond.height
    key = ["business_unit", "currency", "window_start"]
    by_last = last_sums(in_time.join(beyond, on=key, how="anti", maintain_order="left").to_dicts())
    assert by_last.equals(exact_sums(spent).join(parsed(beyond), on=key, how="anti").sort(key))
    returns = pl.DataFrame(read_all(told, RETURNS), infer_schema_length=None)
    assert (
        deltas(returns, "timestamp", "cost").filter(pl.col("total_cost") != 0).equals(exact_sums(spent).drop("events"))
    )
    assert returns["delta_revenue"].cast(MONEY).sum() == total(earned, "revenue_impact")
    assert_returns_are_the_sums_around(returns, spent, earned)
    letters = messages_of(given, DEAD_LETTERS)
    assert sorted(letter.value() for letter in letters) == sorted(BAD)
    for letter in letters:
        assert BAD[letter.value()] in dict(letter.headers())["reason"].decode()
    assert {(one["resource_id"], one["action"]) for one in read_all(told, ADVICE)} == {
        ("idle", "terminate"),
        ("busy", "upsize"),
    }


def told_cost(told: Broker) -> Decimal:
    return sum((Decimal(one["delta_cost"]) for one in read_all(told, RETURNS)), Decimal(0))


def parsed(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.col("window_start").str.to_datetime("%+", time_unit="us", time_zone="UTC"))


def deltas(records: pl.DataFrame, start: str, side: str) -> pl.DataFrame:
    """What all records of a window add up to."""
    renamed = parsed(records.select("business_unit", "currency", window_start=start, delta=f"delta_{side}"))
    sums = renamed.group_by("business_unit", "currency", "window_start").agg(
        total_cost=pl.col("delta").cast(MONEY).sum().cast(MONEY)
    )
    return sums.sort("business_unit", "currency", "window_start")


def assert_returns_are_the_sums_around(returns: pl.DataFrame, spent: pl.DataFrame, earned: pl.DataFrame) -> None:
    """The last record of each return has both sides of half an hour around, where nothing came beyond the horizon."""
    last = returns.filter(~pl.col("beyond_horizon")).unique(["business_unit", "currency", "timestamp"], keep="last")
    ample = last.filter(pl.col("timestamp") > "2025-10-02T02:00").with_columns(
        pl.col("window_start", "window_end").str.to_datetime("%+", time_unit="us", time_zone="UTC")
    )
    assert ample.height > 1_000
    for one in ample.sample(50, seed=1).iter_rows(named=True):
        for side, events, amount in (("cost", spent, "cost_amount"), ("revenue", earned, "revenue_impact")):
            near = events.filter(
                (pl.col("business_unit") == one["business_unit"]) & (pl.col("currency") == one["currency"])
                & (pl.col("timestamp") >= one["window_start"]) & (pl.col("timestamp") < one["window_end"])
            )  # fmt: skip
            assert Decimal(one[side]) == total(near, amount)


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_whole_job_raises_a_spike_and_nothing_else(brokers: tuple[Broker, Broker], tmp_path: Path) -> None:
    if lacking := commands.missing("whole"):
        pytest.skip(lacking)
    given, told = brokers
    minutes = pl.int_range(0, 600, eager=True)
    steady = costs(600, 0).with_columns(
        timestamp=pl.lit(datetime(2025, 10, 2, tzinfo=UTC)) + pl.duration(minutes=minutes),
        cost_amount=pl.when(minutes == 407).then(200).otherwise(10 + minutes % 3).cast(MONEY),
        business_unit=pl.lit("shop"),
        currency=pl.lit("USD"),
        service=pl.lit("compute"),
    )
    send(given, COST, steady)
    with running("whole", given, told, tmp_path, idle_ms=2_000):
        wait_for(lambda: told_cost(told) >= total(steady, "cost_amount"), 120)
    [spike] = read_all(told, SPIKES)
    assert (spike["window_start"], spike["status"], spike["service"]) == ("2025-10-02T06:45:00Z", "raised", "compute")


@pytest.mark.parametrize("peer", [pytest.param("article", marks=real), pytest.param("article_by_unit", marks=real)])
def test_the_articles_sums_are_near_the_exact_ones(peer: str, brokers: tuple[Broker, Broker], tmp_path: Path) -> None:
    if lacking := commands.missing(peer):
        pytest.skip(lacking)
    given, told = brokers
    small, earned = costs(2_000, 3_000), revenue(2_000)
    spent = small.with_columns((pl.col("cost_amount") * 100).cast(MONEY))
    send(given, COST, spent)
    send(given, BUSINESS, earned)
    with running(peer, given, told, tmp_path) as run:
        between = [Topic(name) for name in commands.between(peer, run.application)]
        wait_for(lambda: all_committed(given, run.application, COST, BUSINESS), 120)
        wait_for(lambda: all_committed_of(given, run.application, between), 120)
    found = {
        (one["business_unit"], one["currency"], one["window_start"]): float(one["total_cost"])
        for one in read_all(told, WINDOWS)
    }
    exact = {
        (unit, currency, start.strftime("%Y-%m-%dT%H:%M:%SZ")): float(amount)
        for unit, currency, start, amount, _ in exact_sums(spent).iter_rows()
    }
    assert found == pytest.approx(exact, rel=1e-9)
    assert bool(read_all(told, RETURNS)) == (peer == "article_by_unit")


def test_a_peer_that_is_not_there_says_what_makes_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(commands, "_STREAMS", tmp_path)
    monkeypatch.setattr(commands, "_QUIX", tmp_path / "python")
    assert all("make peers" in commands.missing(peer) for peer in commands.PEERS)
    with pytest.raises(KeyError, match=r"no peer 'flink'; there are sum, whole"):
        commands.missing("flink")
