"""Distances to earlier windows, and how rare they are."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from workbench.anomalies.distances import nearest, whole
from workbench.anomalies.panel import Panel
from workbench.anomalies.tails import LEAST, RAREST, REFRESH, nothing_yet
from workbench.anomalies.windows import Windows

STEP = timedelta(minutes=5)


def slow(steps: np.ndarray, at: int, length: int, memory: int, neighbours: int) -> float:
    """The definition, one window and one lag at a time."""
    runs: dict[int, float] = {}
    for lag in range(length, memory + 1):
        if at - lag - length + 1 < 0:
            break
        gap = steps[at - length + 1 : at + 1] - steps[at - lag - length + 1 : at - lag + 1]
        run = lag // length
        runs[run] = min(runs.get(run, np.inf), float((gap**2).sum()))
    best = sorted(runs.values())[:neighbours]
    return float(np.sqrt(np.mean(best) / length) / 128) if best else 0.0


@pytest.mark.parametrize(("first", "memory"), [(0, 500), (40, 500), (100, 30)])
def test_distances_are_what_the_definition_says(first: int, memory: int) -> None:
    steps = np.random.default_rng(0).integers(-500, 500, (3, 160)).astype(float)
    lengths = (1, 4, 12)
    found = nearest(steps, first, lengths, memory, 3)
    for place, length in enumerate(lengths):
        for row in range(3):
            expected = [slow(steps[row], at, length, memory, 3) for at in range(first, 160)]
            np.testing.assert_allclose(found[place, row], expected, rtol=1e-12)


def test_what_was_there_before_is_at_distance_0_and_a_new_level_is_as_far_as_it_is_new() -> None:
    values = np.tile(np.arange(10.0), 30)[None, :]
    values[0, 250:] += 40.0
    steps = whole(values, np.zeros(1), np.ones(1))
    found = nearest(steps, 100, (10,), 290, 2)[0, 0]
    assert (found[:150] == 0).all()
    assert found[159] == pytest.approx(40.0)


def test_huge_and_missing_values_stay_in_bounds() -> None:
    steps = whole(np.array([[np.nan, 1.0, np.nan, 1e300, -1e300]]), np.zeros(1), np.ones(1))
    assert np.isnan(steps[0, 0])
    assert steps[0, 1:].tolist() == [128.0, 128.0, 65_536.0, -65_536.0]


def test_a_tail_gives_healthy_scores_their_own_frequency() -> None:
    rng = np.random.default_rng(1)
    scores = rng.gamma(2.0, 1.0, (20, 6_000))
    rarity, _ = nothing_yet(20).rarity(scores, 0)
    late = rarity[:, 3_000:]
    for power in (1.0, 2.0, 3.0):
        share = (late >= power).mean()
        assert share == pytest.approx(10**-power, rel=0.35)


def test_nothing_is_rare_before_there_is_a_past_and_nothing_is_rarer_than_the_limit() -> None:
    scores = np.ones((1, 400))
    scores[0, 50], scores[0, 350] = 1e6, 1e6
    rarity, _ = nothing_yet(1).rarity(scores, 7)
    assert (rarity[0, : LEAST - REFRESH] == 0).all()
    assert rarity[0, 350] == RAREST


def test_a_point_does_not_count_among_its_own_past() -> None:
    quiet = np.random.default_rng(2).random((1, 3 * REFRESH + 200))
    _, past = nothing_yet(1).rarity(quiet, 0)
    alone, _ = past.rarity(np.full((1, 1), 30.0), quiet.shape[1])
    many, _ = past.rarity(np.full((1, 3), 30.0), quiet.shape[1])
    assert alone[0, 0] == many[0, 0] == RAREST


def test_a_shift_a_spike_and_a_changed_pattern_are_all_stranger_than_what_came_before() -> None:
    rng = np.random.default_rng(4)
    at = np.arange(3_000)
    calm = np.sin(2 * np.pi * at / 288) + 0.1 * rng.normal(size=(3, 3_000))
    calm[0, 2_700:] += 2.0
    calm[1, 2_700] += 3.0
    calm[2, 2_700:2_772] = 0.1 * rng.normal(size=72) + np.sin(2 * np.pi * at[2_700:2_772] / 36)
    panel = Panel(("shift", "spike", "pattern"), datetime(2025, 10, 1, tzinfo=UTC), STEP, calm)
    scores, _ = Windows().fit(panel.cut(0, 1_000)).score(panel.cut(1_000))
    before, after = scores[:, 1_000:1_700], scores[:, 1_700:1_790]
    assert (after.max(axis=1) > 1.3 * np.quantile(before, 0.99, axis=1)).all()
