"""History through the code that runs live."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from tests.streaming.processors.streams import cost, mine, processors, revenue, streams
from workbench.errors import EventError
from workbench.streaming import replay
from workbench.streaming.processors import Roi, Rule, Spikes, Windows

pytestmark = pytest.mark.slow


@settings(max_examples=5)
@given(streams(), st.integers(1, 50))
def test_the_size_of_the_batches_changes_nothing(events: dict[str, pl.DataFrame], rows: int) -> None:
    for processor in processors():
        for close in (True, False):
            whole = replay(mine(processor, events), processor, close=close)
            parts = replay(mine(processor, events), processor, rows, close=close)
            assert whole.keys() == parts.keys()
            for topic, records in whole.items():
                assert_frame_equal(parts[topic], records)


def test_a_month_is_judged_again_with_other_thresholds() -> None:
    events = cost(*((5 * number, "10") for number in range(30)), (150, "35"), (155, "10"))
    strict, mild = Spikes(rule=Rule(ratio=2)), Spikes(rule=Rule(ratio=5))
    assert replay(events, strict)["finops.cost.anomalies"].height == 1
    assert replay(events, mild)["finops.cost.anomalies"].height == 0


def test_what_is_open_at_the_end_is_told_of_unless_more_may_come() -> None:
    assert replay(cost((0, "1")), Windows())["finops.cost.aggregations"].height == 1
    assert replay(cost((0, "1")), Windows(), close=False)["finops.cost.aggregations"].height == 0


def test_of_two_kinds_one_may_be_missing() -> None:
    [records] = replay({"cost": cost((0, "1"))}, Roi()).values()
    assert records.select("cost", "revenue").rows() == [(1, 0)]
    [records] = replay({}, Roi()).values()
    assert records.is_empty()


def test_a_wrong_call_says_what_is_right() -> None:
    with pytest.raises(EventError, match="'roi' reads several kinds of events \\(cost, business\\)"):
        replay(cost((0, "1")), Roi())
    with pytest.raises(EventError, match="'windows' reads no business events, but cost"):
        replay({"business": revenue((0, "1"))}, Windows())
    with pytest.raises(EventError, match="batch_rows is 0"):
        replay(cost((0, "1")), Windows(), 0)
