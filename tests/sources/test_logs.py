"""Logs: templates that stay the same, counts that add up."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from workbench.errors import SourceError, UsageError
from workbench.sources.logs import LINES, METRIC, OTHER, count_templates, mask, read_lines
from workbench.sources.measured import SAMPLES

START = datetime(2025, 10, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
FORMS = (
    "request {} served in {} ms",
    "request {} failed: upstream answered 503 after {} ms",
    "cache refreshed, {} entries in {} ms",
    "connection pool: {} in use, {} idle",
)


def lines(count: int = 400, forms: tuple[str, ...] = FORMS, seed: int = 1) -> pl.DataFrame:
    """Lines of two workloads over an hour, by time; the form goes round."""
    rng = np.random.default_rng(seed)
    seconds = np.sort(rng.integers(0, 3600, count))
    return pl.DataFrame(
        {
            "timestamp": [START + timedelta(seconds=int(each)) for each in seconds],
            "workload": [("cart", "pay")[at % 2] for at in range(count)],
            "message": [forms[at % len(forms)].format(rng.integers(10**6), rng.integers(500)) for at in range(count)],
        },
        schema=LINES,
    )


def masked(text: str) -> str:
    found: str = pl.select(mask(pl.lit(text))).item()
    return found


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("took 12.5 ms", "took <*> ms"),
        ("took 12ms at  2025-10-01T00:00:01.5Z ", "took <*>ms at <*>"),
        ("from 10.0.0.1:8080 id 123e4567-e89b-12d3-a456-426614174000", "from <*> id <*>"),
        ("at 0xDEADbeef of 9fceb02d0ae598e95dc970b74767f19372d61af8", "at <*> of <*>"),
        ("added a facade", "added a facade"),
    ],
)
def test_what_is_surely_a_parameter_is_masked(line: str, left: str) -> None:
    assert masked(line) == left


def test_a_file_of_lines_is_read_and_bad_rows_are_counted(tmp_path: Path) -> None:
    rows = ["2025-10-01 00:00:01,pay,b", "2025-10-01,cart,a", "x,pay,c", "2025-10-01,pay,", "2025-10-01,pay,a,b"]
    (tmp_path / "a.csv").write_text("\n".join(["timestamp,workload,message", *rows]), encoding="utf-8")
    read, dropped = read_lines(tmp_path / "a.csv")
    assert read.schema == LINES
    assert read["message"].to_list() == ["a", "b"]
    assert sum(dropped.values()) == 3
    (tmp_path / "b.csv").write_text("timestamp,text\n2025-10-01,a\n", encoding="utf-8")
    with pytest.raises(SourceError, match="no column workload, message; it has timestamp, text"):
        read_lines(tmp_path / "b.csv")


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr("workbench.sources.logs.importlib.import_module", nowhere)
    with pytest.raises(UsageError, match=r"install workbench\[logs\]"):
        count_templates(lines(), START, START + HOUR)


@pytest.fixture
def drain() -> None:
    pytest.importorskip("drain3", reason="drain3 is not installed (extra workbench[logs])")


needs_drain = pytest.mark.usefixtures("drain")


@needs_drain
def test_every_line_is_counted_once_and_silence_is_zero() -> None:
    written = lines()
    counted = count_templates(written, START, START + HOUR)
    frame = counted.samples.frame
    assert frame.schema == SAMPLES
    assert frame["metric"].unique().to_list() == [METRIC]
    assert frame["value"].sum() == written.height == counted.templates["lines"].sum()
    assert counted.templates.height == len(FORMS)
    assert frame.group_by("series").len()["len"].unique().to_list() == [60]
    by_minute = written.group_by(pl.col("timestamp").dt.truncate("1m")).len().sort("timestamp")
    summed = frame.group_by("timestamp").agg(pl.col("value").sum()).filter(pl.col("value") > 0).sort("timestamp")
    assert summed["value"].to_list() == by_minute["len"].to_list()
    assert frame["series"][0] == 'template="t1",workload="cart"'


@needs_drain
def test_templates_keep_their_ids_and_only_new_ones_are_marked() -> None:
    first = count_templates(lines(), START, START + HOUR)
    assert first.templates["is_new"].all()
    again = count_templates(lines(forms=("disk of {} is full: {}", *FORMS[::-1]), seed=2), START, START + HOUR,
                            first.templates)  # fmt: skip
    assert again.templates["template"].to_list() == ["t1", "t2", "t3", "t4", "t5"]
    assert again.templates["is_new"].to_list() == [False] * 4 + [True]
    assert again.templates["text"][4].startswith("disk of")
    assert again.templates["text"].to_list()[:4] == first.templates["text"].to_list()
    assert again.templates["first_seen"].to_list()[:4] == first.templates["first_seen"].to_list()
    silent = count_templates(lines(0), START, START + HOUR, again.templates)
    assert silent.templates["lines"].sum() == 0
    assert silent.templates["template"].to_list() == again.templates["template"].to_list()


@needs_drain
def test_more_templates_than_are_kept_apart_are_other() -> None:
    words = [f"{'abcdefghij'[at % 10] * 3}{'klmnopqrst'[at // 10] * 3}" for at in range(100)]
    written = lines(100, tuple(f"{word} is a line {word} of its own {word}" for word in words))
    counted = count_templates(written, START, START + HOUR, most=7)
    assert counted.templates.height == 8
    assert counted.templates["template"][-1] == OTHER
    assert counted.templates["lines"].sum() == 100
