"""Series in which nothing happens, of the shapes that metrics have: thresholds can be set on them without labels."""

from datetime import UTC, datetime, timedelta

import numpy as np

from workbench.anomalies.panel import Panel

_START = datetime(2025, 1, 6, tzinfo=UTC)
_DAY = timedelta(days=1)


def healthy(series: int, points: int, step: timedelta, seed: int) -> Panel:
    """Simulate series without anomalies: memory, a daily cycle, heavy tails, some skewed; no two alike.

    Each is an autoregressive process (coefficient 0 to 0.98) with Student's t noise (3 to 30 degrees of freedom)
    around a daily cycle of up to four of its spreads with two harmonics; a third are exponentials of that, as rates
    and latencies are.
    """
    rng = np.random.default_rng(seed)
    memory = rng.uniform(0.0, 0.98, (series, 1)) ** 0.5
    freedom = rng.uniform(3.0, 30.0, series)
    noise = rng.standard_t(freedom[:, None], (series, points)) / np.sqrt(freedom / (freedom - 2.0))[:, None]
    values = _autoregressive(noise, memory[:, 0])
    values += rng.uniform(0.0, 4.0, (series, 1)) * _cycle(rng, series, points, step)
    skewed = rng.random(series) < 1 / 3
    values[skewed] = np.exp(0.4 * values[skewed])
    return Panel(tuple(f"healthy-{at}" for at in range(series)), _START, step, values)


def _autoregressive(noise: np.ndarray, memory: np.ndarray) -> np.ndarray:
    """x[t] = memory * x[t-1] + sqrt(1 - memory²) * noise[t]: of spread 1 whatever the memory."""
    values = np.empty_like(noise)
    values[:, 0] = noise[:, 0]
    fresh = np.sqrt(1.0 - memory**2)
    for at in range(1, noise.shape[1]):
        values[:, at] = memory * values[:, at - 1] + fresh * noise[:, at]
    return values


def _cycle(rng: np.random.Generator, series: int, points: int, step: timedelta) -> np.ndarray:
    """A day of two harmonics, of amplitude about 1."""
    turn = 2.0 * np.pi * np.arange(points)[None, :] * (step / _DAY)
    phase, second = rng.uniform(0, 2 * np.pi, (series, 1)), rng.uniform(0, 0.5, (series, 1))
    return np.asarray(np.sin(turn + phase) + second * np.sin(2 * turn + 2 * phase))
