"""Alarms: one an episode, at thresholds that keep to a budget."""

from datetime import timedelta

import numpy as np
import pytest

from workbench.anomalies.alarms import alarms, threshold_for
from workbench.anomalies.healthy import healthy
from workbench.errors import UsageError


def test_an_episode_raises_one_alarm_at_its_first_point_and_missing_points_raise_none() -> None:
    scores = np.full((1, 200), np.nan)
    scores[0, [10, 11, 30, 58, 59, 150]] = [2.0, 9.0, 2.0, 2.0, 1.0, 1.9]
    assert np.flatnonzero(alarms(scores, 2.0, silent=48)).tolist() == [10]
    assert np.flatnonzero(alarms(scores, 2.0, silent=47)).tolist() == [10, 58]
    assert np.flatnonzero(alarms(scores, 1.9, silent=0)).tolist() == [10, 11, 30, 58, 150]


@pytest.mark.parametrize("budget", [200.0, 1_000.0, 5_000.0])
def test_the_threshold_keeps_to_its_budget_and_the_next_lower_one_does_not(budget: float) -> None:
    scores = np.random.default_rng(0).exponential(1.0, (10, 2_000))
    threshold = threshold_for(scores, budget)
    lower = scores[scores < threshold].max()
    assert alarms(scores, threshold).sum() <= scores.size / budget
    assert alarms(scores, lower).sum() > scores.size / budget


def test_the_promise_holds_on_other_series_of_the_same_kind() -> None:
    rng = np.random.default_rng(1)
    threshold = threshold_for(rng.gamma(2.0, 1.0, (50, 4_000)), 1_000.0)
    came = alarms(rng.gamma(2.0, 1.0, (50, 4_000)), threshold).sum()
    assert came == pytest.approx(200, abs=4 * np.sqrt(200))


def test_a_score_that_never_changes_raises_no_alarm() -> None:
    scores = np.zeros((3, 1_000))
    assert not alarms(scores, threshold_for(scores, 100.0)).any()


def test_too_little_history_for_a_promise_is_an_error_that_says_so() -> None:
    with pytest.raises(UsageError, match=r"900 healthy points can't show one false alarm in 1,000"):
        threshold_for(np.ones((1, 900)), 1_000.0)


def test_healthy_series_are_seeded_of_many_shapes_and_without_gaps() -> None:
    panel = healthy(60, 2_000, timedelta(minutes=5), seed=3)
    assert (panel.values == healthy(60, 2_000, timedelta(minutes=5), seed=3).values).all()
    assert np.isfinite(panel.values).all()
    skewed = (panel.values > 0).all(axis=1).mean()
    assert 0.15 < skewed < 0.5
    before, after = panel.values[:, :-1], panel.values[:, 1:]
    memory = [np.corrcoef(one, other)[0, 1] for one, other in zip(before, after, strict=True)]
    assert min(memory) < 0.5
    assert max(memory) > 0.95
