"""ROI and unit economics: both sides add up, currencies never meet, and nothing is divided by nothing."""

from datetime import date, timedelta
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench import costs
from workbench.errors import UsageError
from workbench.focus import AMOUNT

MONDAY = date(2025, 9, 29)
COSTS = {"date": pl.Date, "unit": pl.String, "BillingCurrency": pl.String, "BilledCost": AMOUNT}
EVENTS = {"date": pl.Date, "unit": pl.String, "currency": pl.String, "events": pl.Int64, "earning": pl.Int64,
          "revenue_impact": AMOUNT}  # fmt: skip

days = st.integers(0, 20).map(lambda day: MONDAY + timedelta(days=day))
units = st.sampled_from(["shop", "search", None])
money = st.sampled_from(["USD", "EUR"])
amounts = st.decimals(min_value=-(10**9), max_value=10**9, places=12, allow_nan=False, allow_infinity=False)
bills = st.lists(st.tuples(days, units, money, amounts), max_size=20).map(
    lambda rows: pl.DataFrame(rows, schema=COSTS, orient="row")
)
sales = st.lists(st.tuples(days, units, money, st.integers(0, 50), st.integers(0, 9), amounts), max_size=20).map(
    lambda rows: pl.DataFrame(rows, schema=EVENTS, orient="row")
)


def cost(*rows: tuple[int, str | None, str, str]) -> pl.DataFrame:
    """Rows of day (from a Monday), unit, currency, amount."""
    typed = [(MONDAY + timedelta(days=day), *names, Decimal(amount)) for day, *names, amount in rows]
    return pl.DataFrame(typed, schema=COSTS, orient="row")


def sold(*rows: tuple[int, str | None, str, int, int, str]) -> pl.DataFrame:
    """Rows of day, unit, currency, events, earning events, revenue."""
    typed = [(MONDAY + timedelta(days=day), *names, Decimal(amount)) for day, *names, amount in rows]
    return pl.DataFrame(typed, schema=EVENTS, orient="row")


def sums(frame: pl.DataFrame, key: str, column: str) -> dict[str, Decimal]:
    """Exact sums by currency, in Python; currencies whose sum is 0 left out."""
    found: dict[str, Decimal] = {}
    for currency, amount in frame.select(key, column).iter_rows():
        found[currency] = found.get(currency, Decimal(0)) + amount
    return {currency: amount for currency, amount in found.items() if amount}


@given(bills, sales)
def test_cost_and_revenue_of_the_parts_are_those_of_the_whole(daily: pl.DataFrame, business: pl.DataFrame) -> None:
    for by in ((), ("unit",), ("date", "unit")):
        found = costs.roi(daily, business, *by)
        assert sums(found, "BillingCurrency", "cost") == sums(daily, "BillingCurrency", "BilledCost")
        assert sums(found, "BillingCurrency", "revenue") == sums(business, "currency", "revenue_impact")
        assert (found["revenue"] - found["cost"]).to_list() == found["gain"].to_list()
        assert found.select(pl.struct(*by, "BillingCurrency").is_unique().all()).item() is not False


@given(bills, sales)
def test_there_is_a_roi_exactly_where_there_is_a_cost(daily: pl.DataFrame, business: pl.DataFrame) -> None:
    found = costs.roi(daily, business, "unit")
    assert (found["roi"].is_not_null() == (found["cost"] > 0)).all()
    for row in found.filter(pl.col("cost") > 0).iter_rows(named=True):
        assert row["roi"] == pytest.approx(float(row["revenue"] / row["cost"]) - 1, rel=1e-9, abs=1e-9)


def test_a_cost_counts_once_however_many_sales_it_had_and_the_other_way_round() -> None:
    daily = cost((0, "shop", "USD", "4"), (0, "shop", "USD", "6"), (1, "shop", "USD", "5"))
    business = sold(*[(0, "shop", "USD", 1, 1, "20")] * 3)
    assert costs.roi(daily, business, "unit").row(0) == ("shop", "USD", 15, 60, 45, 3.0)
    assert costs.roi(daily, business, "date", "unit")["cost"].to_list() == [10, 5]


def test_refunds_lower_the_revenue_and_may_turn_it() -> None:
    business = sold((0, "shop", "USD", 1, 1, "9"), (1, "shop", "USD", 1, 0, "-12"))
    assert costs.roi(cost((0, "shop", "USD", "1")), business, "unit").row(0)[2:] == (1, -3, -4, -4.0)


def test_a_credit_or_no_cost_makes_no_roi_and_neither_side_is_dropped() -> None:
    daily = cost((0, "credit", "USD", "-3"), (0, "idle", "USD", "2"))
    found = costs.roi(daily, sold((0, "free", "USD", 1, 1, "7")), "unit")
    assert {row[0]: row[2:] for row in found.iter_rows()} == {
        "credit": (-3, 0, 3, None), "idle": (2, 0, -2, -1.0), "free": (0, 7, 7, None),
    }  # fmt: skip


def test_currencies_never_meet() -> None:
    found = costs.roi(cost((0, "shop", "USD", "1")), sold((0, "shop", "EUR", 1, 1, "5")), "unit")
    assert found.select("BillingCurrency", "cost", "revenue", "roi").rows() == [
        ("EUR", 0, 5, None), ("USD", 1, 0, -1.0),
    ]  # fmt: skip


@given(bills, sales, st.sampled_from(["1w", "1mo", None]))
def test_costs_of_the_periods_add_up_and_nothing_is_divided_by_nothing(
    daily: pl.DataFrame, business: pl.DataFrame, every: str | None
) -> None:
    for by in ((), ("unit",)):
        found = costs.unit_economics(daily, business, *by, every=every)
        assert sums(found, "BillingCurrency", "cost") == sums(daily, "BillingCurrency", "BilledCost")
        assert (found["cost_each"].is_null() == (found["count"] == 0)).all()
        for row in found.filter(pl.col("count") > 0).iter_rows(named=True):
            assert abs(row["cost_each"] * row["count"] - row["cost"]) < row["count"] * Decimal("1e-12")


def test_a_week_begins_on_monday_and_its_cost_is_divided_by_its_orders() -> None:
    daily = cost((0, "shop", "USD", "10"), (6, "shop", "USD", "4"), (7, "shop", "USD", "9"))
    business = sold((1, "shop", "USD", 50, 4, "1"), (8, "shop", "USD", 8, 0, "0"), (8, "other", "USD", 1, 1, "1"))
    found = costs.unit_economics(daily, business, "unit")
    assert found.rows() == [
        (MONDAY, "shop", "USD", 14, 4, Decimal("3.5")), (MONDAY + timedelta(days=7), "shop", "USD", 9, 0, None),
    ]  # fmt: skip
    uses = costs.unit_economics(daily, business, "unit", count="events", every=None)
    assert uses.rows() == [("shop", "USD", 23, 58, Decimal("0.396551724138"))]


def test_orders_in_another_currency_are_orders_too() -> None:
    found = costs.unit_economics(cost((0, "shop", "USD", "8")), sold((0, "shop", "EUR", 2, 2, "5")), "unit")
    assert found["cost_each"].item() == 4


def test_only_days_of_which_both_sides_speak_are_compared() -> None:
    daily = cost(*[(day, "shop", "USD", "1") for day in range(10)])
    business = sold((4, "shop", "USD", 1, 1, "1"), (12, "shop", "USD", 1, 1, "1"))
    ours, theirs = costs.overlap(daily, business)
    assert (ours.height, theirs.height) == (6, 1)
    assert [side.height for side in costs.overlap(daily, business.clear())] == [0, 0]
    assert costs.roi(daily.clear(), business.clear(), "unit").is_empty()
    assert costs.unit_economics(daily.clear(), business.clear(), "unit").is_empty()


def test_what_can_not_be_counted_is_named() -> None:
    with pytest.raises(UsageError, match="'orders' can't be counted; earning and events can"):
        costs.unit_economics(cost(), sold(), count="orders")
