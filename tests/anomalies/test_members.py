"""What each of the cheap detectors is for: what it finds, and what it does not take for strange."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest

from workbench.anomalies.change import ChangePoint
from workbench.anomalies.features import Scaling, back, features
from workbench.anomalies.forest import Forest
from workbench.anomalies.panel import Panel
from workbench.anomalies.past import column
from workbench.anomalies.rolling import Rolling
from workbench.anomalies.seasonal import SeasonalResidual
from workbench.anomalies.statistical import RollingZ

STEP = timedelta(minutes=5)
DAY = 288
START = datetime(2025, 10, 1, 3, 20, tzinfo=UTC)


def rng() -> np.random.Generator:
    """The same numbers in each test, in whatever order they run."""
    return np.random.default_rng(3)


def panel(values: np.ndarray) -> Panel:
    values = np.atleast_2d(values)
    return Panel(tuple(f"s{at}" for at in range(len(values))), START, STEP, values)


def daily(days: int, series: int = 1, noise: float = 1.0) -> np.ndarray:
    """Ten times a daily wave, with its own phase for each series, and noise."""
    turn = np.arange(days * DAY) / DAY + np.arange(series)[:, None] / 7
    return 50 + 10 * np.sin(2 * np.pi * turn) + rng().normal(0, noise, turn.shape)


def test_z_is_the_distance_from_the_median_of_the_window_in_robust_deviations() -> None:
    values = rng().normal(100, 4, 600)
    whole = panel(values)
    scores, _ = RollingZ(window=timedelta(hours=8)).fit(whole.cut(0, 400)).score(whole.cut(400))
    window, every = 96, 4
    for at in range(200):
        refresh = (column(whole.start, STEP) + 400 + at) // every * every - column(whole.start, STEP)
        refresh = max(refresh, 400)  # the end of the history is the first
        before = values[refresh - window : refresh]
        center = np.median(before)
        unit = 1.4826 * np.median(np.abs(before - center))
        assert scores[0, at] == pytest.approx(abs(values[400 + at] - center) / unit)
        assert refresh <= 400 + at


def test_a_floor_in_metric_units_keeps_small_moves_small() -> None:
    values = np.round(rng().normal(100, 0.01, 600), 2)
    values[500] = 100.5
    for floor, least, most in ((0.0, 20, 200), (1.0, 0.45, 0.55)):
        scores, _ = RollingZ(floor=floor).fit(panel(values).cut(0, 400)).score(panel(values).cut(400))
        assert least < scores[0, 100] < most


def test_the_present_window_is_looked_at_anew_only_when_it_moves_on() -> None:
    span = panel(rng().normal(size=(2, 500)))
    known = Rolling.begun(span.cut(0, 200), 96, 4)
    seen = [known := known.follow(span.cut(at, at + 1))[2] for at in range(200, 212)]
    changes = sum(not np.array_equal(one.center, other.center) for one, other in pairwise(seen))
    assert changes in (2, 3)


@pytest.mark.parametrize("share", [False, True])
def test_a_daily_wave_is_usual_and_its_wrong_time_is_strange(share: bool) -> None:
    values = daily(9, 1)
    values[:, 8 * DAY + 40 : 8 * DAY + 60] = daily(9, 1)[:, 8 * DAY + 184 : 8 * DAY + 204]  # night's values by day
    span = panel(values)
    scores, _ = SeasonalResidual(share=share).fit(span.cut(0, 7 * DAY)).score(span.cut(7 * DAY))
    usual = np.delete(scores[0], np.arange(DAY + 40, DAY + 60))
    assert np.median(usual) == pytest.approx(0.67, abs=0.25)  # of normal noise, in standard deviations
    assert np.quantile(usual, 0.99) < 4.5
    assert scores[0, DAY + 40 : DAY + 60].min() > np.quantile(usual, 0.99)
    blind, _ = RollingZ().fit(span.cut(0, 7 * DAY)).score(span.cut(7 * DAY))
    assert blind[0, DAY + 40 : DAY + 60].max() < 3


def test_series_that_share_a_season_get_their_own_amplitude() -> None:
    wave = np.sin(2 * np.pi * np.arange(8 * DAY) / DAY)
    height = np.array([[1.0], [10.0], [1000.0], [0.0]])
    span = panel(5 + height * wave + np.maximum(height, 1.0) * rng().normal(0, 0.1, (4, 8 * DAY)))
    fitted = SeasonalResidual(share=True).fit(span.cut(0, 7 * DAY))
    found = np.ptp(fitted.profiles.values[:, 0], axis=1) / 2
    np.testing.assert_allclose(found[:3], height[:3, 0], rtol=0.15)
    assert fitted.profiles.periods[3].tolist() == [0, 0]
    scores, _ = fitted.score(span.cut(7 * DAY))
    assert np.median(scores, axis=1) == pytest.approx(0.67, abs=0.3)


def test_a_new_level_is_found_by_its_mean_though_no_single_point_is_strange() -> None:
    values = rng().normal(0, 1, 12 * DAY)
    values[11 * DAY :] += 1.5
    span = panel(values)
    history, later = span.cut(0, 10 * DAY), span.cut(10 * DAY)
    scores, _ = ChangePoint().fit(history).score(later)
    alone, _ = RollingZ().fit(history).score(later)
    before, after = slice(0, DAY), slice(DAY + 30, DAY + 60)
    assert scores[0, after].min() > scores[0, before].max()
    assert alone[0, after].min() < np.quantile(alone[0, before], 0.9)


def test_slow_wandering_is_no_change_point() -> None:
    fast = rng().normal(0, 1, (1, 12 * DAY))
    slow = np.zeros_like(fast)
    for at in range(1, slow.shape[1]):
        slow[:, at] = 0.98 * slow[:, at - 1] + fast[:, at]
    # With means of 30 points taken as independent, every second point would lie beyond 5 of their standard errors.
    naive = np.abs(np.convolve(slow[0], np.ones(30) / 30, "valid")) / (np.std(np.diff(slow[0])) / np.sqrt(30))
    assert np.mean(naive > 5) > 0.4
    scores, _ = ChangePoint().fit(panel(slow).cut(0, 10 * DAY)).score(panel(slow).cut(10 * DAY))
    assert np.mean(scores > 5) < 0.02


def test_features_are_made_of_the_point_and_of_what_was_before_it() -> None:
    values = rng().normal(size=(2, back(STEP) + 50))
    scaling = Scaling.of(values)
    seen = features(values, scaling, STEP)
    assert seen.shape == (15, 2, 50)
    cut = values.copy()
    cut[:, -20:] = np.nan
    np.testing.assert_array_equal(features(cut, scaling, STEP)[:, :, :30], seen[:, :, :30])
    np.testing.assert_allclose(
        seen[-1], (values[:, -50:] - values[:, -50 - DAY : -DAY]) / scaling.unit[:, None], rtol=1e-5
    )


def test_a_forest_judges_a_point_by_the_features_that_exist() -> None:
    span = panel(daily(6, 5))
    fitted = Forest(trees=50).fit(span.cut(0, 4 * DAY))
    scores, _ = fitted.score(span.cut(4 * DAY))
    holed = span.cut(4 * DAY).values.copy()
    holed[:, 100:200] = np.nan
    after, _ = fitted.score(replace(span.cut(4 * DAY), values=holed))
    assert np.isfinite(after[:, 200:]).all()
    np.testing.assert_allclose(after[:, 200:264].mean(), scores[:, 200:264].mean(), atol=0.08)


def test_one_forest_serves_series_of_all_scales() -> None:
    values = daily(6, 4)
    values[:, -50] += 30
    scaled = values * np.array([[1e-6], [1.0], [1e3], [1e9]]) - np.array([[0.0], [9.0], [1e5], [0.0]])
    span = panel(scaled)
    scores, _ = Forest(trees=50).fit(span.cut(0, 5 * DAY)).score(span.cut(5 * DAY))
    assert np.isin(scores.argmax(axis=1), (DAY - 50, DAY - 49)).all()  # the jump, or the way back
