"""Return within half an hour: each side summed before the two meet."""

from collections import defaultdict
from datetime import datetime, timedelta
from decimal import Decimal

import polars as pl
from hypothesis import given, settings

from tests.streaming.processors.streams import START, cost, minutes, revenue, run, streams
from workbench.streaming.processors import Roi

TOPIC = "finops.roi.calculations"
KEY = ["business_unit", "currency", "timestamp"]


def bucket_of(time: datetime) -> datetime:
    return time - timedelta(minutes=time.minute % 5, seconds=time.second, microseconds=time.microsecond)


def told(records: pl.DataFrame, *columns: str) -> list[tuple[object, ...]]:
    return records.select(((pl.col("timestamp") - START).dt.total_minutes()).alias("at"), *columns).rows()


@settings(max_examples=25)
@given(streams(most=25))
def test_the_last_revisions_are_what_counting_event_by_event_gives(events: dict[str, pl.DataFrame]) -> None:
    records, _ = run(Roi(horizon=timedelta(days=9)), [events])
    last = records.sort("revision").unique(KEY, keep="last")
    sides = {"cost": events["cost"]["cost_amount"], "business": events["business"]["revenue_impact"]}
    sums: dict[object, list[Decimal]] = defaultdict(lambda: [Decimal(0), Decimal(0)])
    seen = [(kind, row, amount) for kind, amounts in sides.items()
            for row, amount in zip(events[kind].rows(named=True), amounts, strict=True)]  # fmt: skip
    for _, row, _ in seen:
        start = bucket_of(row["timestamp"])
        key = (row["business_unit"], row["currency"], start)
        if key in sums:
            continue
        for kind, other, amount in seen:
            near = start - minutes(30) <= other["timestamp"] < start + minutes(30)
            if near and (other["business_unit"], other["currency"]) == key[:2]:
                sums[key][kind == "business"] += amount
    assert {row[:3]: list(row[3:]) for row in last.select(*KEY, "cost", "revenue").rows()} == sums


@settings(max_examples=25)
@given(streams())
def test_the_deltas_add_up_to_all_cost_and_revenue_by_currency(events: dict[str, pl.DataFrame]) -> None:
    records, _ = run(Roi(horizon=minutes(15)), [events])
    found = records.group_by("currency").agg(pl.sum("delta_cost", "delta_revenue"))
    for currency, spent, earned in found.rows():
        mine = {kind: events[kind].filter(currency=currency) for kind in ("cost", "business")}
        assert spent == mine["cost"]["cost_amount"].sum()
        assert earned == mine["business"]["revenue_impact"].sum()
    assert found.height == pl.concat([events["cost"]["currency"], events["business"]["currency"]]).n_unique()


def test_a_cost_counts_once_however_many_sales_are_near() -> None:
    events = {"cost": cost((0, "10")), "business": revenue(*((number, "1") for number in range(5)))}
    records, _ = run(Roi(), [events])
    assert told(records, "cost", "revenue", "gain", "roi", "cost_events", "revenue_events") == [
        (0, 10, 5, -5, -0.5, 1, 5)
    ]


def test_half_an_hour_before_is_near_and_half_an_hour_after_is_not() -> None:
    events = {"cost": cost((60, "8")), "business": revenue((29.9, "1"), (30, "2"), (89.9, "4"), (90, "8"))}
    records, _ = run(Roi(), [events])
    assert [row for row in told(records, "cost", "revenue") if row[0] == 60] == [(60, 8, 6)]


def test_without_cost_there_is_no_return() -> None:
    events = {"cost": cost((0, "-3"), (100, "0")), "business": revenue((0, "9"), (100, "9"), (200, "9"))}
    records, _ = run(Roi(), [events])
    assert told(records, "roi", "roi_percentage") == [(0, None, None), (100, None, None), (200, None, None)]
    assert records["gain"].to_list() == [12, 9, 9]


def test_units_and_currencies_never_meet() -> None:
    events = {
        "cost": cost((0, "1")),
        "business": pl.concat([revenue((0, "9"), currency="EUR"), revenue((0, "9"), unit="data")]),
    }
    records, _ = run(Roi(), [events])
    assert sorted(records.select("cost", "revenue").rows()) == [(0, 9), (0, 9), (1, 0)]


def test_the_articles_floors_leave_out_small_costs_and_refunds() -> None:
    events = {"cost": cost((0, "50"), (1, "50.01"), (2, "100")), "business": revenue((0, "0"), (1, "-5"), (2, "30"))}
    records, _ = run(Roi.article(), [events])
    assert told(records, "cost", "revenue", "cost_events", "revenue_events") == [(0, Decimal("150.01"), 30, 2, 1)]


def test_a_late_cost_corrects_every_window_that_it_is_near_to() -> None:
    parts = [
        {"cost": cost((0, "10"), (30, "10"), (120, "0")), "business": revenue((0, "40"), (120, "0"))},
        {"cost": cost((20, "5"), (130, "0")), "business": revenue((130, "0"))},
    ]
    records, _ = run(Roi(), parts, close=False)
    assert told(records, "cost", "revision") == [(0, 10, 0), (30, 20, 0), (0, 15, 1), (20, 25, 1), (30, 25, 1)]
    assert records["delta_cost"].to_list() == [10, 10, 0, 5, 0]


def test_it_waits_for_the_slower_side_until_that_has_been_idle() -> None:
    roi = Roi(idle=minutes(1))
    spending = [{"cost": cost((0, "10"), (300, "1"))}, {"cost": cost((305, "1"))}]
    records, state = run(roi, spending[:1], close=False)
    assert records.is_empty()
    outputs, state = roi.advance(state, START)
    assert outputs[TOPIC].is_empty()
    _, state = roi.step(spending[1], state)
    outputs, state = roi.advance(state, START + minutes(1))
    assert told(outputs[TOPIC], "cost", "revenue") == [(0, 10, 0)]
    earned, _ = run(roi, [{"business": revenue((10, "7"))}], state)
    assert told(earned, "cost", "revenue", "revision")[:2] == [(0, 10, 7, 1), (10, 10, 7, 1)]


def test_an_idle_side_follows_the_other_and_does_not_run_ahead_by_the_clock() -> None:
    roi = Roi(idle=minutes(1))
    _, state = run(roi, [{"cost": cost((0, "1")), "business": revenue((0, "1"))}], close=False)
    _, state = roi.advance(state, START)
    _, state = roi.step({"cost": cost((50, "1"))}, state)
    outputs, state = roi.advance(state, START + minutes(600))
    assert told(outputs[TOPIC], "cost", "revenue") == [(0, 1, 1)]
    assert set(state["marks"].filter(kind="business")["seen"]) == set(state["marks"].filter(kind="cost")["seen"])


def test_a_side_that_runs_far_ahead_does_not_wait_for_ever_and_no_sum_is_lost() -> None:
    roi = Roi(ahead=timedelta(hours=6))
    spent, earned = (side(*((10 * number, "1") for number in range(600))) for side in (cost, revenue))
    _, state = run(roi, [{"cost": spent}], close=False)
    assert sum(rows.height for rows in state.frames.values()) < 300
    parts = [{"cost": spent}, {"business": earned[:300]}, {"business": earned[300:]}]
    records, _ = run(roi, parts)
    assert records.select(pl.sum("delta_cost", "delta_revenue")).row(0) == (600, 600)
    within = records.filter(~pl.col("beyond_horizon"))
    assert within.unique([*KEY, "revision"]).height == within.height


def test_within_that_distance_it_does_not_matter_which_side_is_read_first() -> None:
    spent, earned = (side(*((10 * number, "1") for number in range(100))) for side in (cost, revenue))
    together, _ = run(Roi(), [{"cost": spent, "business": earned}])
    for parts in ([{"cost": spent}, {"business": earned}], [{"business": earned}, {"cost": spent}]):
        assert run(Roi(), parts)[0].equals(together)
