"""Cost Explorer: what each unit and service cost, by day or by hour, as cost events.

`get_cost_and_usage` as it is: two keys to group by, answers in pages, an exclusive end, hours for the last 14 days only
and with their times, days else. The last days are read again each time, because AWS restates them: the id of an event
is a hash of what it speaks of, not of the amount, so that a re-read is an update. What AWS said before and says no
longer (a tag moved on, a day was read by hours and now as a whole, the profile groups otherwise) is sent again with an
amount of 0.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import polars as pl

from workbench.checking import Checked
from workbench.errors import SourceError
from workbench.events import COST, ids, validate
from workbench.focus import UNALLOCATED
from workbench.settings import AwsSource, Names
from workbench.sources.aws.calls import Aws
from workbench.sources.handed import Clock, Cursors, Known, Sink

HOURLY_DAYS = 14
"""So many days AWS keeps hours of."""

CHUNK_DAYS = 31
CURSOR = "costs.read_to"
_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)
_OWNER = ("TAG", "COST_CATEGORY")


@dataclass(frozen=True)
class Span:
    """A half-open span to be read by days or by hours."""

    start: datetime
    end: datetime
    hourly: bool

    @property
    def period(self) -> dict[str, str]:
        """As the API wants it: dates for days, times for hours; the end is not part of it."""
        form = "%Y-%m-%dT%H:%M:%SZ" if self.hourly else "%Y-%m-%d"
        return {"Start": self.start.strftime(form), "End": self.end.strftime(form)}


@dataclass
class CostsRead:
    """What a round brought."""

    start: datetime
    end: datetime
    requests: int = 0
    events: int = 0
    withdrawn: int = 0
    rejected: int = 0
    estimated: int = 0


@dataclass(frozen=True)
class Costs:
    """One source's Cost Explorer. `known` tells the cost events that an earlier round has brought."""

    aws: Aws
    names: Names
    sink: Sink
    cursors: Cursors
    known: Known
    clock: Clock

    def round(self, since: datetime | None = None) -> CostsRead:
        """Read what is new and the trailing days, by spans of a month; the cursor moves after each.

        Raises
        ------
        SourceError
            AWS refuses.
        """
        source, now = self.aws.source, self.clock().astimezone(UTC)
        start = since or self._start(now)
        read = CostsRead(start, start)
        for span in spans(start, now, hourly=source.granularity == "hourly"):
            self.aws.rest()
            self._take(span, now, read)
            self.cursors.set(CURSOR, span.end.isoformat())
            read.end = span.end
        return read

    def _start(self, now: datetime) -> datetime:
        source, reached = self.aws.source, self.cursors.get(CURSOR)
        if reached is None:
            return midnight(now) - source.history_days * _DAY
        return midnight(min(datetime.fromisoformat(reached), now)) - source.trailing_days * _DAY

    def _take(self, span: Span, now: datetime, read: CostsRead) -> None:
        source = self.aws.source
        collector = f"cost-explorer:{self.aws.account()}"  # one an account, however it is grouped: it is the same money
        rows: list[dict[str, Any]] = []
        for page in self._pages(span):
            read.requests += 1
            try:
                rows += rows_of(page, source, collector, hourly=span.hourly)
            except (KeyError, TypeError, ValueError) as error:
                raise SourceError(
                    f"source '{source.name}': get_cost_and_usage: an answer that is not understood ({error!r}), of "
                    "which nothing was taken"
                ) from error
        frame = frame_of(rows, self.names)
        before = self.known(collector, span.start, span.end)
        if frame.is_empty() and (before["cost_amount"] != 0).any():
            raise SourceError(
                f"source '{source.name}': get_cost_and_usage: AWS has nothing to say of {span.start:%Y-%m-%d} to "
                f"{span.end:%Y-%m-%d}, of which it had costs before; nothing was changed. Run again later, and check "
                "that group_by names keys which are active in AWS"
            )
        checked = validate(frame, "cost", observed_at=now)
        gone = withdrawn(before, frame["event_id"], now)
        self.sink.take("cost", Checked(pl.concat([checked.valid, gone]), checked.rejected))
        read.events += checked.valid.height
        read.withdrawn += gone.height
        read.rejected += checked.rejected.height
        read.estimated += sum(row["estimated"] for row in rows)

    def _pages(self, span: Span) -> Iterator[dict[str, Any]]:
        source = self.aws.source
        return self.aws.pages(
            self.aws.client("ce"),
            "get_cost_and_usage",
            "NextPageToken",
            TimePeriod=span.period,
            Granularity="HOURLY" if span.hourly else "DAILY",
            Metrics=[source.cost_metric],
            GroupBy=[_group(key) for key in source.group_by],
        )


def midnight(moment: datetime) -> datetime:
    """The start of its day in UTC."""
    return datetime.combine(moment.astimezone(UTC).date(), time(), UTC)


def spans(start: datetime, now: datetime, *, hourly: bool) -> Iterator[Span]:
    """Cut the time from `start` up to now: days as far as hours can't be had, then hours, each a month at most."""
    first_hour = midnight(now - HOURLY_DAYS * _DAY) + _DAY if hourly else midnight(now) + _DAY
    day = midnight(start)
    while day < first_hour:
        end = min(day + CHUNK_DAYS * _DAY, first_hour)
        yield Span(day, end, hourly=False)
        day = end
    last = now.replace(minute=0, second=0, microsecond=0)
    if hourly and day < last:
        yield Span(day, last, hourly=True)


def _group(key: str) -> dict[str, str]:
    kind, colon, label = key.partition(":")
    return {"Type": kind, "Key": label} if colon else {"Type": "DIMENSION", "Key": key}


def rows_of(page: dict[str, Any], source: AwsSource, collector: str, *, hourly: bool) -> Iterator[dict[str, Any]]:
    """The groups of a page, one row each; amounts as the text that came."""
    for result in page.get("ResultsByTime", []):
        start = result["TimePeriod"]["Start"]
        for group in result.get("Groups", []):
            amount = group["Metrics"][source.cost_metric]
            said = dict(zip(source.group_by, map(_value, source.group_by, group["Keys"]), strict=True))
            yield {
                "timestamp": start if "T" in start else f"{start}T00:00:00Z",
                "period": "hour" if hourly else "day",
                "collector": collector,
                "metric": source.cost_metric,
                "cost_amount": amount["Amount"],
                "currency": amount["Unit"],
                "unit": next((value for key, value in said.items() if key.partition(":")[0] in _OWNER), ""),
                "service": said.get("SERVICE", ""),
                "region": said.get("REGION", ""),
                "project_id": said.get("LINKED_ACCOUNT", ""),
                "keys": json.dumps(said, sort_keys=True, ensure_ascii=False),
                "estimated": bool(result.get("Estimated", False)),
            }


def _value(key: str, value: str) -> str:
    """What a group is called: `team$shop` is the tag team's value shop."""
    label = key.partition(":")[2]
    return value.removeprefix(f"{label}$") if label else value


_ROW = pl.Schema(
    dict.fromkeys(("timestamp", "period", "collector", "metric", "cost_amount", "currency", "unit", "service", "region",
                   "project_id", "keys"), pl.String()) | {"estimated": pl.Boolean()}
)  # fmt: skip


def frame_of(rows: list[dict[str, Any]], names: Names) -> pl.DataFrame:
    """Rows as cost events, still as text: `workbench.events.validate` reads them."""
    frame = pl.DataFrame(rows, schema=_ROW)
    key = ("collector", "metric", "period", "timestamp", "keys", "currency")
    unit = pl.when(pl.col("unit") == "").then(pl.lit(UNALLOCATED)).otherwise(pl.col("unit"))
    said = pl.struct("collector", "metric", "period", "keys", "estimated").struct.json_encode()
    return frame.select(
        ids(frame, key),
        "timestamp",
        pl.lit("cloud_cost_incurred").alias("event_type"),
        "service",
        "region",
        "cost_amount",
        (unit.replace(names.units) if names.units else unit).alias("business_unit"),
        "project_id",
        said.alias("metadata"),
        "currency",
    )


def withdrawn(before: pl.DataFrame, now_said: pl.Series, observed_at: datetime) -> pl.DataFrame:
    """What was said before and is said no longer, as the same events with an amount of 0."""
    gone = before.filter(~pl.col("event_id").is_in(now_said.implode()), pl.col("cost_amount") != 0)
    return gone.with_columns(
        pl.lit(Decimal(0)).cast(COST["cost_amount"]).alias("cost_amount"),
        pl.lit(observed_at).cast(COST["observed_at"]).alias("observed_at"),
        pl.lit(None, COST["loaded_at"]).alias("loaded_at"),
    ).select(pl.col(name).cast(dtype) for name, dtype in COST.items())
