"""Metrics from files: what is read, what is refused, and what time it was."""

import gzip
import zoneinfo
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from workbench.errors import SourceError
from workbench.sources.clocks import NO_TIME, NOT_A_TIME, SKIPPED, in_utc
from workbench.sources.measured import LARGEST, SAMPLES, TOO_LARGE, TWICE, Samples, text_of, united
from workbench.sources.measured import NO_NUMBER as NOT_FINITE
from workbench.sources.samples import NO_NUMBER, NO_VALUE, read_samples
from workbench.sources.tables import TOO_LONG

MINUTE = timedelta(minutes=1)
START = datetime(2025, 10, 1, tzinfo=UTC)


def written(folder: Path, text: str, name: str = "load.csv") -> Path:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def rows(samples: Samples) -> list[tuple[object, ...]]:
    return samples.frame.rows()


# Shapes of files


def test_a_file_of_times_and_values_is_one_series_called_after_the_file(tmp_path: Path) -> None:
    read = read_samples(written(tmp_path, "timestamp,value\n2025-10-01 00:00:00,1.5\n2025-10-01 00:01:00,2\n"))
    assert read.frame.schema == SAMPLES
    assert rows(read) == [("value", "load", START, 1.5), ("value", "load", START + MINUTE, 2.0)]
    assert (read.step, dict(read.dropped), list(read.told)) == (MINUTE, {}, [])


def test_other_columns_are_labels_and_a_column_metric_is_the_metric(tmp_path: Path) -> None:
    read = read_samples(written(tmp_path, 'time,metric,workload,zone,value\n1759276800,cpu,"a ""b""",x,1\n'
                                          "1759276860,mem,c,,2\n"))  # fmt: skip
    assert rows(read) == [
        ("cpu", text_of({"workload": 'a "b"', "zone": "x"}), START, 1.0),
        ("mem", 'workload="c"', START + MINUTE, 2.0),
    ]
    assert read.labels.filter(pl.col("metric") == "cpu").select("label", "value").rows() == [
        ("workload", 'a "b"'), ("zone", "x"),
    ]  # fmt: skip


def test_a_column_series_is_the_name_as_it_stands(tmp_path: Path) -> None:
    read = read_samples(written(tmp_path, "timestamp,value,series\n2025-10-01,1,a=1\n"), metric="load")
    assert rows(read) == [("load", "a=1", START, 1.0)]


def test_columns_of_values_are_series_called_after_them(tmp_path: Path) -> None:
    read = read_samples(written(tmp_path, "Timestamp;cpu;memory\n2025-10-01T00:00:00Z;1;2\n2025-10-01T00:01:00Z;;3\n"))
    assert rows(read) == [
        ("cpu", "cpu", START, 1.0), ("memory", "memory", START, 2.0), ("memory", "memory", START + MINUTE, 3.0),
    ]  # fmt: skip
    assert read.dropped == {NO_VALUE: 1}


def test_columns_of_text_beside_columns_of_values_are_labels(tmp_path: Path) -> None:
    frame = pl.DataFrame({
        "timestamp": [START, START], "workload": pl.Series(["a", "b"], dtype=pl.Categorical()), "cpu": [0.5, 0.25],
        "requests": pl.Series([3, None], dtype=pl.UInt32),
    })  # fmt: skip
    frame.write_parquet(tmp_path / "day.parquet")
    read = read_samples(tmp_path / "day.parquet")
    assert rows(read) == [
        ("cpu", 'workload="a"', START, 0.5), ("cpu", 'workload="b"', START, 0.25),
        ("requests", 'workload="a"', START, 3.0),
    ]  # fmt: skip
    assert read.dropped == {NO_VALUE: 1}


def test_a_folder_holds_a_series_a_file_and_labels_join_days(tmp_path: Path) -> None:
    written(tmp_path, "timestamp,value\n2025-10-01,1\n", "cloud/one.csv")
    (tmp_path / "two.csv.gz").write_bytes(gzip.compress(b"timestamp,value\n2025-10-01,2\n"))
    assert [(series, value) for _, series, _, value in rows(read_samples(tmp_path))] == [("cloud/one", 1), ("two", 2)]
    for day in (1, 2):
        written(tmp_path, f"timestamp,value,pod\n2025-10-0{day},{day},p\n", f"days/{day}.csv")
    joined = read_samples(tmp_path / "days" / "*.csv")
    assert joined.frame["series"].unique().to_list() == ['pod="p"']
    assert joined.step == timedelta(days=1)


# Bad input


def test_what_cannot_be_used_is_counted_with_its_reason_and_never_zero(tmp_path: Path) -> None:
    bad = ["2025-10-01 00:01:00,", "2025-10-01 00:02:00,abc", f"2025-10-01 00:03:00,{LARGEST * 10}", "soon,1", ",1",
           "2025-10-01 00:04:00,NaN", "2025-10-01 00:05:00,-inf", "2025-10-01 00:06:00,1,5", "2025-02-30 00:00:00,3",
           "2025-10-01 00:00:00,7"]  # fmt: skip
    read = read_samples(written(tmp_path, "timestamp,value\n2025-10-01 00:00:00,1\n\n" + "\n".join(bad) + "\n"))
    assert rows(read) == [("value", "load", START, 7.0)], "of two samples of a moment the later row counts"
    assert read.dropped == {NO_VALUE: 1, NO_NUMBER: 1, TOO_LARGE: 1, NOT_A_TIME: 2, NO_TIME: 1, NOT_FINITE: 2,
                            TOO_LONG: 1, TWICE: 1}  # fmt: skip
    assert "load.csv: row 2 is the first that can't be used: no value" in read.told


def test_backward_timestamps_are_put_in_order_and_told(tmp_path: Path) -> None:
    times = [3, 1, 2, 5, 4]
    text = "".join(f"2025-10-01 00:0{minute}:00,{minute}\n" for minute in times)
    read = read_samples(written(tmp_path, f"timestamp,value\n{text}"))
    assert read.frame["value"].to_list() == [1, 2, 3, 4, 5]
    assert any("2 samples are older than the one before" in sentence for sentence in read.told)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("a,b\n1,2\n", "has no column of times; it has a, b"),
        ("timestamp,word\n2025-10-01,x\n", "has no column of values; it has timestamp, word"),
    ],
)
def test_a_file_that_is_none_of_metrics_says_what_it_has(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(SourceError, match=says):
        read_samples(written(tmp_path, text))


def test_no_file_a_broken_file_and_a_wrong_label_are_told(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no metrics at"):
        read_samples(tmp_path / "nowhere.csv")
    with pytest.raises(SourceError, match="no metrics at"):
        read_samples(tmp_path)
    (tmp_path / "x.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(SourceError, match="can't be read"):
        read_samples(tmp_path / "x.parquet")
    with pytest.raises(SourceError, match="no column pod; it has timestamp, value"):
        read_samples(written(tmp_path, "timestamp,value\n2025-10-01,1\n"), labels=["pod"])


def test_a_label_explosion_is_refused_with_the_count(tmp_path: Path) -> None:
    text = "timestamp,value,request\n" + "".join(f"2025-10-01,1,r{number}\n" for number in range(101))
    with pytest.raises(SourceError, match="has 101 series, more than the 100"):
        read_samples(written(tmp_path, text), most_series=100)
    assert read_samples(tmp_path / "load.csv", labels=[]).frame.height == 1


# Clocks


def local(zone: str, start: datetime, minutes: list[int]) -> list[str]:
    there = zoneinfo.ZoneInfo(zone)
    moments = (start + timedelta(minutes=minute) for minute in minutes)
    return [f"{moment.astimezone(there):%Y-%m-%d %H:%M:%S}" for moment in moments]


def read_times(texts: list[str | None], zone: str = "UTC", series: list[str] | None = None) -> pl.DataFrame:
    return in_utc(pl.DataFrame({"written": texts, "series": series or ["a"] * len(texts)}), zone)


NIGHTS = {
    ("Europe/Berlin", datetime(2024, 10, 26, 20, tzinfo=UTC)): 60,
    ("America/New_York", datetime(2024, 11, 3, 1, tzinfo=UTC)): 60,
    ("Australia/Lord_Howe", datetime(2024, 4, 6, 10, tzinfo=UTC)): 30,
    ("Europe/Berlin", datetime(2024, 3, 30, 20, tzinfo=UTC)): 60,  # forward
}
"""Zone and the evening before → minutes by which its clocks change."""


@pytest.mark.parametrize(
    ("zone", "start", "step", "times"),
    [
        (*night, step, times)
        for night, change in NIGHTS.items()
        for step in (1, 5, 30, 60)
        for times in (1, 2)  # how often each row is there; a doubled hour of one row can't be told from a double row
        if step * times <= change
    ],
)
def test_local_times_of_a_night_when_the_clocks_change_come_back(
    zone: str, start: datetime, step: int, times: int
) -> None:
    minutes = [minute for minute in range(0, 16 * 60, step) for _ in range(times)]
    read = read_times(local(zone, start, minutes), zone)
    assert read["timestamp"].to_list() == [start + timedelta(minutes=minute) for minute in minutes]
    assert read["time_fault"].null_count() == len(minutes)


def test_each_series_passes_the_hour_that_comes_twice_by_itself() -> None:
    zone, start = "Europe/Berlin", datetime(2024, 10, 26, 23, tzinfo=UTC)
    minutes = list(range(0, 240, 10))
    times = local(zone, start, minutes)
    one_after_the_other = read_times(times * 2, zone, ["a"] * len(times) + ["b"] * len(times))
    interleaved = read_times([time for time in times for _ in "ab"], zone, ["a", "b"] * len(times))
    expected = [start + timedelta(minutes=minute) for minute in minutes]
    assert one_after_the_other["timestamp"].to_list() == expected * 2
    assert interleaved["timestamp"].to_list() == [moment for moment in expected for _ in "ab"]


def test_a_time_that_never_was_is_refused_and_the_next_one_is_not() -> None:
    read = read_times(["2024-03-31 01:59:00", "2024-03-31 02:30:00", "2024-03-31 03:00:00"], "Europe/Berlin")
    assert read["time_fault"].to_list() == [None, SKIPPED, None]
    assert read["timestamp"].to_list()[::2] == [
        datetime(2024, 3, 31, 0, 59, tzinfo=UTC), datetime(2024, 3, 31, 1, tzinfo=UTC),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    ["2024-10-27T00:30:00Z", "2024-10-27 00:30 UTC", "2024-10-27T02:30:00+02:00", "2024-10-27 02:30:00.000+0200",
     "2024-10-27T06:00+05:30", "1729989000", "1729989000.0", "1729989000000", "1729989000000000", " 2024-10-27 00:30 "],
)  # fmt: skip
def test_one_moment_however_it_is_written(text: str) -> None:
    assert read_times([text])["timestamp"].to_list() == [datetime(2024, 10, 27, 0, 30, tzinfo=UTC)]


@pytest.mark.parametrize("text", ["", "17", "27/10/2024", "2024-10-27 25:00", "1e300", "noon", "2024-W01"])
def test_what_is_no_time_has_a_reason(text: str) -> None:
    assert read_times([text])["time_fault"].to_list() == [NOT_A_TIME]


def test_columns_of_times_and_numbers_keep_their_moments() -> None:
    moment = datetime(2024, 10, 27, 0, 30, tzinfo=UTC)
    for column in (
        pl.Series([moment], dtype=pl.Datetime("ns", "Europe/Berlin")), pl.Series([1729989000]),
        pl.Series([1729989000000.0]), pl.Series([datetime(2024, 10, 27, 0, 30)], dtype=pl.Datetime("ms")),  # noqa: DTZ001
    ):  # fmt: skip
        read = in_utc(pl.DataFrame({"written": column, "series": ["a"]}), "UTC")
        assert read["timestamp"].to_list() == [moment]


# Several sources


def test_of_two_sources_the_first_that_has_a_sample_counts() -> None:
    first, second = (
        Samples(pl.DataFrame([("m", "s", START + at * MINUTE, value) for at in minutes], schema=SAMPLES, orient="row"),
                dropped={"x": 1}, told=[str(value)])
        for minutes, value in ((range(3), 1.0), (range(2, 5), 2.0))
    )  # fmt: skip
    both = united([first, second])
    assert both.frame["value"].to_list() == [1, 1, 1, 2, 2]
    assert (both.dropped, both.told) == ({"x": 2}, ["1.0", "2.0"])
    assert not united([]).frame.height
