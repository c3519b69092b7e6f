"""The three event types: what they hold, what makes one valid, their ids, and their JSON lines.

A frame of events is checked as a whole (`validate`): the valid rows come back typed, the others with their reason,
and nothing is lost. Amounts may be negative (credits, refunds), and travel as JSON strings: a JSON number loses digits.
"""

import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import polars as pl

from workbench.checking import Checked, Fault, split, when
from workbench.errors import EventError, did_you_mean
from workbench.exact import Parsed, as_text, decimals, once_each, times
from workbench.focus import AMOUNT, TIME, UNALLOCATED
from workbench.jsonlines import Lines, read_lines, unread
from workbench.keys import ids

__all__ = [
    "BUSINESS",
    "COST",
    "RESOURCE",
    "SCHEMAS",
    "Checked",
    "from_json_lines",
    "ids",
    "parse_faults",
    "read_values",
    "to_json_lines",
    "validate",
    "with_refused",
]

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
_LONGEST_TEXT = 4_096
_LONGEST_METADATA = 65_536
_AMOUNTS = ("cost_amount", "revenue_impact", "cost_estimate")


def validate(
    frame: pl.DataFrame, kind: str, *, observed_at: datetime | None = None, columns: Iterable[str] | None = None
) -> Checked:
    """Check all rows of `frame` against the schema of `kind` at once.

    Parameters
    ----------
    frame
        Columns by the names of the schema, as text or already typed; missing ones are null, others are dropped.
    kind
        `"cost"`, `"business"` or `"resource"`.
    observed_at
        Used where a row has no `observed_at` of its own (default: now).
    columns
        Those that are looked at (default: all), beside what makes an event one: id, time, amount, currency, unit.

    Raises
    ------
    EventError
        An unknown kind, or a frame that shares no column with the schema.
    """
    schema = _schema(kind, columns)
    if not set(frame.columns) & set(schema):
        raise EventError(f"no column of a {kind} event among {frame.columns[:8]}; expected {list(schema)[:6]}, …")
    observed = (observed_at or datetime.now(UTC)).astimezone(UTC)
    parsed = {name: _column(frame, name, dtype) for name, dtype in schema.items()}
    typed = pl.DataFrame([parsed[name].values.alias(name) for name in schema]).with_columns(
        pl.col("observed_at").fill_null(pl.lit(observed, TIME)),
        pl.col("currency").str.to_uppercase(),
        pl.col("business_unit").fill_null(UNALLOCATED),
    )
    return split(typed, frame, [*parse_faults(parsed), *_rules(schema)])


def _schema(kind: str, columns: Iterable[str] | None = None) -> pl.Schema:
    if kind not in SCHEMAS:
        raise EventError(f"no event kind '{kind}'; there are {list(SCHEMAS)}{did_you_mean(kind, SCHEMAS)}")
    if columns is None:
        return SCHEMAS[kind]
    wanted = {*columns, *_MUST, "business_unit", "observed_at"}
    return pl.Schema({name: dtype for name, dtype in SCHEMAS[kind].items() if name in wanted})


def _column(frame: pl.DataFrame, name: str, dtype: pl.DataType) -> Parsed:
    given = frame[name] if name in frame.columns else pl.Series(name, [None], _TEXT).new_from_index(0, frame.height)
    if isinstance(dtype, pl.Decimal):
        return decimals(_blank_is_null(given), dtype)
    if isinstance(dtype, pl.Datetime):
        return times(_blank_is_null(given), zone_needed=True)
    if dtype == pl.Float64():
        return _share(given)
    return Parsed(_blank_is_null(as_text(given)))


def _blank_is_null(column: pl.Series) -> pl.Series:
    if column.dtype != _TEXT:
        return column
    stripped = column.str.strip_chars()
    blank = stripped == ""
    return stripped.set(blank, None) if blank.any() else stripped


def _share(column: pl.Series) -> Parsed:
    values = column.cast(pl.Float64, strict=False)
    wrong = (values.is_null() & column.is_not_null()) | values.is_nan() | (values < 0) | (values > 1)
    wrong = wrong.fill_null(value=False)
    if not wrong.any():
        return Parsed(values)
    reasons = pl.select(pl.when(wrong).then(pl.lit("is not a share between 0 and 1"))).to_series()
    return Parsed(values.set(wrong, None), reasons.alias(column.name))


def parse_faults(parsed: Mapping[str, Parsed]) -> list[Fault]:
    """What could not be read, as faults for `checking.split`."""
    return [(name, name + " " + column.reasons) for name, column in parsed.items() if column.reasons is not None]


def _rules(schema: pl.Schema) -> list[Fault]:
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


def to_json_lines(frame: pl.DataFrame) -> bytes:
    """Write a frame of events as JSON lines: amounts as strings, times in ISO 8601 with `Z`."""
    out = [_written(column) for column in frame.iter_columns()]
    lines = io.BytesIO()
    pl.DataFrame(out).write_ndjson(lines)
    return lines.getvalue()


def _written(column: pl.Series) -> pl.Series:
    if isinstance(column.dtype, pl.Datetime):
        return once_each(column, lambda times: times.dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ"))
    return column.cast(pl.String) if isinstance(column.dtype, pl.Decimal) else column


def from_json_lines(lines: bytes, kind: str, *, observed_at: datetime | None = None) -> Checked:
    """Read JSON lines into checked events of `kind`.

    A line that is no JSON object is rejected by itself; the others are read. `row` counts the lines that are not
    blank, from 0.
    """
    given = [line for line in lines.split(b"\n") if line.strip()]
    read = read_values(given, kind)
    return with_refused(validate(read.frame, kind, observed_at=observed_at), read, given)


def read_values(given: Sequence[bytes], kind: str, columns: Iterable[str] | None = None) -> Lines:
    """Read JSON objects, one a value, into a frame of text that `validate` takes; `columns` as there."""
    schema = _schema(kind, columns)
    return read_lines(given, schema.names(), [name for name in _AMOUNTS if name in schema])


def with_refused(checked: Checked, read: Lines, given: Sequence[bytes]) -> Checked:
    """What became of all values: `checked` are the events of those that could be read; `row` is the place in `given`.

    Raises
    ------
    AssertionError
        Rows got lost on the way.
    """
    if checked.valid.height + checked.rejected.height + len(read.refused) != len(given):
        raise AssertionError(f"of {len(given)} values {checked.valid.height} are valid, {checked.rejected.height} "
                             f"rejected and {len(read.refused)} not read: some are lost")  # fmt: skip
    if checked.rejected.is_empty() and not read.refused:
        return checked
    places = pl.Series("row", [read.kept[row] for row in checked.rejected["row"]], dtype=pl.Int64)
    rejected = checked.rejected.with_columns(places)
    return Checked(checked.valid, pl.concat([rejected, unread(given, read.refused)]).sort("row"))
