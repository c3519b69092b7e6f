"""Rows as they stand in a file → bill lines as the workbench holds them, or refusals with a reason."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import polars as pl

from workbench.checking import Fault, split, when
from workbench.events import ids, parse_faults
from workbench.exact import as_text
from workbench.focus import COLUMNS, IDENTITY, IDENTITY_WITHOUT_SKU, REQUIRED, SCHEMA, TIME
from workbench.settings import Mapping, Names
from workbench.sources.focus.names import owners
from workbench.sources.focus.totals import MEASURES, add_up
from workbench.sources.focus.typed import CURRENCY, read_columns

OWN = ("business_unit", "project_id", "environment")
_NEEDED = {*REQUIRED, *IDENTITY, *IDENTITY_WITHOUT_SKU, *MEASURES, "Tags"}
_FAR_FUTURE = timedelta(days=2)
_LONGEST_TEXT = 4_096
_LONGEST_TAGS = 65_536


@dataclass(frozen=True)
class Reading:
    """How the rows of a file are to be understood."""

    names: Names
    source_name: str
    source_file: str
    observed_at: datetime
    mapping: Mapping | None = None


class Lines(NamedTuple):
    """Rows, read: the lines (some columns of `workbench.focus.SCHEMA`), the refused rows, and the totals of both.

    The lines have no ordinals yet (`line_count` is 1). In `rejected`, `row` is the position among the given rows.
    """

    valid: pl.DataFrame
    rejected: pl.DataFrame
    totals: pl.DataFrame


def lines(rows: pl.DataFrame, reading: Reading, wanted: Collection[str] = tuple(SCHEMA)) -> Lines:
    """Turn a batch of rows into lines.

    Parameters
    ----------
    rows
        Columns by FOCUS names (any of them), and the names in `OWN` where a mapping fills them.
    reading
        What the file doesn't say of itself.
    wanted
        The columns to return. All that the file has are read and checked in any case.
    """
    if reading.mapping:
        rows = rows.with_columns(pl.lit(text).alias(name) for name, text in reading.mapping.constants.items())
    parsed = read_columns(rows)
    given = {name: as_text(rows[name]) for name in OWN if name in rows.columns}
    typed = _complete(pl.DataFrame([column.values for column in parsed.values()]), given, reading, wanted)
    typed = typed.with_columns(_identity(typed, given))
    valid, rejected = split(typed, rows, [*parse_faults(parsed), *_rules(typed, reading)])
    return Lines(valid.select(wanted), rejected, _totals(typed, rejected["row"]))


def _complete(
    typed: pl.DataFrame, given: dict[str, pl.Series], reading: Reading, wanted: Collection[str]
) -> pl.DataFrame:
    """Add the columns that the file lacks: the owners, where the line came from, and else nulls."""
    said = {
        "source_name": pl.lit(reading.source_name),
        "source_file": pl.lit(reading.source_file),
        "line_count": pl.lit(1, pl.Int32),
        "observed_at": pl.lit(reading.observed_at, TIME),
    }
    missing = [name for name in SCHEMA if name in {*wanted, *_NEEDED} and name not in typed.columns]
    typed = typed.with_columns(said.get(name, pl.lit(None, SCHEMA[name])).alias(name) for name in missing)
    if reading.mapping and reading.mapping.period:
        end = pl.col("ChargePeriodStart").dt.offset_by(reading.mapping.period)
        typed = typed.with_columns(pl.col("ChargePeriodEnd").fill_null(end))
    return typed.with_columns(owners(typed, given, reading.names))


def _identity(typed: pl.DataFrame, given: dict[str, pl.Series]) -> pl.Series:
    """Give each line its id (equal lines still share one).

    What a mapping says of the owner is part of the key as it stands in the file, before a profile renames it.
    """
    unnamed = pl.col("SkuId").is_null() & pl.col("SkuPriceId").is_null()
    more = [pl.when(unnamed).then(pl.col(name)).alias(f"~{name}") for name in IDENTITY_WITHOUT_SKU]
    nothing = pl.lit(None, pl.String)
    own = [pl.when(unnamed).then(given.get(name, nothing)).alias(f"~{name}") for name in OWN]
    keyed = typed.select(*IDENTITY, *more, *own)
    return ids(keyed, keyed.columns)


def _rules(typed: pl.DataFrame, reading: Reading) -> list[Fault]:
    """What a typed line must keep to, beyond being readable."""
    start, end = pl.col("ChargePeriodStart"), pl.col("ChargePeriodEnd")
    rules: list[Fault] = [
        (name, when(pl.col(name).is_null(), f"{name} is missing")) for name in (*REQUIRED, "BillingCurrency")
    ]
    rules += [
        ("BillingCurrency", when(~pl.col("BillingCurrency").str.contains(CURRENCY),
                                 "BillingCurrency is not a code of three letters")),
        ("ChargePeriodEnd", when(end <= start, "ChargePeriodEnd is not after ChargePeriodStart")),
        ("ChargePeriodStart", when(start > pl.lit(reading.observed_at + _FAR_FUTURE, TIME),
                                   "ChargePeriodStart is more than 2 days after it was observed")),
    ]  # fmt: skip
    texts = [name for name in typed.columns if COLUMNS.get(name) in {"text", "tags"} or name in OWN]
    longest = typed.select(pl.col(texts).str.len_bytes().max()).row(0, named=True)
    for name, length in longest.items():
        most = _LONGEST_TAGS if COLUMNS.get(name) == "tags" else _LONGEST_TEXT
        if (length or 0) > most:
            rules.append((name, when(pl.col(name).str.len_bytes() > most, f"{name} is longer than {most} bytes")))
    return rules


def _totals(typed: pl.DataFrame, rejected: pl.Series) -> pl.DataFrame:
    """Sum up what was accepted, and what the refused rows would have cost as far as it can be read."""
    if rejected.is_empty():
        return add_up(typed, "accepted")
    refused = pl.int_range(typed.height, eager=True).is_in(rejected.implode())
    code = pl.col("BillingCurrency")
    unclear = typed.filter(refused).with_columns(pl.when(code.str.contains(CURRENCY)).then(code))
    return pl.concat([add_up(typed.filter(~refused), "accepted"), add_up(unclear, "rejected")])
