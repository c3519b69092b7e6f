"""From scores to alarms: one for an episode, at a threshold that keeps to a budget."""

import numpy as np

from workbench.errors import UsageError

SILENT = 48
"""Points after an alarm within which no other one is raised: they belong to the same episode."""


def alarms(scores: np.ndarray, threshold: float, silent: int = SILENT) -> np.ndarray:
    """Where an alarm is raised: a score at or above the threshold, and no alarm within the `silent` points before.

    Parameters
    ----------
    scores
        (series, points); NaN raises none.

    Returns
    -------
    bool, (series, points)
    """
    raised = np.zeros(scores.shape, bool)
    for row, places in enumerate(_high(scores, threshold)):
        last = -silent - 1
        for at in places:
            if at - last > silent:
                raised[row, at] = True
                last = at
    return raised


def threshold_for(scores: np.ndarray, points_per_alarm: float, silent: int = SILENT) -> float:
    """The lowest threshold at which healthy series raise at most one alarm in so many points.

    Where even their highest score comes too often it lies just above that.

    Parameters
    ----------
    scores
        (series, points) of a span in which nothing happened.
    points_per_alarm
        The budget, per series.

    Raises
    ------
    UsageError
        Too few points to say so.
    """
    known = np.unique(scores[np.isfinite(scores)])
    allowed = np.isfinite(scores).sum() / points_per_alarm
    if allowed < 1:
        raise UsageError(
            f"{np.isfinite(scores).sum():,} healthy points can't show one false alarm in {points_per_alarm:,.0f}: give "
            "more history, or allow more alarms"
        )
    known = np.append(known, np.nextafter(known[-1], np.inf))
    low, high = 0, len(known) - 1  # of places in `known`; `high` keeps to the budget
    while low < high:
        middle = (low + high) // 2
        if alarms(scores, known[middle], silent).sum() <= allowed:
            high = middle
        else:
            low = middle + 1
    return float(known[high])


def _high(scores: np.ndarray, threshold: float) -> list[np.ndarray]:
    with np.errstate(invalid="ignore"):
        return [np.flatnonzero(row >= threshold) for row in scores]
