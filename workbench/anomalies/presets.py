"""Sets of detectors with their settings: our defaults, and the article's values to compare them with."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from workbench.anomalies.change import ChangePoint
from workbench.anomalies.detector import Detector
from workbench.anomalies.forest import Forest
from workbench.anomalies.lstm import LstmForecaster
from workbench.anomalies.seasonal import SeasonalResidual
from workbench.anomalies.statistical import RollingZ
from workbench.anomalies.windows import Windows
from workbench.errors import UsageError, did_you_mean


@dataclass(frozen=True)
class Member:
    """A detector and, where somebody fixed one, the constant that flags its points.

    Attributes
    ----------
    detector
        With its settings.
    limit
        Scores above it are flagged; None: calibration decides.
    share
        This share of the points, those with the highest scores, is flagged; None: calibration decides.
    wrong
        What is wrong with these constants; empty where nothing is known to be.
    """

    detector: Detector
    limit: float | None = None
    share: float | None = None
    wrong: str = ""

    def flags(self, scores: np.ndarray) -> np.ndarray:
        """Flag points by the constants: bool, the shape of `scores`; a missing score is never flagged.

        Raises
        ------
        UsageError
            There is no constant.
        """
        if self.limit is not None:
            return np.asarray(scores > self.limit)
        if self.share is None:
            raise UsageError(f"'{self.detector.name}' has no fixed limit; calibrate it, or take the preset 'article'")
        known = scores[np.isfinite(scores)]
        return np.asarray(scores > np.quantile(known, 1 - self.share)) if known.size else np.zeros(scores.shape, bool)


@dataclass(frozen=True)
class Preset:
    """A set of members, and constants that go with all of them, each with what is wrong with it."""

    members: tuple[Member, ...]
    constants: Mapping[str, tuple[float, str]]

    def __getitem__(self, name: str) -> Member:
        """Give the member whose detector has this name."""
        named = {member.detector.name: member for member in self.members}
        if name not in named:
            raise UsageError(
                f"no detector '{name}' in this preset; there are {', '.join(named)}{did_you_mean(name, named)}"
            )
        return named[name]


def presets() -> dict[str, Preset]:
    """Give all sets by name: `default`, what we use; `article`, the values of the article, for comparison only."""
    ours: tuple[Detector, ...] = (
        Windows(),
        RollingZ(),
        SeasonalResidual(),
        Forest(),
        LstmForecaster(),
        ChangePoint(),
    )
    return {"default": Preset(tuple(Member(detector) for detector in ours), {}), "article": _article()}


_WRONG = {
    "z": """Three standard deviations of half an hour mean one false alarm in 370 points only where points are normal
and independent, which metrics are not; the article also counts the point into its own mean and deviation (of 30 points,
none can then lie more than 5.3 deviations off), which is not repeated here.""",
    "forest": """A contamination of 0.1 flags every tenth point, whether anything is wrong or not: 144 a day and series
at one a minute; the article also fits the forest to the points that it then judges, and writes 0 for what it does not
know.""",
    "lstm": """The article trains anew at each call, feeds 60 forecasts back into the network, and then looks for spikes
in that smooth curve, where there can't be any; it gives no limit for what was measured, so its 3 is taken.""",
}


def _article() -> Preset:
    z = RollingZ(window=timedelta(minutes=30))
    forest = Forest(trees=100, sample=256, seed=42)
    lstm = LstmForecaster(units=(50, 50), length=60, horizons=(1,), epochs=10, batch=32, patience=10)
    wrong = {name: " ".join(text.split()) for name, text in _WRONG.items()}
    members = (
        Member(z, limit=3.0, wrong=wrong["z"]),
        Member(forest, share=0.1, wrong=wrong["forest"]),
        Member(lstm, limit=3.0, wrong=wrong["lstm"]),
    )
    constants = {
        "confidence": (0.85, "It is returned with every forecast, whatever the data: a constant is no confidence."),
        "weight of the statistical flag": (0.6, "Nobody measured that this flag is right more often than the other."),
        "weight of the forest's flag": (0.4, "The same; and the sum of two weights is taken for a probability."),
        "limit of the forest's decision": (-0.1, "A second cut beside the contamination, on the same score."),
    }
    return Preset(members, constants)
