"""LSTM forecaster: how far a point lies from what a network, trained once on all series of a kind, expects of it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np
from threadpoolctl import threadpool_limits

from workbench.anomalies.features import Scaling
from workbench.anomalies.network import Network, quantiles
from workbench.anomalies.panel import Panel
from workbench.anomalies.past import Past, column, tame
from workbench.anomalies.sequences import Read, clock, read
from workbench.anomalies.training import Plan, trained
from workbench.errors import UsageError

_AT_ONCE = 2_048  # sequences, so that what is worked on stays in the processor's cache
_LEAST = 0.25  # noise units: no half of a band counts as narrower


@dataclass(frozen=True)
class LstmForecaster:
    """Score = root mean square, over horizons, of the distance from the expected middle in half bands.

    For each horizon the network tells directly (never by feeding forecasts back) the 5 %, 50 % and 95 % quantiles of a
    point. The distance from the middle is divided by the half of the band on that side: 1 is the edge of the 90 % band,
    on both sides as strange, also where a metric (a latency, say) jumps up further than down. It goes on inside the
    band, so that a calibration can rank usual points too, which a distance outside the band (0 for nine of ten points)
    can't.

    One network for all series of the panel, which should be of one kind. It reads what `sequences.Read` says, and tells
    the change from the last known value in units of the series' noise. Training is done once, by TensorFlow; scoring is
    NumPy on the saved weights, so that a live process need not load TensorFlow.

    Attributes
    ----------
    units
        Of each LSTM layer.
    length
        L: memory begins anew on a grid of L points, counted from 1970; the points of a block are told after reading the
        L points before the block. So a score rests on the last L to 2 L points, pieces of a span give the scores of the
        whole (to about 1e-6, as matrix products of other sizes round otherwise), and nothing is remembered longer.
    horizons
        Points ahead; at most L.
    sequences, epochs, batch, patience, rate, seed
        Of training: see `training.Plan`. A sequence holds L or more points that are told.
    floor
        In metric units: less noise counts as this.

    Notes
    -----
    A missing point has no score, and the network is told that it is missing. Nothing known in the block before: no
    score. A history shorter than 5 L: no network, no scores.
    """

    units: tuple[int, ...] = (32,)
    length: int = 60
    horizons: tuple[int, ...] = (1, 12)
    sequences: int = 3_000
    epochs: int = 20
    batch: int = 64
    patience: int = 3
    rate: float = 5e-3
    seed: int = 42
    floor: float = 0.0
    name: str = "lstm"

    def __post_init__(self) -> None:
        if not self.horizons or not 1 <= min(self.horizons) <= max(self.horizons) <= self.length:
            raise UsageError(f"horizons of {self.horizons} points ahead; give some from 1 to the length, {self.length}")

    def fit(self, history: Panel) -> "LstmFitted":
        """Train the network on the history; TensorFlow is needed here, and only here."""
        known = replace(history, values=tame(history.values))
        scaling = Scaling.of(known.values, self.floor)
        plan = Plan(**{one.name: getattr(self, one.name) for one in fields(Plan)})
        past = Past.of(history, 2 * self.length)
        return LstmFitted(self.length, self.horizons, past, scaling, trained(known, scaling, plan))

    def restored(self, arrays: Mapping[str, np.ndarray]) -> "LstmFitted":
        """Go on from saved arrays; TensorFlow is not needed."""
        past, scaling = Past.restored(arrays), Scaling.restored(arrays)
        return LstmFitted(self.length, self.horizons, past, scaling, Network.restored(arrays))


@dataclass(frozen=True)
class LstmFitted:
    """The last 2 L points, the scale of each series, and the network."""

    length: int
    horizons: tuple[int, ...]
    past: Past
    scaling: Scaling
    network: Network

    def score(self, span: Panel) -> "tuple[np.ndarray, LstmFitted]":
        """See `Fitted.score`; 1 is the edge of the 90 % band."""
        joined = self.past.joined(span)
        later = replace(self, past=self.past.after(span, joined))
        scores = np.full(span.values.shape, np.nan)
        if not self.network.weights or not scores.size:
            return scores, later
        first = column(span.start, span.step)
        blocks = np.arange(first // self.length, (first + span.points - 1) // self.length + 1)
        many = max(_AT_ONCE // len(blocks), 1)
        with threadpool_limits(1):  # matrices so small are done sooner by one thread
            for at in range(0, len(joined), many):
                some = slice(at, at + many)
                scores[some] = self._scored(joined[some], some, blocks, first, span)
        return scores, later

    def _scored(self, joined: np.ndarray, some: slice, blocks: np.ndarray, first: int, span: Panel) -> np.ndarray:
        """Score some of the series: shape (series, points of the span)."""
        length, series = self.length, len(joined)
        steps = 2 * length if len(blocks) > 1 else first + span.points - (blocks[0] - 1) * length
        columns = (blocks[:, None] - 1) * length + np.arange(steps)
        place = columns - first + self.past.kept
        ahead = max(int(place.max()) + 1 - joined.shape[1], 0)  # the last block may end after the span
        known = np.pad(joined, ((0, 0), (0, ahead)), constant_values=np.nan)[:, place].reshape(-1, steps)
        scaling = self.scaling.cut(np.repeat(np.arange(some.start, some.start + series), len(blocks)))
        told = self._told(read(known, scaling, np.tile(clock(columns, span.step), (series, 1, 1))))
        inside = columns[:, length:].ravel() - first
        wanted = (inside >= 0) & (inside < span.points)
        return told.reshape(series, -1)[:, wanted]

    def _told(self, sequences: Read) -> np.ndarray:
        """Score the points of sequences after the first L: shape (sequences, steps - L)."""
        steps = sequences.values.shape[1]
        begin = self.length - max(self.horizons)
        outputs = self.network.run(sequences.inputs[:, :-1].swapaxes(0, 1), begin)
        middle, below, above = (part.swapaxes(0, 1) for part in quantiles(outputs))
        squares = []
        for at, horizon in enumerate(self.horizons):
            said = slice(self.length - horizon - begin, steps - horizon - begin)
            change = sequences.values[:, self.length :] - sequences.last[:, self.length - horizon : -horizon]
            off = change - middle[:, said, at]
            half = np.maximum(np.where(off > 0, above[:, said, at], below[:, said, at]), _LEAST)
            squares.append((off / half) ** 2)
        return _mean_of_known(np.stack(squares))

    def arrays(self) -> Mapping[str, np.ndarray]:
        """See `Fitted.arrays`."""
        return {**self.past.arrays(), **self.scaling.arrays(), **self.network.arrays()}


def _mean_of_known(squares: np.ndarray) -> np.ndarray:
    """Root of the mean over the first axis, of what is known; NaN where nothing is."""
    there = np.isfinite(squares)
    number = there.sum(axis=0)
    mean = np.where(there, squares, 0.0).sum(axis=0) / np.maximum(number, 1)
    return np.where(number > 0, np.sqrt(mean), np.nan)
