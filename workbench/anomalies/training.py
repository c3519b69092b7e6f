"""Train the LSTM with TensorFlow, once, on a history."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.anomalies.features import Scaling
from workbench.anomalies.network import QUANTILES, Network
from workbench.anomalies.panel import Panel
from workbench.anomalies.past import column
from workbench.anomalies.sequences import FEATURES, Read, clock, read

FEWEST = 5
"""So many times the length of a sequence a history must hold."""

_LATER = 0.2  # of the history, at its end, tells when to stop
_CHECKED = 0.25  # sequences for that, of those for training
_MOST = 20.0  # noise units: larger surprises teach no more
_KNOWN = 0.5  # of a sequence, at least


@dataclass(frozen=True)
class Plan:
    """How the network is made and trained.

    Attributes
    ----------
    units
        Of each LSTM layer.
    length
        Points that are read before the first one that is told, and points that are told in one sequence.
    horizons
        How many points ahead is told, each directly.
    sequences, epochs, batch, patience, rate
        Drawn for training; most rounds over them; sequences a step; rounds without a gain before the end; of Adam.
    seed
        Of draws and first weights.
    """

    units: tuple[int, ...]
    length: int
    horizons: tuple[int, ...]
    sequences: int
    epochs: int
    batch: int
    patience: int
    rate: float
    seed: int

    @property
    def first(self) -> int:
        """The first step of a sequence after which something is told."""
        return self.length - max(self.horizons)


def trained(history: Panel, scaling: Scaling, plan: Plan) -> Network:
    """Train on sequences from the first four fifths of a history, and stop by those after it.

    Parameters
    ----------
    history
        Finite values or NaN.

    Returns
    -------
    The network after the round that was best on the later sequences; one without weights where the history is shorter
    than five times `length`, or nowhere half known. The same history and seed give the same weights on one machine.
    """
    whole, split = 2 * plan.length, round(history.points * (1 - _LATER))
    if history.points < FEWEST * plan.length or not history.keys:
        return Network(())
    early = _drawn(history, scaling, plan, range(split - whole + 1))
    late = _drawn(history, scaling, plan, range(split - plan.length, history.points - whole + 1))
    if not len(early.inputs) or not len(late.inputs):
        return Network(())
    return Network(_fitted(_told(early, plan), _told(late, plan), plan))


def _drawn(history: Panel, scaling: Scaling, plan: Plan, starts: range) -> Read:
    """Draw sequences that begin in some columns; those that are less than half known are left out."""
    rng = np.random.default_rng([plan.seed, starts.start])
    count = plan.sequences if starts.start == 0 else round(_CHECKED * plan.sequences)
    series = rng.integers(0, len(history.keys), count)
    places = rng.integers(starts.start, starts.stop, count)[:, None] + np.arange(2 * plan.length)
    values = history.values[series[:, None], places]
    enough = np.isfinite(values).mean(axis=1) >= _KNOWN
    times = clock(column(history.start, history.step) + places[enough], history.step)
    return read(values[enough], scaling.cut(series[enough]), times)


def _told(sequences: Read, plan: Plan) -> tuple[np.ndarray, np.ndarray]:
    """Give the inputs, and for each step that is told the targets and 1 where they are known: (…, 2 · horizons)."""
    steps = np.arange(plan.first, 2 * plan.length - 1)
    ahead = steps[:, None] + np.array(plan.horizons)
    inside = ahead < 2 * plan.length
    later = sequences.values[:, np.where(inside, ahead, 0)]
    target = np.clip(later - sequences.last[:, steps, None], -_MOST, _MOST)
    known = np.isfinite(target) & inside
    both = np.concatenate([np.where(known, target, 0.0), known], axis=-1)
    return sequences.inputs, both.astype(np.float32)


def _fitted(
    early: tuple[np.ndarray, np.ndarray], late: tuple[np.ndarray, np.ndarray], plan: Plan
) -> tuple[np.ndarray, ...]:
    from tensorflow import keras

    inputs = keras.Input((2 * plan.length, FEATURES))
    model = keras.Model(inputs, _layers(inputs, plan))
    sizes = np.abs(early[1][..., : len(plan.horizons)]).mean(axis=(0, 1)) + 1e-3
    model.compile(optimizer=keras.optimizers.Adam(plan.rate, clipnorm=1.0), loss=_pinball(1.0 / sizes))
    stop = keras.callbacks.EarlyStopping(patience=plan.patience, restore_best_weights=True)
    model.fit(
        *early,
        validation_data=late,
        epochs=plan.epochs,
        batch_size=plan.batch,
        shuffle=False,
        verbose=0,
        callbacks=[stop],
    )
    return tuple(np.asarray(weight, dtype=np.float32) for weight in model.get_weights())


def _layers(inputs: Any, plan: Plan) -> Any:  # noqa: ANN401 (Keras has no types)
    from tensorflow import keras

    seeds = iter(range(plan.seed, plan.seed + 3 * len(plan.units) + 3))
    values = inputs
    for units in plan.units:
        values = keras.layers.LSTM(
            units,
            return_sequences=True,
            kernel_initializer=keras.initializers.GlorotUniform(next(seeds)),
            recurrent_initializer=keras.initializers.Orthogonal(seed=next(seeds)),
        )(values)
    dense = keras.layers.Dense(3 * len(plan.horizons), kernel_initializer=keras.initializers.GlorotUniform(next(seeds)))
    return dense(values[:, plan.first : 2 * plan.length - 1])


def _pinball(weights: np.ndarray) -> Any:  # noqa: ANN401
    """Make the pinball loss of the three quantiles, each horizon times its weight; what is not known does not count.

    Koenker and Bassett (1978), Regression Quantiles, Econometrica 46(1).
    """
    from tensorflow import keras

    count = len(weights)

    def loss(told: Any, outputs: Any) -> Any:  # noqa: ANN401
        """Weighted pinball loss of the known points."""
        target, known = told[..., :count], told[..., count:] * weights.astype(np.float32)
        middle, below, above = outputs[..., 0::3], outputs[..., 1::3], outputs[..., 2::3]
        edges = (middle - keras.ops.softplus(below), middle, middle + keras.ops.softplus(above))
        missed = [(share, target - edge) for share, edge in zip(QUANTILES, edges, strict=True)]
        lost = sum(keras.ops.maximum(share * miss, (share - 1.0) * miss) for share, miss in missed)
        return keras.ops.sum(lost * known, axis=-1)

    return loss
