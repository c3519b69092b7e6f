"""Messages of the output topics → checked records, and dead letters with what was wrong.

A record is taken as a processor writes it: exact types, nothing missing that must be there. What is not known here is
left out, so that a processor may come to say more.
"""

from collections.abc import Sequence
from typing import Any

import polars as pl

from workbench.checking import Checked, Fault, split, when
from workbench.errors import EventError, did_you_mean
from workbench.events import parse_faults, with_refused
from workbench.exact import Parsed, decimals, times
from workbench.focus import AMOUNT, TIME
from workbench.jsonlines import read_lines
from workbench.streaming.decode import Decoded
from workbench.streaming.parcels import letter_of
from workbench.streaming.producer import HEADERS
from workbench.streaming.topics import MESSAGE_LIMIT, SCHEMA_VERSION

_TEXT, _COUNT, _SHARE, _FLAG = pl.String(), pl.Int64(), pl.Float64(), pl.Boolean()
_WINDOW = {"window_start": TIME, "window_end": TIME}

WINDOWS = pl.Schema(
    {
        "business_unit": _TEXT, "service": _TEXT, "currency": _TEXT, **_WINDOW, "total_cost": AMOUNT,
        "delta_cost": AMOUNT, "events": _COUNT, "late_events": _COUNT, "revision": _COUNT, "beyond_horizon": _FLAG,
        "closed_at": TIME,
    }
)  # fmt: skip
"""`processors.Windows`; `service` is null where services are not kept apart."""

ANOMALIES = pl.Schema(
    {
        "anomaly_id": _TEXT, "detected_at": TIME, "anomaly_type": _TEXT, "business_unit": _TEXT, "service": _TEXT,
        "currency": _TEXT, **_WINDOW, "cost_amount": AMOUNT, "expected_amount": AMOUNT, "excess_amount": AMOUNT,
        "ratio": _SHARE, "deviation": _SHARE, "deviation_percent": _SHARE, "business_impact": _TEXT, "history": _COUNT,
        "streak": _COUNT, "status": _TEXT, "revision": _COUNT, "resolved": _FLAG,
    }
)  # fmt: skip
"""`processors.Spikes`."""

ROI = pl.Schema(
    {
        "business_unit": _TEXT, "currency": _TEXT, "timestamp": TIME, **_WINDOW, "cost": AMOUNT, "revenue": AMOUNT,
        "gain": AMOUNT, "roi": _SHARE, "roi_percentage": _SHARE, "cost_events": _COUNT, "revenue_events": _COUNT,
        "delta_cost": AMOUNT, "delta_revenue": AMOUNT, "revision": _COUNT, "beyond_horizon": _FLAG,
        "calculated_at": TIME,
    }
)  # fmt: skip
"""`processors.Roi`."""

RECOMMENDATIONS = pl.Schema(
    {
        "recommendation_id": _TEXT, "recommended_at": TIME, "business_unit": _TEXT, "service": _TEXT,
        "resource_id": _TEXT, "resource_type": _TEXT, "currency": _TEXT, "action": _TEXT, "previous_action": _TEXT,
        "target_type": _TEXT, "utilization_quantile": _SHARE, "utilization_mean": _SHARE, "coverage": _SHARE,
        "off_hours_per_week": _COUNT, "hourly_price": AMOUNT, "monthly_saving": AMOUNT, "confidence": _SHARE, **_WINDOW,
    }
)  # fmt: skip
"""`processors.RightSizing`."""

RECORDS = {
    "finops.cost.aggregations": WINDOWS,
    "finops.cost.anomalies": ANOMALIES,
    "finops.roi.calculations": ROI,
    "finops.optimization.recommendations": RECOMMENDATIONS,
}
"""Topic → what its records hold."""

_MUST = {
    "business_unit", "currency", "window_start", "window_end", "delta_cost", "delta_revenue", "beyond_horizon",
    "closed_at", "calculated_at", "timestamp", "events", "anomaly_id", "detected_at", "cost_amount",
    "status", "resolved", "recommendation_id", "recommended_at", "action",
}  # fmt: skip


def decode_records(messages: Sequence[Any], topic: str) -> Decoded:
    """Read a batch of messages (`confluent_kafka.Message`) of an output topic at once; see `RECORDS`.

    Raises
    ------
    EventError
        No output topic is called so.
    """
    if topic not in RECORDS:
        raise EventError(f"no records in '{topic}'; there are {', '.join(RECORDS)}{did_you_mean(topic, RECORDS)}")
    faults = {at: reason for at, message in enumerate(messages) if (reason := _envelope_fault(message))}
    good = [message for at, message in enumerate(messages) if at not in faults]
    checked = read_records([message.value() for message in good], topic)
    wrong = zip(checked.rejected["row"], checked.rejected["reason"], strict=True)
    dead = [letter_of(messages[at], reason) for at, reason in faults.items()]
    dead += [letter_of(good[row], reason) for row, reason in wrong]
    return Decoded(checked.valid, dead, len(messages))


def read_records(values: Sequence[bytes], topic: str) -> Checked:
    """Read JSON objects, one a value, into records of a topic; what is refused keeps its place as `row`."""
    schema = RECORDS[topic]
    amounts = [name for name, dtype in schema.items() if dtype == AMOUNT]
    read = read_lines(values, schema.names(), amounts)
    parsed = {name: _column(read.frame[name], dtype) for name, dtype in schema.items()}
    typed = pl.DataFrame([parsed[name].values.alias(name) for name in schema])
    return with_refused(split(typed, read.frame, [*parse_faults(parsed), *_rules(schema)]), read, values)


def _column(given: pl.Series, dtype: pl.DataType) -> Parsed:
    if isinstance(dtype, pl.Decimal):
        return decimals(given, dtype)
    if isinstance(dtype, pl.Datetime):
        return times(given, zone_needed=True)
    if dtype == _TEXT:
        return Parsed(given)
    if dtype == _FLAG:
        flags = given.replace_strict({"true": True, "false": False}, default=None, return_dtype=_FLAG)
        return _or_reason(given, flags, "is neither true nor false")
    numbers = given.cast(dtype, strict=False)
    if dtype == _SHARE:
        return _or_reason(given, numbers.set(~numbers.is_finite().fill_null(value=True), None), "is not a number")
    return _or_reason(given, numbers, "is not a whole number")


def _or_reason(given: pl.Series, values: pl.Series, reason: str) -> Parsed:
    wrong = values.is_null() & given.is_not_null()
    if not wrong.any():
        return Parsed(values)
    return Parsed(values, pl.select(pl.when(wrong).then(pl.lit(reason))).to_series().alias(given.name))


def _rules(schema: pl.Schema) -> list[Fault]:
    """What a typed record must keep to, beyond being readable."""
    must = _MUST | ({"revision"} if "anomaly_id" in schema else set())  # elsewhere null: beyond the horizon
    missing = [(name, when(pl.col(name).is_null(), f"{name} is missing")) for name in schema if name in must]
    turned = when(pl.col("window_end") <= pl.col("window_start"), "window_end is not after window_start")
    currency = when(~pl.col("currency").str.contains(r"^[A-Z]{3}$"), "currency is not a code of three letters")
    return [*missing, ("window_end", turned), ("currency", currency)]


def _envelope_fault(message: Any) -> str:  # noqa: ANN401
    """What is wrong with a message before anyone looks inside; "" where nothing is."""
    headers = message.headers()
    if headers != HEADERS and ("schema_version", SCHEMA_VERSION.encode()) not in (headers or ()):
        return f"no schema_version {SCHEMA_VERSION} in the header, which is the one that is known"
    if not message.value():
        return "the value is null or empty"
    return f"the value is longer than {MESSAGE_LIMIT} bytes" if len(message) > MESSAGE_LIMIT else ""
