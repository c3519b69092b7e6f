"""What was spent and what changed: nothing is lost, nothing is summed that must not be."""

from datetime import date, timedelta
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench import costs
from workbench.focus import AMOUNT

START = date(2025, 10, 1)
SCHEMA = {"date": pl.Date, "BillingCurrency": pl.String, "unit": pl.String, "service": pl.String, "BilledCost": AMOUNT}
AS_OF = START + timedelta(days=14)

amounts = st.decimals(min_value=-(10**9), max_value=10**9, places=12, allow_nan=False, allow_infinity=False)
rows = st.tuples(
    st.integers(-2, 16).map(lambda day: START + timedelta(days=day)),
    st.sampled_from(["USD", "EUR"]),
    st.sampled_from(["shop", "search", "others", None]),
    st.sampled_from(["EC2", "S3", None]),
    amounts,
)
bills = st.lists(rows, max_size=25).map(lambda found: pl.DataFrame(found, schema=SCHEMA, orient="row"))


def frame(*found: tuple[int, str, str | None, str | None, str]) -> pl.DataFrame:
    """Rows of day (from START), currency, unit, service, amount."""
    typed = [(START + timedelta(days=day), *names, Decimal(amount)) for day, *names, amount in found]
    return pl.DataFrame(typed, schema=SCHEMA, orient="row")


def sums(of: pl.DataFrame, column: str = "BilledCost") -> dict[str, Decimal]:
    """Exact sums by currency, in Python."""
    found: dict[str, Decimal] = {}
    for currency, amount in of.select("BillingCurrency", column).iter_rows():
        found[currency] = found.get(currency, Decimal(0)) + amount
    return found


@given(bills)
def test_spend_adds_up_to_the_last_digit_in_each_currency(daily: pl.DataFrame) -> None:
    for by in ((), ("unit",), ("unit", "service")):
        spent = costs.spend(daily, *by)
        assert sums(spent) == sums(daily)
        assert spent.schema["BilledCost"] == AMOUNT


def test_spend_is_sorted_and_has_shares_of_its_currency() -> None:
    daily = frame(
        (0, "USD", "a", None, "1"), (1, "USD", "b", None, "3"), (0, "EUR", "a", None, "5"), (0, "EUR", None, None, "5")
    )
    spent = costs.spend(daily, "unit").select("BillingCurrency", "unit", "share").rows()
    assert spent == [("EUR", None, 0.5), ("EUR", "a", 0.5), ("USD", "b", 0.75), ("USD", "a", 0.25)]


def test_a_share_of_nothing_is_null() -> None:
    daily = frame((0, "USD", "a", None, "1"), (0, "USD", "b", None, "-1"))
    assert costs.spend(daily, "unit")["share"].to_list() == [None, None]


@given(bills, st.sampled_from([None, 0, 1, 2]))
def test_daily_totals_keep_the_total_of_each_day(daily: pl.DataFrame, top: int | None) -> None:
    totals = costs.daily_totals(daily, "unit", top=top)
    for day in daily["date"].unique():
        assert sums(totals.filter(date=day)) == sums(daily.filter(date=day))
    if top is not None and daily.height:
        assert totals.group_by("BillingCurrency").agg(pl.col("unit").n_unique())["unit"].max() <= top + 1


@given(bills)
def test_changes_add_up_to_the_change_of_the_whole(daily: pl.DataFrame) -> None:
    span = costs.weeks(AS_OF)
    compared = costs.week_over_week(daily, span, "unit", "service")
    seen = daily.filter(pl.col("date").is_between(span.previous, span.end, closed="left"))
    before = pl.when(pl.col("date") < span.current).then("BilledCost").otherwise(Decimal(0))
    assert sums(compared, "previous") == sums(seen.with_columns(BilledCost=before))
    assert (compared["current"] - compared["previous"]).to_list() == compared["change"].to_list()
    largest = costs.largest_changes(compared, 2)
    for column in ("previous", "current", "change"):
        assert sums(largest, column) == sums(compared, column)
    assert largest.group_by("BillingCurrency").len()["len"].max() in {None, 1, 2, 3}


def test_weeks_are_half_open() -> None:
    span = costs.weeks(AS_OF)
    assert span == (START, START + timedelta(days=7), AS_OF)
    daily = frame(
        (-1, "USD", "a", None, "100"),
        (0, "USD", "a", None, "1"),
        (6, "USD", "a", None, "2"),
        (7, "USD", "a", None, "10"),
        (13, "USD", "a", None, "20"),
        (14, "USD", "a", None, "100"),
    )
    (compared,) = costs.week_over_week(daily, span, "unit").iter_rows(named=True)
    assert (compared["previous"], compared["current"], compared["change"]) == (3, 30, 27)
    assert compared["ratio"] == pytest.approx(9.0)


def test_what_is_missing_in_a_week_cost_nothing_there() -> None:
    daily = frame((0, "USD", "old", None, "4"), (7, "USD", "new", None, "5"), (7, "USD", None, None, "1"))
    compared = costs.week_over_week(daily, costs.weeks(AS_OF), "unit")
    assert compared.select("unit", "previous", "current", "change", "ratio").rows() == [
        ("new", 0, 5, 5, None),
        ("old", 4, 0, -4, -1.0),
        (None, 0, 1, 1, None),
    ]


def test_a_credit_that_shrinks_is_a_change_upwards() -> None:
    daily = frame((0, "USD", "credit", None, "-10"), (7, "USD", "credit", None, "-5"))
    (compared,) = costs.week_over_week(daily, costs.weeks(AS_OF), "unit").iter_rows(named=True)
    assert (compared["change"], compared["ratio"]) == (5, 0.5)


def test_the_largest_changes_end_with_all_others() -> None:
    daily = frame(
        *((7, "USD", name, None, amount) for name, amount in (("a", "-9"), ("b", "5"), ("c", "2"), ("d", "-1")))
    )
    largest = costs.largest_changes(costs.week_over_week(daily, costs.weeks(AS_OF), "unit"), 2)
    assert largest.select("unit", "change").rows() == [("a", -9), ("b", 5), ("all others", 1)]


def test_coverage_has_every_day_of_every_name() -> None:
    daily = pl.DataFrame(
        {"date": [START, START, START + timedelta(days=2)], "unit": ["a", None, "a"], "lines": [3, 1, 2]}
    )
    grid = costs.coverage(daily, START, START + timedelta(days=3), "unit")
    assert grid.height == 6
    assert grid["lines"].sum() == 6
    assert grid.filter(unit="a")["lines"].to_list() == [3, 0, 2]
    assert costs.missing_days(daily, START, START + timedelta(days=4)) == [
        START + timedelta(days=1),
        START + timedelta(days=3),
    ]


def test_names_that_are_missing_are_said_to_be() -> None:
    daily = frame((0, "USD", None, "EC2", "1"))
    assert costs.named(daily, "unit")["unit"].to_list() == ["(not stated)"]
    assert costs.combined(daily, "what", "unit", "service")["what"].to_list() == ["(not stated) · EC2"]
    assert costs.combined(daily, "unit", "unit", "service")["unit"].to_list() == ["(not stated) · EC2"]


def test_currencies_come_with_the_most_used_first() -> None:
    daily = frame((0, "USD", "a", None, "1"), (0, "EUR", "a", None, "1"), (1, "EUR", "a", None, "1"))
    assert costs.currencies(daily) == ["EUR", "USD"]
    assert costs.only(daily, "USD").height == 1


def test_the_dearest_name_has_its_share() -> None:
    daily = frame((0, "USD", None, None, "3"), (0, "USD", "a", None, "1"))
    assert costs.top_share(costs.spend(daily, "unit"), "unit") == ("(not stated)", 0.75)
    assert costs.top_share(costs.spend(daily.clear(), "unit"), "unit") == ("(not stated)", 0.0)


def test_reconciliation_shows_what_is_lost_or_counted_twice() -> None:
    totals = pl.DataFrame(
        {
            "currency": ["USD", "USD", "EUR"],
            "inserted_total": [Decimal(10), Decimal(5), Decimal(1)],
            "restated_delta": [Decimal(0), Decimal(-2), Decimal(0)],
        },
        schema_overrides={"inserted_total": AMOUNT, "restated_delta": AMOUNT},
    )
    held = pl.DataFrame({"currency": ["USD", "CHF"], "in_warehouse": [Decimal(13), Decimal(4)]})
    found = costs.reconcile(totals, held).select("currency", "expected", "in_warehouse", "difference").rows()
    assert found == [("CHF", 0, 4, 4), ("EUR", 1, 0, -1), ("USD", 13, 13, 0)]


def test_files_that_overlap_are_told_from_files_that_are_lost() -> None:
    said = pl.DataFrame(
        {
            "source_name": ["a", "a", "b"],
            "currency": ["USD"] * 3,
            "read_total": [Decimal(10), Decimal(10), Decimal(7)],
            "rejected_total": [Decimal(1), Decimal(0), Decimal(0)],
            "accepted_total": [Decimal(9), Decimal(10), Decimal(7)],
        }
    )
    held = pl.DataFrame({"source_name": ["a"], "currency": ["USD"], "in_warehouse": [Decimal(12)]})
    found = costs.against_files(said, held)
    assert found.select(
        "source_name", "files_say", "refused", "accepted", "in_warehouse", "in_several_files"
    ).rows() == [
        ("a", 20, 1, 19, 12, 7),
        ("b", 7, 0, 7, 0, 7),
    ]
