"""The columns of a bill, as text or already typed → their types.

A whole frame is read at once in the usual spelling. Where that leaves a doubt about a column (something was not read,
or might have lost a digit), this column is read again with care.
"""

import json
from collections.abc import Sequence

import polars as pl

from workbench.checking import when
from workbench.exact import Parsed, as_text, can_be_shown, decimals, may_be_cut, times
from workbench.focus import AMOUNT, COLUMNS, DTYPES, ENUMERATIONS, QUANTITY

CURRENCY = r"^[A-Z]{3}$"
_WITH_T, _WITH_SPACE = "%+", "%Y-%m-%d %H:%M:%S"


def read_columns(rows: pl.DataFrame) -> dict[str, Parsed]:
    """Read all FOCUS columns of `rows`, in the order of `workbench.focus.COLUMNS`."""
    rows = rows.select([name for name in COLUMNS if name in rows.columns])
    text = [column for column in rows if column.dtype == pl.String]
    quick = rows.with_columns(_quick(column) for column in text if DTYPES[COLUMNS[column.name]] != pl.String)
    doubted = {column.name for column in rows if column.dtype != pl.String} | _doubted(text, quick)
    return {name: _carefully(rows[name]) if name in doubted else Parsed(quick[name]) for name in rows.columns}


def _quick(column: pl.Series) -> pl.Expr:
    value, kind = pl.col(column.name), COLUMNS[column.name]
    if kind != "time":
        return value.cast(DTYPES[kind], strict=False)
    some = column.head(1000).drop_nulls().head(1).to_list()
    spelling = _WITH_T if some and "T" in some[0] else _WITH_SPACE
    return value.str.to_datetime(spelling, time_unit="us", time_zone="UTC", strict=False, ambiguous="null")


def _doubted(text: Sequence[pl.Series], quick: pl.DataFrame) -> set[str]:
    """Name the text columns that the quick reading may have got wrong."""
    unread = {column.name for column in text if quick[column.name].null_count() != column.null_count()}
    given = pl.DataFrame([column for column in text if column.name not in unread])
    doubts = [pl.col(name).is_in(words).not_().any() for name, words in ENUMERATIONS.items() if name in given.columns]
    for scale in (AMOUNT.scale, QUANTITY.scale):
        names = [name for name in given.columns if getattr(DTYPES[COLUMNS[name]], "scale", None) == scale]
        doubts += [may_be_cut(pl.col(names), scale)] if names else []
    if "BillingCurrency" in given.columns:
        doubts.append(pl.col("BillingCurrency").str.contains(CURRENCY).not_().any())
    found = given.select(doubts).row(0, named=True) if doubts else {}
    read = [name for name in given.columns if COLUMNS[name] == "time"]
    outside = quick.select(can_be_shown(pl.col(read)).not_().any()).row(0, named=True) if read else {}
    return unread | {name for name, doubt in (found | outside).items() if doubt}


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
