"""Isolation forest: how few random cuts set a point apart from the others."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from workbench.anomalies.features import Scaling, back, features
from workbench.anomalies.panel import Panel
from workbench.anomalies.past import Past, tame
from workbench.anomalies.trees import Trees

_FEWEST = 32  # points: fewer make no forest
_DRAWN = 100_000  # points of the history that the trees draw theirs from
_SERIES_DRAWN = 100  # that many series of a kind show what is usual
_AT_ONCE = 1_000_000  # points that are described


@dataclass(frozen=True)
class Forest:
    """Score = 2^(-mean path / usual path) of an isolation forest, from 0 to 1; about 0.4 to 0.5 is usual.

    One forest for all series of the panel, which should be of one kind, after each was scaled by the median and spread
    of its own history. It is grown once, on points of the history, and what it sees of a point (`features.features`)
    comes from the point and from what was before it.

    Attributes
    ----------
    trees, sample
        How many trees, and the points that each is grown on.
    seed
        The same gives the same forest.

    Notes
    -----
    A missing point has no score. Features that are not known (after a gap, or in the first day) are handed on as
    missing: the trees have learned where these go, so the point is judged by the features that exist; no value is put
    in their place. A missing or strange point is seen for 64 points, and the same time a day later. Fewer than 32
    known points in the history: no scores.
    Liu, Ting, Zhou (2008), Isolation Forest, IEEE ICDM.
    """

    trees: int = 100
    sample: int = 256
    seed: int = 42
    name: str = "forest"

    def fit(self, history: Panel) -> "ForestFitted":
        """Grow the forest on points of the history, drawn with the seed; of 100 series where there are more."""
        values = tame(history.values)
        scaling = Scaling.of(values)
        grown = self._grown(_drawn(values, scaling, history.step, self.seed))
        return ForestFitted(Past.of(history, back(history.step)), scaling, grown)

    def _grown(self, rows: np.ndarray) -> Trees | None:
        from sklearn.ensemble import IsolationForest

        if len(rows) < _FEWEST:
            return None
        forest = IsolationForest(
            n_estimators=self.trees, max_samples=min(self.sample, len(rows)), random_state=self.seed, n_jobs=1
        )
        return Trees.of(forest.fit(rows))

    def restored(self, arrays: Mapping[str, np.ndarray]) -> "ForestFitted":
        """Go on from saved arrays."""
        grown = Trees.restored(arrays) if "forest" in arrays else None
        return ForestFitted(Past.restored(arrays), Scaling.restored(arrays), grown)


@dataclass(frozen=True)
class ForestFitted:
    """The forest (None: the history was too short), the scale of each series, and the points before the span."""

    past: Past
    scaling: Scaling
    trees: Trees | None

    def score(self, span: Panel) -> "tuple[np.ndarray, ForestFitted]":
        """See `Fitted.score`; no unit."""
        joined = self.past.joined(span)
        scores = np.full(span.values.shape, np.nan)
        many = max(_AT_ONCE // max(span.points, 1), 1)
        for at in range(0, len(joined) if self.trees else 0, many):
            some = slice(at, at + many)
            scores[some] = self._scored(joined[some], self.scaling.cut(some), span.step)
        return scores, ForestFitted(self.past.after(span, joined), self.scaling, self.trees)

    def _scored(self, joined: np.ndarray, scaling: Scaling, step: timedelta) -> np.ndarray:
        seen = features(joined, scaling, step)
        there = np.isfinite(seen[0])
        scores = np.full(there.shape, np.nan)
        if self.trees is not None:
            scores[there] = self.trees.score(seen[:, there])
        return scores

    def arrays(self) -> Mapping[str, np.ndarray]:
        """See `Fitted.arrays`."""
        return {**self.past.arrays(), **self.scaling.arrays(), **(self.trees.arrays() if self.trees else {})}


def _drawn(values: np.ndarray, scaling: Scaling, step: timedelta, seed: int) -> np.ndarray:
    """Draw known points of a history, of some series where there are many: float32, shape (points, features)."""
    rng = np.random.default_rng(seed)
    series = np.sort(rng.permutation(len(values))[:_SERIES_DRAWN])
    before = np.full((len(series), back(step)), np.nan)
    seen = features(np.concatenate([before, values[series]], axis=1), scaling.cut(series), step)
    known = np.isfinite(seen[0])
    share = min(_DRAWN / max(known.sum(), 1), 1.0)
    return seen[:, known & (rng.random(known.shape) < share)].T
