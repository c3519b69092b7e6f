"""What the LSTM reads of each point, and what it is to tell: alike for all series of a kind."""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from workbench.anomalies.features import Scaling
from workbench.anomalies.periods import DAY

FEATURES = 5
_MOST_SEEN = 8.0  # standard deviations: beyond it a value looks the same
_MOST_TOLD = 1e6


@dataclass(frozen=True)
class Read:
    """Sequences of points.

    Attributes
    ----------
    inputs
        float32, shape (sequences, points, 5): the last known value in standard deviations from the median and its
        change in units of noise, both cut off at 8; 1 where the point is known, else 0; sine and cosine of the time of
        day.
    last
        float64, shape (sequences, points): the last known value, in units of noise; NaN before the first one.
    values
        The values themselves, in the same unit; NaN is missing.
    """

    inputs: np.ndarray
    last: np.ndarray
    values: np.ndarray


def read(values: np.ndarray, scaling: Scaling, clock: np.ndarray) -> Read:
    """Scale sequences and carry the last known value on over gaps (a flag tells the network that it is old).

    Parameters
    ----------
    values
        float64, shape (sequences, points), metric units; NaN is missing.
    scaling
        That of each sequence's series.
    clock
        float32, shape (sequences, points, 2): from `clock`.
    """
    with np.errstate(over="ignore"):
        scaled = np.clip((values - scaling.center[:, None]) / scaling.noise[:, None], -_MOST_TOLD, _MOST_TOLD)
    last = carried(scaled)
    wide = (scaling.noise / scaling.unit)[:, None]
    before = np.concatenate([last[:, :1], last[:, :-1]], axis=1)
    level, change = (np.nan_to_num(np.clip(part, -_MOST_SEEN, _MOST_SEEN)) for part in (last * wide, last - before))
    inputs = np.empty((*values.shape, FEATURES), np.float32)
    inputs[..., 0], inputs[..., 1], inputs[..., 2], inputs[..., 3:] = level, change, np.isfinite(values), clock
    return Read(inputs, last, scaled)


def carried(values: np.ndarray) -> np.ndarray:
    """Put the last known value of its row in place of each missing one; NaN before the first."""
    place = np.where(np.isfinite(values), np.arange(values.shape[1]), 0)
    return np.take_along_axis(values, np.maximum.accumulate(place, axis=1), axis=1)


def clock(columns: np.ndarray, step: timedelta) -> np.ndarray:
    """Sine and cosine of the time of day (UTC) of columns, numbered from 1970: float32, shape (…, 2)."""
    turn = 2 * np.pi * ((columns * (step / DAY)) % 1.0)
    return np.stack([np.sin(turn), np.cos(turn)], axis=-1).astype(np.float32)
