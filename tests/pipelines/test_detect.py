"""`workbench detect` on a file: what a person sees, and what a program reads."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from workbench.cli import main
from workbench.errors import UsageError
from workbench.pipelines.detect import Asked, detect, detect_file
from workbench.sources.measured import SAMPLES, Samples

STEP = timedelta(minutes=5)
START = datetime(2025, 10, 1, tzinfo=UTC)
POINTS = 5 * 288
ASKED = ["--hours", "12", "--history-days", "4", "--budget", "12"]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(3)
    stamps = [START + at * STEP for at in range(POINTS)]
    frames = []
    for name in ("checkout", "search"):
        values = 100 + 20 * np.sin(2 * np.pi * np.arange(POINTS) / 288) + rng.normal(0, 3, POINTS)
        if name == "search":
            values[-20:] += 150
        frames.append(pl.DataFrame({"timestamp": stamps, "value": values, "workload": [name] * POINTS}))
    path = tmp_path_factory.mktemp("metrics") / "latency.parquet"
    pl.concat(frames).write_parquet(path)
    return path


def test_a_jump_in_a_file_is_found_and_where_it_began(file: Path) -> None:
    found = detect_file(file, Asked(hours=12, history_days=4, per_week=12))
    top = found.episodes.row(0, named=True)
    assert "search" in top["series"]
    assert top["start"] == START + (POINTS - 20) * STEP
    assert top["ongoing"]
    [metric] = found.metrics
    assert (metric["series"], metric["alarms_per_week"]) == (2, 12)


def test_the_command_prints_json_for_programs(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["detect", "--input", str(file), *ASKED, "--json"])
    assert ended.value.code == 0
    told = json.loads(capsys.readouterr().out)
    assert told["refused"] == {}
    assert told["episodes"][0]["ongoing"]


def test_the_command_prints_a_table_for_people(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["detect", "--input", str(file), *ASKED])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert "false alarms a week each" in text
    assert "search" in text
    assert "now" in text


def test_too_little_history_is_told_for_its_metric_and_the_exit_code_is_1(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["detect", "--input", str(file), "--hours", "110", "--json"])
    assert ended.value.code == 1
    [reason] = json.loads(capsys.readouterr().out)["refused"].values()
    assert "history are too few" in reason


@pytest.mark.parametrize("given", [[], ["--input", "a.csv", "--prometheus", "http://localhost"]])
def test_one_source_is_named_not_none_and_not_two(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["detect", *given])
    assert ended.value.code == 2
    assert "name one source" in capsys.readouterr().err


def test_nothing_to_look_at_says_what_the_source_said() -> None:
    with pytest.raises(UsageError, match="no server answered"):
        detect(Samples(SAMPLES.to_frame(), told=["no server answered"]), Asked())


def test_what_stopped_before_the_end_that_was_asked_for_is_silent(file: Path) -> None:
    series, stamps = pl.col("workload").alias("series"), pl.col("timestamp").cast(SAMPLES["timestamp"])
    frame = pl.read_parquet(file).select(pl.lit("latency").alias("metric"), series, stamps, "value")
    end = START + (POINTS + 12) * STEP
    found = detect(Samples(frame, step=STEP), Asked(hours=12, per_week=12), end)
    assert found.silences["points"].to_list() == [12, 12]


def test_what_is_older_than_the_history_that_was_asked_for_is_not_looked_at(file: Path) -> None:
    [metric] = detect_file(file, Asked(hours=12, history_days=3, per_week=12)).metrics
    assert metric["points"] == (3 * 24 + 12) * 12


def test_a_series_without_history_has_no_usual_and_the_json_stays_json() -> None:
    stamps = [START + at * STEP for at in range(POINTS)]
    values = np.random.default_rng(5).normal(0, 1, POINTS)
    old = pl.DataFrame({"metric": "m", "series": "old", "timestamp": stamps, "value": values})
    new = old.tail(100).with_columns(series=pl.lit("new"), value=pl.int_range(100).cast(pl.Float64) ** 2)
    found = detect(Samples(pl.concat([new, old]).cast(SAMPLES), step=STEP), Asked(hours=12, per_week=200))  # type: ignore[arg-type]
    told = json.dumps(found.plain(), default=str, allow_nan=False)
    assert json.loads(told)["metrics"][0]["series"] == 2
