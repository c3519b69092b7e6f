"""What the benches of the stream send: a day of costs, revenue and use of 50 units, or the user's own events.

The numbers are the same each time. After the last event comes one more of each unit, hours later, so that all windows
before it close; these are not compared.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import polars as pl

from workbench import events
from workbench.events import ids
from workbench.focus import AMOUNT, TIME
from workbench.streaming.broker import Broker
from workbench.streaming.feed import Feed, Values, values_of
from workbench.streaming.topics import INPUTS

UNITS = 50
WINDOW = "5m"
AMOUNTS = {"cost": "cost_amount", "business": "revenue_impact", "resource": "cost_estimate"}
SUMS = pl.Schema({"business_unit": pl.String(), "currency": pl.String(), "window_start": TIME,
                  "total_cost": AMOUNT})  # fmt: skip

_PART = 50_000
_START = datetime(2025, 10, 1, tzinfo=UTC)
_SPAN_S = 86_400
_LATE_IN = 100  # one event in so many comes late, by up to half an hour
_MONEY = pl.Decimal(38, 4)
_CLOSES_AFTER = timedelta(days=1)

Parts = Mapping[str, Iterator[pl.DataFrame]]
"""Kind → events, in the order in which they are sent."""


@dataclass
class Sent:
    """What lies in the topics, and what has to come of it. The last event of each unit is in `counts` only."""

    counts: dict[str, int] = field(default_factory=dict)
    sums: pl.DataFrame = field(default_factory=SUMS.to_frame)
    """Cost by unit, currency and five minutes."""
    totals: dict[str, pl.DataFrame] = field(default_factory=dict)
    """Kind → currency, total amount."""
    value_bytes: int = 0
    bad: int = 0

    @property
    def events(self) -> int:
        """All messages."""
        return sum(self.counts.values())


def made(counts: Mapping[str, int]) -> Parts:
    """So many events of each kind, made here."""
    return {kind: _in_parts(_MAKERS[kind], count) for kind, count in counts.items()}


def given(folder: Path, kinds: tuple[str, ...]) -> Parts:
    """The user's own events: `cost.jsonl`, `business.jsonl`, `resource.jsonl`, one a line, in the order of sending."""
    return {kind: _of_file(folder / f"{kind}.jsonl", kind) for kind in kinds if (folder / f"{kind}.jsonl").exists()}


def send(broker: Broker, parts: Parts, bad_in: int = 0) -> Sent:
    """Send events, one kind after the other; one in `bad_in` is broken (0: none)."""
    done = Sent()
    for kind, frames in parts.items():
        feed = Feed(broker, INPUTS[kind], _noted(frames, kind, done, bad_in))
        feed.run()
        if not feed.done:
            raise AssertionError(f"not all {kind} events were delivered")
    return done


def _noted(frames: Iterator[pl.DataFrame], kind: str, done: Sent, bad_in: int) -> Iterator[Values]:
    """The events as they are sent; what has to come of them is added up on the way."""
    units, last, amount = pl.DataFrame(), _START, AMOUNTS[kind]
    for frame in frames:
        values, good = _broken(frame, bad_in) if bad_in else (values_of(frame), frame)
        done.counts[kind] = done.counts.get(kind, 0) + frame.height
        done.value_bytes += sum(map(len, values.values))
        done.bad += frame.height - good.height
        if kind == "cost":
            done.sums = _added([done.sums, _summed(good)], list(SUMS)[:3], "total_cost")
        total = good.select("currency", pl.col(amount).cast(AMOUNT).alias("total"))
        done.totals[kind] = _added([done.totals.get(kind, total.clear()), total], ["currency"], "total")
        units = pl.concat([units, frame]).unique("business_unit", keep="last", maintain_order=True)
        last = max(last, *frame["timestamp"].tail(1_000).to_list())
        yield values
    closing = units.with_columns(
        event_id=pl.format("closing-{}-{}", pl.lit(kind), "business_unit"),
        timestamp=pl.lit(last + _CLOSES_AFTER),
        observed_at=pl.lit(last + _CLOSES_AFTER),
    )
    done.counts[kind] += closing.height
    yield values_of(closing)


def _broken(frame: pl.DataFrame, bad_in: int) -> tuple[Values, pl.DataFrame]:
    """The events as JSON, one in `bad_in` of them broken in one of three ways; and the others."""
    written = values_of(frame)
    values, places = list(written.values), range(bad_in - 1, frame.height, bad_in)
    for place in places:
        value = values[place]
        ways = (value[:100], value.replace(b'_amount":"', b'_amount":"x'), value.replace(b"2025-", b"soon-"))
        values[place] = ways[place // bad_in % 3]
    good = frame.with_row_index().filter(~pl.col("index").is_in(list(places))).drop("index")
    return Values(values, written.keys), good


def _summed(costs: pl.DataFrame) -> pl.DataFrame:
    start = pl.col("timestamp").dt.truncate(WINDOW).alias("window_start")
    amount = pl.col("cost_amount").cast(AMOUNT).alias("total_cost")
    return costs.select("business_unit", "currency", start, amount)


def _added(frames: list[pl.DataFrame], by: list[str], amount: str) -> pl.DataFrame:
    return pl.concat(frames).group_by(by).agg(pl.col(amount).sum().cast(AMOUNT)).sort(by)


def _in_parts(make: Callable[[int, int, int], pl.DataFrame], count: int) -> Iterator[pl.DataFrame]:
    for first in range(0, count, _PART):
        yield make(min(_PART, count - first), first, count)


def _of_file(path: Path, kind: str) -> Iterator[pl.DataFrame]:
    with path.open("rb") as lines:
        while part := list(islice(lines, _PART)):
            checked = events.from_json_lines(b"".join(part), kind)
            if checked.rejected.height:
                raise SystemExit(f"{path}: {checked.rejected['reason'][0]}; mend or take out such lines")
            yield checked.valid


def _costs(count: int, first: int, of: int) -> pl.DataFrame:
    """Cost events number `first` to `first + count` of `of`, evenly over the day."""
    at = pl.col("at")
    return _numbered(count, first, of).select(
        "event_id",
        "timestamp",
        event_type=pl.lit("cloud_cost_incurred"),
        service=pl.format("service-{}", at * 7 % 20),
        cost_amount=((at * 7_919 % 1_000_003).cast(_MONEY) / 10_000).cast(_MONEY),
        resource_id=pl.format("i-0{}", at * 104_729 % 3_000),
        business_unit=pl.format("unit-{}", at % UNITS),
        currency=pl.lit("USD"),
        observed_at=pl.lit(_START + _CLOSES_AFTER),
    )


def _revenue(count: int, first: int, of: int) -> pl.DataFrame:
    at = pl.col("at")
    return _numbered(count, first, of).select(
        "event_id",
        "timestamp",
        event_type=pl.lit("order_placed"),
        user_id=pl.format("user-{}", at * 31 % 100_000),
        feature=pl.lit("checkout"),
        revenue_impact=((at * 6_007 % 2_000_003).cast(_MONEY) / 10_000).cast(_MONEY),
        business_unit=pl.format("unit-{}", at % UNITS),
        currency=pl.lit("USD"),
        observed_at=pl.lit(_START + _CLOSES_AFTER),
    )


def _use(count: int, first: int, of: int) -> pl.DataFrame:
    at = pl.col("at")
    return _numbered(count, first, of).select(
        "event_id",
        "timestamp",
        event_type=pl.lit("resource_used"),
        service=pl.format("service-{}", at * 7 % 20),
        resource_id=pl.format("i-0{}", at % 3_000),
        resource_type=pl.lit("m5.large"),
        utilization=(at * 37 % 101) / 100,
        cost_estimate=pl.lit("0.096").cast(_MONEY),
        business_unit=pl.format("unit-{}", at % UNITS),
        currency=pl.lit("USD"),
        observed_at=pl.lit(_START + _CLOSES_AFTER),
    )


_MAKERS = {"cost": _costs, "business": _revenue, "resource": _use}


def _numbered(count: int, first: int, of: int) -> pl.DataFrame:
    at = pl.col("at")
    late = pl.when(at % _LATE_IN == _LATE_IN - 1).then(at * 13 % 1_800).otherwise(0)
    when = pl.duration(milliseconds=at * _SPAN_S * 1_000 // of) - pl.duration(seconds=late)
    frame = pl.DataFrame({"at": pl.int_range(first, first + count, eager=True)})
    return frame.select("at", ids(frame, ["at"]), timestamp=pl.lit(_START) + when)
