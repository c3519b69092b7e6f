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
    if not parts:
        return 0
    held = pl.scan_parquet(list(parts), include_file_paths="part")
    shared = held.group_by("event_id").len().filter(pl.col("len") > 1).collect(engine="streaming")
    if shared.height == 0:
        return 0
    equal = held.with_row_index("at").join(shared.lazy(), on="event_id", how="semi").collect()
    content = [name for name in COLUMNS if equal[name].n_unique() > 1]
    equal = equal.sort("event_id", *content, "part", "at", nulls_last=True).with_columns(
        ordinal=pl.int_range(pl.len()).over("event_id"), count=pl.len().over("event_id").cast(pl.Int32)
    )
    new = [
        xxhash.xxh3_128_hexdigest(f"{event_id}#{ordinal}".encode()) if ordinal else event_id
        for event_id, ordinal in equal.select("event_id", "ordinal").iter_rows()
    ]
    equal = equal.select("part", "at", "count", pl.Series("new", new, pl.String))
    first = 0
    for part in parts:
        frame = pl.read_parquet(part)
        mine = equal.filter((pl.col("at") >= first) & (pl.col("at") < first + frame.height))
        if mine.height:
            _rewrite(part, frame, mine.with_columns(at=pl.col("at") - first))
        first += frame.height
    return equal.height


def _rewrite(part: Path, frame: pl.DataFrame, renamed: pl.DataFrame) -> None:
    numbered = frame.with_row_index("at").join(renamed.select("at", "new", "count"), on="at", how="left")
    numbered.with_columns(
        event_id=pl.coalesce("new", "event_id"), line_count=pl.coalesce("count", "line_count")
    ).drop("at", "new", "count").write_parquet(part, compression="lz4")
