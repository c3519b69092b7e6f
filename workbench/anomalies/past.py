"""As much of the past of many series as a detector needs to score what comes next."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

import numpy as np

from workbench.anomalies.panel import Panel
from workbench.errors import UsageError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)
_LARGEST = 1e300  # beyond it sums would overflow


def column(moment: datetime, step: timedelta) -> int:
    """Number the steps from 1970 on: where grids of blocks begin, whatever piece is looked at."""
    return (moment - EPOCH) // step


def rows(window: timedelta, step: timedelta, least: int) -> int:
    """How many steps a window holds, at least `least`."""
    return max(round(window / step), least)


def tame(values: np.ndarray) -> np.ndarray:
    """Take what is not finite as missing, and keep numbers below 1e300, so that sums and differences stay finite."""
    return np.where(np.isfinite(values), np.clip(values, -_LARGEST, _LARGEST), np.nan)


@dataclass(frozen=True)
class Past:
    """The last columns of a panel.

    Attributes
    ----------
    keys, step
        Those of the panel.
    end
        The time after the last column.
    values
        float64, shape (series, kept); NaN is missing, also what lies before the history.
    """

    keys: tuple[str, ...]
    step: timedelta
    end: datetime
    values: np.ndarray

    @classmethod
    def of(cls, panel: Panel, kept: int) -> Self:
        """Keep the last `kept` columns; what a shorter panel lacks is missing."""
        last = tame(panel.values[:, max(panel.points - kept, 0) :])
        before = np.full((len(panel.keys), kept - last.shape[1]), np.nan)
        return cls(panel.keys, panel.step, panel.end, np.concatenate([before, last], axis=1))

    @property
    def kept(self) -> int:
        """How many columns are kept."""
        return int(self.values.shape[1])

    def gap(self, span: Panel) -> int:
        """Tell how many columns lie between the end of what is known and a span.

        Raises
        ------
        UsageError
            Other series or another step, or the span begins before the end of what is known.
        """
        gap, rest = divmod(span.start - self.end, self.step)
        if span.keys != self.keys or span.step != self.step or gap < 0 or rest:
            raise UsageError(
                f"a detector fitted to {len(self.keys)} series every {self.step}, known until {self.end}, can't score "
                f"{len(span.keys)} series every {span.step} from {span.start}; score the same series from that end on"
            )
        return gap

    def joined(self, span: Panel) -> np.ndarray:
        """Put the `kept` columns right before a span in front of it; a gap between is missing; raises what `gap` does.

        Returns
        -------
        float64, shape (series, kept + the span's points)
        """
        gap = self.gap(span)
        between = np.full((len(self.keys), min(gap, self.kept)), np.nan)
        return np.concatenate([self.values[:, between.shape[1] :], between, tame(span.values)], axis=1)

    def after(self, span: Panel, joined: np.ndarray) -> "Past":
        """Move on to the end of a span, given what `joined` made of it."""
        return Past(self.keys, self.step, span.end, joined[:, joined.shape[1] - self.kept :].copy())

    def arrays(self) -> dict[str, np.ndarray]:
        """All there is to keep in a file, without pickle."""
        return {
            "keys": np.array(self.keys, dtype=np.str_),
            "step": np.array([self.step // _TICK], dtype=np.int64),
            "end": np.array([(self.end - EPOCH) // _TICK], dtype=np.int64),
            "past": self.values,
        }

    @classmethod
    def restored(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Make it from what `arrays` gave."""
        step, end = (int(arrays[name][0]) * _TICK for name in ("step", "end"))
        return cls(tuple(arrays["keys"].tolist()), step, EPOCH + end, np.asarray(arrays["past"]))
