"""The five-minute sum of costs by business unit and currency in quixstreams; the last record of a window counts.

`--tell changes` tells of a window at each event, `--tell closed` once, when its unit is `--grace-hours` past it.
Runs in an environment of its own (`make peers`), so it imports nothing of the workbench. `--threads` are processes:
quixstreams has one thread, and scales by members of its consumer group.
"""

import argparse
import decimal
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import orjson  # type: ignore[import-not-found, unused-ignore]

WINDOW_MS = 300_000
EXACT = decimal.Context(prec=60, traps=[decimal.Inexact, decimal.InvalidOperation])
"""Sums are exact or an error."""

Cost = tuple[int, str, decimal.Decimal]


def main() -> int:
    given = arguments()
    return as_many(given.threads) if given.threads > 1 else alone(given)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("bootstrap", "application", "prefix", "out"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--state-dir", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--commit-ms", type=int, default=100)
    parser.add_argument("--grace-hours", type=int, default=48)
    parser.add_argument("--tell", choices=("changes", "closed"), default="changes")
    parser.add_argument("--idle-ms", type=int, help="taken, because all peers are; nothing closes by the clock here")
    return parser.parse_args()


def as_many(count: int) -> int:
    """Run `count` members, each with a state of its own; the first that ends ends all."""
    folder = sys.argv.index("--state-dir") + 1
    members, ready, stopping = [], threading.Barrier(count + 1), threading.Event()
    for number in range(count):
        argv = [*sys.argv, "--threads", "1"]
        argv[folder] = f"{argv[folder]}/{number}"
        members.append(subprocess.Popen([sys.executable, *argv], stdout=subprocess.PIPE, text=True))

    def stop(*_: object) -> None:
        if not stopping.is_set():  # a second signal would kill a member that is about to close
            stopping.set()
            for member in members:
                member.terminate()

    def listen(member: "subprocess.Popen[str]") -> None:
        assert member.stdout is not None
        if member.stdout.readline().strip() == "READY":
            ready.wait()
        member.wait()
        ready.abort()
        stop()

    signal.signal(signal.SIGTERM, stop)
    listeners = [threading.Thread(target=listen, args=(member,)) for member in members]
    for listener in listeners:
        listener.start()
    try:
        ready.wait()
        print("READY", flush=True)
    except threading.BrokenBarrierError:
        pass
    return max(abs(member.wait()) for member in members)


def alone(given: argparse.Namespace) -> int:
    """Run one member until SIGTERM."""
    from quixstreams import Application  # type: ignore[import-not-found, unused-ignore]

    class Member(Application):  # type: ignore[misc, unused-ignore]
        """Says when it has its partitions."""

        def _on_assign(self, *args: Any) -> None:  # noqa: ANN401
            super()._on_assign(*args)
            print("READY", flush=True)

    app = Member(
        broker_address=given.bootstrap,
        consumer_group=given.application,
        auto_offset_reset="earliest",
        commit_interval=given.commit_ms / 1000,
        state_dir=given.state_dir,
        processing_guarantee="exactly-once",
        loglevel="WARNING",
        max_partition_buffer_size=50_000,
        consumer_extra_config={"queued.min.messages": 200_000, "fetch.max.bytes": 32_000_000,
                               "fetch.wait.max.ms": 20, "receive.message.max.bytes": 100_000_000},
        producer_extra_config={"compression.type": "lz4", "linger.ms": 20, "batch.size": 1_000_000,
                               "queue.buffering.max.messages": 500_000},
    )  # fmt: skip
    build(app, given)
    app.run()
    return 0


def build(app: Any, given: argparse.Namespace) -> None:  # noqa: ANN401
    """Topic → windows → topic. The key is the unit already; its currencies are kept apart in the window's value."""
    from quixstreams.models import JSONDeserializer  # type: ignore[import-not-found, unused-ignore]
    from quixstreams.models.serializers.exceptions import IgnoreMessage  # type: ignore[import-not-found, unused-ignore]

    def read(value: bytes) -> Cost:
        try:
            return cost(value)
        except (ValueError, TypeError, KeyError, decimal.InvalidOperation) as error:
            raise IgnoreMessage from error

    events = app.topic(f"{given.prefix}finops.cost.events", value_deserializer=JSONDeserializer(loads=read),
                       timestamp_extractor=lambda event, *_: event[0])  # fmt: skip
    sums = app.topic(f"{given.out}finops.cost.aggregations", value_serializer="json", key_serializer="bytes")
    windows = app.dataframe(events).tumbling_window(WINDOW_MS, grace_ms=given.grace_hours * 3_600_000)
    sum_of = windows.reduce(reducer=add, initializer=lambda event: add({}, event))
    told = sum_of.current() if given.tell == "changes" else sum_of.final()
    told.apply(records, metadata=True, expand=True).to_topic(sums)


def cost(value: bytes) -> Cost:
    """What the sum needs of an event: milliseconds since 1970, currency, amount."""
    event = orjson.loads(value)
    at = datetime.fromisoformat(event["timestamp"])
    return int(at.timestamp() * 1000), str(event["currency"]), decimal.Decimal(event["cost_amount"])


def add(totals: dict[str, list[Any]], event: Cost) -> dict[str, list[Any]]:
    """Add a cost to the total of its currency: the sum as text, because the state is JSON, and how many there were."""
    _, currency, amount = event
    total, events = totals.get(currency, ("0", 0))
    return {**totals, currency: [format(EXACT.add(decimal.Decimal(total), amount), "f"), events + 1]}


def records(window: dict[str, Any], key: bytes, *_: object) -> list[dict[str, Any]]:
    """What is told of a window: one record a currency."""
    start = written(window["start"])
    return [
        {"business_unit": key.decode(), "currency": currency, "window_start": start, "total_cost": total,
         "events": events}
        for currency, (total, events) in window["value"].items()
    ]  # fmt: skip


@cache
def written(millis: int) -> str:
    """A time in ISO 8601; the same few come again and again."""
    return datetime.fromtimestamp(millis / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


if __name__ == "__main__":
    sys.exit(main())
