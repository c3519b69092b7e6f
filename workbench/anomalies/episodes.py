"""From alarms to episodes: what was strange, from when to when, and how much; and what fell silent."""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import polars as pl

from workbench.anomalies.alarms import SILENT, threshold_for
from workbench.anomalies.detector import Detector
from workbench.anomalies.healthy import healthy
from workbench.anomalies.panel import Panel
from workbench.errors import UsageError
from workbench.focus import TIME

EPISODES = pl.Schema(
    {
        "series": pl.String(), "start": TIME, "end": TIME, "ongoing": pl.Boolean(), "score": pl.Float64(),
        "value": pl.Float64(), "usual_low": pl.Float64(), "usual_high": pl.Float64(),
    }
)  # fmt: skip
"""`end` is after the last strange point; `value` the one with the highest `score`; nine in ten values of the history
lie between `usual_low` and `usual_high`."""

SILENCES = pl.Schema({"series": pl.String(), "since": TIME, "points": pl.Int64()})
"""Series that have sent nothing from `since` to the end, so many points, though they usually do."""

_LEARN = 1 / 3  # of the history; on the rest the threshold is set
_LEAST = 100  # points to learn from
_USUALLY = 0.9  # share of the history's points that are there
_SILENT_FOR = 5


@dataclass(frozen=True)
class Budget:
    """How many false alarms are allowed, and where the threshold was set.

    Attributes
    ----------
    per_week
        False alarms of one series in a week.
    threshold
        Scores from it on alarm.
    set_on
        `history`; or `simulated series` where the history is too short for the promise, with `their highest score`
        where these are too short too: then the promise is not shown.
    """

    per_week: float
    threshold: float
    set_on: str


@dataclass(frozen=True)
class Found:
    """What a look at one metric brought: `EPISODES`, strangest first; `SILENCES`; and by which promise."""

    episodes: pl.DataFrame
    silences: pl.DataFrame
    budget: Budget


def look(panel: Panel, detector: Detector, first: int, per_week: float) -> Found:
    """Find what is strange from a column on; everything before it is history.

    The detector learns from the first third of the history. Its scores on the rest set the threshold, all series
    together: whatever was strange there makes it higher, never lower.

    Parameters
    ----------
    panel
        Series of one kind.
    detector
        Which one.
    first
        The first column that is judged.
    per_week
        The alarm budget, of each series.

    Raises
    ------
    UsageError
        Too little history to learn from.
    """
    learned = int(first * _LEARN)
    if learned < _LEAST:
        raise UsageError(
            f"{first} points of history are too few: a third of them is learned from, and that takes {_LEAST}; give "
            f"{3 * _LEAST * panel.step} or more before the span that is judged"
        )
    scores, _ = detector.fit(panel.cut(0, learned)).score(panel.cut(learned))
    budget = _budget(scores[:, : first - learned], detector, panel.step, per_week)
    judged = scores[:, first - learned :]
    return Found(_episodes(panel, judged, first, budget.threshold), silences(panel, first), budget)


def _budget(calm: np.ndarray, detector: Detector, step: timedelta, per_week: float) -> Budget:
    points = timedelta(weeks=1) / step / per_week
    if np.isfinite(calm).sum() >= 10 * points:
        return Budget(per_week, threshold_for(calm, points), "history")
    simulated = healthy(40, 3_000, step, seed=1)
    scores, _ = detector.fit(simulated.cut(0, 500)).score(simulated.cut(500))
    if points > scores.size:
        return Budget(per_week, threshold_for(scores, scores.size), "simulated series, at their highest score")
    return Budget(per_week, threshold_for(scores, points), "simulated series")


def _episodes(panel: Panel, scores: np.ndarray, first: int, threshold: float) -> pl.DataFrame:
    """One row an episode: strange points with never more than `SILENT` others in a row between them."""
    low, high = _usual(panel.values[:, :first])
    rows = []
    for row, series in enumerate(panel.keys):
        with np.errstate(invalid="ignore"):
            strange = np.flatnonzero(scores[row] >= threshold)
        breaks = np.flatnonzero(np.diff(strange) > SILENT) + 1
        for points in np.split(strange, breaks) if len(strange) else []:
            peak, last = int(points[np.argmax(scores[row, points])]), int(points[-1])
            rows.append(
                {"series": series, "start": panel.start + (first + int(points[0])) * panel.step,
                 "end": panel.start + (first + last + 1) * panel.step, "ongoing": scores.shape[1] - last <= SILENT,
                 "score": float(scores[row, peak]), "value": float(panel.values[row, first + peak]),
                 "usual_low": float(low[row]), "usual_high": float(high[row])}
            )  # fmt: skip
    return pl.DataFrame(rows, EPISODES).sort("score", "start", "series", descending=[True, False, False])


def _usual(history: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    known = np.isfinite(history).any(axis=1)
    bounds = np.full((2, len(history)), np.nan)
    if known.any():
        bounds[:, known] = np.nanquantile(history[known], [0.05, 0.95], axis=1)
    return bounds[0], bounds[1]


def silences(panel: Panel, first: int) -> pl.DataFrame:
    """Find series that usually send and have stopped: missing samples are a signal of their own (`SILENCES`)."""
    there = np.isfinite(panel.values)
    usual = there[:, :first].mean(axis=1) >= _USUALLY
    quiet = np.argmax(there[:, ::-1], axis=1)  # points since the last sample
    quiet[~there.any(axis=1)] = panel.points
    rows = [
        {"series": panel.keys[row], "since": panel.end - int(quiet[row]) * panel.step, "points": int(quiet[row])}
        for row in np.flatnonzero(usual & (quiet >= _SILENT_FOR))
    ]
    return pl.DataFrame(rows, SILENCES).sort("points", "series", descending=[True, False])
