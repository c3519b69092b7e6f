"""What a forest sees of a point: numbers made of it and of the points before it, alike for all series of a kind."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from workbench.anomalies import robust
from workbench.anomalies.periods import DAY

LENGTHS = (4, 16, 64)
"""Points before the point that are described together."""

_MOST_OF_A_DAY = 5_760  # points: every 15 seconds
_FURTHEST = 1e4  # scaled values beyond it are all the same


@dataclass(frozen=True)
class Scaling:
    """Median, robust standard deviation and noise (`robust.noise`) of each series' history: (series,), metric units."""

    center: np.ndarray
    unit: np.ndarray
    noise: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, floor: float = 0.0) -> "Scaling":
        """Take them from a history, shape (series, points); noise below `floor` counts as `floor`, in metric units."""
        center, unit = robust.scale(values)
        return cls(center, unit, np.maximum(robust.noise(values), floor))

    def cut(self, some: slice | np.ndarray) -> "Scaling":
        """Take those of some of the series, by place; one may come several times."""
        return Scaling(self.center[some], self.unit[some], self.noise[some])

    def arrays(self) -> dict[str, np.ndarray]:
        """All there is to keep in a file."""
        return {"center": self.center, "unit": self.unit, "noise": self.noise}

    @classmethod
    def restored(cls, arrays: Mapping[str, np.ndarray]) -> "Scaling":
        """Make it from what `arrays` gave."""
        return cls(arrays["center"], arrays["unit"], arrays["noise"])

    def scaled(self, values: np.ndarray) -> np.ndarray:
        """Bring series of one kind to one scale: 0 is the median, 1 a standard deviation; up to 10,000 of them."""
        with np.errstate(over="ignore"):
            scaled = (values - self.center[:, None]) / self.unit[:, None]
        return np.asarray(np.clip(scaled, -_FURTHEST, _FURTHEST))


def back(step: timedelta) -> int:
    """How many points before a point its features look at."""
    return max(*LENGTHS, _day(step))


def _day(step: timedelta) -> int:
    """Points in a day; 0 where they are too many to keep, or no whole number above 1: nothing is seen of yesterday."""
    points, rest = divmod(DAY, step)
    return points if not rest and 2 <= points <= _MOST_OF_A_DAY else 0


def features(values: np.ndarray, scaling: Scaling, step: timedelta) -> np.ndarray:
    """Describe each point after the first `back(step)` ones.

    Parameters
    ----------
    values
        float64, shape (series, back + points), metric units, NaN is missing.

    Returns
    -------
    float32, shape (features, series, points): the scaled value; its change since the point before, in units of noise;
    for the 4, 16 and 64 points before it: distance to their mean, their standard deviation, distance to their largest
    and to their smallest; its change since the same time yesterday. NaN where it is not known (of a window: less than
    half).
    """
    first, longest, day = back(step), max(LENGTHS), _day(step)
    scaled = scaling.scaled(values[:, first - longest :])
    now = scaled[:, longest:]
    change = (now - scaled[:, longest - 1 : -1]) * (scaling.unit / scaling.noise)[:, None]
    described = [now, np.clip(change, -_FURTHEST, _FURTHEST)]
    for length in LENGTHS:
        described += _of_window(now, scaled[:, longest - length : -1], length)
    yesterday = scaling.scaled(values[:, first - day : values.shape[1] - day]) if day else np.nan
    described.append(now - yesterday)
    return np.stack(described).astype(np.float32)


def _of_window(now: np.ndarray, before: np.ndarray, length: int) -> list[np.ndarray]:
    mean = robust.trailing_mean(before, length, length // 2)
    square = robust.trailing_mean(before * before, length, length // 2)
    wide = np.sqrt(np.maximum(square - mean * mean, 0.0))
    high, low = (np.where(np.isnan(mean), np.nan, robust.trailing(before, length, join)) for join in (np.fmax, np.fmin))
    return [now - mean, wide, now - high, now - low]
