"""After how long a series repeats itself."""

from datetime import timedelta

import numpy as np
import pytest

from workbench.anomalies.periods import autocorrelation, find_periods, thin_width, thinned, without

STEP = timedelta(minutes=5)
HOUR, DAY, WEEK = 12, 288, 2016


def wave(points: int, period: int, power: float = 1.0) -> np.ndarray:
    return np.asarray(np.abs(np.sin(np.pi * np.arange(points) / period)) ** power)


def noisy(values: np.ndarray, size: float, seed: int = 0) -> np.ndarray:
    return (values + np.random.default_rng(seed).normal(0, size, values.shape))[None]


def found(values: np.ndarray, step: timedelta = STEP) -> list[int]:
    return find_periods(values, step)[0].tolist()


def test_a_day_is_found_under_noise_drift_gaps_and_spikes() -> None:
    values = noisy(wave(7 * DAY, DAY) + np.arange(7 * DAY) / DAY, 0.2)
    values[0, np.random.default_rng(7).integers(0, 7 * DAY, 40)] = 1e6
    values[0, 300:400] = np.nan
    assert found(values) == [DAY, 0]
    assert found(noisy(wave(7 * DAY, DAY, 8), 0.1)) == [DAY, 0]


def test_an_hourly_job_is_found_alone_and_under_a_day() -> None:
    job = (np.arange(5 * DAY) % HOUR < 3).astype(float)
    assert found(noisy(job, 0.2)) == [HOUR, 0]
    assert found(noisy(job + 2 * wave(5 * DAY, DAY), 0.1)) == [HOUR, DAY]


def test_a_week_needs_two_of_it() -> None:
    hours = timedelta(hours=1)
    time = np.arange(24 * 28)
    working = wave(len(time), 24) * np.where(time // 24 % 7 < 5, 1.0, 0.2)
    assert 168 in found(noisy(working, 0.05), hours)  # which holds the day too
    assert 168 in found(noisy(working[: 24 * 14], 0.05), hours)
    assert found(noisy(working[: 24 * 13], 0.05), hours) == [24, 0]


def test_a_period_without_a_name_is_found() -> None:
    assert found(noisy(wave(1500, 100), 0.1))[0] in (99, 100, 101)


@pytest.mark.parametrize("seed", range(5))
def test_neither_noise_nor_drift_nor_wandering_has_a_period(seed: int) -> None:
    rng = np.random.default_rng(seed)
    assert found(rng.normal(size=(1, 2000))) == [0, 0]
    assert found(rng.normal(size=(1, 20))) == [0, 0]
    slow = np.zeros(2016)
    for at, step in enumerate(rng.normal(size=2015)):
        slow[at + 1] = 0.9 * slow[at] + step
    assert found(slow[None]) == [0, 0]
    assert found(np.linspace(0, 9, 2016)[None]) == [0, 0]


@pytest.mark.parametrize("values", [np.zeros((1, 900)), np.full((1, 900), np.nan), np.ones((1, 0)), np.ones((1, 1))])
def test_nothing_has_no_period(values: np.ndarray) -> None:
    assert found(values) == [0, 0]


def test_autocorrelation_is_the_textbook_sum() -> None:
    values = np.random.default_rng(1).normal(size=(2, 40))
    values[0, 5:9] = np.nan
    ours = autocorrelation(values)
    for lag in (0, 1, 7, 38):
        pairs = values[:, lag:] * values[:, : 40 - lag]
        np.testing.assert_allclose(ours[:, lag], np.nanmean(pairs, axis=1) / np.nanmean(values**2, axis=1), atol=1e-9)


def test_the_mean_of_each_phase_is_taken_out() -> None:
    values = noisy(wave(5 * DAY + 17, DAY), 0.1)
    left = without(values, np.array([DAY]))
    assert left.shape == values.shape
    assert np.abs([left[0, phase::DAY].mean() for phase in range(DAY)]).max() < 1e-12
    np.testing.assert_array_equal(without(values, np.array([0])), values)


def test_thinned_columns_are_means_on_a_grid_that_is_counted_from_1970() -> None:
    values = np.arange(20.0)[None]
    values[0, 7] = np.nan
    whole = thinned(values, 3, 5)
    np.testing.assert_array_equal(whole[0, :3], [0.5, 4.0, (8 + 9 + 10 + 11) / 4])
    np.testing.assert_array_equal(thinned(values[:, 2:], 5, 5), whole[:, 1:])


@pytest.mark.parametrize(
    ("points", "minutes", "width"), [(10_080, 1, 5), (2_016, 5, 1), (2_017, 5, 2), (100_000, 1, 60), (50, 7, 1)]
)
def test_so_many_points_are_taken_together_that_days_stay_whole(points: int, minutes: int, width: int) -> None:
    assert thin_width(points, timedelta(minutes=minutes)) == width
