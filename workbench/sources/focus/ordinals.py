"""Equal lines: two lines of one file that share all that identifies a line still are two lines.

Each gets an ordinal, and by it an id of its own. The order is that of their contents, so that a shuffled file
gives the same ids. What a cost event shows comes first in that order: where only events are kept, lines that can't be
told apart make equal events, and it does not matter which is which.
"""

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import xxhash

from workbench.focus import COLUMNS

EVENT_ORDER = ("BilledCost", "Tags", "business_unit", "project_id", "environment")
_ORDER = (*EVENT_ORDER, *(name for name in COLUMNS if name not in EVENT_ORDER))


def number_equal_lines(parts: Sequence[Path]) -> int:
    """Give the equal lines of one file ids of their own, in place.

    Parameters
    ----------
    parts
        Parquet files that together hold the lines of one bill file.

    Returns
    -------
    int
        How many lines are equal to another one.
    """
    shared = _shared_ids(pl.scan_parquet(list(parts))) if parts else []
    if not shared:
        return 0
    found = pl.col("event_id").is_in(shared)
    held = [
        pl.scan_parquet(part, row_index_name="at").filter(found).with_columns(part=pl.lit(number, pl.Int64))
        for number, part in enumerate(parts)
    ]
    renamed = _numbered(pl.concat(held).collect())
    for number, part in enumerate(parts):
        mine = renamed.filter(pl.col("part") == number)
        if mine.height:
            lines = _renamed(pl.read_parquet(part, row_index_name="at"), mine)
            lines.drop("at").write_parquet(part, compression="lz4", statistics=False)
    return renamed.height


def number_equal(lines: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """Do the same for lines in memory: `event_id`, `line_count`, and some of what their order is made of."""
    shared = _shared_ids(lines.lazy())
    if not shared:
        return lines, 0
    placed = lines.with_row_index("at")
    renamed = _numbered(placed.filter(pl.col("event_id").is_in(shared)))
    return _renamed(placed, renamed).drop("at"), renamed.height


def _shared_ids(lines: pl.LazyFrame) -> list[str]:
    """Return the ids that stand more than once; only 8 bytes of each are compared at first, to save memory."""
    ids = lines.select("event_id")
    start = pl.col("event_id").str.slice(0, 16).str.to_integer(base=16, dtype=pl.UInt64)
    starts = ids.select(start).collect().to_series().sort()
    again = starts.filter(starts == starts.shift()).unique()
    if again.is_empty():
        return []
    few = ids.filter(start.is_in(again.implode())).group_by("event_id").len()
    return few.filter(pl.col("len") > 1).collect()["event_id"].to_list()


def _numbered(equal: pl.DataFrame) -> pl.DataFrame:
    """Equal lines → their place (`part`, `at`), and their new `event_id` and `line_count`."""
    place = [name for name in ("part", "at") if name in equal.columns]
    content = [name for name in _ORDER if name in equal.columns and equal[name].n_unique() > 1]
    ordered = equal.sort("event_id", *content, *place, nulls_last=True).with_columns(
        ordinal=pl.int_range(pl.len()).over("event_id"), line_count=pl.len().over("event_id").cast(pl.Int32)
    )
    new = [
        xxhash.xxh3_128_hexdigest(f"{event_id}#{ordinal}".encode()) if ordinal else event_id
        for event_id, ordinal in ordered.select("event_id", "ordinal").iter_rows()
    ]
    return ordered.select(*place, pl.Series("event_id", new, pl.String), "line_count")


def _renamed(lines: pl.DataFrame, renamed: pl.DataFrame) -> pl.DataFrame:
    return lines.update(
        renamed.select("at", *(name for name in ("event_id", "line_count") if name in lines.columns)), on="at"
    )
