"""Metrics from wherever a profile says, or from one Prometheus of which nothing but its URL is known.

    samples = collect_url("http://prometheus:9090", start, end, timedelta(minutes=1))
    samples.frame       # metric, series, timestamp, value
    samples.told        # what a reader should know: servers that failed, metrics of which there is nothing

A span is half open. Prometheus stamps a sample with the end of what it is about, CloudWatch with the beginning of its
period, a file as it likes.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import polars as pl

from workbench.errors import SourceError, UsageError
from workbench.settings import CloudwatchMetrics, FileMetrics, PrometheusMetrics, Settings
from workbench.sources.measured import Samples, united
from workbench.sources.prometheus import DEFAULT, Limits, Wanted, read_ranges, server_at, server_of
from workbench.sources.samples import read_samples

Source = PrometheusMetrics | CloudwatchMetrics | FileMetrics
"""One entry of a profile's `metrics`."""


def collect(source: Settings | Source, start: datetime, end: datetime, step: timedelta | None = None) -> Samples:
    """Read metrics of a half-open span.

    Parameters
    ----------
    source
        A profile, with all that stands under `metrics`, or one of these sources. Of two sources that have a sample of
        the same moment of a series the one that stands first counts; one that fails is told, the others are read.
    start, end
        With a zone.
    step
        From one sample to the next; None: what the source says. Files are what they are, CloudWatch has its period.

    Raises
    ------
    SourceError
        The source, or each of the profile's, can't be read; says why.
    UsageError
        The profile names no metrics, or the span has no zone.
    """
    if start.tzinfo is None or end.tzinfo is None:
        raise UsageError(f"the span {start} to {end} has no time zone; give times in UTC")
    span = start.astimezone(UTC), end.astimezone(UTC)
    if isinstance(source, Settings):
        return _all(source, span, step)
    if isinstance(source, PrometheusMetrics):
        return _from_prometheus(source, span, step)
    return _from_cloudwatch(source, span) if isinstance(source, CloudwatchMetrics) else _from_files(source, span)


def collect_url(
    url: str, start: datetime, end: datetime, step: timedelta = timedelta(minutes=1),
    queries: Mapping[str, str] = DEFAULT, *, labels: Sequence[str] = (), timeout_s: float = 120.0,
    most_series: int = Limits.series, environment: Mapping[str, str] | None = None,
) -> Samples:  # fmt: skip
    """Read metrics of a half-open span from one Prometheus.

    Parameters
    ----------
    url
        `http://host:9090`, also with a path or with `name:password@`, which no text ever shows.
    queries
        Metric → PromQL; by default CPU, memory, request rate and p95 latency.
    labels
        Those that make a series' name; without it those that differ, which may change from run to run.
    timeout_s
        After so many seconds it ends, retries included.
    most_series
        A query with more is refused.
    environment
        Instead of `os.environ`: WORKBENCH_PROMETHEUS_TOKEN, or …_USERNAME and …_PASSWORD, and …_CA_FILE.

    Raises
    ------
    SourceError
        The server does not answer, or refuses a query, or a query has too many series.
    UsageError
        It is no address, the span has no zone, or the step is no whole number of seconds.
    """
    wanted = Wanted(queries, labels, timeout_s, Limits(most_series))
    return read_ranges([server_at(url, environment)], wanted, start, end, step)


def _all(settings: Settings, span: tuple[datetime, datetime], step: timedelta | None) -> Samples:
    if not settings.metrics:
        raise UsageError(f"the profile '{settings.name}' names no metrics; params/production.yaml shows how to")
    parts, failed = [], []
    for source in settings.metrics:
        try:
            parts.append(collect(source, *span, step))
        except SourceError as error:
            failed.append(f"metrics '{source.name}': {error}")
    if not parts:
        raise SourceError("; ".join(failed))
    united_parts = united(parts, step)
    told = [*united_parts.told, *failed]
    return Samples(united_parts.frame, united_parts.labels, united_parts.step, united_parts.dropped, told)


def _from_prometheus(source: PrometheusMetrics, span: tuple[datetime, datetime], step: timedelta | None) -> Samples:
    wanted = Wanted(source.queries or DEFAULT, source.labels, source.timeout_s, Limits(source.most_series))
    servers = [server_of(server) for server in source.servers]
    return read_ranges(servers, wanted, *span, step or timedelta(seconds=source.step_s))


def _from_cloudwatch(source: CloudwatchMetrics, span: tuple[datetime, datetime]) -> Samples:
    from workbench.sources.aws.metrics import read_metrics

    return read_metrics(source, *span)


def _from_files(source: FileMetrics, span: tuple[datetime, datetime]) -> Samples:
    read = read_samples(source.path, zone=source.zone)
    inside = (pl.col("timestamp") >= span[0]) & (pl.col("timestamp") < span[1])
    return Samples(read.frame.filter(inside), read.labels, read.step, read.dropped, read.told)
