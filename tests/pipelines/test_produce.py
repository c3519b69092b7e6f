"""Producers into the warehouse: once, again, restated, stopped, and on a Kafka."""

import http.client
import json
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import polars as pl
import pytest
from moto import mock_aws

from tests.pipelines.conftest import HEADER, MakeProfile, line
from tests.sources.aws.conftest import LocalAws
from tests.sources.aws.test_costs import bill
from tests.sources.test_business import event
from workbench.checking import Checked
from workbench.cli import main
from workbench.errors import SourceError, UsageError, WorkbenchError
from workbench.events import validate
from workbench.pipelines.doctor import Finding, examine
from workbench.pipelines.produce import Producer, since_of
from workbench.pipelines.rounds import Stop, StopAsked, back_off, rounds
from workbench.pipelines.sinks import WarehouseCursors, open_sink
from workbench.pipelines.streambook import TWO_ROADS_SQL
from workbench.settings import Settings
from workbench.warehouse import Warehouse

# An AWS on this machine, and nobody's credentials.
from tests.sources.aws.conftest import credentials, local  # noqa: F401  isort: skip

pytestmark = pytest.mark.slow

Open = Callable[[Settings], Warehouse]
AWS = "sources:\n  - name: account\n    kind: aws\n"
COSTS = "SELECT SUM(cost_amount) AS money, COUNT(*) AS many FROM finops_curated.cost_events"


@contextmanager
def producer(settings: Settings, warehouse: Warehouse) -> Iterator[Producer]:
    with open_sink(warehouse, settings) as (sink, road):
        yield Producer(settings, warehouse, sink, road, Stop())


def money(warehouse: Warehouse) -> Decimal:
    found: Decimal = warehouse.query(COSTS)["money"][0]
    return found


# Rounds


def test_rounds_go_on_after_failures_and_wait_longer_each_time() -> None:
    waited: list[float] = []
    told: list[str] = []
    outcomes: list[Any] = [True, SourceError("a"), SourceError("b"), True]

    class Counting(Stop):
        def wait(self, seconds: float) -> bool:
            waited.append(seconds)
            if not outcomes:
                self.ask()
            return self.asked

    def work() -> bool:
        outcome = outcomes.pop(0)
        if isinstance(outcome, WorkbenchError):
            raise outcome
        return bool(outcome)

    assert rounds(work, timedelta(minutes=5), Counting(), lambda error, _: told.append(str(error)), lambda: 1.0)
    assert waited == [330.0, 5.0, 10.0, 330.0]
    assert told == ["a", "b"]


def test_a_pause_is_never_longer_than_the_usual_one_and_has_jitter() -> None:
    assert back_off(60, 40.0, 1.0) == 40.0
    assert back_off(3, 1e9, 0.0) == 10.0
    assert back_off(3, 1e9, 1.0) == 20.0
    assert back_off(1_000, 1e9, 1.0) == 900.0


def test_wrong_use_ends_the_rounds_and_a_stop_within_a_round_does_too() -> None:
    def wrong() -> bool:
        raise UsageError("no")

    def stopped() -> bool:
        raise StopAsked

    with pytest.raises(UsageError):
        rounds(wrong, timedelta(1), Stop(), lambda *_: None)
    assert rounds(stopped, timedelta(1), Stop(), lambda *_: None)


# Cursors


def test_a_cursor_is_one_row_and_belongs_to_its_source(make_profile: MakeProfile, open_warehouse: Open) -> None:
    warehouse = open_warehouse(make_profile())
    first, second = WarehouseCursors(warehouse, "a"), WarehouseCursors(warehouse, "b")
    assert first.get("k") is None
    for value in ("1", "2 '; DROP", "3"):
        first.set("k", value)
    second.set("k", "other")
    assert (first.get("k"), second.get("k")) == ("3", "other")
    assert warehouse.query("SELECT COUNT(*) AS many FROM finops_staging.cursors")["many"][0] == 2


# Cost Explorer


@pytest.mark.slow
def test_costs_are_in_the_warehouse_once_however_often_they_are_read(
    make_profile: MakeProfile,
    open_warehouse: Open,
    local: LocalAws,  # noqa: F811
) -> None:
    settings = make_profile(f"{AWS}    endpoint_url: {local.url}\n    history_days: 20\n    trailing_days: 20\n")
    warehouse = open_warehouse(settings)
    today = datetime.now(UTC).date()
    days = {(today - timedelta(days=back)).isoformat(): {("shop", "EC2"): "1.1", ("", "S3"): "2"} for back in range(9)}
    local.answers = bill(days)
    with producer(settings, warehouse) as first:
        assert first.round("aws-costs")["events"] == 18
        assert money(warehouse) == Decimal("27.9")
        days[today.isoformat()] = {("shop", "EC2"): "5", ("shop", "S3"): "2"}
        again = first.round("aws-costs")
    assert (again["events"], again["withdrawn"], again["failed"]) == (18, 1, False)
    assert money(warehouse) == Decimal("27.9") + Decimal("3.9")
    assert warehouse.query(TWO_ROADS_SQL).is_empty(), "Cost Explorer is no bill, and is not held against one"
    history = warehouse.query("SELECT cost_amount FROM finops_curated.cost_events_history ORDER BY 1")
    assert history["cost_amount"].to_list() == [Decimal("1.1"), Decimal(2)]
    units = warehouse.query("SELECT business_unit, SUM(cost_amount) AS m FROM finops_curated.cost_events GROUP BY 1")
    assert dict(units.rows()) == {"shop": Decimal("15.8"), "unallocated": Decimal(16)}
    moved = warehouse.query("SELECT value FROM finops_staging.cursors WHERE source = 'account'")
    assert moved["value"][0] == f"{today + timedelta(days=1)}T00:00:00+00:00"


@pytest.mark.slow
def test_what_was_refused_is_a_dead_letter_and_said_once_a_run(
    make_profile: MakeProfile,
    open_warehouse: Open,
    local: LocalAws,  # noqa: F811
) -> None:
    settings = make_profile(f"{AWS}    endpoint_url: {local.url}\n")
    warehouse = open_warehouse(settings)
    yesterday = (datetime.now(UTC).date() - timedelta(days=1)).isoformat()
    local.answers = bill({yesterday: {("shop", "EC2"): "0.1234567890123", ("shop", "S3"): "1"}})
    with producer(settings, warehouse) as one:
        assert [one.round("aws-costs")["failed"] for _ in range(2)] == [True, True]
    letters = warehouse.query("SELECT topic, reason, value FROM finops_staging.dead_letters")
    assert letters.height == 1
    assert letters["topic"][0] == "finops.cost.events"
    assert "more than 12 digits" in letters["reason"][0]
    assert json.loads(letters["value"][0])["cost_amount"] == "0.1234567890123"
    assert money(warehouse) == 1


def test_money_that_an_export_holds_is_not_taken_from_cost_explorer_too(
    make_profile: MakeProfile, open_warehouse: Open
) -> None:
    settings = make_profile(f"{AWS}    export: {{bucket: b, prefix: p}}\n")
    with producer(settings, open_warehouse(settings)) as one, pytest.raises(UsageError, match="count it twice"):
        one.round("aws-costs")


# CloudWatch


@pytest.mark.slow
def test_utilisation_is_in_the_warehouse_by_resource_and_hour(make_profile: MakeProfile, open_warehouse: Open) -> None:
    settings = make_profile(f"{AWS}    regions: [eu-west-1]\n")
    warehouse = open_warehouse(settings)
    with mock_aws(), producer(settings, warehouse) as one:
        hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
        ec2 = boto3.client("ec2", "eu-west-1")
        tags = [{"ResourceType": "instance", "Tags": [{"Key": "team", "Value": "shop"}]}]
        image = ec2.describe_images()["Images"][0]["ImageId"]
        made = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, TagSpecifications=tags)
        dimensions = [{"Name": "InstanceId", "Value": made["Instances"][0]["InstanceId"]}]
        sample = {"MetricName": "CPUUtilization", "Dimensions": dimensions, "Timestamp": hour, "Value": 37.5}
        boto3.client("cloudwatch", "eu-west-1").put_metric_data(Namespace="AWS/EC2", MetricData=[sample])
        assert one.round("aws-usage")["events"] == 1
        assert one.round("aws-usage")["events"] == 1
    found = warehouse.query(
        "SELECT timestamp, utilization, business_unit, resource_id FROM finops_curated.resource_events"
    )
    assert found.rows() == [(hour, 0.375, "shop", dimensions[0]["Value"])]


# Exports


def statement(costs: dict[str, str]) -> bytes:
    """A FOCUS statement of October: resource → cost."""
    rows = [",".join(f'"{cell}"'.replace('""', '"') if "{" not in cell else '"' + cell.replace('"', '""') + '"'
                     for cell in line(resource, 1, cost)) for resource, cost in costs.items()]  # fmt: skip
    return "\n".join([",".join(HEADER), *rows, ""]).encode()


@pytest.mark.slow
def test_a_restated_export_replaces_its_period_and_is_read_once(
    make_profile: MakeProfile, open_warehouse: Open, tmp_path: Path
) -> None:
    settings = make_profile(f"{AWS}    export: {{bucket: acme, prefix: x/finops}}\n")
    warehouse = open_warehouse(settings)
    manifest = "x/finops/metadata/BILLING_PERIOD=2025-10/finops-Manifest.json"

    def deliver(costs: dict[str, str]) -> None:
        s3.put_object(Bucket="acme", Key="x/finops/data/1.csv", Body=statement(costs))
        s3.put_object(Bucket="acme", Key=manifest, Body=json.dumps({"dataFiles": ["s3://acme/x/finops/data/1.csv"]}))

    def both_roads() -> list[Decimal]:
        lines = warehouse.query("SELECT SUM(BilledCost) AS money FROM finops_curated.focus_costs")["money"][0]
        return [lines, money(warehouse)]

    with mock_aws(), producer(settings, warehouse) as one:
        s3 = boto3.client("s3", "us-east-1")
        s3.create_bucket(Bucket="acme")
        deliver({"i-1": "10", "i-2": "5.5", "i-3": "1"})
        first = one.round("aws-export")
        assert [(each["accepted"], each["new"], each["withdrawn"]) for each in first["statements"]] == [(3, 3, 0)]
        assert both_roads() == [Decimal("16.5")] * 2
        assert one.round("aws-export")["statements"] == []
        time.sleep(1.05)  # S3 tells seconds
        deliver({"i-1": "11", "i-3": "1", "i-4": "4"})  # i-2 is covered by a commitment now, and gone
        second = one.round("aws-export")["statements"]
        assert [(each["new"], each["restated"], each["withdrawn"]) for each in second] == [(1, 1, 1)]
        assert both_roads() == [Decimal(16)] * 2
        time.sleep(1.05)
        deliver({"i-1": "11", "i-3": "bad", "i-4": "4"})
        s3.put_object(Bucket="acme", Key=manifest.replace("2025-10", "2025-09"), Body="{}")
        bad, third = one.round("aws-export")["statements"]
        assert "names no files" in bad["error"], "of another period, which keeps no other from being read"
        assert third["failed"]
        assert third["withdrawn"] == 0, "what can't be read may still be said"
        assert both_roads() == [Decimal(16)] * 2
    assert list((settings.state / "cache").glob("export-*")) == []
    assert not list(tmp_path.glob("*.csv"))


# Commands


def run(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


@pytest.mark.slow
def test_business_events_of_a_file_are_produced_once(
    make_profile: MakeProfile, open_warehouse: Open, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = make_profile()
    events = tmp_path / "events.jsonl"
    events.write_bytes(event(1) + b"\nbroken\n" + event(2))
    arguments = ["produce", "business", "-p", str(settings.file), "--input", str(events), "--once", "--json"]
    code, out, _ = run(arguments, capsys)
    account = json.loads(out)
    assert (code, account["accepted"], account["rejected"]) == (1, 2, 1)
    code, out, _ = run(arguments, capsys)
    assert (code, json.loads(out)["read"]) == (0, 0)
    found = open_warehouse(settings).query("SELECT SUM(revenue_impact) AS m FROM finops_curated.business_events")
    assert found["m"][0] == 25


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["business"], "say where business events come from"),
        (["business", "--input", "none.jsonl"], "there is no such file"),
        (["business", "--http", "0.0.0.0:80"], "WORKBENCH_PRODUCE_TOKEN"),
        (["business", "--http", "x"], "is no address"),
        (["aws-costs", "--once"], "has no source of kind aws"),
        (["aws-costs", "--once", "--since", "soon"], "is no date"),
    ],
)
def test_wrong_use_is_one_message_and_ends_with_2(
    arguments: list[str], said: str, make_profile: MakeProfile, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(["produce", *arguments, "-p", str(make_profile().file)], capsys)
    assert code == 2
    assert said in err
    assert "Traceback" not in err


def test_since_is_utc_and_needs_a_zone_for_a_time() -> None:
    assert since_of("2025-11-01") == datetime(2025, 11, 1, tzinfo=UTC)
    assert since_of("2025-11-01T02:00:00+02:00") == datetime(2025, 11, 1, tzinfo=UTC)
    assert since_of("") is None
    with pytest.raises(UsageError, match="no time zone"):
        since_of("2025-11-01T02:00:00")


def test_a_profile_of_aws_alone_opens_without_asking_aws(make_profile: MakeProfile, open_warehouse: Open) -> None:
    from workbench.pipelines.opening import ensure_loaded

    settings = make_profile(AWS)
    assert ensure_loaded(open_warehouse(settings), settings) is None


def test_the_doctor_says_whether_aws_answers(
    make_profile: MakeProfile,
    local: LocalAws,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def finding(url: str) -> Finding:
        profile = make_profile(f"{AWS}    endpoint_url: {url}\n").file
        return next(found for found in examine(str(profile)) if found.what == "source account")

    assert (finding(local.url).ok, finding(local.url).detail) == (True, "AWS answers, account 123456789012")
    assert "AWS does not answer" in finding("http://127.0.0.1:9").detail
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    assert "log in" in finding(local.url).detail


@contextmanager
def started(*arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """`workbench produce …` as a process, killed if the test fails."""
    command = [sys.executable, "-m", "workbench.cli", "produce", *arguments]
    with subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_and_the_next_run_goes_on(
    number: int, make_profile: MakeProfile, open_warehouse: Open, tmp_path: Path
) -> None:
    settings = make_profile()
    events = tmp_path / "events.jsonl"
    events.write_bytes(b"".join(event(at) + b"\n" for at in range(3)))
    arguments = ("business", "-p", str(settings.file), "--input", str(events), "--interval", "0.1", "--json")
    with started(*arguments) as process:
        assert process.stdout
        assert json.loads(process.stdout.readline())["accepted"] == 3
        with events.open("ab") as file:
            file.write(event(3) + b"\n")
        while not (more := json.loads(process.stdout.readline()))["accepted"]:
            pass
        assert more["accepted"] == 1
        process.send_signal(number)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    again = subprocess.run([sys.executable, "-m", "workbench.cli", "produce", *arguments, "--once"],
                           capture_output=True, text=True, check=True)  # fmt: skip
    assert json.loads(again.stdout)["read"] == 0
    many = open_warehouse(settings).query("SELECT COUNT(*) AS many FROM finops_curated.business_events")
    assert many["many"][0] == 4


@pytest.mark.slow
def test_the_endpoint_answers_when_events_are_in_the_warehouse_and_ends_on_a_signal(
    make_profile: MakeProfile, open_warehouse: Open
) -> None:
    settings = make_profile()
    body, many = event(1) + b"\n" + event(2) + b"\n{}\n", "SELECT COUNT(*) AS many FROM finops_curated.business_events"
    with started("business", "-p", str(settings.file), "--http", "0", "--json") as process:
        assert process.stderr
        address = re.search(r"127\.0\.0\.1:(\d+)/events", said := process.stderr.readline())
        assert address, said
        connection = http.client.HTTPConnection("127.0.0.1", int(address[1]), timeout=60)
        connection.request("POST", "/events", body)
        told = json.loads(connection.getresponse().read())
        connection.close()
        assert (told["accepted"], told["rejected"]) == (2, 1)
        assert open_warehouse(settings).query(many)["many"][0] == 2
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert json.loads(out)["accepted"] == 2


# A Kafka


@pytest.mark.real
def test_on_a_kafka_events_go_to_the_topics_and_refusals_to_the_dead_letters(
    request: pytest.FixtureRequest, make_profile: MakeProfile, open_warehouse: Open
) -> None:
    address, prefix = request.getfixturevalue("kafka_address"), f"t{uuid.uuid4().hex[:8]}-"
    broker = f"broker: {{engine: kafka, bootstrap_servers: '{address}', topic_prefix: {prefix}, timeout_s: 20}}\n"
    settings = make_profile(f"{AWS}{broker}")
    warehouse = open_warehouse(settings)
    frame = pl.DataFrame([json.loads(event(at)) for at in range(500)] + [json.loads(event(1, currency="?"))])
    checked = validate(frame, "business")
    with open_sink(warehouse, settings) as (sink, road):
        sink.take("business", checked)
        many = "SELECT COUNT(*) AS many FROM finops_curated.business_events"
        assert warehouse.query(many)["many"][0] == 0
        carried = road.carry("business", checked.valid.clear())  # whoever loads next
        sink.take("business", Checked(checked.valid.clear(), checked.rejected))
    assert (carried.others, carried.inserted) == (500, 500)
    assert warehouse.query("SELECT COUNT(*) AS many FROM finops_staging.dead_letters")["many"][0] == 1


def test_a_stop_wakes_up_who_waits() -> None:
    stop = Stop()
    threading.Timer(0.05, stop.ask).start()
    started_at = time.monotonic()
    with pytest.raises(StopAsked):
        stop.wait_or_raise(30)
    assert time.monotonic() - started_at < 5
