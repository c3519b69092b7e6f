"""Cost Explorer, as it is: pages, spans, restated days, refusals."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from tests.sources.aws.conftest import ACCOUNT, KeptCursors, KeptSink, LocalAws, recorded
from workbench.errors import SourceError
from workbench.settings import AwsSource, Names
from workbench.sources.aws.calls import ATTEMPTS, LONGEST_S, Aws
from workbench.sources.aws.costs import CHUNK_DAYS, Costs, spans

MakeAws = Callable[..., Aws]
NOW = datetime(2025, 11, 1, 6, 30, tzinfo=UTC)


def costs(aws: Aws, sink: KeptSink, cursors: KeptCursors | None = None, names: Names | None = None) -> Costs:
    return Costs(aws, names or Names(), sink, cursors or KeptCursors(), sink.known, lambda: NOW)


def day(date: str, groups: dict[tuple[str, str], str], *, estimated: bool = False) -> dict[str, Any]:
    """One day of an answer: (unit, service) → amount."""
    end = (datetime.fromisoformat(date) + timedelta(days=1)).strftime("%Y-%m-%d")
    return {
        "TimePeriod": {"Start": date, "End": end},
        "Groups": [
            {
                "Keys": [f"business_unit${unit}", service],
                "Metrics": {"UnblendedCost": {"Amount": amount, "Unit": "USD"}},
            }
            for (unit, service), amount in groups.items()
        ],
        "Estimated": estimated,
    }


def bill(days: dict[str, dict[tuple[str, str], str]]) -> Callable[[str, dict[str, Any]], dict[str, Any]]:
    """An AWS that knows what these days cost."""

    def answer(operation: str, request: dict[str, Any]) -> dict[str, Any]:
        assert operation == "GetCostAndUsage"
        period = request["TimePeriod"]
        return {"ResultsByTime": [day(date, groups) for date, groups in days.items()
                                  if period["Start"][:10] <= date < period["End"]]}  # fmt: skip

    return answer


def total(sink: KeptSink) -> Decimal:
    return sum(sink.frame()["cost_amount"].to_list(), Decimal(0))


def test_all_pages_are_read_and_amounts_are_the_digits_that_came(local: LocalAws, make_aws: MakeAws) -> None:
    local.answers = lambda _, request: recorded("ce_page_2" if "NextPageToken" in request else "ce_page_1")
    sink, names = KeptSink(), Names(units={"cc-1234": "Research"})
    read = costs(make_aws(history_days=3), sink, names=names).round()
    assert (read.requests, read.events, read.rejected) == (2, 4, 0)
    frame = sink.frame().sort("timestamp", "service")
    assert frame["cost_amount"].to_list() == [
        Decimal("0.0051724144"), Decimal("123.4567890123"), Decimal("0.0000000003"), Decimal("-10.1"),
    ]  # fmt: skip
    assert frame["business_unit"].to_list() == ["unallocated", "Research", "shop", "shop"]
    assert frame["service"][0] == "AWS Key Management Service"
    assert frame["timestamp"][0] == datetime(2025, 10, 29, tzinfo=UTC)
    said = frame["metadata"].str.json_path_match("$.estimated").to_list()
    assert said == ["false", "false", "true", "true"]
    assert ACCOUNT in frame["metadata"][0]
    assert read.estimated == 2


def test_days_are_asked_for_by_dates_with_an_exclusive_end_and_two_keys(local: LocalAws, make_aws: MakeAws) -> None:
    costs(make_aws(history_days=3), KeptSink()).round()
    ((operation, request),) = local.asked
    assert operation == "GetCostAndUsage"
    assert request["TimePeriod"] == {"Start": "2025-10-29", "End": "2025-11-02"}
    assert request["Granularity"] == "DAILY"
    assert request["GroupBy"] == [{"Type": "TAG", "Key": "business_unit"}, {"Type": "DIMENSION", "Key": "SERVICE"}]


def test_hours_are_asked_for_by_times_of_the_last_fourteen_days_only(local: LocalAws, make_aws: MakeAws) -> None:
    costs(make_aws(history_days=20, granularity="hourly"), KeptSink()).round()
    days, hours = (request for _, request in local.asked)
    assert (days["Granularity"], days["TimePeriod"]) == ("DAILY", {"Start": "2025-10-12", "End": "2025-10-19"})
    assert hours["Granularity"] == "HOURLY"
    assert hours["TimePeriod"] == {"Start": "2025-10-19T00:00:00Z", "End": "2025-11-01T06:00:00Z"}


def test_spans_cover_the_time_without_a_gap_and_within_the_limits() -> None:
    chance = random.Random(7)
    for _ in range(300):
        now = NOW + timedelta(minutes=chance.randrange(60 * 24 * 40))
        start = now - timedelta(days=chance.randrange(200))
        hourly = chance.random() < 0.5
        found = list(spans(start, now, hourly=hourly))
        assert all(a.end == b.start for a, b in pairwise(found))
        assert found[0].start <= start
        assert found[-1].end >= now - timedelta(hours=1)
        for span in found:
            assert span.end - span.start <= timedelta(days=CHUNK_DAYS)
            assert not span.hourly or now - timedelta(days=14) <= span.start


def test_a_second_round_reads_the_trailing_days_again_and_an_unchanged_bill_changes_nothing(
    local: LocalAws, make_aws: MakeAws
) -> None:
    days = {f"2025-10-{number:02}": {("shop", "EC2"): f"{number}.5"} for number in range(20, 32)}
    local.answers = bill(days)
    sink, cursors = KeptSink(), KeptCursors()
    costs(make_aws(history_days=10), sink, cursors).round()
    first = dict(sink.rows)
    costs(make_aws(), sink, cursors).round()
    assert local.asked[-1][1]["TimePeriod"]["Start"] == "2025-10-29"
    assert sink.rows.keys() == first.keys()
    assert total(sink) == sum((Decimal(f"{number}.5") for number in range(22, 32)), Decimal(0))


def test_a_restated_day_is_the_same_event_with_another_amount(local: LocalAws, make_aws: MakeAws) -> None:
    sink, cursors = KeptSink(), KeptCursors()
    local.answers = bill({"2025-10-31": {("shop", "EC2"): "5"}})
    costs(make_aws(), sink, cursors).round()
    local.answers = bill({"2025-10-31": {("shop", "EC2"): "7.25"}})
    costs(make_aws(), sink, cursors).round()
    assert len(sink.rows) == 1
    assert total(sink) == Decimal("7.25")


def test_money_that_moved_to_another_unit_is_not_counted_twice(local: LocalAws, make_aws: MakeAws) -> None:
    sink, cursors = KeptSink(), KeptCursors()
    local.answers = bill({"2025-10-31": {("", "EC2"): "5", ("shop", "S3"): "1"}})
    costs(make_aws(), sink, cursors).round()
    local.answers = bill({"2025-10-31": {("shop", "EC2"): "5", ("shop", "S3"): "1"}})
    read = costs(make_aws(), sink, cursors).round()
    assert read.withdrawn == 1
    assert total(sink) == 6
    assert sink.frame().filter(pl.col("business_unit") == "unallocated")["cost_amount"].to_list() == [0]
    again = costs(make_aws(), sink, cursors).round()
    assert again.withdrawn == 0


def test_another_grouping_replaces_the_former_one_where_it_is_read_again(local: LocalAws, make_aws: MakeAws) -> None:
    sink, cursors = KeptSink(), KeptCursors()
    local.answers = bill({"2025-10-31": {("shop", "EC2"): "5"}})
    costs(make_aws(), sink, cursors).round()
    local.answers = lambda _, __: {"ResultsByTime": [{**day("2025-10-31", {}), "Groups": [
        {"Keys": ["EC2"], "Metrics": {"AmortizedCost": {"Amount": "4", "Unit": "USD"}}}]}]}  # fmt: skip
    read = costs(make_aws(group_by=["SERVICE"], cost_metric="AmortizedCost"), sink, cursors).round()
    assert (read.events, read.withdrawn) == (1, 1)
    assert total(sink) == 4


def test_days_that_were_read_as_a_whole_and_then_by_hours_count_once(local: LocalAws, make_aws: MakeAws) -> None:
    sink, cursors = KeptSink(), KeptCursors()
    local.answers = bill({"2025-10-31": {("shop", "EC2"): "24"}})
    costs(make_aws(), sink, cursors).round()

    def by_hours(_: str, request: dict[str, Any]) -> dict[str, Any]:
        assert request["Granularity"] == "HOURLY"
        hours = [f"2025-10-31T{hour:02}:00:00Z" for hour in range(24)]
        metrics = {"UnblendedCost": {"Amount": "1", "Unit": "USD"}}
        return {"ResultsByTime": [{"TimePeriod": {"Start": hour, "End": hour}, "Estimated": False, "Groups": [
            {"Keys": ["business_unit$shop", "EC2"], "Metrics": metrics}]} for hour in hours]}  # fmt: skip

    local.answers = by_hours
    costs(make_aws(granularity="hourly"), sink, cursors).round()
    assert len(sink.rows) == 25
    assert total(sink) == 24


def test_an_empty_answer_where_there_were_costs_changes_nothing_and_is_an_error(
    local: LocalAws, make_aws: MakeAws
) -> None:
    sink, cursors = KeptSink(), KeptCursors()
    local.answers = bill({"2025-10-31": {("shop", "EC2"): "5"}})
    costs(make_aws(), sink, cursors).round()
    local.answers = bill({})
    with pytest.raises(SourceError, match="nothing was changed"):
        costs(make_aws(), sink, cursors).round()
    assert total(sink) == 5


def test_more_digits_than_money_has_are_refused_with_the_reason_and_not_cut(local: LocalAws, make_aws: MakeAws) -> None:
    local.answers = bill({"2025-10-31": {("shop", "EC2"): "0.1234567890123", ("shop", "S3"): "1"}})
    sink = KeptSink()
    read = costs(make_aws(), sink).round()
    assert (read.events, read.rejected) == (1, 1)
    assert "more than 12 digits" in sink.rejected[0]["reason"]
    assert "0.1234567890123" in sink.rejected[0]["record"]


def test_throttling_is_waited_out_longer_each_time(
    local: LocalAws, make_aws: MakeAws, waits: list[float]
) -> None:  # fmt: skip
    throttled = (400, {"__type": "LimitExceededException", "message": "Rate limit exceeded"})
    answers = [
        throttled,
        throttled,
        (503, {"message": "busy"}),
        bill({"2025-10-31": {("shop", "EC2"): "5"}})(
            "GetCostAndUsage", {"TimePeriod": {"Start": "2025-10-01", "End": "2025-11-02"}}
        ),
    ]
    local.answers = lambda _, __: answers.pop(0)
    sink = KeptSink()
    read = costs(make_aws(), sink).round()
    assert read.events == 1
    assert [wait for wait in waits if wait] == [1.0, 2.0, 4.0]


def test_throttling_without_an_end_is_an_error_and_moves_no_cursor(
    local: LocalAws, make_aws: MakeAws, waits: list[float]
) -> None:
    local.answers = lambda _, __: (400, {"__type": "LimitExceededException", "message": "Rate limit exceeded"})
    cursors = KeptCursors()
    with pytest.raises(SourceError, match=r"get_cost_and_usage: AWS refuses after 8 attempts: LimitExceededException.*"
                                          "run less often"):  # fmt: skip
        costs(make_aws(), KeptSink(), cursors).round()
    assert len(local.asked) == ATTEMPTS
    assert max(waits) <= LONGEST_S
    assert cursors.held == {}


def test_jitter_keeps_producers_apart() -> None:
    aws = Aws(AwsSource(name="a"), lambda _: None, random.Random(1).random)
    pauses = {aws.pause(4) for _ in range(50)}
    assert len(pauses) == 50
    assert min(pauses) >= 4
    assert max(pauses) <= 8


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("AccessDeniedException", "allow the action"),
        ("ExpiredTokenException", "log in again"),
        ("DataUnavailableException", "switch it on"),
        ("ValidationException", "hourly costs have to be switched on"),
        ("Whatever", "get-caller-identity"),
    ],
)
def test_a_refusal_names_the_operation_the_code_and_the_way_out(
    local: LocalAws, make_aws: MakeAws, code: str, advice: str
) -> None:
    local.answers = lambda _, __: (400, {"__type": code, "message": "no, because"})
    with pytest.raises(SourceError) as caught:
        costs(make_aws(), KeptSink()).round()
    text = str(caught.value)
    assert f"source 'account': get_cost_and_usage: AWS refuses: {code}: no, because" in text
    assert advice in text
    assert "testing" not in text, "a credential"
    assert len(local.asked) == 1


def test_a_page_that_comes_back_is_no_endless_loop(local: LocalAws, make_aws: MakeAws) -> None:
    local.answers = lambda _, __: recorded("ce_page_1")
    with pytest.raises(SourceError, match="gave a page twice"):
        costs(make_aws(), KeptSink()).round()


def test_nobody_there_and_no_credentials_are_told_apart(
    make_aws: MakeAws, monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    with pytest.raises(SourceError, match="check the network"):
        costs(make_aws(endpoint_url="http://127.0.0.1:9"), KeptSink()).round()
    assert len([wait for wait in waits if wait]) == ATTEMPTS - 1
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(SourceError, match="there are no AWS credentials to be used"):
        costs(make_aws(), KeptSink()).round()
    with pytest.raises(SourceError, match="no profile 'nobody'"):
        costs(make_aws(aws_profile="nobody"), KeptSink()).round()


def test_a_stop_while_waiting_ends_the_round_without_moving_the_cursor(local: LocalAws, make_aws: MakeAws) -> None:
    class Stopped(Exception):
        pass

    def stop(seconds: float) -> None:
        if seconds:
            raise Stopped

    local.answers = lambda _, __: (400, {"__type": "LimitExceededException", "message": ""})
    aws, cursors = make_aws(), KeptCursors()
    aws.wait = stop
    with pytest.raises(Stopped):
        costs(aws, KeptSink(), cursors).round()
    assert cursors.held == {}


def test_a_stop_between_two_months_keeps_what_was_delivered(local: LocalAws, make_aws: MakeAws) -> None:
    class Stopped(Exception):
        pass

    sink, cursors, aws = KeptSink(), KeptCursors(), make_aws(history_days=100)

    def stop(_: float) -> None:
        if sink.calls == 2:
            raise Stopped

    aws.wait = stop
    with pytest.raises(Stopped):
        costs(aws, sink, cursors).round()
    assert cursors.held == {"costs.read_to": local.asked[-1][1]["TimePeriod"]["End"] + "T00:00:00+00:00"}


@pytest.mark.parametrize(
    "answer",
    [
        {"ResultsByTime": [{"TimePeriod": {"Start": "2025-10-31"}, "Groups": [{"Keys": ["a"], "Metrics": {}}]}]},
        {"ResultsByTime": [{"Groups": [{"Keys": ["a", "b"], "Metrics": {}}]}]},
        {"ResultsByTime": [{"TimePeriod": {"Start": "2025-10-31"}, "Groups": [
            {"Keys": ["a"], "Metrics": {"UnblendedCost": {"Amount": "1", "Unit": "USD"}}}]}]},
    ],
)  # fmt: skip
def test_an_answer_that_is_not_understood_is_an_error(
    local: LocalAws, make_aws: MakeAws, answer: dict[str, Any]
) -> None:
    local.answers = lambda _, __: answer
    with pytest.raises(SourceError, match="not understood"):
        costs(make_aws(), KeptSink()).round()


def test_cost_explorer_in_moto_is_read_too(make_aws: MakeAws) -> None:
    import boto3
    import requests
    from moto import mock_aws

    result = {"ResultsByTime": [day("2025-10-31", {("shop", "EC2"): "5"})], "DimensionValueAttributes": []}
    with mock_aws():
        url = "http://motoapi.amazonaws.com/moto-api/static/ce/cost-and-usage-results"
        assert requests.post(url, json={"results": [result]}, timeout=5).status_code == 201
        sink = KeptSink()
        read = costs(make_aws(endpoint_url=None), sink).round()
        assert boto3.client("sts", "us-east-1").get_caller_identity()["Account"] in sink.frame()["metadata"][0]
    assert read.events == 1


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        (["TAG:a", "SERVICE", "REGION"], "groups by 2 keys at most"),
        (["SERVICES"], "did you mean 'SERVICE'"),
        (["SERVICE", "SERVICE"], "given twice"),
    ],
)
def test_what_cost_explorer_cannot_group_by_is_refused_in_the_profile(groups: list[str], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        AwsSource(name="a", group_by=groups)
