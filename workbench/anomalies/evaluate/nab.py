"""The Numenta Anomaly Benchmark's score: early alerts within labelled windows count, others cost.

Lavin, Ahmad: Evaluating Real-Time Anomaly Detection Algorithms, ICMLA 2015, and the rules of the benchmark's
repository. In each window the earliest alert counts: 1 at the window's left edge, less towards its right one, by a
sigmoid. An alert outside costs up to the profile's weight, less the nearer it comes after a window. A window without
alert costs the weight of a miss. The sum over all series is scaled so that no alert at all is 0 and an alert at the
left edge of each window, and none elsewhere, is 100. The first 15 % of a series, 750 rows at most, are for learning:
alerts there are not looked at.
"""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from workbench.anomalies.evaluate.spans import Span


class Profile(NamedTuple):
    """What a hit brings, a false alarm and a miss cost."""

    hit: float
    false_alarm: float
    miss: float


STANDARD = Profile(1.0, 0.11, 1.0)
FEW_FALSE_ALARMS = Profile(1.0, 0.22, 1.0)
FEW_MISSES = Profile(1.0, 0.11, 2.0)
_LEARNING, _LEARNING_ROWS = 0.15, 750


class Judged(NamedTuple):
    """One series: its alerts held against its windows."""

    points: float
    """Hits less what alarms and misses cost."""
    windows: int
    hits: int
    false_alarms: int


def learning_rows(rows: int) -> int:
    """How many rows at the beginning are for learning."""
    return min(int(_LEARNING * rows), _LEARNING_ROWS)


def judged(alerts: np.ndarray, windows: Sequence[Span], profile: Profile = STANDARD) -> Judged:
    """Hold the alerts of one series, (rows,) of bool, against its windows, which are in order and do not overlap."""
    best = dict.fromkeys(range(len(windows)), -profile.miss)
    points, false_alarms = 0.0, 0
    for row in np.flatnonzero(alerts):
        if row < learning_rows(len(alerts)):
            continue
        within = next((at for at, window in enumerate(windows) if window.first <= row <= window.last), None)
        if within is None:
            false_alarms += 1
            points += profile.false_alarm * _after(int(row), windows)
        else:
            best[within] = max(best[within], profile.hit * _early(int(row), windows[within]))
    hits = sum(1 for value in best.values() if value > -profile.miss)
    return Judged(points + sum(best.values()), len(windows), hits, false_alarms)


def nab_score(series: Iterable[Judged], profile: Profile = STANDARD) -> float:
    """Scale the sum over all series: 0 for no alerts, 100 for perfect ones; it may fall below 0."""
    found = list(series)
    windows = sum(each.windows for each in found)
    nothing = -profile.miss * windows
    return 100.0 * (sum(each.points for each in found) - nothing) / (profile.hit * windows - nothing)


def _early(row: int, window: Span) -> float:
    """1 at the left edge of a window, near 0 at the right one."""
    return _sigmoid(-(window.last - row + 1) / (window.last - window.first + 1)) / _sigmoid(-1.0)


def _after(row: int, windows: Sequence[Span]) -> float:
    """0 right after a window, -1 far from it or before the first."""
    before = [window for window in windows if window.last < row]
    if not before:
        return -1.0
    width = max(before[-1].last - before[-1].first, 1)
    return _sigmoid((row - before[-1].last) / width)


def _sigmoid(position: float) -> float:
    """From 1 far to the left of 0 to -1 far to the right."""
    return -1.0 if position > 3.0 else 2.0 / (1.0 + math.exp(5.0 * position)) - 1.0
