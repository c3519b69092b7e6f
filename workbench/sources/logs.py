"""Logs as metrics: lines → templates → lines a minute of each workload and template, which the same detectors read.

A template is what lines have in common, `request <*> failed after <*> ms`. What is surely a parameter (numbers,
addresses, ids) is masked first, over all lines at once; what is left is mined by Drain, each different line once (He,
Zhu, Zheng, Lyu 2017, Drain: an online log parsing approach with fixed depth tree, ICWS; the package `drain3`, which the
extra `workbench[logs]` brings).

A minute without a line has 0 lines: unlike a measurement, silence of a log that was read is known to be silence.
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from workbench.errors import SourceError, UsageError
from workbench.focus import TIME
from workbench.sources.clocks import in_utc
from workbench.sources.measured import LABELS, SAMPLES, Samples, text_of
from workbench.sources.tables import table_of

LINES = pl.Schema({"timestamp": TIME, "workload": pl.String(), "message": pl.String()})
TEMPLATES = pl.Schema({"template": pl.String(), "text": pl.String(), "lines": pl.Int64(), "first_seen": TIME,
                       "is_new": pl.Boolean()})  # fmt: skip
"""One row a template. `template` is its id and stays; `text` may grow more general; `lines` are those of this read."""

METRIC = "log_lines"
OTHER = "other"
"""The template of lines that fit none, once there are as many as are kept apart."""

MOST_TEMPLATES = 1_000
_SIMILAR = 0.4  # share of equal words from which a line belongs to a template: Drain's default
_LONGEST = 1_000  # characters of a line that count

_MASKS = (
    r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b",  # UUID
    r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?",  # time
    r"\b(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?\b",  # IPv4, with a port or without
    r"\b0[xX][0-9a-fA-F]+\b",
    r"\b[0-9a-fA-F]*\d[0-9a-fA-F]{7,}\b",  # a hash
    r"[-+]?\d+(?:[.,]\d+)*",
)


@dataclass(frozen=True)
class LogCounts:
    """What was counted: `samples` (metric `log_lines`, a series a template and workload), `templates` (`TEMPLATES`)."""

    samples: Samples
    templates: pl.DataFrame


def read_lines(path: Path | str, *, zone: str = "UTC") -> tuple[pl.DataFrame, dict[str, int]]:
    """Read a CSV or Parquet file with the columns timestamp, workload and message.

    Returns
    -------
    `LINES`, by time; and why rows were left out → how many.

    Raises
    ------
    SourceError
        It can't be read, or lacks a column.
    """
    table, too_long = table_of(Path(path))
    if missing := [name for name in LINES if name not in table.columns]:
        raise SourceError(f"'{path}' has no column {', '.join(missing)}; it has {', '.join(table.columns)}")
    rows = table.select(written="timestamp", series=pl.col("workload").cast(pl.String), message="message")
    timed = in_utc(rows, zone)
    fault = pl.coalesce("time_fault", pl.when(pl.col("message").is_null()).then(pl.lit("no message")))
    judged = timed.select("timestamp", workload="series", message="message", fault=fault)
    dropped: dict[str, int] = dict(judged["fault"].drop_nulls().value_counts().rows())
    if too_long:
        dropped["the row has more fields than the head"] = too_long
    good = judged.filter(pl.col("fault").is_null()).drop("fault").with_columns(pl.col("workload").fill_null("unknown"))
    return good.cast(LINES).sort("timestamp", maintain_order=True), dropped


def count_templates(
    lines: pl.DataFrame, start: datetime, end: datetime, known: pl.DataFrame | None = None, *,
    step: timedelta = timedelta(minutes=1), most: int = MOST_TEMPLATES,
) -> LogCounts:  # fmt: skip
    """Count the lines of each workload and template in each step of a half-open span.

    Parameters
    ----------
    lines
        `LINES`, by time.
    known
        `templates` of the read before: they keep their ids, and only others are new. None: all are.
    step
        Steps are counted from 1970 and stamped with their beginning.
    most
        So many templates are kept apart; lines that fit none after that are `other`.

    Raises
    ------
    UsageError
        `drain3` is not installed.
    """
    inside = lines.filter(pl.col("timestamp") >= start, pl.col("timestamp") < end)
    masked = inside.with_columns(masked=mask(pl.col("message")))
    miner = _Miner(known if known is not None else TEMPLATES.to_frame(), most)
    different = masked["masked"].unique(maintain_order=True)
    ids = pl.DataFrame({"masked": different, "template": [miner.template_of(text) for text in different]},
                       schema={"masked": pl.String, "template": pl.String})  # fmt: skip
    named = masked.join(ids, on="masked", maintain_order="left")
    counts = _filled(named, start, end, step)
    return LogCounts(_samples(counts, step), _templates(named, miner.texts(), known))


def mask(message: pl.Expr) -> pl.Expr:
    """Lines in which numbers, addresses, ids and times are `<*>`."""
    text = message.str.slice(0, _LONGEST).str.replace_all(r"\s+", " ").str.strip_chars()
    for pattern in _MASKS:
        text = text.str.replace_all(pattern, "<*>")
    return text


class _Miner:
    """Drain, with ids that stay."""

    def __init__(self, known: pl.DataFrame, most: int) -> None:
        try:
            self._module: Any = importlib.import_module("drain3.drain")
        except ModuleNotFoundError:
            raise UsageError("templates of logs need the package drain3: install workbench[logs]") from None
        self.drain = self._module.Drain(sim_th=_SIMILAR)
        self.most = most
        self.ids: dict[int, str] = {}
        """Drain's number of a template → its id."""
        numbers = [int(each[1:]) for each in known["template"] if each[1:].isdecimal()]
        self.newest = max(numbers, default=0)
        for template, text in known.select("template", "text").rows():
            if template != OTHER:
                self._restore(template, text)

    def template_of(self, text: str) -> str:
        """The id of a line's template; a new one where it fits none."""
        if len(self.ids) >= self.most:
            found = self.drain.match(text)
            return self.ids[int(found.cluster_id)] if found else OTHER
        number = int(self.drain.add_log_message(text)[0].cluster_id)
        if number not in self.ids:
            self.newest += 1
            self.ids[number] = f"t{self.newest}"
        return self.ids[number]

    def texts(self) -> Mapping[str, str]:
        """Template → what its lines have in common."""
        return {self.ids[cluster.cluster_id]: cluster.get_template() for cluster in self.drain.clusters}

    def _restore(self, template: str, text: str) -> None:
        """Put a template back as it was; as a line it might be taken for another one's."""
        self.drain.clusters_counter += 1
        cluster = self._module.LogCluster(self.drain.get_content_as_tokens(text), self.drain.clusters_counter)
        self.drain.id_to_cluster[cluster.cluster_id] = cluster
        self.drain.add_seq_to_prefix_tree(self.drain.root_node, cluster)
        self.ids[cluster.cluster_id] = template


def _filled(named: pl.DataFrame, start: datetime, end: datetime, step: timedelta) -> pl.DataFrame:
    """Lines by workload, template and step; 0 where there is none."""
    when = pl.col("timestamp").dt.truncate(step)
    counted = named.group_by("workload", "template", when).agg(pl.len().alias("value"))
    first = pl.Series([start], dtype=TIME).dt.truncate(step)[0]
    steps = pl.datetime_range(first, end, step, closed="left", time_unit="us", eager=True).alias("timestamp").cast(TIME)
    pairs = counted.select("workload", "template").unique()
    filled = pairs.join(steps.to_frame(), how="cross").join(
        counted, on=["workload", "template", "timestamp"], how="left"
    )
    return filled.with_columns(pl.col("value").fill_null(0).cast(pl.Float64))


def _samples(counts: pl.DataFrame, step: timedelta) -> Samples:
    pairs = counts.select("template", "workload").unique()
    names = pairs.with_columns(
        series=pl.Series([text_of(pair) for pair in pairs.iter_rows(named=True)], dtype=pl.String),
        metric=pl.lit(METRIC),
    )
    frame = counts.join(names, on=["template", "workload"]).select(SAMPLES.names())
    labels = names.unpivot(["template", "workload"], index=["metric", "series"], variable_name="label")
    return Samples(frame.sort("metric", "series", "timestamp"), labels.select(LABELS.names()).sort(pl.all()), step)


def _templates(named: pl.DataFrame, texts: Mapping[str, str], known: pl.DataFrame | None) -> pl.DataFrame:
    """`TEMPLATES`: those known before, also where they have no line now, and the new ones; by id as they came."""
    before = TEMPLATES.to_frame() if known is None else known
    seen = named.group_by("template").agg(lines=pl.len(), first=pl.col("timestamp").min())
    order = [*before["template"], *(each for each in [*texts, OTHER] if each not in before["template"])]
    frame = (
        pl.DataFrame({"template": order}, schema={"template": pl.String})
        .join(seen, on="template", how="left", maintain_order="left")
        .join(before.select("template", "first_seen"), on="template", how="left", maintain_order="left")
    )
    listed = frame.filter(pl.col("lines").is_not_null() | pl.col("template").is_in(before["template"].implode()))
    return listed.select(
        "template", pl.col("template").replace_strict({**texts, OTHER: OTHER}, return_dtype=pl.String).alias("text"),
        pl.col("lines").fill_null(0), pl.coalesce("first_seen", "first").alias("first_seen"),
        (~pl.col("template").is_in(before["template"].implode())).alias("is_new"),
    ).cast(TEMPLATES)  # fmt: skip
