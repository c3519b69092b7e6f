"""The columns of a bill, as text or already typed → their types.

A whole frame is read at once in the usual spelling. Where that leaves a doubt about a column (something was not read,
or might have lost a digit), this column is read again with care.
"""

import json

import polars as pl

from workbench.checking import when
from workbench.exact import FIRST_TIME, LAST_TIME, Parsed, as_text, decimals, may_be_cut, times
from workbench.focus import COLUMNS, DTYPES, ENUMERATIONS

CURRENCY = r"^[A-Z]{3}$"
_WITH_T, _WITH_SPACE = "%+", "%Y-%m-%d %H:%M:%S"


def read_columns(rows: pl.DataFrame) -> dict[str, Parsed]:
    """Read all FOCUS columns of `rows`, in the order of `workbench.focus.COLUMNS`."""
    rows = rows.select([name for name in COLUMNS if name in rows.columns])
    quick = rows.select(_quick(column) for column in rows)
    doubted = {column.name for column in rows if column.dtype != pl.String} | _doubted(rows, quick)
    return {name: _carefully(rows[name]) if name in doubted else Parsed(quick[name]) for name in rows.columns}


def _quick(column: pl.Series) -> pl.Expr:
    value, kind = pl.col(column.name), COLUMNS[column.name]
    if column.dtype != pl.String:
        return value
    if kind == "time":
        some = column.head(1000).drop_nulls().head(1).to_list()
        spelling = _WITH_T if some and "T" in some[0] else _WITH_SPACE
        return value.str.to_datetime(spelling, time_unit="us", time_zone="UTC", strict=False, ambiguous="null")
    return value.cast(DTYPES[kind], strict=False)


def _doubted(rows: pl.DataFrame, quick: pl.DataFrame) -> set[str]:
    """Name the text columns that the quick reading may have got wrong."""
    text = [column for column in rows if column.dtype == pl.String]
    unread = {column.name for column in text if quick[column.name].null_count() != column.null_count()}
    doubts = []
    for name in (column.name for column in text if column.name not in unread):
        dtype = DTYPES[COLUMNS[name]]
        if isinstance(dtype, pl.Decimal):
            doubts.append(may_be_cut(pl.col(name), dtype.scale).alias(name))
        elif name in ENUMERATIONS:
            doubts.append(~pl.col(name).is_in(ENUMERATIONS[name]).all().alias(name))
        elif name == "BillingCurrency":
            doubts.append(~pl.col(name).str.contains(CURRENCY).all().alias(name))
        elif COLUMNS[name] == "time":
            doubts.append(~pl.lit(quick[name]).is_between(FIRST_TIME, LAST_TIME).all().alias(name))
    found = rows.select(doubts).row(0, named=True) if doubts else {}
    return unread | {name for name, doubt in found.items() if doubt}


def _carefully(column: pl.Series) -> Parsed:
    """Read a column; where something in it can't be read, once more without outer blanks."""
    parsed = _parsed(column)
    if column.dtype == pl.String and parsed.reasons is not None:
        return _parsed(column.str.strip_chars())
    return parsed


def _parsed(column: pl.Series) -> Parsed:
    kind = COLUMNS[column.name]
    dtype = DTYPES[kind]
    if isinstance(dtype, pl.Decimal):
        return decimals(column, dtype)
    if kind == "time":
        return times(column, zone_needed=False)
    if kind == "tags":
        return Parsed(_tags(column))
    if column.name in ENUMERATIONS:
        return _enumerated(as_text(column), ENUMERATIONS[column.name])
    if column.name == "BillingCurrency":
        return Parsed(as_text(column).str.strip_chars().str.to_uppercase())
    return Parsed(as_text(column))


def _tags(column: pl.Series) -> pl.Series:
    """Parquet may hold tags as a struct or a map: they become a JSON object."""
    text = as_text(column)
    inner = column.dtype.inner if isinstance(column.dtype, pl.List) else None
    if not isinstance(inner, pl.Struct) or {field.name for field in inner.fields} != {"key", "value"}:
        return text
    found = {pairs: _object(pairs) for pairs in text.unique().drop_nulls()}
    return text.replace_strict(found, return_dtype=pl.String)


def _object(pairs: str) -> str:
    return json.dumps({str(pair["key"]): pair["value"] for pair in json.loads(pairs)}, sort_keys=True)


def _enumerated(column: pl.Series, allowed: tuple[str, ...]) -> Parsed:
    """Put the case of a fixed word right; another word is a fault."""
    right = {word.casefold(): word for word in allowed}
    found = {word: right.get(word.casefold()) for word in column.unique().drop_nulls()}
    values = column.replace_strict(found, return_dtype=pl.String)
    unknown = values.is_null() & column.is_not_null()
    if not unknown.any():
        return Parsed(values)
    reasons = pl.select(when(pl.lit(unknown), f"is none of {', '.join(allowed)}")).to_series()
    return Parsed(values, reasons.alias(column.name))
