"""Many series on one regular grid of times: what detectors read."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self

import numpy as np
import polars as pl

from workbench.errors import UsageError
from workbench.focus import TIME

MOST_SERIES = 50_000
"""More at once are refused: a label that changes with every request is not a series."""


@dataclass(frozen=True)
class Panel:
    """Series of one kind, side by side.

    Attributes
    ----------
    keys
        What each series is called; unique.
    start
        Time of the first column, UTC.
    step
        From one column to the next.
    values
        float64, shape (series, points). NaN: nothing was measured, which is never the same as 0.
    """

    keys: tuple[str, ...]
    start: datetime
    step: timedelta
    values: np.ndarray

    @property
    def points(self) -> int:
        """How many columns there are."""
        return int(self.values.shape[1])

    @property
    def end(self) -> datetime:
        """The time after the last column: the span is half open."""
        return self.start + self.points * self.step

    def times(self) -> pl.Series:
        """The time of each column."""
        return pl.datetime_range(self.start, self.end, self.step, closed="left", time_unit="us", eager=True).cast(TIME)

    def place(self, moment: datetime) -> int:
        """The first column at or after a moment; may lie before 0 or after the last."""
        return -((self.start - moment) // self.step)

    def cut(self, first: int, last: int | None = None) -> Self:
        """The columns from `first` up to, not with, `last`, as a panel that shares the values."""
        first, last, _ = slice(first, last).indices(self.points)
        return replace(self, start=self.start + first * self.step, values=self.values[:, first:last])

    def followed_by(self, later: "Panel") -> Self:
        """Put one that goes on after it behind this one; what lies between is missing.

        Raises
        ------
        UsageError
            Other series or another step, or it begins before this one ends.
        """
        gap, rest = divmod(later.start - self.end, self.step)
        if later.keys != self.keys or later.step != self.step or gap < 0 or rest:
            raise UsageError(
                f"a panel of {len(later.keys)} series that begins {later.start} every {later.step} does not go on "
                f"after one of {len(self.keys)} series that ends {self.end} every {self.step}"
            )
        between = np.full((len(self.keys), gap), np.nan)
        return replace(self, values=np.concatenate([self.values, between, later.values], axis=1))


def panel_of(frame: pl.DataFrame, step: timedelta, *, series: str = "series", most: int = MOST_SERIES) -> Panel:
    """Bring tidy samples onto a grid.

    Parameters
    ----------
    frame
        `timestamp` (UTC), `value` (float) and a column that names the series. Several samples of one step: the last one
        that is a number counts. Rows may come in any order.
    step
        The grid; a sample belongs to the step that it falls into, counted from 1970.
    series
        The name of that column.
    most
        So many series at once.

    Raises
    ------
    UsageError
        No samples at all, or too many series; says how many there are.
    """
    found = frame[series].n_unique()
    if found > most:
        raise UsageError(
            f"{found:,} series are more than the {most:,} that are read at once; narrow the query, or sum over the "
            "label that makes so many"
        )
    kept = frame.filter(pl.col("value").is_finite()).sort("timestamp", maintain_order=True)
    if not kept.height:
        raise UsageError(f"none of {frame.height:,} samples is a number: there is nothing to look at")
    width = step // timedelta(microseconds=1)
    stamps = kept["timestamp"].dt.epoch("us").to_numpy() // width
    first, last = int(stamps.min()), int(stamps.max())
    names = kept[series].cast(pl.String)
    keys = sorted(frame[series].cast(pl.String).unique())
    rows = names.replace_strict(keys, range(len(keys)), return_dtype=pl.Int64).to_numpy()
    values = np.full((len(keys), last - first + 1), np.nan)
    values[rows, stamps - first] = kept["value"].to_numpy()
    start = pl.select(pl.lit(first * width).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")).item()
    return Panel(tuple(keys), start, step, values)
