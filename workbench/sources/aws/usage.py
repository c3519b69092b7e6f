"""CloudWatch: how much of each resource was used in an hour, as resource events.

`get_metric_data` in batches of 500 queries, in pages. What CloudWatch has no sample of has no event: it is not zero.
The last hours are read again each time, because samples come late; the same hour is the same event.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import polars as pl

from workbench.errors import SourceError
from workbench.events import ids, validate
from workbench.settings import AwsMetric, Names
from workbench.sources.aws.calls import Aws
from workbench.sources.aws.owners import Owners, owners_of
from workbench.sources.handed import Clock, Cursors, Sink

MOST_QUERIES = 500
"""Queries of one call."""

CURSOR = "usage.read_to"
_HOUR = timedelta(hours=1)
_CHUNK_HOURS = 24 * 7
_A_LITTLE_OVER = 1.01  # a sample may be above its full by rounding
_CURRENCY = "USD"  # what AWS prices are in; a cost estimate is not made here


class Asked(NamedTuple):
    """One series: a metric of one resource."""

    metric: AwsMetric
    resource: str
    dimensions: tuple[tuple[str, str], ...]


@dataclass
class UsageRead:
    """What a round brought. `failed` are series for which CloudWatch answered with an error of its own."""

    start: datetime
    end: datetime
    series: int = 0
    requests: int = 0
    events: int = 0
    rejected: int = 0
    failed: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Usage:
    """One source's CloudWatch, in all its regions."""

    aws: Aws
    names: Names
    sink: Sink
    cursors: Cursors
    clock: Clock

    def round(self, since: datetime | None = None) -> UsageRead:
        """Read the hours that are over, a week at most at once; the cursor of a region moves after each.

        Where CloudWatch could not answer for some series the cursor stays: the next round reads these hours again.

        Raises
        ------
        SourceError
            AWS refuses, or the source names no region.
        """
        source, now = self.aws.source, self.clock().astimezone(UTC)
        if not source.regions:
            raise SourceError(f"source '{source.name}' names no regions; say in the profile whose CloudWatch to ask, "
                              "e.g. `regions: [eu-west-1]`")  # fmt: skip
        end = now.replace(minute=0, second=0, microsecond=0)
        starts = {region: since or self._start(region, end) for region in source.regions}
        read = UsageRead(min(starts.values()), end)
        for region, start in starts.items():
            self._read_region(region, start, end, read)
        return read

    def _start(self, region: str, end: datetime) -> datetime:
        source, reached = self.aws.source, self.cursors.get(f"{CURSOR}:{region}")
        if reached is None:
            return end - source.history_hours * _HOUR
        return min(datetime.fromisoformat(reached), end) - source.trailing_hours * _HOUR

    def _read_region(self, region: str, start: datetime, end: datetime, read: UsageRead) -> None:
        asked = [series for metric in self.aws.source.metrics for series in self._series(region, metric)]
        owners = self._owners(region)
        read.series += len(asked)
        while start < end:
            until, before = min(start + _CHUNK_HOURS * _HOUR, end), len(read.failed)
            for first in range(0, len(asked), MOST_QUERIES):
                self.aws.rest()
                self._take(region, asked[first : first + MOST_QUERIES], owners, (start, until), read)
            if len(read.failed) > before:
                return
            self.cursors.set(f"{CURSOR}:{region}", until.isoformat())
            start = until

    def _series(self, region: str, metric: AwsMetric) -> Iterator[Asked]:
        """The resources that CloudWatch has the metric of. Those with further dimensions are parts of a resource."""
        client = self.aws.client("cloudwatch", region)
        pages = self.aws.pages(
            client, "list_metrics", "NextToken", Namespace=metric.namespace, MetricName=metric.metric,
            Dimensions=[{"Name": metric.dimension}],
        )  # fmt: skip
        for page in pages:
            for found in page.get("Metrics", []):
                dimensions = tuple((each["Name"], each["Value"]) for each in found["Dimensions"])
                if len(dimensions) == 1:
                    yield Asked(metric, dimensions[0][1], dimensions)

    def _owners(self, region: str) -> Owners:
        kinds = sorted({metric.tagged_as for metric in self.aws.source.metrics if metric.tagged_as})
        return owners_of(self.aws, region, kinds, self.names) if kinds else {}

    def _take(
        self, region: str, asked: Sequence[Asked], owners: Owners, span: tuple[datetime, datetime], read: UsageRead
    ) -> None:
        start, end = span
        pages = self.aws.pages(
            self.aws.client("cloudwatch", region), "get_metric_data", "NextToken",
            MetricDataQueries=[query(at, series) for at, series in enumerate(asked)],
            StartTime=start, EndTime=end, ScanBy="TimestampAscending",
        )  # fmt: skip
        rows: list[dict[str, Any]] = []
        for page in pages:
            read.requests += 1
            for result in page.get("MetricDataResults", []):
                series = asked[int(result["Id"][1:])]
                if result.get("StatusCode") in {"InternalError", "Forbidden"}:
                    read.failed.append(f"{series.metric.metric} of {series.resource}: {result['StatusCode']}")
                rows += rows_of(series, result, owners, (start, end))
        if rows:
            frame = self._events(pl.DataFrame(rows, schema=_ROW), region)
            checked = validate(frame, "resource", observed_at=self.clock())
            self.sink.take("resource", checked)
            read.events += checked.valid.height
            read.rejected += checked.rejected.height

    def _events(self, rows: pl.DataFrame, region: str) -> pl.DataFrame:
        """Rows as resource events."""
        keyed = rows.with_columns(
            collector=pl.lit(f"cloudwatch:{self.aws.account()}"), region=pl.lit(region), currency=pl.lit(_CURRENCY)
        )
        key = ("collector", "region", "namespace", "metric", "statistic", "resource_id", "timestamp")
        said = pl.struct("collector", "namespace", "metric", "statistic").struct.json_encode()
        return keyed.select(
            ids(keyed, key), "timestamp", pl.lit("resource_utilization").alias("event_type"), "service", "region",
            "resource_id", "resource_type", "utilization", "business_unit", "project_id", "environment",
            said.alias("metadata"), "currency",
        )  # fmt: skip


def query(at: int, series: Asked) -> dict[str, Any]:
    """One of the queries of a call."""
    metric = {
        "Namespace": series.metric.namespace,
        "MetricName": series.metric.metric,
        "Dimensions": [{"Name": name, "Value": value} for name, value in series.dimensions],
    }
    return {"Id": f"m{at}", "MetricStat": {"Metric": metric, "Period": 3600, "Stat": series.metric.statistic}}


_TIME = pl.Datetime("us", "UTC")
_ROW = pl.Schema(
    {"timestamp": _TIME} | dict.fromkeys(("namespace", "metric", "statistic", "service", "resource_id",
                                          "resource_type"), pl.String()) | {"utilization": pl.Float64()}
    | dict.fromkeys(("business_unit", "project_id", "environment"), pl.String())
)  # fmt: skip


def rows_of(
    series: Asked, result: dict[str, Any], owners: Owners, span: tuple[datetime, datetime]
) -> Iterator[dict[str, Any]]:
    """The samples of a series within a half-open span, one row each."""
    metric = series.metric
    unit, project, environment = owners.get(series.resource, (None, None, None))
    for moment, value in zip(result["Timestamps"], result["Values"], strict=True):
        share = value / metric.full
        if span[0] <= moment < span[1]:
            yield {
                "timestamp": moment.astimezone(UTC), "namespace": metric.namespace, "metric": metric.metric,
                "statistic": metric.statistic, "service": metric.service or metric.namespace.removeprefix("AWS/"),
                "resource_id": series.resource, "resource_type": metric.resource_type,
                "utilization": min(share, 1.0) if share <= _A_LITTLE_OVER else share,
                "business_unit": unit, "project_id": project, "environment": environment,
            }  # fmt: skip
