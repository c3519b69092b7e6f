"""Range queries: chunks, several servers, what is missing, what is refused."""

import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from tests.sources.prometheus.conftest import MINUTE, START, FakePrometheus, Labels, Trouble, server
from workbench.anomalies.panel import panel_of
from workbench.errors import SourceError, UsageError
from workbench.sources.measured import LARGEST, NO_NUMBER, SAMPLES, TOO_LARGE
from workbench.sources.prometheus import Wanted, read_ranges

Make = Callable[..., Wanted]
HOUR = timedelta(hours=1)


def seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def test_a_matrix_becomes_a_tidy_frame_with_the_labels_beside(fake: FakePrometheus, wanted: Make) -> None:
    fake.series["up"] = [{"__name__": "up", "job": "web", "workload": name} for name in ("checkout", "cart")]
    fake.value = lambda labels, at: len(labels["workload"]) + at % 60
    read = read_ranges([server(fake)], wanted(), START, START + HOUR, MINUTE)
    assert read.frame.schema == SAMPLES
    assert set(read.frame["series"]) == {'workload="cart"', 'workload="checkout"'}
    assert read.frame.group_by("series").len()["len"].to_list() == [60, 60]
    assert read.frame["timestamp"].min() == START
    assert read.frame["timestamp"].max() == START + HOUR - MINUTE, "the span is half open"
    assert set(read.labels.filter(pl.col("label") == "job")["value"]) == {"web"}
    assert (read.step, dict(read.dropped), list(read.told)) == (MINUTE, {}, [])
    assert panel_of(read.frame, MINUTE).values.shape == (2, 60)


@pytest.mark.parametrize("points", [9_999, 10_000, 10_001, 25_000])
def test_chunks_meet_without_doubling_or_losing_a_point(fake: FakePrometheus, wanted: Make, points: int) -> None:
    read = read_ranges([server(fake)], wanted(), START, START + points * MINUTE, MINUTE)
    times = read.frame["timestamp"]
    assert times.len() == points
    assert times.diff().drop_nulls().unique().to_list() == [MINUTE]
    assert read.frame["value"].to_list() == [seconds(moment) % 7 for moment in times.to_list()]
    assert len(fake.read) == -(-points // 10_000)


def test_a_span_is_cut_to_the_multiples_of_the_step(fake: FakePrometheus, wanted: Make) -> None:
    odd = timedelta(seconds=17)
    read = read_ranges([server(fake)], wanted(), START + odd, START + HOUR + odd, MINUTE)
    assert read.frame["timestamp"].min() == START + MINUTE
    assert read.frame["timestamp"].max() == START + HOUR
    assert not read_ranges([server(fake)], wanted(), START + odd, START + 2 * odd, MINUTE).frame.height


def test_two_spans_that_touch_give_what_one_gives(fake: FakePrometheus, wanted: Make) -> None:
    middle, end = START + timedelta(minutes=20, seconds=1), START + HOUR
    both = [read_ranges([server(fake)], wanted(), *span, MINUTE).frame for span in ((START, middle), (middle, end))]
    assert pl.concat(both).equals(read_ranges([server(fake)], wanted(), START, end, MINUTE).frame)


def test_what_the_server_leaves_out_stays_missing(fake: FakePrometheus, wanted: Make) -> None:
    gap = range(seconds(START) + 600, seconds(START) + 1200)
    fake.value = lambda _, at: None if at in gap else 5
    read = read_ranges([server(fake)], wanted(), START, START + HOUR, MINUTE)
    assert read.frame.height == 50
    assert not read.dropped
    assert np.isnan(panel_of(read.frame, MINUTE).values[0]).nonzero()[0].tolist() == list(range(10, 20))


@pytest.mark.parametrize(
    ("sample", "reason"), [("NaN", NO_NUMBER), ("+Inf", NO_NUMBER), ("-Inf", NO_NUMBER), (str(LARGEST * 10), TOO_LARGE)]
)
def test_what_is_no_number_is_dropped_and_counted(fake: FakePrometheus, wanted: Make, sample: str, reason: str) -> None:
    fake.value = lambda _, at: sample if at % 600 == 0 else 1
    read = read_ranges([server(fake)], wanted(), START, START + HOUR, MINUTE)
    assert read.frame.height == 54
    assert read.dropped == {reason: 6}


def test_native_histograms_are_counted_not_read_as_numbers(fake: FakePrometheus, wanted: Make) -> None:
    fake.always = Trouble(body=b'{"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {}, '
                               b'"histograms": [[1, {"count": "3", "sum": "1", "buckets": []}]]}]}}')  # fmt: skip
    read = read_ranges([server(fake)], wanted(), START, START + HOUR, MINUTE)
    assert not read.frame.height
    assert list(read.dropped.values()) == [1]


def test_a_metric_of_which_there_is_nothing_is_told(fake: FakePrometheus, wanted: Make) -> None:
    fake.series["gone"] = []
    read = read_ranges([server(fake)], wanted("up", "gone"), START, START + HOUR, MINUTE)
    assert read.frame["metric"].unique().to_list() == ["up"]
    assert any("'gone': no samples" in sentence for sentence in read.told)


def test_warnings_of_the_server_are_told(fake: FakePrometheus, wanted: Make) -> None:
    fake.warnings = ["store s3 could not be read: partial response"]
    read = read_ranges([server(fake)], wanted(), START, START + HOUR, MINUTE)
    assert read.told == ["metric 'up': store s3 could not be read: partial response"]


def test_chosen_labels_make_the_name_however_many_series_there_are(fake: FakePrometheus, wanted: Make) -> None:
    fake.series["up"] = [{"workload": "cart", "zone": "a"}]
    alone = read_ranges([server(fake)], wanted(labels=["workload"]), START, START + HOUR, MINUTE)
    fake.series["up"].append({"workload": "pay", "zone": "b"})
    both = read_ranges([server(fake)], wanted(labels=["workload"]), START, START + HOUR, MINUTE)
    assert alone.frame["series"].unique().to_list() == ['workload="cart"']
    assert set(both.frame["series"]) == {'workload="cart"', 'workload="pay"'}


def test_labels_that_do_not_tell_series_apart_are_refused_with_those_that_do(
    fake: FakePrometheus, wanted: Make
) -> None:
    fake.series["up"] = [{"workload": "cart", "zone": zone} for zone in "ab"]
    with pytest.raises(SourceError, match="'workload=\"cart\"'; add zone to labels"):
        read_ranges([server(fake)], wanted(labels=["workload"]), START, START + HOUR, MINUTE)


# Too much


def test_a_label_explosion_is_refused_before_anything_is_read(fake: FakePrometheus, wanted: Make) -> None:
    fake.series["up"] = [{"request": str(number)} for number in range(100_000)]
    fake.count = lambda *_: 100_000  # type: ignore[method-assign]
    with pytest.raises(SourceError, match=r"'up', up, has 100,000 series, more than the 50,000.*sum without") as caught:
        read_ranges([server(fake)], wanted(), START, START + HOUR, MINUTE)
    assert "most_series" in str(caught.value)
    assert not fake.read


def test_series_that_come_and_go_count_too(fake: FakePrometheus, wanted: Make) -> None:
    fake.series["up"] = [{"pod": str(number)} for number in range(600)]
    fake.value = lambda labels, at: 1 if (at - seconds(START)) // 60 == int(labels["pod"]) else None
    with pytest.raises(SourceError, match="has 600 series, more than the 500"):
        read_ranges([server(fake)], wanted(series=500), START, START + 600 * MINUTE, MINUTE)


def test_too_many_samples_are_refused_before_anything_is_read(fake: FakePrometheus, wanted: Make) -> None:
    fake.series["up"] = [{"pod": str(number)} for number in range(10)]
    with pytest.raises(SourceError, match=r"about 600 samples \(10 series at 60 moments\).*shorter span"):
        read_ranges([server(fake)], wanted(samples=500), START, START + HOUR, MINUTE)
    assert not fake.read


# Several servers


def test_of_two_servers_the_first_that_has_a_sample_counts(
    fake: FakePrometheus, twin: FakePrometheus, wanted: Make
) -> None:
    middle = seconds(START) + 1800
    fake.value = lambda _, at: 1 if at < middle else None
    twin.value = lambda *_: 2
    read = read_ranges([server(fake), server(twin)], wanted(), START, START + HOUR, MINUTE)
    assert read.frame["value"].to_list() == [1] * 30 + [2] * 30
    assert not read.dropped, "the second one's sample of a moment is no loss"


def test_a_series_has_one_name_on_all_servers(fake: FakePrometheus, twin: FakePrometheus, wanted: Make) -> None:
    fake.series["up"] = [{"workload": "cart"}]
    twin.series["up"] = [{"workload": "cart"}, {"workload": "pay"}]
    read = read_ranges([server(fake), server(twin)], wanted(), START, START + HOUR, MINUTE)
    assert read.frame.group_by("series").len().sort("series").rows() == [
        ('workload="cart"', 60),
        ('workload="pay"', 60),
    ]


def test_a_server_that_fails_is_told_and_the_other_one_answers(
    fake: FakePrometheus, twin: FakePrometheus, wanted: Make
) -> None:
    fake.always = Trouble(status=503)
    read = read_ranges([server(fake), server(twin)], wanted(), START, START + HOUR, MINUTE)
    assert read.frame.height == 60
    assert [fake.url in sentence for sentence in read.told] == [True]


def test_silence_of_all_servers_is_no_missing_sample_but_an_error(
    fake: FakePrometheus, twin: FakePrometheus, wanted: Make
) -> None:
    fake.troubles = [Trouble()]
    fake.always = Trouble(status=503)  # counts, and then fails
    twin.always = Trouble(drop=True)
    with pytest.raises(SourceError, match="metric 'up' can't be read") as caught:
        read_ranges([server(fake), server(twin)], wanted(), START, START + HOUR, MINUTE)
    assert fake.url in str(caught.value)
    assert twin.url in str(caught.value)


def test_a_server_that_fails_midway_is_completed_by_the_other(
    fake: FakePrometheus, twin: FakePrometheus, wanted: Make
) -> None:
    fake.value = lambda *_: 1
    twin.value = lambda *_: 2
    fake.troubles = [Trouble(), Trouble()]  # the count and the first of two pieces
    fake.always = Trouble(status=500)
    read = read_ranges([server(fake), server(twin)], wanted(), START, START + 12_000 * MINUTE, MINUTE)
    assert read.frame["value"].to_list() == [1] * 10_000 + [2] * 2_000


def test_a_server_that_hangs_is_not_waited_for_once_another_has_answered(
    fake: FakePrometheus, twin: FakePrometheus, wanted: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.sources.prometheus.ranges.PATIENCE_S", 0.3)
    fake.always = Trouble(hang_s=60)
    began = time.monotonic()
    read = read_ranges([server(fake), server(twin)], wanted(timeout_s=60), START, START + HOUR, MINUTE)
    assert time.monotonic() - began < 10
    assert read.frame.height == 60
    assert any("too slow" in sentence for sentence in read.told)


def test_a_server_that_hangs_does_not_hold_the_process(fake: FakePrometheus, twin: FakePrometheus) -> None:
    fake.always = Trouble(hang_s=60)
    code = (
        "from workbench.sources.prometheus import ranges as r\nfrom datetime import *\nr.PATIENCE_S = 0.1\n"
        f"servers = [r.Server('{fake.url}'), r.Server('{twin.url}')]\nstart = datetime(2025, 10, 1, tzinfo=UTC)\n"
        "end, step = start + timedelta(hours=1), timedelta(minutes=1)\n"
        "print(r.read_ranges(servers, r.Wanted({'up': 'up'}), start, end, step).frame.height)"
    )
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=50)
    assert done.stdout.strip() == "60"
    assert time.monotonic() - began < 40, "the silence that is borne is 60 s"


# What the caller got wrong


def test_times_need_a_zone_and_a_step_whole_seconds(fake: FakePrometheus, wanted: Make) -> None:
    with pytest.raises(UsageError, match="no time zone"):
        read_ranges([server(fake)], wanted(), START.replace(tzinfo=None), START, MINUTE)
    for step in (timedelta(milliseconds=1500), timedelta(0), -MINUTE):
        with pytest.raises(UsageError, match="whole number of seconds"):
            read_ranges([server(fake)], wanted(), START, START + HOUR, step)


def test_a_long_query_goes_as_a_form(fake: FakePrometheus, wanted: Make) -> None:
    name = "up" + " " * 3000 + "# with a comment"
    fake.series[name] = [{}]
    read = read_ranges([server(fake)], wanted(name), START, START + HOUR, MINUTE)
    assert {each.method for each in fake.asked} == {"POST"}
    assert read.frame.height == 60
    assert read.frame["series"].unique().to_list() == [name], "a series without labels is called by its metric"


def test_labels_are_written_as_prometheus_writes_them(fake: FakePrometheus, wanted: Make) -> None:
    odd: Labels = {"path": 'a"b\\c\nd', "zone": "ü"}
    fake.series["up"] = [odd]
    read = read_ranges([server(fake)], wanted(), START, START + HOUR, MINUTE)
    assert read.frame["series"][0] == 'path="a\\"b\\\\c\\nd",zone="ü"'
    assert dict(read.labels.select("label", "value").rows()) == odd
