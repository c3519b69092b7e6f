"""CloudWatch: batches, pages, missing samples, owners."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from tests.sources.aws.conftest import KeptCursors, KeptSink, LocalAws
from workbench.errors import SourceError
from workbench.events import RESOURCE
from workbench.settings import AwsMetric, AwsSource, Names
from workbench.sources.aws.calls import Aws
from workbench.sources.aws.owners import owners_of
from workbench.sources.aws.usage import MOST_QUERIES, Usage

NOW = datetime(2025, 11, 1, 12, 20, tzinfo=UTC)
NOON = NOW.replace(minute=0)
HOUR = timedelta(hours=1)
CPU = AwsMetric(namespace="AWS/EC2", metric="CPUUtilization", dimension="InstanceId", resource_type="instance")


def usage(aws: Aws, sink: KeptSink, cursors: KeptCursors | None = None) -> Usage:
    return Usage(aws, Names(), sink, cursors or KeptCursors(), lambda: NOW)


@pytest.fixture
def cloud() -> Iterator[Any]:
    """CloudWatch in moto."""
    with mock_aws():
        yield boto3.client("cloudwatch", "eu-west-1")


def put(cloud: Any, instance: str, *samples: tuple[datetime, float]) -> None:
    for moment, value in samples:
        dimensions = [{"Name": "InstanceId", "Value": instance}]
        data = {"MetricName": "CPUUtilization", "Dimensions": dimensions, "Timestamp": moment, "Value": value}
        cloud.put_metric_data(Namespace="AWS/EC2", MetricData=[{**data, "Unit": "Percent"}])


def source(**more: Any) -> Aws:
    return Aws(AwsSource(name="a", **{"regions": ["eu-west-1"], "metrics": [CPU], "history_hours": 4, **more}))


def test_an_hour_is_the_mean_of_its_samples_and_a_missing_one_stays_missing(cloud: Any) -> None:
    put(
        cloud, "i-1", (NOON - 2 * HOUR, 40.0), (NOON - 2 * HOUR + timedelta(minutes=30), 60.0), (NOON - 4 * HOUR, 100.0)
    )
    put(cloud, "i-2", (NOON - HOUR, 0.0), (NOON + timedelta(minutes=5), 77.0))
    sink = KeptSink()
    read = usage(source(), sink).round()
    frame = sink.frame(RESOURCE).sort("resource_id", "timestamp")
    assert frame.select("resource_id", "timestamp", "utilization").rows() == [
        ("i-1", NOON - 4 * HOUR, 1.0), ("i-1", NOON - 2 * HOUR, 0.5), ("i-2", NOON - HOUR, 0.0),
    ]  # fmt: skip
    assert (read.series, read.events, read.failed) == (2, 3, [])
    row = frame.row(0, named=True)
    assert (row["service"], row["region"], row["resource_type"]) == ("EC2", "eu-west-1", "instance")
    assert row["business_unit"] == "unallocated"


def test_the_next_round_goes_on_and_reads_the_last_hours_again(cloud: Any) -> None:
    put(cloud, "i-1", (NOON - HOUR, 40.0))
    sink, cursors = KeptSink(), KeptCursors()
    usage(source(), sink, cursors).round()
    put(cloud, "i-1", (NOON - 2 * HOUR, 10.0))  # it came late
    read = usage(source(trailing_hours=2), sink, cursors).round()
    assert (read.start, read.end) == (NOON - 2 * HOUR, NOON)
    assert len(sink.rows) == 2
    assert cursors.held == {"usage.read_to:eu-west-1": NOON.isoformat()}


def test_more_series_than_a_call_takes_are_asked_for_in_batches_and_pages() -> None:
    aws = source(history_hours=1)
    many = MOST_QUERIES + 3
    cloud, sts = aws.client("cloudwatch", "eu-west-1"), aws.client("sts")
    names = [f"i-{number}" for number in range(many)]
    listed = [{"Namespace": "AWS/EC2", "MetricName": "CPUUtilization",
               "Dimensions": [{"Name": "InstanceId", "Value": name}]} for name in names]  # fmt: skip
    spread = {"Namespace": "AWS/EC2", "MetricName": "CPUUtilization", "Dimensions": [
        {"Name": "InstanceId", "Value": "i-0"}, {"Name": "Core", "Value": "0"}]}  # fmt: skip
    asked: list[dict[str, Any]] = []

    def result(at: int, value: float) -> dict[str, Any]:
        return {"Id": f"m{at}", "Timestamps": [NOON - HOUR], "Values": [value], "StatusCode": "Complete"}

    with Stubber(cloud) as stub, Stubber(sts) as who:
        who.add_response("get_caller_identity", {"Account": "1"})
        stub.add_response("list_metrics", {"Metrics": listed[:400], "NextToken": "more"})
        stub.add_response("list_metrics", {"Metrics": [*listed[400:], spread]})
        stub.add_response("get_metric_data", {"MetricDataResults": [result(0, 10.0)], "NextToken": "second"})
        stub.add_response("get_metric_data", {"MetricDataResults": [result(1, 20.0)]})
        stub.add_response("get_metric_data", {"MetricDataResults": [result(2, 30.0)]})
        cloud.meta.events.register("before-parameter-build.cloudwatch.GetMetricData",
                                   lambda params, **_: asked.append(params))  # fmt: skip
        sink = KeptSink()
        read = usage(aws, sink).round()
    assert [len(call["MetricDataQueries"]) for call in asked] == [MOST_QUERIES, MOST_QUERIES, 3]
    assert [call.get("NextToken") for call in asked] == [None, "second", None]
    assert (read.series, read.requests, read.events) == (many, 3, 3)
    found = {row["resource_id"]: row["utilization"] for row in sink.rows.values()}
    assert found == {"i-0": 0.1, "i-1": 0.2, f"i-{MOST_QUERIES + 2}": 0.3}


def test_a_series_that_cloudwatch_fails_on_is_named_and_its_hours_are_read_again() -> None:
    aws, cursors, sink = source(history_hours=1), KeptCursors(), KeptSink()
    cloud, sts = aws.client("cloudwatch", "eu-west-1"), aws.client("sts")
    metric = {"Namespace": "AWS/EC2", "MetricName": "CPUUtilization"}
    listed = [{**metric, "Dimensions": [{"Name": "InstanceId", "Value": name}]} for name in ("i-1", "i-2")]
    good = {"Id": "m0", "Timestamps": [NOON - HOUR], "Values": [100.4], "StatusCode": "Complete"}
    bad = {"Id": "m1", "Timestamps": [], "Values": [], "StatusCode": "InternalError"}
    with Stubber(cloud) as stub, Stubber(sts) as who:
        who.add_response("get_caller_identity", {"Account": "1"})
        stub.add_response("list_metrics", {"Metrics": listed})
        stub.add_response("get_metric_data", {"MetricDataResults": [good, bad]})
        read = usage(aws, sink, cursors).round()
    assert read.failed == ["CPUUtilization of i-2: InternalError"]
    assert [row["utilization"] for row in sink.rows.values()] == [1.0], "a little over full is full"
    assert cursors.held == {}


def test_owners_come_from_the_tags_in_the_users_words(local: LocalAws, make_aws: Callable[..., Aws]) -> None:
    pages = {
        "": {"PaginationToken": "2", "ResourceTagMappingList": [
            {"ResourceARN": "arn:aws:ec2:eu-west-1:1:instance/i-1", "Tags": [{"Key": "Team ", "Value": "cc-1"}]}]},
        "2": {"PaginationToken": "", "ResourceTagMappingList": [
            {"ResourceARN": "arn:aws:rds:eu-west-1:1:db:orders", "Tags": [{"Key": "env", "Value": "prod"}]}]},
    }  # fmt: skip
    local.answers = lambda _, request: pages[request.get("PaginationToken", "")]
    names = Names(units={"cc-1": "Research"})
    found = owners_of(make_aws(), "eu-west-1", ["ec2:instance", "rds:db"], names)
    assert found == {"i-1": ("Research", None, None), "orders": (None, None, "prod")}


def test_a_source_without_regions_says_what_to_write() -> None:
    with pytest.raises(SourceError, match=r"regions: \[eu-west-1\]"):
        usage(source(regions=[]), KeptSink()).round()
