"""The models, on data where a join by row offset or by event would be wrong.

Each test has currencies of its own, because a covered day is a matter of a currency's bill.
"""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from tests.warehouse.conftest import bill
from workbench import events
from workbench.warehouse import Warehouse

MONDAY = date(2025, 3, 3)


def line(day: int, cost: str, currency: str, unit: str | None = "web", **more: object) -> dict[str, object]:
    """A bill line of the `day`th day after Monday, 3 March 2025."""
    start = datetime(2025, 3, 3, tzinfo=UTC) + timedelta(days=day)
    return {
        "ChargePeriodStart": start,
        "ChargePeriodEnd": start + timedelta(days=1),
        "BilledCost": Decimal(cost),
        "BillingCurrency": currency,
        "business_unit": unit,
        "environment": "production",
    } | more


def revenue(prefix: str, rows: list[tuple[int, str, str, str]]) -> pl.DataFrame:
    """Business events (day, unit, amount, currency)."""
    return pl.DataFrame(
        [
            {
                "event_id": f"{prefix}-{i}",
                "timestamp": datetime(2025, 3, 3, 12, tzinfo=UTC) + timedelta(days=day),
                "business_unit": unit,
                "revenue_impact": Decimal(amount),
                "currency": currency,
                "observed_at": datetime(2025, 4, 1, tzinfo=UTC),
            }
            for i, (day, unit, amount, currency) in enumerate(rows)
        ],
        schema=events.BUSINESS,
    )


def units(engine: Warehouse, currency: str) -> dict[tuple[int, str], dict[str, Any]]:
    found = engine.query("SELECT * FROM finops_reporting.cost_by_business_unit WHERE currency = ?", [currency])
    return {((row["cost_date"] - MONDAY).days, row["business_unit"]): row for row in found.iter_rows(named=True)}


def summary(engine: Warehouse, currency: str) -> list[dict[str, Any]]:
    sql = "SELECT * FROM finops_aggregated.daily_cost_summary WHERE currency = ? ORDER BY date, business_unit, service"
    return engine.query(sql, [currency]).to_dicts()


def test_week_over_week_compares_the_same_weekday(engine: Warehouse) -> None:
    engine.merge(bill("wow", [line(day, str(100 + day), "AAA") for day in range(14)]), "focus_costs")
    found = units(engine, "AAA")
    assert found[7, "web"]["cost_7_days_ago"] == 100
    assert found[7, "web"]["cost_change"] == 7
    assert found[7, "web"]["week_over_week_change"] == pytest.approx(7)
    assert found[6, "web"]["cost_7_days_ago"] is None, "nobody knows the week before the bill begins"


def test_a_missing_day_shifts_nothing(engine: Warehouse) -> None:
    """Seven rows back would be the eighth day."""
    engine.merge(bill("gap", [line(day, str(day), "BBB") for day in range(15) if day != 3]), "focus_costs")
    found = units(engine, "BBB")
    assert found[8, "web"]["cost_7_days_ago"] == 1
    assert found[10, "web"]["cost_7_days_ago"] is None, "day 3 is on no bill"
    assert found[14, "web"]["cost_7_days_ago"] == 7


def test_a_unit_that_was_not_there_cost_nothing_on_a_covered_day(engine: Warehouse) -> None:
    lines = [line(0, "5", "CCC", "web"), line(7, "5", "CCC", "web"), line(7, "3", "CCC", "new")]
    engine.merge(bill("new", lines), "focus_costs")
    new = units(engine, "CCC")[7, "new"]
    assert (new["cost_7_days_ago"], new["cost_change"]) == (0, 3)
    assert new["week_over_week_change"] is None, "there is no percentage of nothing"


def test_a_unit_that_is_gone_is_a_change_too(engine: Warehouse) -> None:
    lines = [line(0, "5", "DDD", "gone"), line(7, "1", "DDD", "web")]
    engine.merge(bill("gone", lines), "focus_costs")
    found = units(engine, "DDD")
    assert (found[7, "gone"]["daily_cost"], found[7, "gone"]["cost_change"]) == (0, -5)
    assert set(found) == {(0, "gone"), (7, "web"), (7, "gone")}, "and no row is made up for other days"


def test_currencies_are_never_summed(engine: Warehouse) -> None:
    lines = [line(0, "5", "EEE"), line(0, "7", "EEF"), line(7, "6", "EEE"), line(7, "9", "EEF")]
    engine.merge(bill("cur", lines), "focus_costs")
    assert units(engine, "EEE")[7, "web"]["cost_change"] == 1
    assert units(engine, "EEF")[7, "web"]["cost_change"] == 2
    assert [row["total_cost"] for row in summary(engine, "EEE")] == [5, 6]


def test_credits_lower_the_cost_and_make_no_percentage(engine: Warehouse) -> None:
    lines = [line(0, "10", "FFF"), line(0, "-12", "FFF", ChargeCategory="Credit"), line(7, "4", "FFF")]
    engine.merge(bill("cred", lines), "focus_costs")
    found = units(engine, "FFF")
    assert found[0, "web"]["daily_cost"] == -2
    assert (found[7, "web"]["cost_change"], found[7, "web"]["week_over_week_change"]) == (6, None)


def test_a_late_row_counts_on_the_day_it_was_for(engine: Warehouse) -> None:
    engine.merge(bill("late", [line(day, "1", "GGG") for day in (0, 7)]), "focus_costs")
    engine.merge(bill("late2", [line(0, "0.5", "GGG", ServiceName="storage")]), "focus_costs")
    found = units(engine, "GGG")
    assert found[0, "web"]["daily_cost"] == Decimal("1.5")
    assert found[7, "web"]["cost_7_days_ago"] == Decimal("1.5")


def test_a_restated_line_counts_once(engine: Warehouse) -> None:
    first = bill("once", [line(0, "1", "HHH")])
    engine.merge(first, "focus_costs")
    engine.merge(
        first.with_columns(
            BilledCost=pl.lit(Decimal(3)).cast(pl.Decimal(38, 12)), observed_at=pl.lit(datetime(2025, 5, 1, tzinfo=UTC))
        ),
        "focus_costs",
    )
    assert units(engine, "HHH")[0, "web"]["daily_cost"] == 3


def test_what_nobody_owns_is_unallocated(engine: Warehouse) -> None:
    engine.merge(bill("nobody", [line(0, "1", "III", None), line(0, "2", "III", "unallocated")]), "focus_costs")
    assert units(engine, "III")[0, "unallocated"]["daily_cost"] == 3


def test_the_summary_adds_up_to_the_bill(engine: Warehouse) -> None:
    lines = [
        line(day, f"{day}.{service:012d}", "JJJ", ("web", "data", None)[service % 3], ServiceName=f"s{service}")
        for day in range(20)
        for service in range(7)
        if (day + service) % 5
    ]
    given = bill("adds", lines)
    engine.merge(given, "focus_costs")
    rows = summary(engine, "JJJ")
    assert sum(row["total_cost"] for row in rows) == given["BilledCost"].sum()
    assert len({(row["date"], row["business_unit"], row["service"], row["environment"]) for row in rows}) == len(rows)
    trends = {row["cost_trend"] for row in rows}
    assert trends == {"up", "down", None}
    assert sum(row["charges"] for row in rows) == given.height


def test_roi_does_not_multiply_costs_by_revenue_events(engine: Warehouse) -> None:
    """Joined event by event, two lines and three sales of one hour would cost 3 x 10 and earn 2 x 60."""
    noon = datetime(2025, 3, 3, 12, tzinfo=UTC)
    lines = [line(0, "4", "KKK", ChargePeriodStart=noon), line(0, "6", "KKK", ChargePeriodStart=noon)]
    engine.merge(bill("roi", lines), "focus_costs")
    engine.merge(revenue("roi", [(0, "web", "20", "KKK")] * 3), "business_events")
    row = engine.query("SELECT * FROM finops_reporting.roi_analysis WHERE currency = 'KKK'").row(0, named=True)
    assert (row["total_cost"], row["total_revenue"]) == (10, 60)
    assert (row["cost_events"], row["revenue_events"]) == (2, 3)
    assert row["roi_percentage"] == pytest.approx(500)


def test_roi_keeps_cost_without_revenue_and_revenue_without_cost(engine: Warehouse) -> None:
    engine.merge(bill("alone", [line(0, "4", "LLL", "idle"), line(0, "1", "LLM", "web")]), "focus_costs")
    engine.merge(revenue("alone", [(0, "shop", "7", "LLL"), (0, "web", "9", "LLL")]), "business_events")
    sql = (
        "SELECT business_unit, currency, total_cost, total_revenue, roi_percentage FROM finops_reporting.roi_analysis "
        "WHERE currency IN ('LLL', 'LLM') ORDER BY business_unit, currency"
    )
    assert engine.query(sql).rows() == [
        ("idle", "LLL", 4, 0, -100.0),
        ("shop", "LLL", 0, 7, None),
        ("web", "LLL", 0, 9, None),
        ("web", "LLM", 1, 0, -100.0),
    ]


def test_refunds_lower_the_revenue(engine: Warehouse) -> None:
    engine.merge(revenue("refund", [(0, "web", "9", "MMM"), (0, "web", "-2.5", "MMM")]), "business_events")
    found = engine.query("SELECT total_revenue FROM finops_reporting.roi_analysis WHERE currency = 'MMM'")
    assert found.item() == Decimal("6.5")
