"""Parting right rows from refused ones."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from workbench.checking import split, when

FAULTS = [("a", when(pl.col("a") < 0, "a is negative")), ("b", when(pl.col("b").is_null(), "b is missing"))]


@given(st.lists(st.tuples(st.integers(-3, 3), st.sampled_from(["x", None])), max_size=30))
def test_every_row_is_in_exactly_one_of_the_two(rows: list[tuple[int, str | None]]) -> None:
    frame = pl.DataFrame(rows, schema={"a": pl.Int64, "b": pl.String}, orient="row")
    valid, rejected = split(frame, frame, FAULTS)
    kept = [row for row in rows if row[0] >= 0 and row[1] is not None]
    assert valid.rows() == kept
    refused = [at for at, row in enumerate(rows) if row[0] < 0 or row[1] is None]
    assert rejected["row"].to_list() == refused
    assert [tuple(json.loads(record).values()) for record in rejected["record"]] == [
        (str(rows[at][0]), rows[at][1]) for at in refused
    ]


def test_the_first_fault_names_the_reason_and_the_value() -> None:
    frame = pl.DataFrame({"a": [-1, 1], "b": [None, None]}, schema_overrides={"b": pl.String})
    rejected = split(frame, frame, FAULTS).rejected
    assert rejected["reason"].to_list() == ["a is negative", "b is missing"]
    assert rejected["value"].to_list() == ["-1", None]


def test_a_fault_may_be_a_column_of_reasons() -> None:
    frame = pl.DataFrame({"a": [1, 2]})
    rejected = split(frame, frame, [("a", pl.Series([None, "a is even"]))]).rejected
    assert rejected.select("row", "reason", "value").rows() == [(1, "a is even", "2")]


def test_the_record_holds_all_of_a_row_however_long_and_of_whatever_type() -> None:
    long = "x" * 100_000
    given_rows = pl.DataFrame(
        {
            "a": [-1],
            "text": [long],
            "amount": [Decimal("12345678901234.123456789012")],
            "time": [datetime(2025, 10, 1, tzinfo=UTC)],
            "nested": [{"k": ["v"]}],
            "nan": [float("nan")],
        }
    )
    rejected = split(given_rows, given_rows, FAULTS[:1]).rejected
    record = json.loads(rejected["record"][0])
    assert record["text"] == long
    assert record["amount"] == "12345678901234.123456789012"
    assert record["nested"] == '{"k":["v"]}'
    assert record["nan"] == "NaN"


def test_a_long_value_is_shown_by_its_beginning() -> None:
    frame = pl.DataFrame({"a": ["x" * 1000]})
    rejected = split(frame, frame, [("a", when(pl.col("a").str.len_bytes() > 5, "a is long"))]).rejected
    assert rejected["value"][0] == "x" * 200


def test_a_fault_in_a_column_that_was_not_given_has_no_value() -> None:
    typed = pl.DataFrame({"a": [1], "b": [None]}, schema_overrides={"b": pl.String})
    rejected = split(typed, typed.select("a"), FAULTS).rejected
    assert rejected.select("reason", "value").rows() == [("b is missing", None)]
