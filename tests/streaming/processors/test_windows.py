"""Cost by window: exact, whatever comes late."""

from collections import defaultdict
from datetime import timedelta
from decimal import Decimal

import polars as pl
from hypothesis import given, settings

from tests.streaming.processors.streams import START, UNITS, cost, frame, minutes, run, streams
from workbench.streaming.processors import Windows

WINDOW = ["business_unit", "currency", "window_start"]


def told(records: pl.DataFrame, *columns: str) -> list[tuple[object, ...]]:
    return records.select(columns or ("window_start", "total_cost", "delta_cost", "revision")).rows()


def at(count: float) -> object:
    return START + minutes(count)


@settings(max_examples=25)
@given(streams())
def test_the_deltas_of_all_records_add_up_to_the_exact_sum_of_all_events(events: dict[str, pl.DataFrame]) -> None:
    records, _ = run(Windows(horizon=minutes(15)), [events])
    sums: dict[object, Decimal] = defaultdict(Decimal)
    for time, unit, currency, amount, _ in events["cost"].rows():
        start = time - timedelta(minutes=time.minute % 5, seconds=time.second, microseconds=time.microsecond)
        sums[unit, currency, start] += amount
    found = records.group_by(WINDOW).agg(pl.sum("delta_cost"))
    assert {row[:3]: row[3] for row in found.rows()} == sums


@settings(max_examples=25)
@given(streams())
def test_the_last_revision_holds_the_sum_and_counts_what_came_late(events: dict[str, pl.DataFrame]) -> None:
    records, _ = run(Windows(lateness=minutes(10), horizon=timedelta(days=9)), [events])
    last = records.sort("revision").unique(WINDOW, keep="last")
    by_window = records.group_by(WINDOW).agg(pl.sum("delta_cost"), pl.len(), pl.max("revision"))
    both = last.join(by_window, on=WINDOW)
    assert (both["total_cost"] == both["delta_cost_right"]).all()
    assert records.unique([*WINDOW, "revision"]).height == records.height
    assert last["events"].sum() == events["cost"].height
    mark, late = None, 0
    for (time,) in events["cost"].select("timestamp").rows():
        mark = max(mark or time, time)
        late += mark.timestamp() // 300 - time.timestamp() // 300 > 2
    assert last["late_events"].sum() == late


def test_an_event_on_a_border_belongs_to_the_window_that_begins() -> None:
    records, _ = run(Windows(), [{"cost": cost((0, "1"), (4.999999, "2"), (5, "4"))}])
    assert told(records) == [(at(0), 3, 3, 0), (at(5), 4, 4, 0)]
    assert records["window_end"].to_list() == [at(5), at(10)]


def test_a_window_closes_when_the_watermark_reaches_its_end_and_the_lateness() -> None:
    events = [{"cost": cost((0, "1"), (9.999999, "2"))}, {"cost": cost((10, "4"))}]
    before, state = run(Windows(), events[:1], close=False)
    after, _ = run(Windows(), events[1:], state, close=False)
    assert before.is_empty()
    assert told(after, "window_start", "total_cost", "closed_at") == [(at(0), 1, at(10))]


def test_a_late_event_corrects_its_window_when_the_window_of_its_arrival_is_over() -> None:
    events = cost((0, "1.5"), (11, "1"), (4, "0.000000000001"), (3, "-7"), (16, "1"))
    records, _ = run(Windows(), [{"cost": events}], close=False)
    assert told(records, "window_start", "total_cost", "delta_cost", "revision", "late_events") == [
        (at(0), Decimal("1.5"), Decimal("1.5"), 0, 0),
        (at(0), Decimal("-5.499999999999"), Decimal("-6.999999999999"), 1, 2),
    ]


def test_a_window_of_latecomers_alone_has_corrections_alone() -> None:
    records, _ = run(Windows(), [{"cost": cost((60, "1"), (0, "2"), (70, "1"))}], close=False)
    assert told(records) == [(at(0), 2, 2, 1), (at(60), 1, 1, 0)][:2]


def test_beyond_the_horizon_a_late_event_is_a_record_of_its_own_with_the_delta_only() -> None:
    windows = Windows(horizon=minutes(60))
    in_time, _ = run(windows, [{"cost": cost((0, "1"), (69, "0"), (0, "2"))}])
    beyond, state = run(
        windows, [{"cost": cost((0, "1"), (70, "0"), (0, "2"), (75, "0"), (0, "3"), (80, "0"))}], close=False
    )
    assert told(in_time, "total_cost", "delta_cost", "revision", "beyond_horizon")[1] == (3, 2, 1, False)
    assert told(beyond.filter("beyond_horizon"), "window_start", "total_cost", "delta_cost", "events", "revision") == [
        (at(0), None, 2, 1, None),
        (at(0), None, 3, 1, None),
    ]
    assert at(0) not in [START + minutes(5 * (bucket - 5865696)) for bucket in state["closed"]["bucket"]]


def test_amounts_of_many_digits_are_exact() -> None:
    large, small = "12345678901234567890.123456789012", "0.000000000001"
    records, _ = run(Windows(), [{"cost": cost((0, large), (1, small), (2, f"-{large}"), (3, small))}])
    assert records["total_cost"].to_list() == [Decimal("0.000000000002")]


def test_two_currencies_and_odd_units_are_kept_apart() -> None:
    rows = [
        (0, Decimal(number), unit, currency, None) for number, unit in enumerate(UNITS) for currency in ("USD", "EUR")
    ]
    records, _ = run(Windows(), [{"cost": frame("cost", rows)}])
    found = {
        (unit, currency): total for unit, currency, total in told(records, "business_unit", "currency", "total_cost")
    }
    assert found == {(unit, currency): number for number, unit in enumerate(UNITS) for currency in ("USD", "EUR")}


def test_services_are_kept_apart_when_asked() -> None:
    events = pl.concat([cost((0, "1")), cost((1, "2"), service="storage")])
    records, _ = run(Windows(by_service=True), [{"cost": events}])
    assert told(records, "service", "total_cost") == [("compute", 1), ("storage", 2)]


def test_any_unit_moves_the_watermark_of_the_partition() -> None:
    events = pl.concat([cost((0, "1"), unit="quiet"), cost((10, "2"), unit="busy")])
    records, _ = run(Windows(), [{"cost": events}], close=False)
    assert told(records, "business_unit", "total_cost") == [("quiet", 1)]


def test_the_last_window_closes_by_the_clock_once_nothing_came_for_a_while() -> None:
    windows = Windows(idle=minutes(2))
    _, state = run(windows, [{"cost": cost((3, "1"))}], close=False)
    now = START + timedelta(days=30)  # whatever the clock says: it counts how long it waits only
    for waited, closed in ((0, 0), (1, 0), (6, 0), (7, 1), (60, 0)):
        outputs, state = windows.advance(state, now + minutes(waited))
        assert outputs["finops.cost.aggregations"].height == closed, waited
    records, _ = run(windows, [{"cost": cost((4, "2"), (70, "0"))}], state, close=False)
    assert told(records) == [(at(0), 3, 2, 1)], "what comes after it was closed is a correction"


def test_event_time_goes_on_as_fast_as_the_clock_and_not_faster() -> None:
    windows = Windows(lateness=minutes(60), idle=minutes(2))
    _, state = run(windows, [{"cost": cost((0, "1"), (10, "1"), (62, "1"))}], close=False)
    for waited, closed in ((0, 0), (3, 1), (12, 0), (13, 1)):
        outputs, state = windows.advance(state, START + minutes(waited))
        assert outputs["finops.cost.aggregations"].height == closed, waited


def test_events_make_the_clock_wait_again() -> None:
    windows = Windows(idle=minutes(2))
    state = windows.empty()
    for number in range(20):
        _, state = windows.step({"cost": cost((4, "1"))}, state)
        for seconds in (0, 60):
            outputs, state = windows.advance(state, START + minutes(3 * number) + timedelta(seconds=seconds))
            assert not outputs["finops.cost.aggregations"].height


def test_a_watermark_moved_by_the_clock_outlives_a_restart() -> None:
    windows = Windows()
    _, state = run(windows, [{"cost": cost((0, "1"))}], close=False)
    for waited in (0, 30):
        _, state = windows.advance(state, START + minutes(waited))
    restored = windows.restore(state.snapshots)
    late = {"cost": cost((1, "2"), (40, "0"))}
    assert run(windows, [late], restored)[0].equals(run(windows, [late], state)[0])


def test_the_state_does_not_grow_with_history() -> None:
    windows, heights = Windows(horizon=minutes(60)), []
    state = windows.empty()
    for day in range(4):
        events = cost(*((day * 1440 + 5 * number, "1") for number in range(288)))
        _, state = windows.step({"cost": events}, state)
        heights.append(sum(rows.height for rows in state.frames.values()))
    assert len(set(heights)) == 1
    assert heights[0] < 20
