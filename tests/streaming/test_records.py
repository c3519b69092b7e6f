"""The records of the output topics: they come back as the processors told them, and the wrong ones say why."""

import json
from collections.abc import Mapping
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from tests.streaming.processors.streams import cost, mine, processors, streams
from workbench.errors import EventError
from workbench.streaming import replay
from workbench.streaming.feed import values_of
from workbench.streaming.processors import Windows
from workbench.streaming.records import RECORDS, decode_records, read_records
from workbench.streaming.topics import OUTPUTS

TOPIC = "finops.cost.aggregations"
HEADERS = [("schema_version", b"1")]


class _Message:
    """What a consumer hands over."""

    def __init__(self, value: bytes | None, headers: list[tuple[str, bytes]] | None = HEADERS, offset: int = 0) -> None:
        self._value, self._headers, self._offset = value, headers, offset

    def value(self) -> bytes | None:
        return self._value

    def headers(self) -> list[tuple[str, bytes]] | None:
        return self._headers

    def key(self) -> bytes:
        return b"shop"

    def topic(self) -> str:
        return TOPIC

    def partition(self) -> int:
        return 2

    def offset(self) -> int:
        return self._offset

    def __len__(self) -> int:
        return len(self._value or b"")


def told() -> list[dict[str, Any]]:
    """Two windows as JSON objects."""
    records = replay(cost((1, "1.25"), (7, "0.000000000001")), Windows())[TOPIC]
    return [json.loads(value) for value in values_of(records).values]


def refused(value: bytes, topic: str = TOPIC) -> str:
    [reason] = read_records([value], topic).rejected["reason"].to_list()
    return str(reason)


def test_every_topic_with_records_is_an_output_topic() -> None:
    assert set(RECORDS) <= {topic.name for topic in OUTPUTS}


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(streams())
def test_what_any_processor_tells_comes_back_the_same(events: Mapping[str, pl.DataFrame]) -> None:
    for processor in processors():
        for topic, records in replay(mine(processor, events), processor).items():
            checked = read_records(values_of(records).values, topic)
            assert checked.rejected.is_empty()
            # A column that the processor leaves out (the service, where all are one window) is null.
            assert_frame_equal(checked.valid.select(records.columns), records)
            assert checked.valid.schema == RECORDS[topic]


def test_amounts_keep_their_last_digit_and_a_json_number_is_refused() -> None:
    given = told()
    assert read_records([json.dumps(given[1]).encode()], TOPIC).valid["delta_cost"].to_list() == [
        cost((0, "0.000000000001"))["cost_amount"][0]
    ]
    assert "JSON number" in refused(json.dumps(given[0] | {"delta_cost": 1.25}).encode())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"delta_cost": None}, "delta_cost is missing"),
        ({"delta_cost": "1.0000000000001"}, "more than 12 digits"),
        ({"business_unit": None}, "business_unit is missing"),
        ({"currency": "dollars"}, "three letters"),
        ({"window_start": "2025-10-06T00:00:00"}, "no time zone"),
        ({"window_end": "2025-10-06T00:00:00Z"}, "not after window_start"),
        ({"closed_at": "soon"}, "not an ISO 8601 time"),
        ({"events": "many"}, "events is not a whole number"),
        ({"beyond_horizon": "perhaps"}, "neither true nor false"),
    ],
)
def test_a_record_that_is_wrong_is_refused_with_its_reason(change: dict[str, Any], said: str) -> None:
    assert said in refused(json.dumps(told()[0] | change).encode())


@pytest.mark.parametrize("value", [b"[]", b"nothing", b'"text"', b"\xff\xfe", b'{"business_unit": '])
def test_what_is_no_object_is_refused(value: bytes) -> None:
    assert refused(value) == "is not a JSON object"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=60), st.sampled_from(["good", "none"])), max_size=12))
def test_every_message_is_a_record_or_a_dead_letter(given: list[bytes | str]) -> None:
    good = json.dumps(told()[0]).encode()
    values = [good if value == "good" else None if value == "none" else value for value in given]
    messages = [_Message(value, offset=at) for at, value in enumerate(values)]  # type: ignore[arg-type]
    decoded = decode_records(messages, TOPIC)
    assert decoded.read == len(messages) == decoded.valid.height + len(decoded.dead)
    assert decoded.valid.height == given.count("good")
    assert sorted(letter.offset for letter in decoded.dead) == [at for at, value in enumerate(given) if value != "good"]
    assert all(letter.value == values[letter.offset] and letter.reason for letter in decoded.dead)


def test_another_version_is_a_dead_letter_as_it_came() -> None:
    value = json.dumps(told()[0]).encode()
    decoded = decode_records(
        [_Message(value, [("schema_version", b"2")]), _Message(value, None), _Message(value)], TOPIC
    )
    assert decoded.valid.height == 1
    assert [letter.value for letter in decoded.dead] == [value, value]
    assert {letter.reason for letter in decoded.dead} == {
        "no schema_version 1 in the header, which is the one that is known"
    }


def test_a_topic_without_records_is_an_error_that_names_them() -> None:
    with pytest.raises(
        EventError, match=r"no records in 'finops\.cost\.anomaly'.*did you mean 'finops\.cost\.anomalies'"
    ):
        decode_records([], "finops.cost.anomaly")
