"""Medians and sums that know what is missing."""

import numpy as np
import pytest

from workbench.anomalies import robust

RNG = np.random.default_rng(8)
HOLED = np.where(RNG.random((5, 101)) < 0.3, np.nan, RNG.normal(size=(5, 101)))


def test_the_median_is_that_of_what_is_known() -> None:
    np.testing.assert_allclose(robust.median(HOLED), np.nanmedian(HOLED, axis=1))
    np.testing.assert_allclose(robust.median(np.nan_to_num(HOLED)), np.median(np.nan_to_num(HOLED), axis=1))
    assert np.isnan(robust.median(np.full((2, 4), np.nan))).all()
    assert np.isnan(robust.median(np.empty((2, 0)))).all()


def test_the_spread_of_normal_noise_is_its_standard_deviation_and_one_outlier_does_not_change_that() -> None:
    values = np.random.default_rng(9).normal(50, 3, (1, 20_000))
    values[0, 7] = 1e300
    assert robust.spread(values, robust.median(values))[0] == pytest.approx(3, rel=0.05)
    assert robust.noise(values)[0] == pytest.approx(3, rel=0.05)


@pytest.mark.parametrize("length", [1, 2, 3, 7, 16, 30, 101])
def test_a_trailing_sum_is_the_sum_of_the_window(length: int) -> None:
    values = np.nan_to_num(HOLED)
    windows = np.lib.stride_tricks.sliding_window_view(values, length, axis=1)
    np.testing.assert_allclose(robust.trailing(values, length, np.add), windows.sum(axis=-1), atol=1e-12)
    np.testing.assert_array_equal(robust.trailing(values, length, np.maximum), windows.max(axis=-1))


@pytest.mark.parametrize("length", [5, 30, 64])
def test_a_trailing_sum_depends_on_its_window_alone_to_the_last_bit(length: int) -> None:
    values = np.concatenate([1e200 * np.ones((5, 3)), np.nan_to_num(HOLED)], axis=1)
    np.testing.assert_array_equal(
        robust.trailing(values, length, np.add)[:, 20:], robust.trailing(values[:, 20:], length, np.add)
    )


def test_a_window_longer_than_the_values_gives_nothing() -> None:
    assert robust.trailing(np.ones((3, 4)), 5, np.add).shape == (3, 0)


def test_a_mean_of_too_few_is_missing() -> None:
    values = np.array([[1.0, np.nan, np.nan, 4.0]])
    np.testing.assert_array_equal(robust.trailing_mean(values, 2, 1), [[1.0, np.nan, 4.0]])
    np.testing.assert_array_equal(robust.trailing_mean(values, 2, 2), [[np.nan, np.nan, np.nan]])


@pytest.mark.parametrize(
    "values", [np.zeros(50), np.full(50, 1e-9), np.full(50, np.nan), np.eye(50)[3], np.arange(50.0)]
)
def test_noise_and_scale_are_never_nothing(values: np.ndarray) -> None:
    assert robust.noise(values[None])[0] > 0
    center, unit = robust.scale(values[None])
    assert unit[0] > 0
    assert np.isfinite(center[0])


def test_noise_goes_with_the_unit_and_not_with_the_level() -> None:
    for values in (HOLED, np.round(HOLED * 2), (HOLED > 2).astype(float)):
        moved = robust.noise(values * 1000 + 5)
        np.testing.assert_allclose(
            moved[np.ptp(np.nan_to_num(values), axis=1) > 0] / 1000,
            robust.noise(values)[np.ptp(np.nan_to_num(values), axis=1) > 0],
        )
