"""The three event types: checks of whole frames, ids, JSON lines."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import EventError
from workbench.events import BUSINESS, COST, RESOURCE, SCHEMAS, from_json_lines, to_json_lines, validate

NOW = datetime(2025, 11, 1, tzinfo=UTC)
COST_EVENT = {
    "event_id": "1",
    "timestamp": "2025-10-01T00:00:00Z",
    "service": "Amazon EC2",
    "cost_amount": "1.5",
    "business_unit": "shop",
    "metadata": '{"a": 1}',
    "currency": "USD",
    "observed_at": "2025-10-02T00:00:00Z",
}

words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12).map(str.strip)
texts = st.one_of(st.none(), words.filter(bool))
amounts = st.decimals(min_value=-(10**25), max_value=10**25, places=12, allow_nan=False, allow_infinity=False)
moments = st.datetimes(datetime(1970, 1, 1), datetime(2025, 10, 31), timezones=st.just(UTC))  # noqa: DTZ001
MADE: dict[str, st.SearchStrategy[Any]] = {
    "event_id": words.filter(bool),
    "currency": st.sampled_from(["USD", "EUR", "JPY"]),
    "business_unit": words.filter(bool),
    "cost_amount": amounts,
    "revenue_impact": amounts,
    "cost_estimate": amounts,
    "utilization": st.floats(0, 1),
    "observed_at": st.just(NOW),
}


def event(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    fields = {
        name: MADE.get(name, moments if isinstance(dtype, pl.Datetime) else texts)
        for name, dtype in SCHEMAS[kind].items()
    }
    return st.fixed_dictionaries(fields)


def cost(**other: str | None) -> pl.DataFrame:
    return pl.DataFrame([COST_EVENT | other], schema=dict.fromkeys(COST_EVENT | other, pl.String))


def refused(frame: pl.DataFrame, kind: str = "cost") -> list[str]:
    return validate(frame, kind, observed_at=NOW).rejected["reason"].to_list()


@pytest.mark.parametrize("kind", list(SCHEMAS))
@settings(max_examples=25)
@given(data=st.data())
def test_events_come_back_from_json_lines_as_they_were(kind: str, data: st.DataObject) -> None:
    rows = data.draw(st.lists(event(kind), max_size=8))
    frame = pl.DataFrame(rows, schema=SCHEMAS[kind])
    checked = from_json_lines(to_json_lines(frame), kind)
    assert checked.rejected.is_empty()
    assert checked.valid.equals(frame)


@given(st.lists(st.sampled_from(["1", "-2.50", "NaN", "inf", "", "x", "1e-13"]), max_size=20))
def test_valid_and_rejected_rows_are_the_given_ones_in_their_order(given_amounts: list[str]) -> None:
    frame = pl.concat([cost().clear(), *(cost(event_id=str(i), cost_amount=a) for i, a in enumerate(given_amounts))])
    valid, rejected = validate(frame, "cost", observed_at=NOW)
    assert valid["event_id"].to_list() == [str(i) for i, a in enumerate(given_amounts) if a in {"1", "-2.50"}]
    assert rejected["row"].to_list() == [i for i, a in enumerate(given_amounts) if a not in {"1", "-2.50"}]
    assert [json.loads(record)["event_id"] for record in rejected["record"]] == [str(i) for i in rejected["row"]]


def test_a_valid_event_is_typed() -> None:
    valid = validate(cost(), "cost").valid
    assert valid.schema == COST
    assert valid.select("cost_amount", "timestamp", "business_unit").row(0) == (
        Decimal("1.5"),
        datetime(2025, 10, 1, tzinfo=UTC),
        "shop",
    )


def test_negative_amounts_are_legal() -> None:
    assert validate(cost(cost_amount="-12.34"), "cost").valid["cost_amount"].to_list() == [Decimal("-12.34")]


@pytest.mark.parametrize("unit", ["", "   ", None])
def test_a_missing_unit_becomes_unallocated(unit: str | None) -> None:
    assert validate(cost(business_unit=unit), "cost").valid["business_unit"].to_list() == ["unallocated"]
    assert validate(cost().drop("business_unit"), "cost").valid["business_unit"].to_list() == ["unallocated"]


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("cost_amount", "NaN", "cost_amount is NaN or infinite"),
        ("cost_amount", "-inf", "cost_amount is NaN or infinite"),
        ("cost_amount", "12 USD", "cost_amount is not a number"),
        ("cost_amount", "0.1234567890123", "cost_amount has more than 12 digits after the point"),
        ("cost_amount", "", "cost_amount is missing"),
        ("timestamp", "2025-10-01T00:00:00", "timestamp has no time zone"),
        ("timestamp", "2025-10-01", "timestamp has no time zone"),
        ("timestamp", "soon", "timestamp is not an ISO 8601 time"),
        ("timestamp", None, "timestamp is missing"),
        ("timestamp", "2025-10-04T00:00:01Z", "timestamp is more than 2 days after it was observed"),
        ("observed_at", "2025-10-02 00:00:00", "observed_at has no time zone"),
        ("event_id", " ", "event_id is missing"),
        ("currency", "", "currency is missing"),
        ("currency", "EURO", "currency is not a code of three letters"),
        ("service", "x" * 4097, "service is longer than 4096 bytes"),
        ("service", "é" * 2049, "service is longer than 4096 bytes"),
        ("metadata", "x" * 65_537, "metadata is longer than 65536 bytes"),
    ],
)
def test_a_wrong_field_is_refused_with_its_reason(field: str, value: str | None, reason: str) -> None:
    assert refused(cost(**{field: value})) == [reason]


def test_two_days_ahead_is_not_yet_the_far_future() -> None:
    assert refused(cost(timestamp="2025-10-04T00:00:00Z")) == []


@pytest.mark.parametrize(
    ("share", "fine"), [("0", True), ("1", True), ("1.01", False), ("-0.1", False), ("NaN", False)]
)
def test_utilization_is_a_share(share: str, fine: bool) -> None:
    row = {"event_id": "1", "timestamp": "2025-10-01T00:00:00Z", "utilization": share, "currency": "USD"}
    assert refused(pl.DataFrame([row]), "resource") == ([] if fine else ["utilization is not a share between 0 and 1"])


def test_a_frame_without_any_column_of_the_kind_is_an_error() -> None:
    with pytest.raises(EventError, match=r"no column of a business event among \['x'\]"):
        validate(pl.DataFrame({"x": [1]}), "business")
    with pytest.raises(EventError, match=r"no event kind 'costs'; there are .* did you mean 'cost'"):
        validate(cost(), "costs")


def test_an_empty_frame_is_valid() -> None:
    for kind, schema in SCHEMAS.items():
        assert validate(pl.DataFrame(schema=schema), kind).valid.schema == schema
        assert from_json_lines(b"\n \n", kind).valid.schema == schema


def test_observed_at_is_filled_in_where_a_row_has_none() -> None:
    assert validate(cost(observed_at=None), "cost", observed_at=NOW).valid["observed_at"].to_list() == [NOW]


# JSON lines


def lines(*rows: dict[str, object] | bytes) -> bytes:
    return b"\n".join(row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows)


def test_an_amount_as_a_json_number_is_refused() -> None:
    valid, rejected = from_json_lines(lines(COST_EVENT, COST_EVENT | {"cost_amount": 12345678901234.123456789}), "cost")
    assert valid.height == 1
    assert rejected.select("row", "reason").rows() == [
        (1, "an amount is a JSON number, which loses digits; amounts travel as strings")
    ]


def test_a_number_within_the_metadata_is_no_amount() -> None:
    nested: dict[str, object] = COST_EVENT | {"metadata": {"cost_amount": 5}}
    assert from_json_lines(lines(nested), "cost").valid["metadata"].to_list() == ['{"cost_amount": 5}']


@pytest.mark.parametrize(
    "broken", [b'{"event_id": "1"', b"[]", b"null", b'{"event_id": NaN}', b"{'a': 1}", b"\xff\xfe", b'{"a":' * 5000]
)
def test_one_bad_line_among_ten_thousand_costs_nothing_else(broken: bytes) -> None:
    given_lines: list[dict[str, object] | bytes] = [COST_EVENT | {"event_id": str(i)} for i in range(9_999)]
    given_lines.insert(7_000, broken)
    valid, rejected = from_json_lines(lines(*given_lines), "cost")
    assert valid["event_id"].to_list() == [str(i) for i in range(9_999)]
    assert rejected.select("row", "reason").rows() == [(7_000, "is not a JSON object")]
    assert rejected["record"][0] == broken.decode(errors="replace")


def test_rows_of_json_lines_are_counted_without_blank_ones() -> None:
    wrong = COST_EVENT | {"cost_amount": "x"}
    rejected = from_json_lines(lines(COST_EVENT, b"", b"no", b"  ", wrong, COST_EVENT), "cost").rejected
    assert rejected.select("row", "reason").rows() == [(1, "is not a JSON object"), (2, "cost_amount is not a number")]


def test_noise_is_refused_line_by_line_in_reasonable_time() -> None:
    noise = b"\n".join(b"noise %d" % i for i in range(20_000))
    valid, rejected = from_json_lines(noise, "cost")
    assert valid.is_empty()
    assert rejected.height == 20_000


def test_json_lines_hold_amounts_as_strings_and_times_with_their_zone() -> None:
    line = json.loads(to_json_lines(validate(cost(), "cost").valid))
    assert line["cost_amount"] == "1.500000000000"
    assert line["timestamp"] == "2025-10-01T00:00:00.000000Z"


def test_the_schemas_share_their_common_fields() -> None:
    for schema in (COST, BUSINESS, RESOURCE):
        assert {"event_id", "timestamp", "event_type", "business_unit", "currency", "observed_at", "loaded_at"} <= set(
            schema
        )
