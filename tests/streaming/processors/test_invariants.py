"""What holds for every processor, whatever comes."""

from datetime import timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from polars.testing import assert_frame_equal

from tests.streaming.processors.streams import START, UNITS, cost, cut, cuts, frame, mine, processors, run, streams
from workbench.errors import EventError
from workbench.streaming.processors import Processor, Windows, changed

EACH = pytest.mark.parametrize("processor", processors(), ids=lambda each: f"{each.name}")
few = settings(max_examples=8)

Events = dict[str, pl.DataFrame]


@EACH
@few
@given(streams(), cuts)
def test_however_a_stream_is_cut_the_records_are_the_same_in_the_same_order(
    processor: Processor, events: Events, places: dict[str, list[float]]
) -> None:
    whole, after_all = run(processor, [mine(processor, events)], close=False)
    parts, after_parts = run(processor, cut(mine(processor, events), places), close=False)
    assert_frame_equal(parts, whole)
    assert_frame_equal(run(processor, [], after_parts)[0], run(processor, [], after_all)[0])


@EACH
@few
@given(streams(), cuts)
def test_a_state_from_its_snapshots_goes_on_as_if_nothing_had_happened(
    processor: Processor, events: Events, places: dict[str, list[float]]
) -> None:
    state, told, written = processor.empty(), [], {}
    for batch in cut(mine(processor, events), places):
        records, after = run(processor, [batch], state, close=False)
        written |= changed(state, after)
        assert written == after.snapshots, "what did not change was written before"
        state = processor.restore(written)
        assert state.snapshots == after.snapshots
        told.append(records)
    told.append(run(processor, [], state)[0])
    assert_frame_equal(pl.concat(told), run(processor, [mine(processor, events)])[0])


@EACH
@few
@given(streams())
def test_units_on_two_partitions_give_the_records_of_one_where_nothing_is_late(
    processor: Processor, events: Events
) -> None:
    events = {kind: rows.sort("timestamp") for kind, rows in mine(processor, events).items()}
    together, _ = run(processor, [events])
    apart = [
        run(processor, [{kind: rows.filter(here) for kind, rows in events.items()}])[0]
        for here in (pl.col("business_unit").is_in(UNITS[:2]), ~pl.col("business_unit").is_in(UNITS[:2]))
    ]
    order = together.columns
    assert_frame_equal(pl.concat(apart).sort(order), together.sort(order))


@EACH
def test_an_empty_batch_changes_nothing(processor: Processor) -> None:
    empty = {kind: frame(kind, []) for kind in processor.kinds}
    for batch in ({}, empty):
        outputs, state = processor.step(batch, processor.empty())
        assert state.snapshots == {}
        assert [records.height for records in outputs.values()] == [0]
    outputs, _ = processor.close(processor.empty())
    assert not any(records.height for records in outputs.values())


@EACH
def test_events_of_other_kinds_are_left_alone(processor: Processor) -> None:
    others = {kind: frame(kind, []) for kind in {"cost", "business", "resource"} - set(processor.kinds)}
    assert processor.step(others, processor.empty())[1].snapshots == {}


def test_a_frame_that_lacks_a_column_or_has_other_times_is_refused_by_name() -> None:
    processor = Windows()
    with pytest.raises(EventError, match="the events have no currency"):
        processor.step({"cost": cost((0, "1")).drop("currency")}, processor.empty())
    other = cost((0, "1")).with_columns(pl.col("timestamp").dt.cast_time_unit("ms"))
    with pytest.raises(EventError, match="timestamp is Datetime"):
        processor.step({"cost": other}, processor.empty())


def test_a_lateness_that_is_no_whole_number_of_buckets_is_refused() -> None:
    with pytest.raises(EventError, match="a lateness of 0:07:00 is not a whole number of buckets of 0:05:00"):
        run(Windows(lateness=timedelta(minutes=7)), [{"cost": cost((0, "1"))}])
    with pytest.raises(EventError, match="has no time zone"):
        Windows().advance(Windows().empty(), START.replace(tzinfo=None))
