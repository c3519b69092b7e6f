"""One run of one engine over topics that are full: how fast it commits, how much memory it takes, whether it is right.

The clock runs from the first committed offsets that are seen to the moment when all are: what an engine needs to start,
to join its group and to warm up before its first commit is not counted, for any of them.
"""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl
from confluent_kafka import OFFSET_BEGINNING, ConsumerGroupTopicPartitions, KafkaError, TopicPartition
from confluent_kafka.admin import AdminClient

from benchmarks._bench import peak_rss_gb
from benchmarks._stream_data import SUMS, Sent
from workbench.streaming.broker import Broker
from workbench.streaming.topics import Topic

_LOOK_S = 0.05
_STALL_S = 90.0
WINDOWS = Topic("finops.cost.aggregations")


@dataclass(frozen=True)
class Entry:
    """An engine that takes part: how it is started, its consumer group, and where it writes windows."""

    name: str
    command: Sequence[str]
    group: str
    output: str
    """Topic of the windows' sums."""
    between: Sequence[str] = ()
    """Topics in which it passes events on to itself: it is done when it has read these too."""
    deltas: bool = False
    """Whether records add up (ours), or the last one of a window counts (the others)."""
    exact: bool = True
    """Whether it reckons with decimals; else its sums are held against the exact ones to a billionth."""


@dataclass
class Run:
    """What came of it. `marks`: (seconds, messages committed)."""

    marks: list[tuple[float, int]] = field(default_factory=list)
    rss_gb: float | None = None
    load: float = 0.0

    @property
    def rate(self) -> float:
        """Committed events a second."""
        return _rate(self.marks, 0, 1)

    @property
    def last_over_first(self) -> float:
        """The rate of the last fifth to that of the second: whether it gets slower with what lies behind it."""
        return _rate(self.marks, 0.8, 1) / _rate(self.marks, 0.2, 0.4)


def run(entry: Entry, broker: Broker, sent: Sent, topics: Sequence[Topic]) -> Run:
    """Start an engine, wait until it has committed everything, end it, and hold its sums against the exact ones.

    Raises
    ------
    AssertionError
        It died, stood still, or its sums are wrong.
    """
    places = [TopicPartition(broker.topic(topic), at) for topic in topics for at in range(4)]
    before = ends(broker, entry.output)
    done = Run(load=round(os.getloadavg()[0], 2))
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(entry.command, stdout=said, stderr=said)
        try:
            for committed in _progress(entry.group, broker, process, places, sent.events):
                done.marks.append((time.monotonic(), committed))
            if entry.between:
                _wait_for(entry, broker, process)
                done.marks.append((time.monotonic(), sent.events))
            done.rss_gb = peak_rss_gb(process.pid)
            process.send_signal(signal.SIGTERM)
            process.wait(60)
        except AssertionError as error:
            said.seek(0)
            text = said.read()[-2000:].decode(errors="replace")
            raise AssertionError(f"{entry.name}: {error}; it said: {text}") from None
        finally:
            process.kill()
            process.wait()
    _compare(entry, broker, before, sent)
    return done


def _progress(
    group: str, broker: Broker, process: "subprocess.Popen[bytes]", places: list[Any], total: int
) -> Iterator[int]:
    """How many messages are committed, each time that it has become more, until all are."""
    admin = AdminClient(broker.connection())
    committed, moved = 0, time.monotonic()
    while committed < total:
        if process.poll() is not None:
            raise AssertionError(f"it ended by itself with {process.returncode}")
        found = _committed(admin, group, places)
        if found > committed:
            committed, moved = found, time.monotonic()
            yield committed
        if time.monotonic() - moved > _STALL_S:
            raise AssertionError(f"it stands at {committed} of {total}")
        time.sleep(_LOOK_S)


def _wait_for(entry: Entry, broker: Broker, process: "subprocess.Popen[bytes]") -> None:
    """Wait until an engine has read what it passed on to itself: everything up to marks of transactions at the end."""
    admin, limit = AdminClient(broker.connection()), time.monotonic() + _STALL_S * 10
    while time.monotonic() < limit:
        left = 0
        for topic in entry.between:
            last = ends(broker, topic)
            places = [TopicPartition(topic, at) for at in last]
            read = _committed(admin, entry.group, places)
            left += max(sum(last.values()) - read - len(places), 0)
        if process.poll() is not None:
            raise AssertionError(f"it ended by itself with {process.returncode}")
        if not left:
            return
        time.sleep(_LOOK_S * 4)
    raise AssertionError(f"it has not read {left} of what it passed on to itself")


def _committed(admin: AdminClient, group: str, places: list[Any]) -> int:
    asked = [ConsumerGroupTopicPartitions(group, places)]
    [future] = admin.list_consumer_group_offsets(asked, request_timeout=10).values()
    try:
        found = future.result().topic_partitions
    except Exception:  # noqa: BLE001 (the group is not there yet, or its coordinator is loading)
        return 0
    return sum(max(place.offset, 0) for place in found)


def _rate(marks: list[tuple[float, int]], low: float, high: float) -> float:
    """Committed messages a second between two shares of all that was seen to be committed."""
    start, end = marks[0][1], marks[-1][1]
    if len(marks) < 2:
        raise AssertionError(f"too few commits were seen to tell a rate: {marks}")
    first = next(mark for mark in marks if mark[1] - start >= low * (end - start))
    last = marks[-1] if high == 1 else next(mark for mark in marks if mark[1] - start >= high * (end - start))
    if last == first:
        return float("nan")
    return (last[1] - first[1]) / (last[0] - first[0])


def ends(broker: Broker, topic: str) -> dict[int, int]:
    """Partition → the offset after the last message."""
    consumer = broker.consumer("look")
    try:
        count = len(consumer.list_topics(topic, timeout=10).topics[topic].partitions)
        return {at: broker.watermarks(consumer, topic, at)[1] for at in range(count)}
    finally:
        consumer.close()


def values(broker: Broker, topic: str, before: dict[int, int]) -> Iterator[list[bytes]]:
    """All that was written and committed since, partition by partition."""
    for partition, start in before.items():
        consumer = broker.consumer("look", **{"enable.partition.eof": True})
        consumer.assign([TopicPartition(topic, partition, start or OFFSET_BEGINNING)])
        ended = False
        while not ended:
            taken = consumer.consume(20_000, timeout=0.2)
            for error in (message.error() for message in taken):
                ended |= error is not None and error.code() == KafkaError._PARTITION_EOF  # noqa: SLF001
            yield [message.value() for message in taken if message.error() is None and message.value()]
        consumer.close()


def _compare(entry: Entry, broker: Broker, before: dict[int, int], sent: Sent) -> None:
    """Hold the windows' sums against the exact ones; those after the last compared window are left out."""
    read = ["business_unit", "currency", "window_start", "total_cost", "delta_cost"]
    frames = [
        pl.read_ndjson(b"\n".join(part), schema=dict.fromkeys(read, pl.String()))
        for part in values(broker, entry.output, before) if part
    ]  # fmt: skip
    told = pl.concat(frames).with_row_index("order")
    key = list(SUMS)[:3]
    amount = pl.col("delta_cost" if entry.deltas else "total_cost").cast(SUMS["total_cost"])
    told = told.with_columns(
        amount.alias("total_cost"), pl.col("window_start").str.to_datetime(time_zone="UTC", time_unit="us")
    )
    if entry.deltas:
        sums = told.group_by(key).agg(pl.col("total_cost").sum().cast(SUMS["total_cost"]))
    else:
        sums = told.sort("order").group_by(key).agg(pl.last("total_cost"))
    sums = sums.filter(pl.col("window_start") <= sent.sums["window_start"].max()).sort(key)
    both = sums.join(sent.sums, on=key, how="full", suffix="_exact", coalesce=True)
    off = (pl.col("total_cost").cast(pl.Float64) / pl.col("total_cost_exact").cast(pl.Float64) - 1).abs() > 1e-9
    differs = ~pl.col("total_cost").eq_missing(pl.col("total_cost_exact")) if entry.exact else off.fill_null(value=True)
    wrong = both.filter(differs)
    if wrong.height:
        raise AssertionError(
            f"{entry.name}: {wrong.height} of {sent.sums.height} sums are wrong: {wrong.head(3).rows()}"
        )
