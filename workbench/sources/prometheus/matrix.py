"""What Prometheus answers, as tidy samples: pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import polars as pl

from workbench.errors import SourceError
from workbench.sources.measured import LABELS, SAMPLES, text_of

NAME = "__name__"
Key = tuple[tuple[str, str], ...]
"""The labels of a series, sorted, without its metric's name."""

HISTOGRAMS = "native histograms: ask for histogram_quantile(…) of them"


@dataclass
class Block:
    """The series of one answer.

    Attributes
    ----------
    keys
        Labels of each series.
    lengths
        How many samples each has.
    times, values
        All samples, one series after the other: microseconds since 1970, float64.
    histograms
        Samples that are no numbers but whole histograms; left out.
    """

    keys: list[Key] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    times: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    values: np.ndarray = field(default_factory=lambda: np.empty(0))
    histograms: int = 0


def block_of(data: Any) -> Block:  # noqa: ANN401 (any JSON)
    """Read the `data` of a range query.

    Raises
    ------
    ValueError
        It is none.
    """
    try:
        if data["resultType"] != "matrix":
            raise ValueError(f"a {data['resultType']} instead of a matrix")
        found: list[Any] = data["result"]
        keys = [_key(series["metric"]) for series in found]
        samples = [series.get("values", []) for series in found]
        histograms = sum(len(series.get("histograms", [])) for series in found)
        times = np.array([float(sample[0]) for sample in chain.from_iterable(samples)])
        values = np.array([float(sample[1]) for sample in chain.from_iterable(samples)])
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"no matrix ({error})") from None
    stamps = np.round(times * 1e6).astype(np.int64)
    return Block(keys, [len(each) for each in samples], stamps, values, histograms)


def frame_of(metric: str, blocks: Sequence[Block], names: Mapping[Key, str]) -> pl.DataFrame:
    """The columns of `SAMPLES`, block after block; nothing is dropped."""
    parts = [SAMPLES.to_frame()]
    for block in blocks:
        series = pl.Series([names[key] for key in block.keys], dtype=pl.String)
        place = np.repeat(np.arange(len(block.keys)), block.lengths)
        part = pl.DataFrame({"series": series.gather(place), "timestamp": block.times, "value": block.values})
        when = pl.from_epoch("timestamp", time_unit="us").dt.replace_time_zone("UTC")
        parts.append(part.select(pl.lit(metric).alias("metric"), "series", when, "value").cast(SAMPLES))
    return pl.concat(parts)


def labels_of(metric: str, names: Mapping[Key, str]) -> pl.DataFrame:
    """All labels of the series, `LABELS`."""
    rows = [(metric, name, label, value) for key, name in names.items() for label, value in key]
    return pl.DataFrame(rows, schema=LABELS, orient="row").sort(LABELS.names())


def names_of(metric: str, keys: Iterable[Key], labels: Sequence[str]) -> dict[Key, str]:
    """What each series is called: the labels that were chosen, as one text, else those that differ.

    One series alone, which differs from nothing, is called by all its labels, and one that has none by the metric.

    Raises
    ------
    SourceError
        Several series would be called the same; names the labels that tell them apart.
    """
    unique = sorted(set(keys))
    chosen = set(labels) or _differing(unique)
    names = {key: text_of({label: value for label, value in key if label in chosen}) or metric for key in unique}
    if len(set(names.values())) < len(unique):
        same = next(name for name in names.values() if list(names.values()).count(name) > 1)
        apart = ", ".join(sorted(_differing([key for key in unique if names[key] == same])))
        raise SourceError(
            f"metric '{metric}': the labels {', '.join(labels)} do not tell all series apart: more than one is "
            f"'{same}'; add {apart} to labels, or sum over it in the query"
        )
    return names


def _differing(keys: Sequence[Key]) -> set[str]:
    """Labels that not all series have with the same value; all of them where there is one series."""
    if len(keys) == 1:
        return {label for label, _ in keys[0]}
    common = set(keys[0]).intersection(*keys) if keys else set()
    return {label for key in keys for label, value in key if (label, value) not in common}


def _key(metric: Mapping[str, str]) -> Key:
    return tuple(sorted((label, value) for label, value in metric.items() if label != NAME))
