"""The three event types: what they hold, what makes one valid, their ids, and their JSON lines.

A frame of events is checked as a whole (`validate`): the valid rows come back typed, the others with their
reason, and nothing is lost between the two. Amounts may be negative (credits, refunds). Amounts travel as JSON
strings, because a JSON number loses digits.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import polars as pl
import xxhash

from workbench.checking import LONGEST_RECORD, REJECTED, Checked, split, when
from workbench.errors import EventError, did_you_mean
from workbench.exact import Parsed, decimals, times
from workbench.focus import AMOUNT, TIME, UNALLOCATED

_TEXT = pl.String()

COST = pl.Schema(
    {
        "event_id": _TEXT,
        "timestamp": TIME,  # start of the charge period
        "event_type": _TEXT,
        "service": _TEXT,
        "region": _TEXT,
        "cost_amount": AMOUNT,
        "resource_id": _TEXT,
        "business_unit": _TEXT,
        "project_id": _TEXT,
        "environment": _TEXT,
        "metadata": _TEXT,  # a JSON object
        "currency": _TEXT,
        "observed_at": TIME,  # when the source said so
        "loaded_at": TIME,  # when the warehouse came to know it
    }
)
"""What a resource or service cost in a period."""

BUSINESS = pl.Schema(
    {
        "event_id": _TEXT,
        "timestamp": TIME,
        "event_type": _TEXT,
        "user_id": _TEXT,
        "feature": _TEXT,
        "action": _TEXT,
        "revenue_impact": AMOUNT,
        "business_unit": _TEXT,
        "metadata": _TEXT,
        "currency": _TEXT,
        "observed_at": TIME,
        "loaded_at": TIME,
    }
)
"""What a user did and what it earned (negative for a refund)."""

RESOURCE = pl.Schema(
    {
        "event_id": _TEXT,
        "timestamp": TIME,
        "event_type": _TEXT,
        "service": _TEXT,
        "region": _TEXT,
        "resource_id": _TEXT,
        "resource_type": _TEXT,
        "utilization": pl.Float64(),  # 0 to 1
        "cost_estimate": AMOUNT,  # per hour
        "business_unit": _TEXT,
        "project_id": _TEXT,
        "environment": _TEXT,
        "metadata": _TEXT,
        "currency": _TEXT,
        "observed_at": TIME,
        "loaded_at": TIME,
    }
)
"""How much of a resource was used in an hour."""

SCHEMAS = {"cost": COST, "business": BUSINESS, "resource": RESOURCE}

_MUST = ("event_id", "timestamp", "cost_amount", "revenue_impact", "utilization", "currency")
_FAR_FUTURE = timedelta(days=2)
_LONGEST_TEXT = 2_048
_LONGEST_METADATA = 65_536
_SEPARATOR = "\x1f"
_AMOUNT_AS_NUMBER = re.compile(rb'"(?:cost_amount|revenue_impact|cost_estimate)"\s*:\s*-?\d')
_NUMBER_REASON = "an amount is a JSON number, which loses digits; amounts travel as strings"


def validate(frame: pl.DataFrame, kind: str, *, observed_at: datetime | None = None) -> Checked:
    """Check all rows of `frame` against the schema of `kind` at once.

    Parameters
    ----------
    frame
        Columns by the names of the schema, as text or already typed; missing ones are null, others are dropped.
    kind
        `"cost"`, `"business"` or `"resource"`.
    observed_at
        Used where a row has no `observed_at` of its own (default: now).

    Raises
    ------
    EventError
        An unknown kind, or a frame that shares no column with the schema.
    """
    schema = _schema(kind)
    if not set(frame.columns) & set(schema):
        raise EventError(f"no column of a {kind} event among {frame.columns[:8]}; expected {list(schema)[:6]}, …")
    observed = (observed_at or datetime.now(UTC)).astimezone(UTC)
    parsed = {name: _column(frame, name, dtype) for name, dtype in schema.items()}
    typed = pl.DataFrame([parsed[name].values.alias(name) for name in schema]).with_columns(
        pl.col("observed_at").fill_null(pl.lit(observed, TIME)),
        pl.col("currency").str.to_uppercase(),
        pl.col("business_unit").fill_null(UNALLOCATED),
    )
    return split(typed, frame, [*_parse_faults(parsed), *_rules(schema)])


def _schema(kind: str) -> pl.Schema:
    if kind not in SCHEMAS:
        raise EventError(f"no event kind '{kind}'; there are {list(SCHEMAS)}{did_you_mean(kind, SCHEMAS)}")
    return SCHEMAS[kind]


def _column(frame: pl.DataFrame, name: str, dtype: pl.DataType) -> Parsed:
    given = (
        frame[name] if name in frame.columns else pl.Series(name, [None], _TEXT).new_from_index(0, frame.height)
    )
    if isinstance(dtype, pl.Decimal):
        return decimals(_blank_is_null(given), dtype)
    if isinstance(dtype, pl.Datetime):
        return times(_blank_is_null(given), zone_needed=True)
    if dtype == pl.Float64():
        return _share(given)
    text = given if given.dtype == _TEXT else given.cast(_TEXT, strict=False)
    return Parsed(_blank_is_null(text), pl.Series(name, [None], _TEXT).new_from_index(0, frame.height))


def _blank_is_null(column: pl.Series) -> pl.Series:
    if column.dtype != _TEXT:
        return column
    stripped = column.str.strip_chars()
    return stripped.set(stripped == "", None)


def _share(column: pl.Series) -> Parsed:
    values = column.cast(pl.Float64, strict=False)
    wrong = (values.is_null() & column.is_not_null()) | values.is_nan() | (values < 0) | (values > 1)
    wrong = wrong.fill_null(value=False)
    reasons = pl.select(pl.when(wrong).then(pl.lit("is not a share between 0 and 1"))).to_series()
    return Parsed(values.set(wrong, None), reasons.alias(column.name))


def _parse_faults(parsed: dict[str, Parsed]) -> list[tuple[str, pl.Expr]]:
    faulty = (
        (name, column.reasons)
        for name, column in parsed.items()
        if column.reasons.null_count() < len(column.reasons)
    )
    return [(name, pl.lit(name + " ") + pl.lit(reasons)) for name, reasons in faulty]


def _rules(schema: pl.Schema) -> list[tuple[str, pl.Expr]]:
    """What a typed row must keep to, beyond being readable."""
    missing = [(name, when(pl.col(name).is_null(), f"{name} is missing")) for name in _MUST if name in schema]
    texts = [name for name, dtype in schema.items() if dtype == _TEXT]
    long = [(name, _too_long(name)) for name in texts]
    future = when(pl.col("timestamp") > pl.col("observed_at") + _FAR_FUTURE,
                   "timestamp is more than 2 days after it was observed")  # fmt: skip
    currency = when(~pl.col("currency").str.contains(r"^[A-Z]{3}$"), "currency is not a code of three letters")
    return [*missing, *long, ("timestamp", future), ("currency", currency)]


def _too_long(name: str) -> pl.Expr:
    longest = _LONGEST_METADATA if name == "metadata" else _LONGEST_TEXT
    return when(pl.col(name).str.len_bytes() > longest, f"{name} is longer than {longest} bytes")


def ids(frame: pl.DataFrame, columns: Sequence[str]) -> pl.Series:
    """Hash the natural key of each row: 32 hexadecimal digits, the same for ever and everywhere.

    The key is the values of `columns` in this order as text, joined by the unit separator (U+001F); a missing
    value is empty, times are seconds since 1970, and trailing separators are dropped, so that a column which is
    added later to the end of the list changes no id of a row that lacks it. The hash is XXH3-128.
    """
    if not columns:
        raise EventError("an id needs at least one column; name those that identify a row")
    key = frame.select(
        pl.concat_str([_key_text(frame, name) for name in columns], separator=_SEPARATOR)
    ).to_series()
    digest = xxhash.xxh3_128_hexdigest
    return pl.Series("event_id", [digest(text) for text in key.cast(pl.Binary).to_list()], _TEXT)


def _key_text(frame: pl.DataFrame, name: str) -> pl.Expr:
    if frame[name].null_count() == frame.height:
        return pl.lit("")
    if isinstance(frame.schema[name], pl.Datetime):
        return pl.col(name).dt.epoch("s").cast(pl.String).fill_null("")
    return pl.col(name).cast(pl.String).fill_null("")


def to_json_lines(frame: pl.DataFrame) -> bytes:
    """Write a frame of events as JSON lines: amounts as strings, times in ISO 8601 with `Z`."""
    out = [
        pl.col(name).dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ") if isinstance(dtype, pl.Datetime)
        else pl.col(name).cast(pl.String) if isinstance(dtype, pl.Decimal)
        else pl.col(name)
        for name, dtype in frame.schema.items()
    ]  # fmt: skip
    return frame.select(out).write_ndjson().encode()


def from_json_lines(lines: bytes, kind: str, *, observed_at: datetime | None = None) -> Checked:
    """Read JSON lines into checked events of `kind`.

    A line that is no JSON object is rejected by itself; the others are read. `row` counts the lines that are not
    blank, from 0.
    """
    schema = pl.Schema(dict.fromkeys(_schema(kind), _TEXT))
    kept = [(row, line) for row, line in enumerate(filter(bytes.strip, lines.splitlines()))]
    numbers = [(row, line, _NUMBER_REASON) for row, line in kept if _AMOUNT_AS_NUMBER.search(line)]
    kept = [(row, line) for row, line in kept if not _AMOUNT_AS_NUMBER.search(line)] if numbers else kept
    frame, broken = _decode([line for _, line in kept], schema, 0)
    refused = [*numbers, *((*kept[at], "is not a JSON object") for at in broken)]
    left = set(broken)
    rows = pl.Series("row", [row for at, (row, _) in enumerate(kept) if at not in left], dtype=pl.Int64)
    checked = validate(frame, kind, observed_at=observed_at)
    unreadable = pl.DataFrame(
        [(row, reason, line.decode(errors="replace")[:200], line.decode(errors="replace")[:LONGEST_RECORD])
         for row, line, reason in refused],
        schema=REJECTED, orient="row",
    )  # fmt: skip
    rejected = checked.rejected.with_columns(rows.gather(checked.rejected["row"]))
    return Checked(checked.valid, pl.concat([rejected, unreadable]).sort("row"))


def _decode(lines: list[bytes], schema: pl.Schema, first: int) -> tuple[pl.DataFrame, list[int]]:
    """Decode all lines at once, or halve until the bad ones stand alone; returns their positions too."""
    if not lines:
        return pl.DataFrame(schema=schema), []
    try:
        frame = pl.read_ndjson(b"\n".join(lines), schema=schema)
        if frame.height == len(lines):
            return frame, []
    except pl.exceptions.PolarsError:
        pass
    if len(lines) == 1:
        return pl.DataFrame(schema=schema), [first]
    middle = len(lines) // 2
    left, left_bad = _decode(lines[:middle], schema, first)
    right, right_bad = _decode(lines[middle:], schema, first + middle)
    return pl.concat([left, right]), left_bad + right_bad
