"""CloudWatch by minute: batches, what is missing, what is told."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from workbench.errors import SourceError
from workbench.settings import CloudwatchMetrics, CloudwatchQuery
from workbench.sources.aws.calls import Aws
from workbench.sources.aws.metrics import read_metrics
from workbench.sources.collect import collect
from workbench.sources.measured import NO_NUMBER, SAMPLES

NOW = datetime(2025, 11, 1, 12, tzinfo=UTC)
START = NOW - timedelta(hours=1)
MINUTE = timedelta(minutes=1)
CPU = CloudwatchQuery(namespace="AWS/EC2", metric="CPUUtilization", dimensions=["InstanceId"])


@pytest.fixture
def cloud() -> Iterator[Any]:
    """CloudWatch in moto."""
    with mock_aws():
        yield boto3.client("cloudwatch", "eu-west-1")


def source(**more: Any) -> CloudwatchMetrics:
    return CloudwatchMetrics(name="cloud", **{"regions": ["eu-west-1"], "queries": {"cpu": CPU}, **more})


def put(cloud: Any, dimensions: dict[str, str], samples: list[tuple[datetime, float]]) -> None:
    data = [
        {"MetricName": "CPUUtilization", "Timestamp": at, "Value": value, "Unit": "Percent",
         "Dimensions": [{"Name": name, "Value": each} for name, each in dimensions.items()]}
        for at, value in samples
    ]  # fmt: skip
    for first in range(0, len(data), 20):
        cloud.put_metric_data(Namespace="AWS/EC2", MetricData=data[first : first + 20])


def test_minutes_come_back_and_what_is_missing_stays_missing(cloud: Any) -> None:
    written = [(START + minute * MINUTE, 10.0 + minute) for minute in range(-5, 65) if minute not in range(20, 30)]
    put(cloud, {"InstanceId": "i-1"}, written)
    read = read_metrics(source(), START, NOW, now=NOW)
    assert read.frame.schema == SAMPLES
    assert read.frame["series"].unique().to_list() == ['InstanceId="i-1",region="eu-west-1"']
    wanted = [(at, value) for at, value in written if START <= at < NOW]
    assert read.frame.select("timestamp", "value").rows() == wanted
    assert (read.step, dict(read.dropped), list(read.told)) == (MINUTE, {}, [])
    assert read.labels.select("label", "value").rows() == [("InstanceId", "i-1"), ("region", "eu-west-1")]


def test_a_statistic_is_taken_of_each_period(cloud: Any) -> None:
    put(cloud, {"InstanceId": "i-1"}, [(START + minute * MINUTE, float(minute)) for minute in range(10)])
    largest = CPU.model_copy(update={"statistic": "Maximum"})
    read = read_metrics(source(queries={"cpu": largest}, period_s=300), START, NOW, now=NOW)
    assert read.frame.select("timestamp", "value").rows() == [(START, 4.0), (START + 5 * MINUTE, 9.0)]


def test_only_series_with_these_dimensions_count(cloud: Any) -> None:
    put(cloud, {"InstanceId": "i-1"}, [(START, 1.0)])
    put(cloud, {"InstanceId": "i-1", "Core": "0"}, [(START, 2.0)])
    assert read_metrics(source(), START, NOW, now=NOW).frame["value"].to_list() == [1.0]
    both = CPU.model_copy(update={"dimensions": ["Core", "InstanceId"]})
    assert read_metrics(source(queries={"cpu": both}), START, NOW, now=NOW).frame["value"].to_list() == [2.0]


def test_more_series_than_a_call_takes_are_asked_in_batches(cloud: Any) -> None:
    for number in range(501):
        put(cloud, {"InstanceId": f"i-{number:03}"}, [(START, float(number))])
    read = read_metrics(source(), START, NOW, now=NOW)
    assert sorted(read.frame["value"].to_list()) == list(range(501))
    with pytest.raises(SourceError, match="'cpu' has more than the 500 series"):
        read_metrics(source(most_series=500), START, NOW, now=NOW)


def test_regions_are_told_apart(cloud: Any) -> None:
    put(cloud, {"InstanceId": "i-1"}, [(START, 1.0)])
    put(boto3.client("cloudwatch", "us-east-1"), {"InstanceId": "i-1"}, [(START, 2.0)])
    read = collect(source(regions=["eu-west-1", "us-east-1"]), START, NOW)
    assert [(series.rpartition("=")[2], value) for _, series, _, value in read.frame.rows()] == [
        ('"eu-west-1"', 1.0), ('"us-east-1"', 2.0),
    ]  # fmt: skip


def test_a_metric_of_which_there_is_nothing_and_a_span_too_long_ago_are_told(cloud: Any) -> None:
    del cloud
    read = read_metrics(source(), NOW - timedelta(days=20), NOW, now=NOW)
    assert not read.frame.height
    assert "for 15 days; what was before that is missing; period_s: 300" in read.told[0]
    assert "metric 'cpu': CloudWatch has no samples of it in eu-west-1" in read.told


def test_a_series_that_cloudwatch_cannot_tell_of_is_no_missing_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    client = boto3.client("cloudwatch", "eu-west-1")
    monkeypatch.setattr(Aws, "client", lambda *_: client)
    one = {"Namespace": "AWS/EC2", "MetricName": "CPUUtilization"}
    found = [{**one, "Dimensions": [{"Name": "InstanceId", "Value": each}]} for each in "ab"]
    results = [
        {"Id": "m0", "Label": "x", "StatusCode": "InternalError", "Timestamps": [], "Values": []},
        {"Id": "m1", "Label": "x", "StatusCode": "PartialData", "Timestamps": [START], "Values": [float("nan")]},
    ]
    rest = [{"Id": "m1", "Label": "x", "StatusCode": "Complete", "Timestamps": [START + MINUTE], "Values": [3.0]}]
    with Stubber(client) as stub:
        stub.add_response("list_metrics", {"Metrics": found})
        stub.add_response("get_metric_data", {"MetricDataResults": results, "NextToken": "t"})
        stub.add_response("get_metric_data", {"MetricDataResults": rest})
        read = read_metrics(source(), START, NOW, now=NOW)
    assert read.frame.select("timestamp", "value").rows() == [(START + MINUTE, 3.0)]
    assert read.dropped == {NO_NUMBER: 1}
    assert 'InstanceId="a"' in read.told[0]
    assert "InternalError" in read.told[0]
    assert read.labels["series"].n_unique() == 2
