"""Right-sizing: what use calls for, in money, and advice that does not flap."""

from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.streaming.processors.streams import START, frame, hours, minutes, run
from workbench.errors import EventError
from workbench.streaming.processors import Limits, RightSizing
from workbench.streaming.processors.utilisation import (
    DOWNSIZE,
    KEEP,
    SCHEDULE,
    TERMINATE,
    UPSIZE,
    Use,
    advise,
    confidence,
    held,
)

DAY = 24
PRICES = pl.DataFrame(
    {
        "resource_type": ["small", "large", "huge"],
        "currency": ["USD"] * 3,
        "price_hour": [Decimal("0.1"), Decimal("0.25"), Decimal(1)],
        "smaller": [None, "small", "large"],
        "larger": ["large", "huge", None],
    }
)
OFFICE = [0.6 if 8 <= hour < 18 else 0.0 for hour in range(DAY)]
WEEK = OFFICE * 5 + [0.0] * 48


def advice(*events: pl.DataFrame, **more: Any) -> pl.DataFrame:
    return run(RightSizing(**more), [{"resource": pl.concat(events).sort("timestamp", maintain_order=True)}])[0]


def told(records: pl.DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    day = ((pl.col("window_end") - START).dt.total_days()).alias("day")
    return records.select(day, "previous_action", "action", *columns).rows()


@pytest.mark.parametrize(
    ("uses", "action", "listed", "estimated", "target"),
    [
        ([0.01] * DAY * 14, "terminate", "182.5", "365", None),
        ([0.3] * DAY * 14, "downsize", "109.5", "182.5", "small"),
        ([0.9] * DAY * 14, "upsize", "-547.5", "-365", "huge"),
        # 118 of 168 hours of the week are off: 513 of 730 hours of a month.
        (WEEK * 2, "schedule-off", "128.25", "256.5", None),
    ],
)
def test_each_advice_has_its_monthly_saving_to_the_cent(
    uses: list[float], action: str, listed: str, estimated: str, target: str | None
) -> None:
    by_table = advice(hours("i-1", uses), prices=PRICES).tail(1)
    assert told(by_table, "monthly_saving", "target_type")[0][2:] == (action, Decimal(listed), target)
    assert by_table["hourly_price"].to_list() == [Decimal("0.25")]
    by_estimate = advice(hours("i-1", uses)).tail(1)
    assert told(by_estimate, "monthly_saving", "target_type")[0][2:] == (action, Decimal(estimated), None)


def test_moderate_use_calls_for_nothing() -> None:
    assert advice(hours("i-1", [0.6] * DAY * 20)).is_empty()


def test_the_busiest_hours_count_not_the_mean() -> None:
    bursts = ([0.1] * 21 + [0.9] * 3) * 20
    assert advice(hours("i-1", bursts))["action"].to_list() == ["upsize"]
    assert advice(hours("i-1", bursts), limits=Limits(quantile=0.85))["action"].to_list() == ["downsize"]


def test_nothing_is_said_before_half_the_window_is_known_and_twice_on_two_days_running() -> None:
    records = advice(hours("i-1", [0.3] * DAY * 20))
    assert told(records, "coverage") == [(8, "keep", "downsize", pytest.approx(8 / 14))]


def test_the_smallest_size_is_not_made_smaller_nor_the_largest_larger() -> None:
    small = hours("i-1", [0.2] * DAY * 14).with_columns(resource_type=pl.lit("small"))
    huge = hours("i-2", [0.95] * DAY * 14).with_columns(resource_type=pl.lit("huge"))
    assert advice(small, huge, prices=PRICES).is_empty()


def test_use_around_a_limit_does_not_make_the_advice_flap() -> None:
    rng = np.random.default_rng(5)
    around = np.repeat(rng.choice([0.38, 0.42], 60), DAY).tolist()
    calm = advice(hours("i-1", around), window=2 * minutes(1440))
    nervous = advice(hours("i-1", around), window=2 * minutes(1440), limits=Limits(slack=0, hold=1))
    assert calm["action"].to_list() == ["downsize"]
    assert nervous.height > 5


def test_advice_that_no_longer_holds_is_taken_back() -> None:
    records = advice(hours("i-1", [0.3] * DAY * 14 + [0.6] * DAY * 10))
    assert [row[1:3] for row in told(records)] == [("keep", "downsize"), ("downsize", "keep")]
    assert records["monthly_saving"].to_list()[-1] == 0
    assert records["recommendation_id"].n_unique() == 2


def test_confidence_grows_with_coverage_and_with_the_margin() -> None:
    def sure(coverage: float, quantile: float, action: int, off: int = 0) -> float:
        use = Use(np.array([quantile]), np.array([0.1]), np.array([coverage]), np.array([off]))
        return float(confidence(use, np.array([action]), Limits())[0])

    for action, weak, strong in ((DOWNSIZE, 0.39, 0.1), (UPSIZE, 0.86, 0.99), (TERMINATE, 0.03, 0.0)):
        assert 0 < sure(0.5, weak, action) < sure(1, weak, action) < sure(1, strong, action) <= 1
    assert sure(1, 0.5, SCHEDULE, 50) < sure(1, 0.5, SCHEDULE, 120)


def test_a_gap_lowers_coverage_and_advice_stands_where_too_little_is_known() -> None:
    few = [0.3 if hour % 3 == 0 else None for hour in range(DAY * 30)]
    assert advice(hours("i-1", few)).is_empty()
    use = Use(np.array([0.9]), np.array([0.9]), np.array([0.1]), np.array([0]))
    assert advise(use, np.array([DOWNSIZE]), np.array([0.5]), np.array([True]), Limits()).tolist() == [DOWNSIZE]


def test_other_advice_has_to_come_on_days_in_a_row() -> None:
    given, candidate, days = np.array([KEEP]), np.array([KEEP]), np.array([0])
    seen = []
    for wanted in (DOWNSIZE, KEEP, DOWNSIZE, UPSIZE, UPSIZE, UPSIZE):
        given, candidate, days = held(np.array([wanted]), given, candidate, days, Limits(hold=2))
        seen.append(int(given[0]))
    assert seen == [KEEP, KEEP, KEEP, KEEP, UPSIZE, UPSIZE]


def test_what_saves_more_is_advised_of_two() -> None:
    quiet = [0.3 if 8 <= hour < 18 else 0.0 for hour in range(DAY)] * 5 + [0.0] * 48
    assert advice(hours("i-1", quiet * 2))["action"].to_list()[-1] == "schedule-off"
    half = ([0.3] * 16 + [0.0] * 8) * 14
    assert advice(hours("i-1", half))["action"].to_list()[-1] == "downsize"


def test_of_two_reports_for_an_hour_the_larger_counts_and_the_latest_price() -> None:
    low, high = hours("i-1", [0.3] * DAY * 14), hours("i-1", [0.9] * DAY * 14)
    dear = low.with_columns(cost_estimate=pl.lit(Decimal(7), pl.Decimal(38, 12)))
    for events in ((low, high), (high, low), (low, high, dear)):
        assert advice(*events)["action"].to_list() == ["upsize"]
    assert advice(low, high, dear)["hourly_price"].to_list() == [7]


def test_without_a_price_the_advice_has_no_saving() -> None:
    nameless = hours("i-1", [0.3] * DAY * 14).with_columns(
        cost_estimate=pl.lit(None, pl.Decimal(38, 12)),
        resource_type=pl.lit(None, pl.String),
        service=pl.lit(None, pl.String),
    )
    assert told(advice(nameless, prices=PRICES), "monthly_saving", "hourly_price") == [
        (8, "keep", "downsize", None, None)
    ]


def test_hours_that_come_late_count_from_the_next_look_on() -> None:
    known = hours("i-1", [0.3] * DAY * 10)
    late = hours("i-1", [0.9] * DAY, start=DAY * 7)
    later = hours("i-1", [0.3] * DAY * 4, start=DAY * 10)
    records, _ = run(RightSizing(), [{"resource": pl.concat([known, late, later])}])
    assert [row[1:3] for row in told(records)] == [("keep", "downsize"), ("downsize", "upsize")]
    assert told(records)[1][0] == 11


@pytest.mark.parametrize(("arrival", "action"), [(25, "upsize"), (26, "downsize")])
def test_a_day_is_held_open_for_the_lateness_and_no_longer(arrival: int, action: str) -> None:
    sizes = RightSizing(window=minutes(1440), limits=Limits(hold=1, coverage_least=0.1, quantile=1))
    day, late = hours("i-1", [0.3] * DAY), hours("i-1", [0.9], start=5)
    mark, end = hours("i-2", [0.6], start=arrival), hours("i-2", [0.6], start=30)
    records, _ = run(sizes, [{"resource": pl.concat([day, mark, late, end])}], close=False)
    assert records["action"].to_list() == [action]


def test_a_resource_that_comes_back_after_long_is_a_new_one_and_is_forgotten_meanwhile() -> None:
    sizes = RightSizing(window=minutes(2 * 1440))
    first, again = hours("i-1", [0.3] * DAY * 4), hours("i-1", [0.6] * DAY * 4, start=DAY * 20)
    others = hours("i-2", [0.6] * DAY * 24)
    _, state = run(sizes, [{"resource": pl.concat([first, others])}], close=False)
    assert state["resources"]["resource_id"].to_list() == ["i-2"]
    assert advice(first, again, others, window=sizes.window)["action"].to_list() == ["downsize"]


_reports = st.tuples(st.integers(0, 3), st.integers(-80, 3), st.sampled_from([0.02, 0.3, 0.95, None]), st.booleans())


@pytest.mark.slow
@settings(max_examples=12)
@given(st.lists(_reports, min_size=8, max_size=20), st.lists(st.booleans(), min_size=20, max_size=20))
def test_long_silences_and_late_hours_are_the_same_however_they_are_cut(
    reports: list[tuple[int, int, float | None, bool]], ends: list[bool]
) -> None:
    sizes = RightSizing(window=minutes(2 * 1440), limits=Limits(coverage_least=0, hold=1))
    hour, parts = 0, [hours("i-0", [0.3])]
    for ahead, behind, use, other in reports:
        hour += 11 * ahead
        late = hours("i-1" if other else "i-0", [use or 0.3], start=max(hour + behind, 0))
        parts += [late if use else late.with_columns(resource_type=pl.lit("huge")), hours("i-2", [0.6], start=hour)]
    groups: list[list[pl.DataFrame]] = [[]]
    for part, end in zip(parts, [*ends, *ends, False], strict=False):
        groups[-1].append(part)
        groups += [[]] if end else []
    cut = [{"resource": pl.concat(group)} for group in groups if group]
    whole = run(sizes, [{"resource": pl.concat(parts)}])[0]
    assert run(sizes, cut)[0].equals(whole)
    assert run(sizes, [{"resource": part} for part in parts])[0].equals(whole)


def test_the_state_of_a_resource_takes_less_than_a_kilobyte() -> None:
    rows = [(60.0 * hour, 0.5, "shop", "USD", f"i-{number}") for hour in range(40) for number in range(100)]
    _, state = run(RightSizing(), [{"resource": frame("resource", rows)}], close=False)
    assert len(state.snapshots["shop"]) < 100 * 1_000


def test_wrong_parameters_are_refused() -> None:
    with pytest.raises(EventError, match="the price table has no larger"):
        advice(hours("i-1", [0.3] * DAY * 14), prices=PRICES.drop("larger"))
    with pytest.raises(EventError, match="'large' in USD twice"):
        advice(hours("i-1", [0.3] * DAY * 14), prices=pl.concat([PRICES, PRICES[1:2]]))
    with pytest.raises(EventError, match="resource events come by the hour"):
        RightSizing(bucket=minutes(5))
    with pytest.raises(EventError, match="size_ratio is 1"):
        RightSizing(size_ratio=1)
