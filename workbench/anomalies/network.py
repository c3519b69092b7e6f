"""A small LSTM with quantiles as outputs, run with NumPy on the weights that TensorFlow found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

QUANTILES = (0.05, 0.5, 0.95)
"""Lower edge, middle and upper edge of the band that is learned."""


@dataclass(frozen=True)
class Network:
    """A network by its weights; an empty tuple where there is none.

    They are float32, in the order and layout of Keras: kernel, recurrent kernel and bias of each LSTM layer (gates:
    input, forget, cell, output), then kernel and bias of the dense layer.
    """

    weights: tuple[np.ndarray, ...]

    def run(self, inputs: np.ndarray, first: int) -> np.ndarray:
        """Read sequences from an empty memory on and tell what the dense layer says after each step.

        Parameters
        ----------
        inputs
            float32, shape (steps, sequences, features): step by step, as it is read.
        first
            From this step on outputs are wanted.

        Returns
        -------
        float32, shape (steps - first, sequences, outputs)
        """
        *recurrent, kernel, bias = self.weights
        layers = [_Layer(recurrent[at : at + 3], inputs.shape[1]) for at in range(0, len(recurrent), 3)]
        outputs = np.empty((len(inputs) - first, inputs.shape[1], len(bias)), np.float32)
        for step, values in enumerate(inputs):
            for layer in layers:
                values = layer.step(values)  # noqa: PLW2901
            if step >= first:
                np.add(values @ kernel, bias, out=outputs[step - first])
        return outputs

    def arrays(self) -> dict[str, np.ndarray]:
        """All there is to keep in a file."""
        return {f"weight_{at:02}": weight for at, weight in enumerate(self.weights)}

    @classmethod
    def restored(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Make it from what `arrays` gave."""
        return cls(tuple(np.asarray(arrays[name]) for name in sorted(arrays) if name.startswith("weight_")))


class _Layer:
    """One LSTM layer with the memory of the sequences that it reads.

    Hochreiter and Schmidhuber (1997), Long Short-Term Memory, Neural Computation 9(8); gates as in `keras.layers.LSTM`.
    """

    def __init__(self, weights: Sequence[np.ndarray], sequences: int) -> None:
        kernel, recurrent, bias = weights
        units = len(recurrent)
        # a sigmoid is a tanh of half the argument, halved and lifted by a half: one call for all four gates
        self._half = np.repeat(np.array([0.5, 0.5, 1.0, 0.5], np.float32), units)
        self._lift = 1 - self._half
        self._weights = np.concatenate([kernel, recurrent]) * self._half
        self._bias = bias * self._half
        self._cell = np.zeros((sequences, units), np.float32)
        self._seen = np.zeros((sequences, len(self._weights)), np.float32)
        self._gates = np.empty((sequences, 4 * units), np.float32)
        self._features = len(kernel)

    def step(self, values: np.ndarray) -> np.ndarray:
        """Read one step, shape (sequences, features), and give the layer's output, shape (sequences, units)."""
        self._seen[:, : self._features] = values
        gates = np.matmul(self._seen, self._weights, out=self._gates)
        gates += self._bias
        np.tanh(gates, out=gates)
        gates *= self._half
        gates += self._lift
        taken, kept, new, given = np.split(gates, 4, axis=1)
        self._cell *= kept
        self._cell += taken * new
        output = np.tanh(self._cell)
        output *= given
        self._seen[:, self._features :] = output
        return output


def quantiles(outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read the three outputs of each horizon: middle, and how far the edges lie below and above it (never negative).

    Parameters
    ----------
    outputs
        Shape (…, 3 · horizons).

    Returns
    -------
    middle, below, above: each of shape (…, horizons), in the unit of the target.
    """
    middle, below, above = (outputs[..., at::3] for at in range(3))
    return middle, np.logaddexp(np.float32(0), below), np.logaddexp(np.float32(0), above)
