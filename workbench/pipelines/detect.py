"""`workbench detect`: metrics from outside → what is strange now, since when, by which promise."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from workbench.anomalies.episodes import EPISODES, SILENCES, look
from workbench.anomalies.panel import Panel, panel_of
from workbench.anomalies.windows import Windows
from workbench.errors import UsageError
from workbench.settings import load
from workbench.sources.collect import collect, collect_url
from workbench.sources.measured import Samples
from workbench.sources.samples import read_samples

_METRIC = pl.Schema({"metric": pl.String()})


@dataclass(frozen=True)
class Asked:
    """What to look at.

    Attributes
    ----------
    hours
        The last so many hours are judged.
    history_days
        So many days before them are what is usual; what is older is not looked at.
    per_week
        False alarms allowed per series and week.
    step
        From one point to the next; None: what the source says.
    """

    hours: float = 24.0
    history_days: float = 7.0
    per_week: float = 1.0
    step: timedelta | None = None

    def span(self, end: datetime) -> tuple[datetime, datetime]:
        """All that has to be read, history included."""
        return end - timedelta(hours=self.hours) - timedelta(days=self.history_days), end


@dataclass(frozen=True)
class Detection:
    """What was found. `refused`: metric → why it could not be judged."""

    episodes: pl.DataFrame
    silences: pl.DataFrame
    metrics: list[dict[str, Any]]
    refused: dict[str, str]
    told: list[str]

    def plain(self) -> dict[str, Any]:
        """As JSON has it, which knows no NaN."""
        episodes, silences = self.episodes.fill_nan(None).to_dicts(), self.silences.to_dicts()
        return {
            "episodes": episodes, "silences": silences, "metrics": self.metrics,
            "refused": self.refused, "told": self.told,
        }  # fmt: skip


def detect_url(url: str, asked: Asked, end: datetime | None = None) -> Detection:
    """Look at the metrics of a Prometheus of which nothing but the URL is known."""
    span = asked.span(end or _now())
    return detect(collect_url(url, *span, asked.step or timedelta(minutes=1)), asked, span[1])


def detect_file(path: Path, asked: Asked, zone: str = "UTC") -> Detection:
    """Look at a CSV or Parquet of samples: its end is now."""
    return detect(read_samples(path, zone=zone), asked)


def detect_profile(profile: str, asked: Asked, end: datetime | None = None) -> Detection:
    """Look at what stands under `metrics` in a profile."""
    span = asked.span(end or _now())
    return detect(collect(load(profile, check_files=False), *span, asked.step), asked, span[1])


def detect(samples: Samples, asked: Asked, end: datetime | None = None) -> Detection:
    """Judge each metric by itself; one that can't be judged is told, the others are.

    Parameters
    ----------
    samples
        Of the span that was asked for.
    asked
        What to look at.
    end
        Until when there should be samples; without it the last one is the end.

    Raises
    ------
    UsageError
        There is nothing to look at, or nobody knows the step.
    """
    step = asked.step or samples.step
    if not samples.frame.height or step is None:
        said = "; ".join(samples.told) or "the source gave none"
        raise UsageError(f"there are no samples to look at: {said}")
    episodes, quiet, metrics, refused = [], [], [], {}
    for (metric,), frame in samples.frame.group_by("metric", maintain_order=True):
        name = str(metric)
        try:
            panel = _until(panel_of(frame, step), end)
            judged = round(timedelta(hours=asked.hours) / step)
            panel = panel.cut(-judged - round(timedelta(days=asked.history_days) / step))
            first = max(panel.points - judged, 0)
            found = look(panel, Windows(), first, asked.per_week)
        except UsageError as error:
            refused[name] = str(error)
            continue
        episodes.append(_of(name, found.episodes))
        quiet.append(_of(name, found.silences))
        budget = found.budget
        metrics.append(
            {"metric": name, "series": len(panel.keys), "points": panel.points, "judged_from": panel.times()[first],
             "judged_to": panel.end, "alarms_per_week": budget.per_week, "threshold": round(budget.threshold, 4),
             "threshold_set_on": budget.set_on}
        )  # fmt: skip
    told = [*samples.told, *(f"{count:,} samples left out: {reason}" for reason, count in samples.dropped.items())]
    strangest = _all(episodes, EPISODES).sort("ongoing", "score", descending=True, maintain_order=True)
    return Detection(strangest, _all(quiet, SILENCES), metrics, refused, told)


def _until(panel: Panel, end: datetime | None) -> Panel:
    """The panel up to a moment: what has not been sent by then is missing."""
    lacking = (end - panel.end) // panel.step if end else 0
    if lacking <= 0:
        return panel
    nothing = np.full((len(panel.keys), lacking), np.nan)
    return replace(panel, values=np.concatenate([panel.values, nothing], axis=1))


def _of(metric: str, frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select(pl.lit(metric).alias("metric"), pl.all())


def _all(frames: list[pl.DataFrame], schema: pl.Schema) -> pl.DataFrame:
    return pl.concat(frames) if frames else pl.DataFrame(schema={**_METRIC, **schema})


def _now() -> datetime:
    return datetime.now(UTC).replace(second=0, microsecond=0)
