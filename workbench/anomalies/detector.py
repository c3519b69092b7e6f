"""What a detector is: it learns from a history, and tells how strange each point of a later span is."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from workbench.anomalies.panel import Panel


class Fitted(Protocol):
    """What has been learned of a panel's series, and as much of their past as scoring needs."""

    def score(self, span: Panel) -> "tuple[np.ndarray, Fitted]":
        """Tell how strange each point is, from it and what came before it.

        Parameters
        ----------
        span
            The same series, from the end of what is known on (a gap is missing points).

        Returns
        -------
        float64, shape (series, points): higher is stranger, NaN where it can't be told; and what scores the span after
        this one. A span in pieces, one after the other, gives the scores of the span in one piece.
        """

    def arrays(self) -> Mapping[str, np.ndarray]:
        """All that `Detector.restored` needs, as arrays that fit into an npz file."""


class Detector(Protocol):
    """A way to find what is strange, with its settings; knows no data."""

    @property
    def name(self) -> str:
        """One word, as it stands on pages."""

    def fit(self, history: Panel) -> Fitted:
        """Learn from a history, which may hold gaps and anomalies. What is scored later must not be in it."""

    def restored(self, arrays: Mapping[str, np.ndarray]) -> Fitted:
        """Go on from what `Fitted.arrays` gave, in another process."""
