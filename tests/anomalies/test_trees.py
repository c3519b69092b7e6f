"""Trees as arrays: what scikit-learn would say, without it."""

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest

from workbench.anomalies.trees import Trees, mean_path


def points(count: int, seed: int) -> np.ndarray:
    """Six features: normal, quantised, with missing values, one that is always the same and one that is never known."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(count, 6)).astype(np.float32)
    values[:, 1] = np.round(values[:, 1])
    values[rng.random(values.shape) < 0.1] = np.nan
    values[:, 4], values[:, 5] = 2.5, np.nan
    return values


@pytest.mark.parametrize(
    ("count", "trees", "sample"), [(2000, 30, 256), (300, 10, 8), (40, 5, 2), (40, 5, 1), (33, 5, 33)]
)
def test_scores_are_those_of_scikit_learn(count: int, trees: int, sample: int) -> None:
    forest = IsolationForest(n_estimators=trees, max_samples=sample, random_state=3).fit(points(count, 0))
    others = np.concatenate([points(40_000, 1), 1e4 * points(50, 2), points(count, 0)])
    expected = -forest.score_samples(others)
    ours = Trees.of(forest)
    np.testing.assert_allclose(ours.score(np.ascontiguousarray(others.T)), expected, rtol=0, atol=1e-12)
    restored = Trees.restored(ours.arrays())
    np.testing.assert_array_equal(restored.score(others.T), ours.score(others.T))


def test_values_on_a_threshold_go_the_way_they_go_in_scikit_learn() -> None:
    values = np.random.default_rng(4).integers(0, 4, (500, 3)).astype(np.float32)
    forest = IsolationForest(n_estimators=20, random_state=5).fit(values)
    cuts = np.concatenate([tree.tree_.threshold[tree.tree_.feature >= 0] for tree in forest.estimators_])
    near = cuts.astype(np.float32)
    around = np.concatenate([np.nextafter(near, np.float32(-9)), near, np.nextafter(near, np.float32(9))])
    others = np.stack([around, around[::-1], np.full_like(around, 1.0)], axis=1)
    np.testing.assert_allclose(Trees.of(forest).score(others.T), -forest.score_samples(others), rtol=0, atol=1e-12)


def test_a_path_among_few_points_is_as_the_paper_says() -> None:
    np.testing.assert_allclose(mean_path(np.array([1, 2])), [0.0, 1.0])
    harmonic = sum(1 / k for k in range(1, 256))
    assert mean_path(np.array([256]))[0] == pytest.approx(2 * harmonic - 2 * 255 / 256, abs=0.005)
