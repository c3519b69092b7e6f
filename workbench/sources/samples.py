"""Metrics from files: CSV or Parquet, one sample a row or several columns of values, one file or many.

| columns | metric | series |
|---|---|---|
| `timestamp,value` | `value`, or what the caller says | the file's name without its ending |
| `timestamp,value` and others | the same; or a column `metric` | a column `series`, else all others, as labels |
| `timestamp` and columns of numbers | the column's name | the same; of several files `file:column` |
| these and columns of text | the column's name | the columns of text, as labels |

Rows that cannot be used are counted with their reason; nothing becomes 0.
"""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import polars as pl

from workbench.errors import SourceError
from workbench.sources.clocks import in_utc
from workbench.sources.measured import LABELS, SAMPLES, Samples, added, commonest_step, settled
from workbench.sources.tables import ENDINGS, TOO_LONG, stem_of, table_of

TIMES = ("timestamp", "time", "datetime", "date", "ts")
"""What a column of times is called."""

MOST_SERIES = 50_000
NO_VALUE = "no value"
NO_NUMBER = "the value is text"


class _Columns(NamedTuple):
    """What the columns of a table are; `metric` says whether one of them names the metric of a row."""

    time: str
    values: list[str]
    labels: list[str]
    metric: bool


class _Part(NamedTuple):
    """One file, read."""

    frame: pl.DataFrame
    labels: pl.DataFrame
    dropped: dict[str, int]
    told: list[str]


def read_samples(
    path: Path | str, *, zone: str = "UTC", metric: str = "value", labels: Sequence[str] | None = None,
    most_series: int = MOST_SERIES,
) -> Samples:  # fmt: skip
    """Read a file, all files of a folder and below, or those that fit a pattern.

    Parameters
    ----------
    path
        Where they are.
    zone
        What times without a zone mean; for the hour that comes twice see `sources.clocks`.
    metric
        What a column `value` is of.
    labels
        Columns that tell series apart; None: all that are neither time nor value nor metric.
    most_series
        More are refused.

    Raises
    ------
    SourceError
        There is no such file, it cannot be read, has no column of times or values, or too many series.
    """
    path = Path(path)
    files = _files(path)
    base = path if path.is_dir() else path.parent
    names = [_name(file, base) if len(files) > 1 else "" for file in files]
    parts = [_read(file, name, zone, metric, labels) for file, name in zip(files, names, strict=True)]
    read = pl.concat([part.frame for part in parts])
    if (found := read.select("metric", "series").unique().height) > most_series:
        raise SourceError(
            f"'{path}' has {found:,} series, more than the {most_series:,} that are read at once; name the columns "
            "that tell series apart (labels), or leave out the one that makes so many"
        )
    frame, dropped = settled(read)
    known = pl.concat([part.labels for part in parts]).unique().sort(LABELS.names())
    told = [sentence for part in parts for sentence in part.told]
    return Samples(frame, known, commonest_step(frame), added([*(part.dropped for part in parts), dropped]), told)


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    inside = path.rglob("*") if path.is_dir() else path.parent.glob(path.name) if path.parent.is_dir() else ()
    found = sorted(file for file in inside if file.is_file() and file.name.casefold().endswith(ENDINGS))
    if not found:
        raise SourceError(f"no metrics at '{path}': it is no file, and nothing there ends in {', '.join(ENDINGS)}")
    return found


def _name(file: Path, base: Path) -> str:
    inside = file.relative_to(base) if file.is_relative_to(base) else Path(file.name)
    return inside.with_name(stem_of(file)).as_posix()


def _read(file: Path, name: str, zone: str, metric: str, chosen: Sequence[str] | None) -> _Part:
    table, too_long = table_of(file)
    columns = _columns(table, file, chosen)
    which = pl.col("metric").cast(pl.String).fill_null(metric) if columns.metric else pl.lit(metric)
    rows = table.select(
        pl.int_range(1, pl.len() + 1).alias("row"), which.alias("metric"),
        _series(columns.labels).alias("series"), pl.col(columns.time).alias("written"),
    )  # fmt: skip
    one_after_other = rows.select("written", series=pl.concat_str("metric", "series", separator="\n"))
    rows = rows.hstack(in_utc(one_after_other, zone).select("timestamp", "time_fault"))
    cells = pl.concat([_cells(rows, table[column], _own_name(column, name, file)) for column in columns.values])
    dropped: dict[str, int] = dict(cells["fault"].drop_nulls().value_counts().rows())
    if too_long:
        dropped[TOO_LONG] = too_long
    kept = cells.filter(pl.col("fault").is_null())
    return _Part(kept.select(SAMPLES.names()), _labels(kept, table, columns.labels), dropped, _told(cells, file))


def _columns(table: pl.DataFrame, file: Path, chosen: Sequence[str] | None) -> _Columns:
    folded = {name.strip().casefold(): name for name in reversed(table.columns)}
    time = next((folded[name] for name in TIMES if name in folded), None)
    if time is None:
        raise SourceError(f"'{file}' has no column of times; it has {', '.join(table.columns)}, and one must be called "
                          f"{', '.join(TIMES)}")  # fmt: skip
    rest = [name for name in table.columns if name != time]
    if missing := sorted(set(chosen or ()) - set(rest)):
        raise SourceError(f"'{file}' has no column {', '.join(missing)}; it has {', '.join(table.columns)}")
    if "value" in folded:
        value, metric = folded["value"], "metric" in rest
        free = [name for name in rest if name not in (value, "metric")]
        labels = list(chosen) if chosen is not None else ["series"] if "series" in free else free
        return _Columns(time, [value], labels, metric)
    labels = list(chosen or ())
    values = [name for name in rest if name not in labels and _is_numeric(table[name])]
    if not values:
        raise SourceError(
            f"'{file}' has no column of values; it has {', '.join(table.columns)}, and one must be called value, or "
            "hold numbers"
        )
    return _Columns(time, values, labels or [name for name in rest if name not in values], metric=False)


def _is_numeric(column: pl.Series) -> bool:
    """Whether a column holds numbers: by its type, or because half or more of its texts are."""
    if column.dtype.is_numeric():
        return True
    if column.dtype != pl.String or not column.count():
        return False
    return _numbers(column).count() * 2 >= column.count()


def _numbers(column: pl.Series) -> pl.Series:
    """As float64; null where a text is no number."""
    text = column.str.strip_chars() if column.dtype == pl.String else column
    return text.cast(pl.Float64, strict=False)


def _series(labels: Sequence[str]) -> pl.Expr:
    """The text of `measured.text_of` for each row; a lone column `series` as it is; empty where there are no labels."""
    if not labels:
        return pl.lit("")
    if list(labels) == ["series"]:
        return pl.col("series").cast(pl.String).fill_null("")
    return pl.concat_str([_label(name) for name in sorted(labels)], separator=",", ignore_nulls=True)


def _label(name: str) -> pl.Expr:
    """`name="value"`; null where there is no value, because a label without one is no label."""
    text = pl.col(name).cast(pl.String)
    for plain, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n")):
        text = text.str.replace_all(plain, escaped, literal=True)
    return pl.when(text != "").then(pl.concat_str(pl.lit(f'{name}="'), text, pl.lit('"')))


def _is_tidy(column: str) -> bool:
    return column.strip().casefold() == "value"


def _own_name(column: str, name: str, file: Path) -> str:
    """What a series is called that no label names; `name` is that of the file where there are several."""
    if _is_tidy(column):
        return name or stem_of(file)
    return f"{name}:{column}" if name else column


def _cells(rows: pl.DataFrame, column: pl.Series, own: str) -> pl.DataFrame:
    """One row a cell of a column of values: `SAMPLES`, with `row` and `fault` (null where it may be used)."""
    missing = column.is_null() | (column.str.strip_chars() == "") if column.dtype == pl.String else column.is_null()
    cells = rows.with_columns(
        pl.col("metric") if _is_tidy(column.name) else pl.lit(column.name).alias("metric"),
        pl.when(pl.col("series") == "").then(pl.lit(own)).otherwise("series").alias("series"),
        _numbers(column).alias("value"),
    )
    text = pl.when(pl.col("value").is_null()).then(pl.lit(NO_NUMBER))
    fault = pl.coalesce("time_fault", pl.when(pl.lit(missing)).then(pl.lit(NO_VALUE)), text)
    return cells.select("row", *SAMPLES.names(), fault.alias("fault"))


def _labels(rows: pl.DataFrame, table: pl.DataFrame, labels: Sequence[str]) -> pl.DataFrame:
    """The labels of all series that have a sample, `LABELS`."""
    if not labels:
        return LABELS.to_frame()
    seen = rows.select("metric", "series", pl.col("row") - 1)
    values = table.select(labels).cast(pl.String)[seen["row"]]
    wide = seen.drop("row").hstack([values[name].alias(f"label {name}") for name in labels]).unique()
    long = wide.unpivot(index=["metric", "series"], variable_name="label", value_name="value")
    named = long.with_columns(pl.col("label").str.strip_prefix("label "))
    return named.filter(pl.col("value") != "").select(LABELS.names())


def _told(cells: pl.DataFrame, file: Path) -> list[str]:
    """Where the first row of each fault is, and how many rows step back in time."""
    first = cells.filter(pl.col("fault").is_not_null()).group_by("fault").agg(pl.col("row").min()).sort("row")
    told = [f"{file.name}: row {row} is the first that can't be used: {fault}" for fault, row in first.rows()]
    back = cells.select((pl.col("timestamp").diff().over("metric", "series") < timedelta(0)).sum()).item()
    return told + (
        [f"{file.name}: {back:,} samples are older than the one before, and were put in order"] if back else []
    )
