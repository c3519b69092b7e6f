"""Natural keys → ids: 32 hexadecimal digits, the same for ever and everywhere."""

from collections.abc import Sequence

import numpy as np
import polars as pl
import pyarrow as pa
import xxhash

from workbench.errors import EventError
from workbench.exact import as_text

_SEPARATOR = "\x1f"


def ids(frame: pl.DataFrame, columns: Sequence[str]) -> pl.Series:
    """Hash the natural key of each row.

    The key is the values of `columns` in this order as text, joined by the unit separator (U+001F); a missing
    value is empty, times are seconds since 1970 (with six decimals where they are not whole), and trailing
    separators are dropped, so that a column which is added later to the end of the list changes no id of a row that
    lacks it. The hash is XXH3-128.

    Raises
    ------
    EventError
        No column, or one of floats, whose text is not the same everywhere.
    """
    if not columns:
        raise EventError("an id needs at least one column; name those that identify a row")
    empty = {name for name in columns if frame[name].null_count() == frame.height}
    last = max((at for at, name in enumerate(columns) if name not in empty), default=0)
    texts = [
        pl.lit("") if name in empty and at < last else _key_text(frame[name])
        for at, name in enumerate(columns[: last + 1])
    ]
    keys = frame.select(pl.concat_str(texts, separator=_SEPARATOR).cast(pl.Binary)).to_series()
    return pl.Series("event_id", _digests(keys), pl.String)


def _key_text(column: pl.Series) -> pl.Expr:
    value, dtype = pl.col(column.name), column.dtype
    if dtype.is_float():
        raise EventError(f"{column.name} holds floats, which make no stable id; use text, decimals or times")
    if isinstance(dtype, pl.Datetime):
        return _seconds(value.dt.epoch("us")).fill_null("")
    return (pl.lit(as_text(column)) if dtype.is_nested() else value.cast(pl.String)).fill_null("")


def _seconds(microseconds: pl.Expr) -> pl.Expr:
    whole, parts = (microseconds // 1_000_000).cast(pl.String), microseconds % 1_000_000
    return pl.when(parts == 0).then(whole).otherwise(whole + "." + parts.cast(pl.String).str.zfill(6))


def _digests(keys: pl.Series) -> list[str]:
    """Hash each key without its trailing separators; the keys are not copied, which would take longer than hashing."""
    _, offsets, data = keys.rechunk().to_arrow().cast(pa.large_binary()).buffers()
    if data is None or not len(data):
        return [xxhash.xxh3_128_hexdigest(b"")] * len(keys)
    codes = np.frombuffer(data, np.uint8)
    ends = np.frombuffer(offsets, np.int64, len(keys) + 1)
    starts, ends = ends[:-1], ends[1:].copy()
    while (trailing := (ends > starts) & (codes[np.maximum(ends - 1, 0)] == ord(_SEPARATOR))).any():
        ends -= trailing
    key = memoryview(data)
    digest = xxhash.xxh3_128_hexdigest
    return [digest(key[start:end]) for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
