"""What every source of metrics gives: tidy samples, what was left out and why, and what a reader should know."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

import polars as pl

from workbench.focus import TIME

SAMPLES = pl.Schema({"metric": pl.String(), "series": pl.String(), "timestamp": TIME, "value": pl.Float64()})
"""One row a sample. `series` is unique within a metric. What was not measured has no row: it is not 0."""

LABELS = pl.Schema({"metric": pl.String(), "series": pl.String(), "label": pl.String(), "value": pl.String()})
"""One row a label of a series: all of them, also those that its name leaves out."""

LARGEST = 1e150
"""A larger number is no measurement, and its square would not be a number."""

NO_NUMBER = "not a number (NaN or infinite)"
TOO_LARGE = f"larger than {LARGEST:g}"
TWICE = "a second sample of the same moment"


@dataclass(frozen=True)
class Samples:
    """Metrics of a half-open span.

    Attributes
    ----------
    frame
        `SAMPLES`, sorted by metric, series and timestamp, each moment of a series once.
    labels
        `LABELS`, sorted.
    step
        Usual distance of two samples; None where nobody can tell.
    dropped
        Why samples were left out → how many.
    told
        Sentences for a reader: servers that failed, metrics without samples, warnings of a server.
    """

    frame: pl.DataFrame
    labels: pl.DataFrame = field(default_factory=LABELS.to_frame)
    step: timedelta | None = None
    dropped: Mapping[str, int] = field(default_factory=dict)
    told: Sequence[str] = ()


def settled(frame: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, int]]:
    """Leave out what is no measurement; of several samples of one moment keep the one that comes last.

    Parameters
    ----------
    frame
        The columns of `SAMPLES`, in the order in which they were read.

    Returns
    -------
    The frame, sorted; and why rows were left out → how many, without zeros.
    """
    finite = frame.filter(pl.col("value").is_finite())
    sane = finite.filter(pl.col("value").abs() <= LARGEST)
    once = _once(sane, keep="last")
    lost = {
        NO_NUMBER: frame.height - finite.height,
        TOO_LARGE: finite.height - sane.height,
        TWICE: sane.height - once.height,
    }
    return once, {reason: count for reason, count in lost.items() if count}


def united(parts: Sequence[Samples], step: timedelta | None = None) -> Samples:
    """Put several sources together; where two have a sample of the same moment of a series the first one's counts."""
    filled = [part.frame for part in parts if part.frame.height] or [SAMPLES.to_frame()]
    frame = _once(pl.concat(filled), keep="first") if len(filled) > 1 else filled[0]
    labels = pl.concat([LABELS.to_frame(), *(part.labels for part in parts)]).unique(
        ["metric", "series", "label"], keep="first"
    )
    told = [sentence for part in parts for sentence in part.told]
    step = step or next((part.step for part in parts if part.step), None)
    return Samples(frame, labels.sort(LABELS.names()), step, added(part.dropped for part in parts), told)


def added(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Counts by reason, added up."""
    total: dict[str, int] = {}
    for each in counts:
        for reason, count in each.items():
            total[reason] = total.get(reason, 0) + count
    return total


def text_of(labels: Mapping[str, str]) -> str:
    r"""Labels as one text, sorted by name, as Prometheus writes them.

    >>> text_of({"zone": "a", "workload": "check\"out"})
    'workload="check\\"out",zone="a"'
    """
    return ",".join(f'{name}="{_escaped(labels[name])}"' for name in sorted(labels))


def commonest_step(frame: pl.DataFrame) -> timedelta | None:
    """The distance between two neighbours of a series that is met most often; of several the shortest.

    Parameters
    ----------
    frame
        `SAMPLES`, sorted.
    """
    apart = frame.select(pl.col("timestamp").diff().over("metric", "series").alias("apart")).drop_nulls()
    apart = apart.filter(pl.col("apart") > timedelta(0))
    if not apart.height:
        return None
    counted = apart.group_by("apart").len().sort("len", "apart", descending=[True, False])
    found: timedelta = counted["apart"][0]
    return found


def _once(frame: pl.DataFrame, *, keep: Literal["first", "last"]) -> pl.DataFrame:
    """Sort by metric, series and timestamp, keep one row of each; by numbers, since texts take thrice as long."""
    names = frame.select("metric", "series").unique().sort("metric", "series").with_row_index("name")
    numbered = frame.select("metric", "series", "timestamp").with_row_index("row")
    order = numbered.join(names, on=["metric", "series"]).select("name", "timestamp", "row").sort(pl.all())
    same = order.select("name", "timestamp")
    twice = (pl.all() == pl.all().shift(1 if keep == "first" else -1)).fill_null(value=False)
    once = order.filter(~same.select(pl.all_horizontal(twice)).to_series())
    return frame[once["row"]].select(SAMPLES.names())


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
