"""VUS-PR: the volume under the surface of precision, recall and how much slack a label has at its ends.

Paparrizos, Boniol, Palpanas, Tsay, Elmore, Franklin: Volume Under the Surface, PVLDB 15 (2022). Labels say only
roughly where an anomaly begins; so each is widened on both sides by a ramp of every length from 0 to `slack`, the area
under the range-based precision-recall curve is taken for each, and averaged. It needs no threshold. What it does
reward is breadth: a score that stays high after an anomaly gains by it, so compare scores that are widened alike.
"""

from collections.abc import Sequence

import numpy as np

from workbench.anomalies.evaluate.spans import Span, covered, runs
from workbench.errors import UsageError

SLACK = 100
"""Rows; the length that the paper's own collection takes for series like these."""
_THRESHOLDS = 250


def vus_pr(scores: np.ndarray, anomalies: Sequence[Span], slack: int = SLACK) -> float:
    """Volume under the surface, from 0 to 1; chance gives a little more than the share of labelled rows.

    Parameters
    ----------
    scores
        (rows,), higher is stranger; a missing score counts as the lowest.
    anomalies
        At least one.
    slack
        The longest ramp, in rows.

    Raises
    ------
    UsageError
        No anomaly, so there is nothing to find.
    """
    if not len(anomalies):
        raise UsageError("VUS-PR needs at least one labelled anomaly; leave series without any out of the mean")
    known = np.where(np.isfinite(scores), scores, np.nanmin(scores) if np.isfinite(scores).any() else 0.0)
    order = np.argsort(-known, kind="stable")
    thresholds = known[order][np.linspace(0, len(known) - 1, _THRESHOLDS).astype(int)]
    labels = covered(anomalies, len(known))
    areas = [_area(known, widened(labels, ramp), labels.sum(), order, thresholds) for ramp in range(slack + 1)]
    return float(np.mean(areas))


def widened(labels: np.ndarray, ramp: int) -> np.ndarray:
    """Labels with ramps: sqrt(1 - distance / ramp) for half of the ramp's length before and after each anomaly."""
    wide = labels.copy()
    for first, last in runs(labels):
        after = np.arange(last, min(last + ramp // 2, len(labels)))
        wide[after] += np.sqrt(1 - (after - last) / max(ramp, 1))
        before = np.arange(max(first - ramp // 2, 0), first)
        wide[before] += np.sqrt(1 - (first - before) / max(ramp, 1))
    return np.asarray(np.minimum(wide, 1.0))


def _area(scores: np.ndarray, wide: np.ndarray, labelled: float, order: np.ndarray, thresholds: np.ndarray) -> float:
    """Area under the range-based precision-recall curve of one ramp; `order` puts the strangest first."""
    chosen = np.searchsorted(-scores[order], -thresholds, side="right")
    hit = np.concatenate([[0.0], np.cumsum(wide[order])])[chosen]
    recall = np.minimum(hit / ((labelled + wide.sum()) / 2), 1.0)
    highest = np.array([scores[first : last + 1].max() for first, last in runs(wide)])
    found = (highest[None, :] >= thresholds[:, None]).mean(axis=1)  # share of anomalies that are touched
    reached = np.concatenate([[0.0], recall * found])
    return float(np.dot(np.diff(reached), hit / chosen))
