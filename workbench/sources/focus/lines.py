"""Rows as they stand in a file → bill lines as the workbench holds them, or refusals with a reason."""

import json
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from workbench.checking import Checked, split, when
from workbench.events import ids
from workbench.exact import Parsed, decimals, times
from workbench.focus import COLUMNS, DTYPES, ENUMERATIONS, IDENTITY, IDENTITY_WITHOUT_SKU, SCHEMA, TIME
from workbench.settings import Mapping, Names
from workbench.sources.focus.names import owners
from workbench.sources.focus.rows import ROW

OWN = ("business_unit", "project_id", "environment")
_FAR_FUTURE = timedelta(days=2)
_LONGEST = {"text": 4_096, "tags": 65_536}


@dataclass(frozen=True)
class Reading:
    """How the rows of a file are to be understood."""

    names: Names
    source_name: str
    source_file: str
    observed_at: datetime
    mapping: Mapping | None = None


def lines(rows: pl.DataFrame, reading: Reading) -> Checked:
    """Turn a batch of rows into lines of `workbench.focus.SCHEMA`, without ordinals (`line_count` 1).

    Parameters
    ----------
    rows
        Columns by FOCUS names (any of them), the names in `OWN` where a mapping fills them, and `row`.
    reading
        What the file doesn't say of itself.

    Returns
    -------
    Checked
        `valid` has the schema and `row`; in `rejected`, `row` is the line of the file.
    """
    rows = _constants(rows, reading)
    parsed = {name: _column(rows, name) for name in COLUMNS if name in rows.columns}
    typed = pl.DataFrame([rows[ROW].cast(pl.Int64), *(column.values for column in parsed.values())])
    typed = _complete(typed, rows, reading)
    faults = [
        (name, pl.lit(name + " ") + pl.lit(column.reasons))
        for name, column in parsed.items()
        if column.reasons.null_count() < rows.height
    ]
    valid, rejected = split(typed, rows, [*faults, *_rules(typed)])
    at = rows[ROW].cast(pl.Int64)
    return Checked(_identified(valid, reading), rejected.with_columns(row=at.gather(rejected["row"])))


def _constants(rows: pl.DataFrame, reading: Reading) -> pl.DataFrame:
    rows = rows.with_columns(_as_text(rows[name]) for name in rows.columns if name != ROW)
    if not reading.mapping or not reading.mapping.constants:
        return rows
    return rows.with_columns(pl.lit(text).alias(name) for name, text in reading.mapping.constants.items())


def _column(rows: pl.DataFrame, name: str) -> Parsed:
    """Read a column; where something in it can't be read, once more without outer blanks."""
    parsed = _parsed(rows[name])
    if rows.schema[name] == pl.String and parsed.reasons.null_count() < rows.height:
        return _parsed(rows[name].str.strip_chars())
    return parsed


def _parsed(column: pl.Series) -> Parsed:
    kind = COLUMNS[column.name]
    dtype = DTYPES[kind]
    if isinstance(dtype, pl.Decimal):
        return decimals(column, dtype)
    if kind == "time":
        return times(column, zone_needed=False)
    if column.name in ENUMERATIONS:
        return _enumerated(column, ENUMERATIONS[column.name])
    return Parsed(column, pl.Series(column.name, [None], pl.String()).new_from_index(0, len(column)))


def _as_text(column: pl.Series) -> pl.Series:
    """Parquet may hold tags as a map or a struct: they become a JSON object."""
    if isinstance(column.dtype, pl.List):  # a map arrives as a list of {key, value}
        return pl.Series(column.name, [_object(pairs) for pairs in column.to_list()], pl.String)
    if isinstance(column.dtype, pl.Struct):
        return column.struct.json_encode()
    if isinstance(column.dtype, pl.Datetime | pl.Date | pl.Decimal) or column.dtype == pl.String:
        return column
    return column.cast(pl.String)


def _object(pairs: list[dict[str, str | None]] | None) -> str | None:
    return (
        None if pairs is None else json.dumps({str(pair["key"]): pair["value"] for pair in pairs}, sort_keys=True)
    )


def _enumerated(column: pl.Series, allowed: tuple[str, ...]) -> Parsed:
    """Put the case of a fixed word right; another word is a fault."""
    words = column.unique().drop_nulls().to_list()
    right = {word.casefold(): word for word in allowed}
    found = {word: right.get(word.casefold()) for word in words}
    values = column.replace_strict(found, return_dtype=pl.String) if words else column
    unknown = values.is_null() & column.is_not_null()
    reasons = pl.select(when(pl.lit(unknown), f"is none of {', '.join(allowed)}")).to_series().alias(column.name)
    return Parsed(values, reasons)


def _complete(typed: pl.DataFrame, rows: pl.DataFrame, reading: Reading) -> pl.DataFrame:
    """Add the columns that the file lacks: nulls, the owners, and where the line came from."""
    missing = [pl.lit(None, dtype).alias(name) for name, dtype in SCHEMA.items() if name not in typed.columns]
    typed = typed.with_columns(missing).with_columns(
        pl.col("BillingCurrency").str.to_uppercase(),
        source_name=pl.lit(reading.source_name),
        source_file=pl.lit(reading.source_file),
        line_count=pl.lit(1, pl.Int32),
        observed_at=pl.lit(reading.observed_at, TIME),
    )
    if reading.mapping and reading.mapping.period:
        length = reading.mapping.period
        typed = typed.with_columns(
            pl.col("ChargePeriodEnd").fill_null(pl.col("ChargePeriodStart").dt.offset_by(length))
        )
    given = {name: rows[name].cast(pl.String) for name in OWN if name in rows.columns}
    return typed.with_columns(owners(typed, given, reading.names))


def _rules(typed: pl.DataFrame) -> list[tuple[str, pl.Expr]]:
    """What a typed line must keep to, beyond being readable."""
    start, end = pl.col("ChargePeriodStart"), pl.col("ChargePeriodEnd")
    rules = [(name, when(pl.col(name).is_null(), f"{name} is missing"))
             for name in ("BilledCost", "ChargePeriodStart", "BillingCurrency")]  # fmt: skip
    rules += [
        ("BillingCurrency", when(~pl.col("BillingCurrency").str.contains(r"^[A-Z]{3}$"),
                                 "BillingCurrency is not a code of three letters")),
        ("ChargePeriodEnd", when(end <= start, "ChargePeriodEnd is not after ChargePeriodStart")),
        ("ChargePeriodStart", when(start > pl.col("observed_at") + _FAR_FUTURE,
                                   "ChargePeriodStart is more than 2 days after it was observed")),
    ]  # fmt: skip
    longest = typed.select(pl.col(pl.String).str.len_bytes().max()).row(0, named=True)
    for name, kind in COLUMNS.items():
        if (longest.get(name) or 0) > (most := _LONGEST.get(kind, sys.maxsize)):
            rules.append((name, when(pl.col(name).str.len_bytes() > most, f"{name} is longer than {most} bytes")))
    return rules


def _identified(valid: pl.DataFrame, reading: Reading) -> pl.DataFrame:
    """Give each line its id (equal lines still share one)."""
    unnamed = pl.col("SkuId").is_null() & pl.col("SkuPriceId").is_null()
    own = OWN if reading.mapping else ()
    extra = [pl.when(unnamed).then(pl.col(name)).alias(f"~{name}") for name in (*IDENTITY_WITHOUT_SKU, *own)]
    keyed = valid.select(*IDENTITY, *extra)
    return valid.with_columns(event_id=ids(keyed, keyed.columns))
