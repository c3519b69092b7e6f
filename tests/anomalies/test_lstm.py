"""The LSTM: NumPy says what Keras says, and a band holds as often as it promises."""

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from workbench.anomalies.features import Scaling
from workbench.anomalies.lstm import LstmForecaster
from workbench.anomalies.network import Network, quantiles
from workbench.anomalies.panel import Panel
from workbench.anomalies.sequences import carried, clock, read
from workbench.errors import UsageError

START = datetime(2025, 10, 1, tzinfo=UTC)


def random_network(units: tuple[int, ...], outputs: int = 6) -> Network:
    rng = np.random.default_rng(5)
    weights, features = [], 5
    for many in units:
        weights += [rng.normal(0, 0.4, shape) for shape in ((features, 4 * many), (many, 4 * many), (4 * many,))]
        features = many
    weights += [rng.normal(0, 0.4, shape) for shape in ((features, outputs), (outputs,))]
    return Network(tuple(weight.astype(np.float32) for weight in weights))


@pytest.mark.slow
@pytest.mark.parametrize("units", [(8,), (50, 50)])
def test_numpy_says_what_keras_says(units: tuple[int, ...]) -> None:
    from tensorflow import keras

    network = random_network(units)
    inputs = keras.Input((40, 5))
    values = inputs
    for many in units:
        values = keras.layers.LSTM(many, return_sequences=True)(values)
    model = keras.Model(inputs, keras.layers.Dense(6)(values))
    model.set_weights(network.weights)
    sequences = np.random.default_rng(6).normal(0, 2, (30, 40, 5)).astype(np.float32)
    expected = np.asarray(model(sequences))[:, 10:]
    np.testing.assert_allclose(network.run(sequences.swapaxes(0, 1), 10).swapaxes(0, 1), expected, atol=1e-5)


def test_the_edges_of_a_band_never_cross() -> None:
    outputs = random_network((8,)).run(np.random.default_rng(7).normal(0, 9, (20, 50, 5)).astype(np.float32), 0)
    middle, below, above = quantiles(outputs)
    assert middle.shape == (20, 50, 2)
    assert (below >= 0).all()
    assert (above >= 0).all()


def test_the_last_known_value_is_carried_on() -> None:
    values = np.array([[np.nan, 1.0, np.nan, np.nan, 4.0], [np.nan] * 5])
    np.testing.assert_array_equal(carried(values), [[np.nan, 1, 1, 1, 4], [np.nan] * 5])


def test_a_missing_point_is_told_to_the_network_as_missing_and_not_as_zero() -> None:
    values = np.array([[10.0, 12.0, np.nan, 16.0]])
    scaling = Scaling(np.array([10.0]), np.array([4.0]), np.array([2.0]))
    seen = read(values, scaling, clock(np.arange(4)[None], timedelta(hours=6)))
    np.testing.assert_allclose(seen.inputs[0, :, 0], [0, 0.5, 0.5, 1.5])  # level, in standard deviations
    np.testing.assert_allclose(seen.inputs[0, :, 1], [0, 1, 0, 2])  # change, in units of noise
    np.testing.assert_allclose(seen.inputs[0, :, 2], [1, 1, 0, 1])
    np.testing.assert_allclose(seen.inputs[0, :, 3], [0, 1, 0, -1], atol=1e-6)  # midnight, 6, 12 and 18 o'clock


def test_a_horizon_beyond_the_length_is_refused() -> None:
    with pytest.raises(UsageError, match=r"from 1 to the length, 60"):
        LstmForecaster(horizons=(1, 61))


def healthy(points: int, seed: int = 0) -> Panel:
    """Series that jump up further than down, with a cycle and gaps, at three scales."""
    rng = np.random.default_rng(seed)
    cycle = np.sin(2 * np.pi * np.arange(points) / 144)
    values = np.exp(rng.normal(0, 0.4, (12, points))) + cycle * rng.uniform(0, 2, (12, 1))
    values[rng.random(values.shape) < 0.02] = np.nan
    values *= 10.0 ** rng.integers(-3, 4, (12, 1))
    return Panel(tuple(f"s{at}" for at in range(12)), START, timedelta(minutes=10), values)


@pytest.mark.slow
def test_a_band_holds_as_often_as_it_promises_and_a_strange_point_lies_outside() -> None:
    panel = healthy(144 * 14)
    history, span = panel.cut(0, 144 * 12), panel.cut(144 * 12)
    detector = LstmForecaster(units=(16,), length=48, horizons=(1,), sequences=600, epochs=15)
    fitted = detector.fit(history)
    scores, _ = fitted.score(span)
    assert np.mean(scores[np.isfinite(scores)] <= 1) == pytest.approx(0.9, abs=0.06)  # the 90 % band
    strange = span.values.copy()
    strange[:, 100] += 8 * np.nanstd(history.values, axis=1)
    found, _ = fitted.score(replace(span, values=strange))
    assert (found[:, 100][np.isfinite(found[:, 100])] > 2).all()
    later, _ = fitted.score(replace(span, values=np.where(np.arange(288) == 100, np.nan, span.values)))
    np.testing.assert_allclose(later[:, 200:], found[:, 200:], rtol=1e-5)  # after two lengths all is forgotten


SCORING = """
import sys, numpy as np
from datetime import UTC, datetime, timedelta
from workbench.anomalies.lstm import LstmForecaster
from workbench.anomalies.panel import Panel
with np.load(sys.argv[1]) as arrays:
    fitted = LstmForecaster(units=(8,), length=24).restored(dict(arrays))
scores, _ = fitted.score(Panel(("a",), datetime(2025, 10, 2, tzinfo=UTC), timedelta(minutes=10), np.ones((1, 50))))
assert np.isfinite(scores).all()
print(sorted({name.partition(".")[0] for name in sys.modules} & {"tensorflow", "keras", "sklearn", "pandas"}))
"""


def test_scoring_needs_no_tensorflow(tmp_path: Path) -> None:
    history = Panel(("a",), START, timedelta(minutes=10), np.random.default_rng(0).normal(size=(1, 144)))
    without = LstmForecaster(units=(8,), length=48).fit(history)  # too short a history: nothing is trained
    assert not without.network.weights
    file = BytesIO()
    np.savez(file, **{**without.arrays(), **random_network((8,)).arrays()})
    (tmp_path / "model.npz").write_bytes(file.getvalue())
    command = [sys.executable, "-c", SCORING, str(tmp_path / "model.npz")]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
