"""From produce to output: how long until what an event closes can be read, at 5,000 events a second.

python -m benchmarks.stream_latency [--quick]

Events of 50 units are sent at a steady rate to a real Kafka; their own time goes by 300 times as fast, so that each
second five minutes close. `workbench stream run` (windows, exactly once) reads them. A sample is the time from the
moment when the event was sent that closes a window of its partition to the moment when a reader of committed messages
has the window.
"""

import subprocess
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
from confluent_kafka import OFFSET_END, TopicPartition

from benchmarks._bench import Figure, arguments, finish
from benchmarks._events import kafka
from benchmarks._stream_data import _MAKERS, UNITS
from benchmarks._stream_engines import ours
from benchmarks._stream_race import WINDOWS
from workbench.settings import KafkaBroker
from workbench.streaming.broker import Broker
from workbench.streaming.clusters import KafkaCluster
from workbench.streaming.feed import values_of
from workbench.streaming.producer import HEADERS
from workbench.streaming.topics import COST, OUTPUTS, ROAD, STATE

RATE = 5_000
BATCH_S = {"p99_s": 0.5, "p99_at_100ms_s": 0.1, "p99_at_1s_s": 1.0, "p99_at_5s_s": 5.0}
_SPEED = 300  # event time to clock
_SECONDS, _QUICK_SECONDS = 40, 12
_WARM_S = 5
_TICK_S = 0.02
_CLOSES_AFTER_S = 600  # of event time, from the begin of a window: its length and its lateness
_FIGURES = {
    "p99_s": "99 of 100 outputs are there within, at the default batch time of 0.5 s",
    "p50_s": "half of them",
    "p99_at_100ms_s": "99 of 100, at a batch time of 0.1 s",
    "p99_at_1s_s": "at 1 s",
    "p99_at_5s_s": "at 5 s",
    "sent_per_s": "events sent a second, the slowest run",
    "samples": "outputs measured, all runs",
}


@dataclass
class _Seen:
    """When events were sent, by partition: their own times, running maximum, and the clock; and what came out."""

    sent: dict[int, list[tuple[float, float]]] = field(default_factory=dict)
    """Partition → (seconds of event time since 1970, clock)."""
    told: list[tuple[int, bytes, float]] = field(default_factory=list)
    """(partition, record, clock)."""


def main(given: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    asked = arguments(__doc__, given)
    chosen = {"p99_s": 0.5} if asked.quick else BATCH_S
    figures: dict[str, Figure] = {}
    samples, rates = 0, []
    with kafka() as settings:
        if settings is None:
            raise SystemExit("The bench `stream_latency` needs a real Kafka: Java 17 and Maven.")
        for name, batch_s in chosen.items():
            delays, rate = _measure(settings, batch_s, _QUICK_SECONDS if asked.quick else _SECONDS)
            figures[name] = round(float(np.quantile(delays, 0.99)), 3)
            if name == "p99_s":
                figures["p50_s"] = round(float(np.quantile(delays, 0.5)), 3)
            samples += len(delays)
            rates.append(rate)
            print(
                f"batch time {batch_s} s: {len(delays)} samples, p99 {figures[name]} s, {rate:,.0f} events/s",
                flush=True,
            )
    figures |= {"sent_per_s": round(min(rates)), "samples": samples}
    ordered = {name: figures[name] for name in _FIGURES if name in figures}
    finish("stream_latency", f"{UNITS} units, {RATE:,} events/s", ordered, quick=asked.quick, units=_FIGURES)


def _measure(settings: KafkaBroker, batch_s: float, seconds: int) -> tuple[list[float], float]:
    """Delays in seconds, and events sent a second."""
    named = settings.model_copy(update={"topic_prefix": f"bench-{uuid.uuid4().hex[:8]}-"})
    seen = _Seen()
    with KafkaCluster(named) as broker:
        broker.prepare((*ROAD, *OUTPUTS, STATE))
        events = _events(seconds)
        with ours(broker, "--processor", "windows", "--batch-s", str(batch_s))() as entry:  # type: ignore[operator]
            process = subprocess.Popen(entry.command, stdout=subprocess.DEVNULL)
            ended = threading.Event()
            reader = threading.Thread(target=_listen, args=(broker, seen, ended))
            reader.start()
            try:
                _wait_until_it_reads(broker, entry.group)
                rate = _send(broker, events, seen)
                time.sleep(batch_s + 3)
            finally:
                ended.set()
                reader.join()
                process.terminate()
                process.wait(60)
    return _delays(seen), rate


def _events(seconds: int) -> pl.DataFrame:
    """Cost events in the order of their time, spread evenly over `seconds` of the clock."""
    count = seconds * RATE
    frame = _MAKERS["cost"](count, 0, count)
    start = datetime(2025, 10, 1, tzinfo=UTC)
    spread = pl.int_range(count) * (1_000_000 * _SPEED // RATE)
    return frame.with_columns(timestamp=pl.lit(start) + pl.duration(microseconds=spread))


def _wait_until_it_reads(broker: Broker, group: str) -> None:
    """Send some events of the day before until one is committed."""
    producer, limit = broker.producer(**{"linger.ms": 5}), time.monotonic() + 60
    old = values_of(_events(1).head(UNITS * 4).with_columns(pl.col("timestamp") - timedelta(days=1)))
    consumer = broker.consumer(group, **{"isolation.level": "read_uncommitted"})
    places = [TopicPartition(broker.topic(COST), at) for at in range(4)]
    try:
        while all(place.offset < 0 for place in consumer.committed(places, timeout=10)):
            if time.monotonic() > limit:
                raise AssertionError("the stream has not begun to read within a minute")
            for value, key in zip(old.values, old.keys, strict=True):
                producer.produce(broker.topic(COST), value, key, headers=HEADERS)
            producer.flush(10)
            time.sleep(0.5)
    finally:
        consumer.close()


def _send(broker: Broker, events: pl.DataFrame, seen: _Seen) -> float:
    """Send the events at their rate; returns the one that was held."""
    given = values_of(events)
    times = events["timestamp"].dt.epoch("us").to_numpy() / 1e6
    producer = broker.producer(**{"linger.ms": 5})
    sent_at = np.zeros(len(times))
    where: dict[str, int] = {}

    def delivered(error: Any, message: Any) -> None:  # noqa: ANN401
        if error is not None:
            raise AssertionError(f"an event was not delivered: {error}")
        where[message.key().decode()] = message.partition()

    started, step = time.monotonic(), int(RATE * _TICK_S)
    for first in range(0, len(times), step):
        time.sleep(max(started + first / RATE - time.monotonic(), 0))
        for at in range(first, min(first + step, len(times))):
            sent_at[at] = time.monotonic()
            producer.produce(
                broker.topic(COST), given.values[at], given.keys[at], headers=HEADERS, on_delivery=delivered
            )
        producer.poll(0)
    rate = len(times) / (time.monotonic() - started)
    producer.flush(20)
    for at, key in enumerate(given.keys):
        seen.sent.setdefault(where[str(key)], []).append((float(times[at]), float(sent_at[at])))
    return rate


def _listen(broker: Broker, seen: _Seen, ended: threading.Event) -> None:
    """Note when a window can be read."""
    consumer = broker.consumer("latency", **{"fetch.wait.max.ms": 5})
    consumer.assign([TopicPartition(broker.topic(WINDOWS), at, OFFSET_END) for at in range(4)])
    while not ended.is_set():
        taken = consumer.consume(500, timeout=0.01)
        now = time.monotonic()
        for message in taken:
            if message.error() is None:
                seen.told.append((message.partition(), message.value(), now))
    consumer.close()


def _delays(seen: _Seen) -> list[float]:
    """For each window that closed after the warm-up: from the event that closed it to the moment it could be read."""
    told = pl.read_ndjson(b"\n".join(value for _, value, _ in seen.told)).with_columns(
        start=pl.col("window_start").str.to_datetime(time_zone="UTC").dt.epoch("us") / 1e6,
        clock=pl.Series([clock for _, _, clock in seen.told]),
        partition=pl.Series([partition for partition, _, _ in seen.told]),
    )
    delays = []
    for partition, sent in seen.sent.items():
        times, clocks = (np.array(column) for column in zip(*sent, strict=True))
        windows = told.filter((pl.col("partition") == partition) & (pl.col("revision") == 0))
        closing = np.searchsorted(times, windows["start"].to_numpy() + _CLOSES_AFTER_S)
        within = closing < len(times)
        warm = clocks[0] + _WARM_S
        delay = windows["clock"].to_numpy()[within] - clocks[closing[within]]
        delays += delay[clocks[closing[within]] > warm].tolist()
    if len(delays) < UNITS or min(delays) < 0:
        raise AssertionError(
            f"{len(delays)} windows were told, the soonest {min(delays, default=0):.3f} s after its event"
        )
    return delays


if __name__ == "__main__":
    main()
