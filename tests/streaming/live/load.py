"""A steady load for the stream: costs, revenue and use in time order, some of them late, some that can't be read.

All three kinds keep to one event time, which runs `hours_per_s` times as fast as an hour a second. The same seed gives
the same events, number by number; how many there are depends on how long the load runs.
"""

import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, Protocol

import polars as pl

from workbench.errors import BrokerError, UsageError
from workbench.streaming.broker import Broker
from workbench.streaming.feed import values_of
from workbench.streaming.producer import HEADERS
from workbench.streaming.topics import INPUTS

START = datetime(2025, 10, 1, 11, tzinfo=UTC)
"""Of event time. The first day has more than half of its hours before its end: it is told of."""
UNITS, SERVICES, RESOURCES = 24, 4, 240
BROKEN_IN = 199
"""One message in so many can't be read."""
_TICK_S = 0.1
_MONEY = pl.Decimal(38, 4)
_DELIVERY_S = 180.0  # longer than a broker is away


class Message(NamedTuple):
    """What is sent: kind of event, value, key, headers."""

    kind: str
    value: bytes | None
    key: str | None
    headers: Sequence[tuple[str, bytes]]


class Events(Protocol):
    """Where the events of a load come from."""

    @property
    def rates(self) -> Mapping[str, float]:
        """Events a second, by kind."""

    def messages(self, kind: str, first: int, upto: int) -> list[Message]:
        """The messages of a kind from number `first` to before `upto`; fewer at the end of all."""


@dataclass(frozen=True)
class Generated:
    """Events that are made up: spikes, late ones, days of idle and of busy resources."""

    seed: int = 7
    hours_per_s: float = 0.25
    rates: Mapping[str, float] = field(
        default_factory=lambda: {"cost": 2_400.0, "business": 1_200.0, "resource": 400.0}
    )
    """Events a second, by kind."""

    def messages(self, kind: str, first: int, upto: int) -> list[Message]:
        """See `Events`."""
        given = values_of(self.events(kind, first, upto))
        sent = [Message(kind, value, key, HEADERS) for value, key in zip(given.values, given.keys, strict=True)]
        for number in range(-(-first // BROKEN_IN) * BROKEN_IN, upto, BROKEN_IN):
            sent[number - first] = broken(sent[number - first], number // BROKEN_IN)
        return sent

    def events(self, kind: str, first: int, upto: int) -> pl.DataFrame:
        """The same before anything is broken."""
        at = pl.col("at")
        numbered = pl.DataFrame({"at": pl.int_range(first, upto, eager=True)}).with_columns(
            seconds=at * round(self.hours_per_s * 3_600e6 / self.rates[kind]) // 1_000_000,
            noise=(at * 7_919 + self.seed * 104_729) % 9_973,
            unit=at % UNITS,
        )
        late = pl.when(at % 997 == 996).then(8 * 3_600).when(at % 97 == 96).then(at * 13 % 2_400).otherwise(0)
        return numbered.select(
            event_id=pl.format("{}-{}", pl.lit(kind), "at"),
            timestamp=pl.lit(START) + pl.duration(seconds=pl.col("seconds") - late),
            business_unit=pl.format("unit-{}", "unit"),
            currency=pl.lit("USD"),
            observed_at=pl.lit(START) + pl.duration(days=400),
            **_ABOUT[kind],
        )


def _cost() -> dict[str, pl.Expr]:
    service = pl.col("at") // UNITS % SERVICES
    spike = (service == 1) & ((pl.col("seconds") // 300 + pl.col("unit") * 7) % 61 == 0)
    level = (pl.col("unit") % 5 + service + 1) * 20_000
    refund = pl.when(pl.col("at") % 503 == 502).then(-1).otherwise(1)
    amount = (level + pl.col("noise")) * pl.when(spike).then(12).otherwise(1) * refund
    return {
        "event_type": pl.lit("cloud_cost_incurred"),
        "service": pl.format("service-{}", service),
        "cost_amount": (amount.cast(_MONEY) / 10_000).cast(_MONEY),
    }


def _business() -> dict[str, pl.Expr]:
    amount = pl.col("noise") * 37 + pl.col("unit") * 1_000
    return {
        "event_type": pl.lit("order_placed"),
        "user_id": pl.format("user-{}", "noise"),
        "feature": pl.lit("checkout"),
        "action": pl.lit("purchase"),
        "revenue_impact": (amount.cast(_MONEY) / 10_000).cast(_MONEY),
    }


def _resource() -> dict[str, pl.Expr]:
    resource, day = pl.col("at") % RESOURCES, (pl.col("seconds") + 11 * 3_600) // 86_400
    mood = (resource // UNITS + day) % 4  # idle, little used, well used, full: another each day
    use = mood.replace_strict({0: 1, 1: 20, 2: 60, 3: 93}, return_dtype=pl.Int64)
    return {
        "event_type": pl.lit("resource_used"),
        "service": pl.format("service-{}", resource % SERVICES),
        "resource_id": pl.format("i-{}", resource),
        "resource_type": pl.lit("m5.large"),
        "utilization": (use * 10 + pl.col("noise") % 10) / 1_000,
        "cost_estimate": pl.lit("0.096").cast(_MONEY),
    }


_ABOUT = {"cost": _cost(), "business": _business(), "resource": _resource()}


def broken(message: Message, way: int) -> Message:
    """The same message so that it can't be read, in one of eight ways."""
    value = message.value or b""
    ways: list[tuple[bytes | None, Sequence[tuple[str, bytes]]]] = [
        (value[: len(value) // 2], HEADERS),
        (value.replace(b'"timestamp":"20', b'"timestamp":"soon'), HEADERS),
        (value.replace(b'"currency":"USD"', b'"currency":"dollars"'), HEADERS),
        (b"\xff\xfe" + value, HEADERS),
        (b"[" + value + b"]", HEADERS),
        (value, []),
        (value, [("schema_version", b"99")]),
        (None, HEADERS),
    ]
    worse, headers = ways[way % len(ways)]
    return message._replace(value=worse, headers=headers)


class Recorded:
    """Somebody's own messages: JSON lines in `cost.jsonl`, `business.jsonl`, `resource.jsonl` of a folder, as they are.

    They are spread evenly over `seconds`; after the last nothing more comes.
    """

    def __init__(self, folder: Path, seconds: float) -> None:
        paths = {kind: folder / f"{kind}.jsonl" for kind in INPUTS}
        self._lines = {kind: path.read_bytes().splitlines() for kind, path in paths.items() if path.is_file()}
        if not any(self._lines.values()):
            raise UsageError(f"{folder} holds none of {', '.join(path.name for path in paths.values())}, or no line in "
                             "them; write the messages of each topic as JSON lines")  # fmt: skip
        self.rates = {kind: len(lines) / seconds for kind, lines in self._lines.items()}

    def messages(self, kind: str, first: int, upto: int) -> list[Message]:
        """See `Events`."""
        return [Message(kind, line, _unit(line), HEADERS) for line in self._lines[kind][first:upto]]


def _unit(line: bytes) -> str | None:
    try:
        unit = json.loads(line).get("business_unit")
    except (ValueError, AttributeError):
        return None
    return unit if isinstance(unit, str) else None


class Load(threading.Thread):
    """Sends events at their rates until it is stopped, whatever happens to the broker meanwhile."""

    def __init__(self, broker: Broker, events: Events) -> None:
        super().__init__(name="load", daemon=True)
        self._broker, self._events = broker, events
        self._over, self._error = threading.Event(), ""
        self._producer = broker.producer(**{"message.timeout.ms": round(_DELIVERY_S * 1_000)})
        self.sent = dict.fromkeys(events.rates, 0)

    def run(self) -> None:
        """Send what is due, again and again."""
        began = time.monotonic()
        while not self._over.wait(_TICK_S):
            self.send_until(time.monotonic() - began)

    def send_until(self, seconds: float) -> None:
        """Send all that is due so many seconds after the beginning."""
        for kind, rate in self._events.rates.items():
            for message in self._events.messages(kind, self.sent[kind], int(seconds * rate)):
                self._send(message)
                self.sent[kind] += 1

    def flush(self) -> None:
        """Wait until all that was sent has arrived. Raises BrokerError if some has not."""
        left = self._producer.flush(_DELIVERY_S)
        if left or self._error:
            raise BrokerError(f"{left} messages of the load were not delivered, or one was refused: {self._error}")

    def finish(self) -> dict[str, int]:
        """Send no more, wait until all has arrived; returns how many by kind. Raises as `flush`."""
        self._over.set()
        if self.ident:
            self.join()
        self.flush()
        return self.sent

    def _send(self, message: Message) -> None:
        name = self._broker.topic(INPUTS[message.kind])
        while True:
            try:
                self._producer.produce(
                    name, message.value, message.key, headers=list(message.headers), on_delivery=self._delivered
                )
            except BufferError:
                self._producer.poll(0.1)
            else:
                self._producer.poll(0)
                return

    def _delivered(self, error: object, message: object) -> None:
        del message
        if error is not None:
            self._error = str(error)
