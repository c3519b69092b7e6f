"""CloudWatch as a source of metrics by minute: what detectors read, beside the hourly utilisation of `usage`.

`get_metric_data` in batches of 500 queries, in pages. A period without a sample has no row: it is not zero. A timestamp
is the beginning of its period.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import polars as pl

from workbench.errors import SourceError
from workbench.settings import AwsSource, CloudwatchMetrics, CloudwatchQuery
from workbench.sources.aws.calls import Aws
from workbench.sources.aws.usage import MOST_QUERIES
from workbench.sources.handed import Wait
from workbench.sources.measured import LABELS, SAMPLES, Samples, settled, text_of

KEPT = {60: timedelta(days=15), 300: timedelta(days=63)}
"""Period in seconds → how long CloudWatch keeps it."""

REGION = "region"
"""The label that tells regions apart; stands beside the dimensions."""

_UNFINISHED = {"InternalError", "Forbidden"}
_MOST_TOLD = 10


class Asked(NamedTuple):
    """One series: a metric of one resource."""

    metric: str
    query: CloudwatchQuery
    labels: Mapping[str, str]
    """Its dimensions, and the region."""

    def question(self, at: int, period_s: int) -> dict[str, Any]:
        """One of the queries of a call."""
        dimensions = [{"Name": name, "Value": self.labels[name]} for name in self.query.dimensions]
        metric = {"Namespace": self.query.namespace, "MetricName": self.query.metric, "Dimensions": dimensions}
        return {"Id": f"m{at}", "MetricStat": {"Metric": metric, "Period": period_s, "Stat": self.query.statistic}}


def read_metrics(
    source: CloudwatchMetrics, start: datetime, end: datetime, *, wait: Wait = time.sleep, now: datetime | None = None
) -> Samples:
    """Read all metrics of a source, of all resources that have them, in a half-open span.

    Parameters
    ----------
    source
        Regions, metrics, period.
    start, end
        UTC; cut to whole periods, since CloudWatch would round them itself.
    wait
        Sleeps between calls that AWS throttles.

    Raises
    ------
    SourceError
        AWS refuses, or a metric has too many series.
    """
    aws = Aws(AwsSource(name=source.name, aws_profile=source.aws_profile, endpoint_url=source.endpoint_url), wait)
    period = timedelta(seconds=source.period_s)
    span = _whole(start, period), _whole(end, period)
    told = _too_old(source.period_s, start, now or datetime.now(UTC))
    parts, labels = [SAMPLES.to_frame()], []
    for region in source.regions:
        asked = list(_series(aws, region, source))
        labels += [(each.metric, _name(each), *label) for each in asked for label in each.labels.items()]
        for first in range(0, len(asked) if span[0] < span[1] else 0, MOST_QUERIES):
            parts += _read(aws, region, asked[first : first + MOST_QUERIES], (*span, source.period_s), told)
    frame, dropped = settled(pl.concat(parts))
    told += [f"metric '{metric}': CloudWatch has no samples of it in {', '.join(source.regions)}"
             for metric in source.queries if metric not in frame["metric"]]  # fmt: skip
    known = pl.DataFrame(labels, schema=LABELS, orient="row").sort(LABELS.names())
    return Samples(frame, known, period, dropped, _short(told))


def _series(aws: Aws, region: str, source: CloudwatchMetrics) -> Iterator[Asked]:
    """The resources that CloudWatch has a metric of, with these dimensions and no others."""
    client = aws.client("cloudwatch", region)
    for metric, query in source.queries.items():
        pages = aws.pages(
            client, "list_metrics", "NextToken", Namespace=query.namespace, MetricName=query.metric,
            Dimensions=[{"Name": name} for name in query.dimensions],
        )  # fmt: skip
        found = 0
        for page in pages:
            for each in page.get("Metrics", []):
                labels = {dimension["Name"]: dimension["Value"] for dimension in each["Dimensions"]}
                if labels.keys() == set(query.dimensions):
                    found += 1
                    _check(found, metric, source)
                    yield Asked(metric, query, {**labels, REGION: region})


def _check(found: int, metric: str, source: CloudwatchMetrics) -> None:
    if found > source.most_series:
        raise SourceError(
            f"metrics '{source.name}': '{metric}' has more than the {source.most_series:,} series that are read at "
            "once; take a metric with fewer dimensions, or raise most_series"
        )


def _read(
    aws: Aws, region: str, asked: Sequence[Asked], span: tuple[datetime, datetime, int], told: list[str]
) -> Iterator[pl.DataFrame]:
    start, end, period_s = span
    pages = aws.pages(
        aws.client("cloudwatch", region), "get_metric_data", "NextToken",
        MetricDataQueries=[series.question(at, period_s) for at, series in enumerate(asked)],
        StartTime=start, EndTime=end, ScanBy="TimestampAscending",
    )  # fmt: skip
    for page in pages:
        for result in page.get("MetricDataResults", []):
            series = asked[int(result["Id"][1:])]
            if result.get("StatusCode") in _UNFINISHED:
                told.append(f"metric '{series.metric}' of {_name(series)}: CloudWatch says {result['StatusCode']}; "
                            "what is missing there was perhaps measured")  # fmt: skip
            yield _samples(series, result).filter(pl.col("timestamp") >= start, pl.col("timestamp") < end)


def _samples(series: Asked, result: Mapping[str, Any]) -> pl.DataFrame:
    moments = [moment.astimezone(UTC) for moment in result["Timestamps"]]
    read = pl.DataFrame({"timestamp": moments, "value": result["Values"]}, schema_overrides=_TYPES)
    return read.select(
        pl.lit(series.metric).alias("metric"), pl.lit(_name(series)).alias("series"), "timestamp", "value"
    )


def _name(series: Asked) -> str:
    return text_of(series.labels)


def _whole(moment: datetime, period: timedelta) -> datetime:
    """The beginning of a period, at or after a moment."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return epoch - (epoch - moment) // period * period


def _too_old(period_s: int, start: datetime, now: datetime) -> list[str]:
    if start >= now - KEPT[period_s]:
        return []
    return [f"CloudWatch keeps periods of {period_s} s for {KEPT[period_s].days} days; what was before that is missing"
            + ("; period_s: 300 reaches farther back" if period_s == 60 else "")]  # fmt: skip


def _short(told: Sequence[str]) -> list[str]:
    more = len(told) - _MOST_TOLD
    return [*told[:_MOST_TOLD], f"and {more} sentences more like these"] if more > 0 else list(told)


_TYPES = {"timestamp": SAMPLES["timestamp"], "value": SAMPLES["value"]}
