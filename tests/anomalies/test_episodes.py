"""Episodes: what was strange, since when, by a promise that was set on history."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from workbench.anomalies.alarms import SILENT
from workbench.anomalies.episodes import look, silences
from workbench.anomalies.panel import Panel
from workbench.anomalies.windows import Windows
from workbench.errors import UsageError

pytestmark = pytest.mark.slow

STEP = timedelta(minutes=5)
START = datetime(2025, 10, 1, tzinfo=UTC)
FIRST = 2_000
FAST = Windows(lengths=(1, 6, 24), memory=600)


def panel(series: int = 8, points: int = 2_288, seed: int = 0) -> Panel:
    rng = np.random.default_rng(seed)
    day = np.sin(2 * np.pi * np.arange(points) / 288)
    values = 50 + 10 * day + rng.normal(0, 2, (series, points))
    return Panel(tuple(f"s{at}" for at in range(series)), START, STEP, values)


def test_a_jump_is_an_episode_that_begins_there_and_lasts_until_it_is_over() -> None:
    given = panel()
    given.values[3, 2_100:2_130] += 60.0
    found = look(given, FAST, FIRST, per_week=1.0)
    top = found.episodes.row(0, named=True)
    assert top["series"] == "s3"
    assert top["start"] == START + 2_100 * STEP
    assert timedelta(0) <= top["end"] - (START + 2_130 * STEP) < 24 * STEP
    assert not top["ongoing"]
    assert top["value"] > 90 > top["usual_high"] > top["usual_low"]


def test_what_is_strange_at_the_end_goes_on() -> None:
    given = panel()
    given.values[5, -10:] -= 50.0
    top = look(given, FAST, FIRST, per_week=1.0).episodes.row(0, named=True)
    assert (top["series"], top["ongoing"], top["end"]) == ("s5", True, given.end)


def test_what_goes_on_being_strange_is_one_episode_however_long() -> None:
    given = panel()
    given.values[2, 2_010:2_200] += np.random.default_rng(9).normal(0, 40, 190)
    episodes = look(given, FAST, FIRST, per_week=1.0).episodes.filter(pl.col("series") == "s2").sort("start")
    assert (episodes["end"] - episodes["start"]).max() > 2 * SILENT * STEP
    assert (episodes["start"].shift(-1) - episodes["end"]).drop_nulls().ge(SILENT * STEP).all()


def test_a_smaller_budget_has_a_higher_threshold_and_no_more_episodes() -> None:
    given = panel(series=30)
    loose, strict = (look(given, FAST, FIRST, per_week=each) for each in (20.0, 2.0))
    assert loose.budget.set_on == strict.budget.set_on == "history"
    assert loose.budget.threshold < strict.budget.threshold
    assert loose.episodes.height > strict.episodes.height


def test_a_short_history_keeps_its_promise_on_simulated_series_and_says_so() -> None:
    found = look(panel(series=2), FAST, FIRST, per_week=1.0)
    assert found.budget.set_on == "simulated series"


def test_a_promise_that_nothing_can_show_is_said_to_rest_on_the_highest_score() -> None:
    found = look(panel(series=2), FAST, FIRST, per_week=0.01)
    assert found.budget.set_on == "simulated series, at their highest score"


def test_too_little_history_is_an_error_that_says_how_much_it_takes() -> None:
    with pytest.raises(UsageError, match="200 points of history are too few.*1 day, 1:00:00"):
        look(panel(), FAST, 200, per_week=1.0)


def test_what_usually_sends_and_has_stopped_is_silent_and_what_seldom_sends_is_not() -> None:
    given = panel(series=4)
    given.values[0, -7:] = np.nan
    given.values[1, ::2] = np.nan
    given.values[1, -20:] = np.nan
    given.values[2, -4:] = np.nan
    found = silences(given, FIRST)
    assert found.rows() == [("s0", given.end - 7 * STEP, 7)]


def test_a_series_without_any_sample_is_no_trouble() -> None:
    given = panel(series=3)
    given.values[1] = np.nan
    found = look(given, FAST, FIRST, per_week=1.0)
    assert "s1" not in found.episodes["series"]
