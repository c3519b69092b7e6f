"""Isolation trees as plain arrays: kept in a file without pickle, and walked for a million points at once."""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

_AT_ONCE = 16_384  # points, so that what is worked on stays near the processor
_THREADS = 4  # at most
_TOP = 3  # levels whose comparisons are all made: cheaper than looking up which one is needed
_LARGEST = np.finfo(np.float32).max


@dataclass(frozen=True)
class Trees:
    """Trees of one depth D, each laid out as a heap: node 1 is the root, 2n and 2n + 1 are the children of node n.

    A leaf above depth D is continued to the left down to depth D.

    Attributes
    ----------
    feature
        int64, shape (trees, 2^D). From `features` on: the same feature, of which missing values go to the left.
    threshold
        float32, shape (trees, 2^D): larger values go to the right.
    path
        float64, shape (trees, 2^D): length of the path that ends in a place at depth D, counted from the left, with the
        mean length of what a leaf of several points would still have grown.
    features
        How many there are.
    usual
        Mean length of a path in a tree of as many points as each was grown on.
    """

    feature: np.ndarray
    threshold: np.ndarray
    path: np.ndarray
    features: int
    usual: float

    @classmethod
    def of(cls, forest: Any) -> Self:  # noqa: ANN401 (scikit-learn has no types)
        """Lay out a fitted `sklearn.ensemble.IsolationForest` (all features in each tree)."""
        grown = [estimator.tree_ for estimator in forest.estimators_]
        depth = max([1, *(tree.max_depth for tree in grown)])
        laid = [_laid_out(tree, depth, forest.n_features_in_) for tree in grown]
        feature, threshold, path = (np.stack(parts) for parts in zip(*laid, strict=True))
        usual = float(mean_path(np.array([forest.max_samples_]))[0])
        return cls(feature, threshold, path, forest.n_features_in_, usual)

    def score(self, values: np.ndarray) -> np.ndarray:
        """Score points as the paper does: 2^(-mean path / usual path), from 0 to 1, higher is stranger.

        Parameters
        ----------
        values
            float32, shape (features, points); NaN goes where the tree sends what is missing.

        Returns
        -------
        float64, shape (points,): what scikit-learn's `score_samples` gives, with the opposite sign.

        Notes
        -----
        Liu, Ting, Zhou (2008), Isolation Forest, IEEE ICDM.
        """
        whole = ~np.isnan(values).any(axis=0)
        total = np.empty(values.shape[1])
        total[whole] = self._paths(values[:, whole], self.feature % self.features)
        rest = values[:, ~whole]
        both = [np.where(np.isnan(rest), np.float32(side), rest) for side in (np.inf, -np.inf)]
        total[~whole] = self._paths(np.concatenate(both), self.feature)
        most = len(self.path) * self.usual  # 0 for trees of one point, which tell nothing
        return np.asarray(2.0 ** -(total / most)) if most else np.full(len(total), 0.5)

    def _paths(self, values: np.ndarray, feature: np.ndarray) -> np.ndarray:
        """Add up the lengths of the paths of all trees, for points without NaN: float64, shape (points,)."""
        total = np.zeros(values.shape[1])
        parts = [slice(at, at + _AT_ONCE) for at in range(0, len(total), _AT_ONCE)]

        def walk(some: slice) -> None:
            """Add up the paths of some of the points."""
            self._add_paths(np.ascontiguousarray(values[:, some]), feature, total[some])

        if len(parts) < 2:
            for some in parts:
                walk(some)
        else:
            with ThreadPoolExecutor(min(os.cpu_count() or 1, _THREADS)) as pool:  # NumPy lets others run meanwhile
                list(pool.map(walk, parts))
        return total

    def _add_paths(self, values: np.ndarray, features: np.ndarray, total: np.ndarray) -> None:
        points = values.shape[1]
        flat, place = values.ravel(), np.arange(points)
        depth = self.path.shape[1].bit_length() - 1
        top = min(_TOP, depth)
        right = np.empty(((1 << top) - 1, points), np.bool_)
        found, bound, lookup = np.empty(points, np.float32), np.empty(points, np.float32), np.empty(points, np.int64)
        offsets = features * points
        for feature, offset, threshold, path in zip(features, offsets, self.threshold, self.path, strict=True):
            for at, row in enumerate(right, start=1):
                np.greater(values[feature[at]], threshold[at], out=row)
            node = _walked_top(right, top)
            for _ in range(top, depth):
                np.take(offset, node, out=lookup, mode="clip")
                lookup += place
                np.take(flat, lookup, out=found, mode="clip")
                np.take(threshold, node, out=bound, mode="clip")
                node += node
                node += found > bound
            total += path[node - len(path)]

    def arrays(self) -> dict[str, np.ndarray]:
        """All there is to keep in a file."""
        return {
            "feature": self.feature.astype(np.int16),
            "threshold": self.threshold,
            "path": self.path,
            "forest": np.array([self.features, self.usual]),
        }

    @classmethod
    def restored(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Make it from what `arrays` gave."""
        features, usual = arrays["forest"]
        return cls(arrays["feature"].astype(np.int64), arrays["threshold"], arrays["path"], int(features), float(usual))


def mean_path(points: np.ndarray) -> np.ndarray:
    """Mean length of a path in a tree of so many points (any shape): the paper's equation 1, c(2) = 1, c(1) = 0."""
    many = np.maximum(points, 3).astype(np.float64)
    grown = 2.0 * (np.log(many - 1.0) + np.euler_gamma) - 2.0 * (many - 1.0) / many
    return np.where(points > 2, grown, np.where(points == 2, 1.0, 0.0))


def _walked_top(right: np.ndarray, levels: int) -> np.ndarray:
    """Tell the node that each point is in after the first levels, int64, by the comparisons there: (nodes, points)."""
    node = np.ones(right.shape[1], dtype=np.uint8)
    turns: list[np.ndarray] = []
    for level in range(levels):
        turns.append(_chosen(right[(1 << level) - 1 : (2 << level) - 1], turns))
        node += node
        node += turns[-1]
    return node.astype(np.int64)


def _chosen(right: np.ndarray, turns: Sequence[np.ndarray]) -> np.ndarray:
    """Take from the comparisons of a level, bool (nodes, points), those of the nodes that the turns lead to."""
    for turn in reversed(turns):
        before, after = right[::2], right[1::2]
        right = before ^ (turn & (before ^ after))
    return np.asarray(right[0])


def _laid_out(tree: Any, depth: int, features: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # noqa: ANN401
    size = 1 << depth
    feature, path = np.zeros(size, np.int64), np.zeros(size)
    threshold = np.full(size, np.inf, np.float32)  # nothing is larger
    open_nodes = [(0, 1, 0)]  # number in the tree, place in the heap, depth
    while open_nodes:
        number, place, level = open_nodes.pop()
        if tree.children_left[number] < 0:
            first = place << (depth - level)
            path[first - size] = level + mean_path(tree.n_node_samples[number])
            continue
        feature[place] = tree.feature[number] + features * tree.missing_go_to_left[number]
        threshold[place] = _rounded_down(tree.threshold[number])
        open_nodes.append((tree.children_left[number], 2 * place, level + 1))
        open_nodes.append((tree.children_right[number], 2 * place + 1, level + 1))
    return feature, threshold, path


def _rounded_down(threshold: float) -> np.float32:
    """Give the largest float32 that is no larger: a float32 is above one just when it is above the other."""
    near = np.float32(min(threshold, float(_LARGEST)))
    return np.nextafter(near, np.float32(-np.inf)) if near > threshold else near
