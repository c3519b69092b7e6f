"""Spikes: judged by what was usual, which learns nothing from them."""

from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.streaming.processors.streams import START, cost, minutes, run
from workbench.errors import EventError
from workbench.streaming.processors import Rule, Spikes
from workbench.streaming.processors.baseline import Baseline, judge

STEADY = [(5 * number, "10") for number in range(30)]


def series(*amounts: object, start: int = 0, service: str = "compute", currency: str = "USD") -> pl.DataFrame:
    rows = [(5 * (start + number), str(amount)) for number, amount in enumerate(amounts)]
    return cost(*rows, service=service, currency=currency)


def found(records: pl.DataFrame) -> list[tuple[object, ...]]:
    start = ((pl.col("window_start") - START).dt.total_minutes() // 5).alias("bucket")
    return records.select(start, "cost_amount", "status").rows()


def learned(spikes: Spikes, *frames: pl.DataFrame) -> pl.DataFrame:
    return run(spikes, [{"cost": pl.concat(frames)}], close=False)[1]["baselines"]


def test_a_spike_is_told_with_what_was_expected_and_observed() -> None:
    records, _ = run(Spikes(), [{"cost": series(*["10"] * 30, "40.000000000001", "10")}])
    assert found(records) == [(30, Decimal("40.000000000001"), "raised")]
    [row] = records.rows(named=True)
    assert (row["expected_amount"], row["excess_amount"]) == (10, Decimal("30.000000000001"))
    assert row["ratio"] == pytest.approx(4)
    assert row["deviation_percent"] == pytest.approx(300)
    assert (row["business_impact"], row["history"], row["streak"], row["resolved"]) == ("CRITICAL", 30, 1, False)
    assert row["detected_at"] == row["window_end"] + minutes(5)


def test_a_spike_does_not_move_the_baseline() -> None:
    ten = ["10", "10.2", "9.9"] * 12
    spiky, calm = series(*ten, "500", "10"), series(*ten, "10")
    shifted = calm.with_columns(pl.when(pl.int_range(pl.len()) == len(ten)).then(pl.col("timestamp") + minutes(5))
                                .otherwise("timestamp").alias("timestamp"))  # fmt: skip
    names = ["level", "spread", "history"]
    end = cost((1000, "0"), service="other")
    assert learned(Spikes(), spiky, end).select(names).row(0) == learned(Spikes(), shifted, end).select(names).row(0)


def test_nothing_is_a_spike_before_there_is_history_or_below_the_floor() -> None:
    rule = Rule(least_history=10, floor=50, deviations=0)
    records, _ = run(Spikes(rule=rule), [{"cost": series(*["10"] * 9, "400")}])
    assert records.is_empty()
    records, _ = run(Spikes(rule=rule), [{"cost": series(*["10"] * 12, "50", "50.01", "51")}])
    assert [bucket for bucket, _, _ in found(records)] == [13, 14]


def test_the_articles_rule_is_twice_a_mean_of_nine_tenths_above_a_hundred() -> None:
    records, _ = run(Spikes.article(), [{"cost": series(100, 201, 300, 90, 199, 0, 200, 90)}])
    assert [bucket for bucket, _, _ in found(records)] == [1, 2, 4, 6]
    assert records["expected_amount"].to_list() == [100, 100, 99, Decimal("89.1")], "spikes left it where it was"
    twice, _ = run(Spikes.article(), [{"cost": series(100, 200)}])
    assert twice.is_empty(), "exactly twice is not more than twice"
    small, _ = run(Spikes.article(), [{"cost": series(1, 100)}])
    assert small.is_empty(), "the article's floor is blind for small services"


def test_a_single_outlier_among_the_first_values_hardly_moves_the_baseline() -> None:
    level = learned(
        Spikes(), series(*["10", "11", "9"] * 3, "900", *["10", "11", "9"] * 3), cost((500, "0"), service="x")
    )
    assert level["level"][0] == pytest.approx(10, abs=0.5)


def test_a_service_that_never_moved_may_begin_to() -> None:
    records, state = run(Spikes(), [{"cost": series(*["10"] * 30, *["11"] * 200)}])
    assert records.is_empty()
    assert state["baselines"]["level"][0] == pytest.approx(11, abs=0.1)


def test_a_new_level_is_accepted_after_so_many_spikes_in_a_row() -> None:
    rule = Rule(least_history=5, accept_after=10)
    records, _ = run(Spikes(rule=rule), [{"cost": series(*["10"] * 20, *["50"] * 40, "200")}])
    assert [bucket for bucket, _, _ in found(records)] == [*range(20, 30), 60]
    assert records["streak"].to_list() == [*range(1, 11), 1]


def test_a_service_that_was_gone_for_long_begins_anew() -> None:
    rule = Rule(least_history=5, forget=100)
    known, gone = series("90", start=100), series("90", start=140)
    assert run(Spikes(rule=rule), [{"cost": pl.concat([series(*["10"] * 30), known])}])[0].height == 1
    assert run(Spikes(rule=rule), [{"cost": pl.concat([series(*["10"] * 30), gone])}])[0].height == 0


def test_what_comes_late_is_judged_by_what_was_expected_then_and_teaches_nothing() -> None:
    steady = series(*["10"] * 40)
    late = [
        series("20", start=35),
        series(*["10"] * 2, start=40),
        series("-25", start=35),
        series(*["10"] * 2, start=42),
    ]
    records, state = run(Spikes(), [{"cost": pl.concat([steady, *late])}])
    assert found(records) == [(35, 30, "raised"), (35, 5, "withdrawn")]
    assert records["revision"].to_list() == [1, 2]
    assert records["anomaly_id"].n_unique() == 1
    assert records["resolved"].to_list() == [False, True]
    assert state["baselines"]["level"][0] == pytest.approx(10)


@pytest.mark.parametrize(("arrival", "judged"), [(30 + 13, ["raised"]), (30 + 14, [])])
def test_a_judged_bucket_is_remembered_to_the_horizon_and_no_longer(arrival: int, judged: list[str]) -> None:
    steady = series(*["10"] * 31)
    parts = [steady, series("0", start=arrival), series("90", start=30), series("0", start=arrival + 1)]
    records, _ = run(Spikes(), [{"cost": part} for part in parts], close=False)
    assert records["status"].to_list() == judged


@settings(max_examples=12)
@given(st.lists(st.tuples(st.integers(0, 12), st.sampled_from([1, 2, 5, -3])), min_size=8, max_size=16))
def test_buckets_are_judged_in_the_order_in_which_they_are_first_known(values: list[tuple[int, int]]) -> None:
    spikes = Spikes(rule=Rule(least_history=1, ratio=1.1, floor=0, deviations=0, weight=0.5), horizon=minutes(40))
    events = cost(*((5 * bucket, str(amount)) for bucket, amount in values))
    one_by_one, _ = run(spikes, [{"cost": events[row : row + 1]} for row in range(events.height)])
    assert one_by_one.equals(run(spikes, [{"cost": events}])[0])


def test_currencies_and_services_are_judged_apart() -> None:
    dear = series(*["1000"] * 30, currency="EUR")
    other = series(*["1000"] * 30, service="storage")
    records, _ = run(Spikes(), [{"cost": pl.concat([series(*["10"] * 30), dear, other]).sort("timestamp")}])
    assert records.is_empty()


def test_a_spike_of_a_service_without_a_name_is_found_too() -> None:
    events = series(*["10"] * 30, "90").with_columns(service=pl.lit(None, pl.String))
    records, _ = run(Spikes(), [{"cost": events}])
    assert records["service"].to_list() == [None]


def test_where_nothing_was_expected_there_is_no_ratio() -> None:
    records, _ = run(Spikes(), [{"cost": series(*["-1"] * 30, "90")}])
    assert records.select("ratio", "deviation_percent", "business_impact").row(0) == (None, None, "CRITICAL")


def test_a_rule_without_history_is_refused() -> None:
    with pytest.raises(EventError, match="least_history is 0"):
        Spikes(rule=Rule(least_history=0))


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 2), st.floats(-50, 500, width=32)), max_size=60), st.booleans())
def test_all_series_at_once_are_judged_as_each_alone_value_by_value(
    values: list[tuple[int, float]], robust: bool
) -> None:
    rule = Rule(least_history=3, ratio=1.5, floor=5, deviations=1, weight=0.2, accept_after=4, robust=robust)
    values.sort(key=lambda value: value[0])
    of, amounts = (np.array([value[part] for value in values]) for part in (0, 1))
    found = judge(rule, empty(3), of.astype(np.int64), np.arange(len(values)), amounts.astype(float))
    for one in range(3):
        base, mine = empty(1), np.flatnonzero(of == one)
        for place in mine:
            alone = judge(rule, base, np.zeros(1, np.int64), np.array([place]), amounts[[place]].astype(float))
            assert alone.flagged[0] == found.flagged[place]
            assert alone.expected[0] == found.expected[place]


def empty(size: int) -> Baseline:
    return Baseline(np.zeros(size), np.zeros(size), *np.zeros((3, size), np.int64))
