"""Ids: the same for ever and everywhere."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

import polars as pl
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from workbench import events
from workbench.errors import EventError
from workbench.focus import TIME
from workbench.keys import ids

texts = st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12))
moments = st.datetimes(datetime(1970, 1, 1), datetime(2025, 10, 31), timezones=st.just(UTC))  # noqa: DTZ001


def test_an_id_is_the_hash_of_the_joined_text_and_nothing_else() -> None:
    frame = pl.DataFrame({"a": ["x", None, "z"], "t": [datetime(2025, 10, 1, tzinfo=UTC)] * 3, "b": ["1", "2", None]})
    seconds = int(datetime(2025, 10, 1, tzinfo=UTC).timestamp())
    keys = [f"x\x1f{seconds}\x1f1", f"\x1f{seconds}\x1f2", f"z\x1f{seconds}"]
    assert ids(frame, ["a", "t", "b"]).to_list() == [xxhash.xxh3_128_hexdigest(key.encode()) for key in keys]


GOLDEN_IDS = [
    "8cbfdbd6abbfa390dc115e1d7993254a",
    "0ee36c3beeec49a778cc518da35994f9",
    "be07e5d354bc1324ea148c13bfb3be3a",
]


def test_ids_never_change() -> None:
    frame = pl.DataFrame(
        {
            "text": ["Amazon EC2", "größer", None],
            "time": pl.Series([datetime(2025, 10, 1, tzinfo=UTC), datetime(1969, 12, 31, tzinfo=UTC), None]),
            "number": [7, None, -1],
            "amount": pl.Series([Decimal("1.5"), None, Decimal(0)], dtype=pl.Decimal(38, 12)),
        }
    )
    assert ids(frame, frame.columns).to_list() == GOLDEN_IDS


def test_a_column_added_at_the_end_changes_no_id_of_rows_that_lack_it() -> None:
    frame = pl.DataFrame({"a": ["x", "y"], "b": [None, "1"], "c": [None, None]}, schema_overrides={"c": pl.String})
    before, after = ids(frame, ["a", "b"]), ids(frame, ["a", "b", "c"])
    assert before.to_list() == after.to_list()
    assert ids(frame, ["a"])[0] == before[0]


def test_the_place_of_a_value_counts() -> None:
    frame = pl.DataFrame({"a": ["x", None], "b": [None, "x"]})
    assert ids(frame, ["a", "b"]).n_unique() == 2
    assert ids(frame, ["a", "b"])[0] != ids(frame, ["b", "a"])[0]


@given(st.lists(st.tuples(texts, texts, moments), min_size=1, max_size=10), st.randoms())
def test_an_id_depends_on_its_row_alone(rows: list[tuple[str | None, str | None, datetime]], shuffle: Random) -> None:
    frame = pl.DataFrame(rows, schema={"a": pl.String, "b": pl.String, "t": TIME}, orient="row")
    whole = ids(frame, ["a", "b", "t"]).to_list()
    order = list(range(len(rows)))
    shuffle.shuffle(order)
    assert ids(frame[order], ["a", "b", "t"]).to_list() == [whole[at] for at in order]
    assert [ids(frame[at : at + 1], ["a", "b", "t"])[0] for at in range(len(rows))] == whole


def test_rows_of_nothing_but_nulls_have_an_id_each() -> None:
    frame = pl.DataFrame({"a": [None, None]}, schema={"a": pl.String})
    assert ids(frame, ["a"]).to_list() == [xxhash.xxh3_128_hexdigest(b"")] * 2


def test_moments_within_a_second_differ() -> None:
    start = datetime(2025, 10, 1, tzinfo=UTC)
    frame = pl.DataFrame({"t": [start, start + timedelta(microseconds=1)]})
    assert ids(frame, ["t"]).n_unique() == 2


@pytest.mark.parametrize(
    "make", [lambda: ids(pl.DataFrame({"a": [0.1]}), ["a"]), lambda: ids(pl.DataFrame({"a": [1]}), [])]
)
def test_floats_and_nothing_make_no_id(make: Callable[[], object]) -> None:
    with pytest.raises(EventError, match="id"):
        make()


def test_an_empty_frame_has_no_ids_and_keys_of_any_length_have_theirs() -> None:
    frame = pl.DataFrame({"a": ["", "x" * 100_000, None, "y\x1f\x1f"]})
    keys = [b"", b"x" * 100_000, b"", b"y"]
    assert ids(frame, ["a"]).to_list() == [xxhash.xxh3_128_hexdigest(key) for key in keys]
    assert ids(frame.clear(), ["a"]).to_list() == []
    assert ids(frame[1:2], ["a"]).to_list() == [xxhash.xxh3_128_hexdigest(keys[1])]


def test_events_offer_them_too() -> None:
    assert events.ids is ids
