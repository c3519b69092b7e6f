"""Noise that is the same for ever: one generator for each seed, purpose and place."""

import zlib

import numpy as np


def rng(seed: int, purpose: str, *place: int) -> np.random.Generator:
    """Return the generator of a purpose; another purpose or place is independent of it."""
    return np.random.default_rng([seed, zlib.crc32(purpose.encode()), *place])


def drifting(rng: np.random.Generator, shape: tuple[int, int], steps: float, sigma: float) -> np.ndarray:
    """Return rows of an Ornstein-Uhlenbeck process: deviation `sigma`, memory of `steps` samples."""
    rows, length = shape
    keep = np.exp(-1.0 / steps)
    noise = rng.standard_normal((length, rows)) * sigma * np.sqrt(1 - keep**2)
    at = rng.standard_normal(rows) * sigma
    out = np.empty((length, rows))
    for i in range(length):
        at = keep * at + noise[i]
        out[i] = at
    return out.T
