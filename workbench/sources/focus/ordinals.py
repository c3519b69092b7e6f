"""Equal lines: two lines of one file that share all that identifies a line still are two lines.

Each gets an ordinal, and by it an id of its own. The order is that of their contents, so that a shuffled file
gives the same ids.
"""

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import xxhash

from workbench.focus import COLUMNS


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
    shared = _shared_ids(parts)
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
            _rewrite(part, mine)
    return renamed.height


def _shared_ids(parts: Sequence[Path]) -> list[str]:
    """Return the ids that stand more than once; only 8 bytes of each are compared at first, to save memory."""
    if not parts:
        return []
    ids = pl.scan_parquet(list(parts)).select("event_id")
    start = pl.col("event_id").str.slice(0, 16).str.to_integer(base=16, dtype=pl.UInt64)
    starts = ids.select(start).collect().to_series().sort()
    again = starts.filter(starts == starts.shift()).unique()
    if again.is_empty():
        return []
    few = ids.filter(start.is_in(again.implode())).group_by("event_id").len()
    return few.filter(pl.col("len") > 1).collect()["event_id"].to_list()


def _numbered(equal: pl.DataFrame) -> pl.DataFrame:
    """Equal lines → `part`, `at` (row of the part), and their new `event_id` and `line_count`."""
    content = [name for name in COLUMNS if equal[name].n_unique() > 1]
    ordered = equal.sort("event_id", *content, "part", "at", nulls_last=True).with_columns(
        ordinal=pl.int_range(pl.len()).over("event_id"), line_count=pl.len().over("event_id").cast(pl.Int32)
    )
    new = [
        xxhash.xxh3_128_hexdigest(f"{event_id}#{ordinal}".encode()) if ordinal else event_id
        for event_id, ordinal in ordered.select("event_id", "ordinal").iter_rows()
    ]
    return ordered.select("part", "at", pl.Series("event_id", new, pl.String), "line_count")


def _rewrite(part: Path, renamed: pl.DataFrame) -> None:
    lines = pl.read_parquet(part, row_index_name="at")
    lines.update(renamed.drop("part"), on="at").drop("at").write_parquet(part, compression="lz4", statistics=False)
