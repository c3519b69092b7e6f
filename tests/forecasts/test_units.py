"""Units and the whole: they add up, currencies stay apart, and what is unknown is no 0."""

from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import polars as pl
import pytest

from workbench import forecasts
from workbench.errors import UsageError
from workbench.focus import AMOUNT

FIRST = date(2025, 11, 1)
SCHEMA = {"date": pl.Date, "business_unit": pl.String, "BillingCurrency": pl.String, "BilledCost": AMOUNT}


def history(days: int = 60, gone: tuple[int, ...] = (), **units: tuple[str, float]) -> pl.DataFrame:
    """Units with their currency and mean cost a day: a weekly rhythm and noise, without the days that are `gone`."""
    rng = np.random.default_rng(5)
    start = FIRST - timedelta(days=days)
    rows = []
    for name, (currency, mean) in units.items():
        for day in range(days):
            quiet = 0.7 if (start + timedelta(days=day)).weekday() >= 5 else 1.0
            cost = Decimal(f"{mean * quiet + rng.normal(0, mean / 40):.6f}")
            if day not in gone:
                rows.append((start + timedelta(days=day), name or None, currency, cost))
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


@pytest.fixture(scope="module")
def bill() -> pl.DataFrame:
    return history(shop=("USD", 100), search=("USD", 40), euro=("EUR", 7))


@pytest.fixture(scope="module")
def ahead(bill: pl.DataFrame) -> pl.DataFrame:
    return forecasts.forecast(bill, "business_unit", FIRST, 31)


def test_the_units_points_are_the_points_of_the_whole_to_the_last_digit(ahead: pl.DataFrame) -> None:
    whole = ahead.filter(pl.col("business_unit") == forecasts.ALL)
    units = ahead.filter(pl.col("business_unit") != forecasts.ALL)
    for column in ("point", "sum_point"):
        sums = units.group_by("BillingCurrency", "date").agg(pl.col(column).sum().cast(AMOUNT))
        assert whole.select("BillingCurrency", "date", column).equals(sums.sort("BillingCurrency", "date"))


def test_sums_of_points_are_exact_and_every_band_holds_its_point(ahead: pl.DataFrame) -> None:
    for _, one in ahead.group_by("business_unit", "BillingCurrency"):
        assert one["sum_point"].to_list() == one.sort("date")["point"].cum_sum().to_list()
    assert (ahead["lower"] <= ahead["point"]).all()
    assert (ahead["point"] <= ahead["upper"]).all()
    assert ahead.schema["point"] == AMOUNT


def test_the_whole_is_no_surer_than_any_unit_and_no_less_sure_than_all_together(ahead: pl.DataFrame) -> None:
    last = ahead.filter((pl.col("date") == pl.col("date").max()) & (pl.col("BillingCurrency") == "USD"))
    width = dict(last.select("business_unit", pl.col("sum_upper") - pl.col("sum_lower")).iter_rows())
    whole = width.pop(forecasts.ALL)
    assert max(width.values()) <= whole <= sum(width.values())


def test_currencies_are_never_summed(bill: pl.DataFrame, ahead: pl.DataFrame) -> None:
    whole = ahead.filter(pl.col("business_unit") == forecasts.ALL)
    assert set(whole["BillingCurrency"]) == {"USD", "EUR"}
    euro = ahead.filter(pl.col("BillingCurrency") == "EUR").drop("flags")
    unit, whole = (euro.filter(name).drop("business_unit", "model") for name in
                   (pl.col("business_unit") == "euro", pl.col("business_unit") == forecasts.ALL))  # fmt: skip
    assert unit.equals(whole), "one unit alone is the whole"
    euros = forecasts.forecast(bill.filter(pl.col("BillingCurrency") == "EUR"), "business_unit", FIRST, 31)
    assert ahead.filter(pl.col("BillingCurrency") == "EUR").equals(euros)


def test_a_unit_without_a_row_on_a_day_of_the_bill_cost_nothing_and_a_day_without_a_bill_is_unknown() -> None:
    gone = tuple(range(10, 40, 3))
    both = history(gone=gone, shop=("USD", 100), search=("USD", 40))
    unknown = forecasts.forecast(both, "business_unit", FIRST, 7)
    assert "10 missing days filled" in unknown.filter(pl.col("business_unit") == "shop")["flags"][0]
    shop_only = pl.concat([history(shop=("USD", 100)), history(gone=gone, search=("USD", 40))])
    free = forecasts.forecast(shop_only, "business_unit", FIRST, 7).filter(pl.col("business_unit") == "search")
    assert "missing" not in free["flags"][0]


def test_a_unit_that_began_late_is_forecast_from_its_own_days() -> None:
    late = pl.concat([history(shop=("USD", 100)), history(days=13, young=("USD", 9))])
    found = forecasts.forecast(late, "business_unit", FIRST, 7).filter(pl.col("business_unit") == "young")
    assert set(found["model"]) == {"level"}
    assert found["point"].cast(pl.Float64).mean() == pytest.approx(8.2, rel=0.25)


def test_what_nobody_owns_is_forecast_as_unallocated_and_nothing_gives_an_empty_frame() -> None:
    nobody = history(days=30, shop=("USD", 3)).with_columns(business_unit=pl.lit(None, pl.String))
    assert "unallocated" in set(forecasts.forecast(nobody, "business_unit", FIRST, 3)["business_unit"])
    empty = forecasts.forecast(nobody.clear(), "business_unit", FIRST, 3)
    assert empty.is_empty()
    assert forecasts.until(empty, FIRST).is_empty()
    assert forecasts.verdicts(forecasts.backtest(nobody.clear(), "business_unit", FIRST)).is_empty()


def test_a_month_is_what_is_spent_plus_what_is_expected(bill: pl.DataFrame) -> None:
    middle = date(2025, 10, 20)
    ahead = forecasts.forecast(bill, "business_unit", middle, 31)
    month = forecasts.month_end(bill, ahead, "business_unit", middle)
    rest = forecasts.until(ahead, date(2025, 11, 1))
    spent = bill.filter(pl.col("date").is_between(date(2025, 10, 1), middle, closed="left"))
    by_unit = dict(spent.group_by("business_unit").agg(pl.col("BilledCost").sum()).iter_rows())
    for row, left in zip(month.iter_rows(named=True), rest.iter_rows(named=True), strict=True):
        assert row["expected"] - row["spent"] == left["expected"]
        assert row["upper"] - row["spent"] == left["upper"]
        assert row["business_unit"] == forecasts.ALL or row["spent"] == by_unit[row["business_unit"]]


def test_a_sum_beyond_the_forecast_is_refused_with_the_way_out(ahead: pl.DataFrame) -> None:
    with pytest.raises(UsageError, match="ends on 2025-12-01 and can't be summed up to 2026-01-01; give it a longer"):
        forecasts.until(ahead, date(2026, 1, 1))


def test_a_unit_with_the_name_of_the_whole_and_a_history_without_a_column_are_refused(bill: pl.DataFrame) -> None:
    with pytest.raises(UsageError, match="rename it"):
        forecasts.forecast(bill.with_columns(business_unit=pl.lit("(all)")), "business_unit", FIRST)
    with pytest.raises(UsageError, match="without team can't be forecast"):
        forecasts.forecast(bill, "team", FIRST)


# Fees


def charges(*rows: tuple[int, str, str, str, int | None, str]) -> pl.DataFrame:
    """Charges: day of 2025 (from 1 August), service, category, frequency, days covered, amount."""
    start = date(2025, 8, 1)
    schema = {"date": pl.Date, "ServiceName": pl.String, "ChargeCategory": pl.String, "ChargeFrequency": pl.String,
              "covers_days": pl.Int64, "BilledCost": AMOUNT}  # fmt: skip
    typed = [(start + timedelta(days=day), *names, Decimal(amount)) for day, *names, amount in rows]
    frame = pl.DataFrame(typed, schema=schema, orient="row")
    return frame.with_columns(business_unit=pl.lit("shop"), BillingCurrency=pl.lit("USD"))


MONTHS = (0, 31, 61)


@pytest.mark.parametrize(
    ("what", "rows", "is_fee"),
    [
        ("a support fee", [(day, "Support", "Purchase", "Recurring", 31, "420") for day in MONTHS], True),
        ("a month's use on one line", [(day, "Rack", "Usage", "Usage-Based", 31, "9") for day in MONTHS], True),
        ("a credit", [(day, "Credits", "Credit", "One-Time", None, "-5") for day in MONTHS], True),
        ("a fee by the hour", [(day, "Plan", "Purchase", "Recurring", 1, "2") for day in range(90)], False),
        ("use at month starts", [(day, "Batch", "Usage", "Usage-Based", 1, "7") for day in MONTHS], False),
        ("use of which nothing is stated", [(day, "VM", None, None, None, "7") for day in MONTHS], False),
    ],
)
def test_what_is_charged_by_the_month_is_told_from_what_runs(what: str, rows: list, is_fee: bool) -> None:
    found = forecasts.split_fees(charges(*rows), "business_unit")
    assert found["BilledCost"].sum() == sum(Decimal(row[-1]) for row in rows), what
    assert found["fees"].sum() == (found["BilledCost"].sum() if is_fee else 0), what


def test_fees_and_use_of_one_day_are_one_row() -> None:
    found = forecasts.split_fees(
        charges((0, "Support", "Purchase", "Recurring", 31, "420"), (0, "VM", "Usage", "Usage-Based", 0, "1.5")),
        "business_unit",
    )
    assert found.select("BilledCost", "fees").rows() == [(Decimal("421.5"), Decimal(420))]


# Backtests


def test_a_backtest_looks_only_at_what_came_before_each_origin(bill: pl.DataFrame) -> None:
    tested = forecasts.backtest(bill, "business_unit", FIRST, 7, origins=1)
    origin = tested["origin"].min()
    ahead = forecasts.forecast(bill.filter(pl.col("date") < origin), "business_unit", origin, 7)
    row = tested.row(by_predicate=(pl.col("origin") == origin) & (pl.col("business_unit") == "shop"), named=True)
    shop = ahead.filter(pl.col("business_unit") == "shop")
    came = bill.filter((pl.col("business_unit") == "shop") & (pl.col("date") >= origin)).head(7)
    assert row["expected"] == shop["point"].sum()
    assert row["actual"] == came["BilledCost"].sum()
    assert row["error"] == pytest.approx(float((came["BilledCost"] - shop["point"]).abs().mean()))
    assert row["held"] == ((came["BilledCost"] >= shop["lower"]) & (came["BilledCost"] <= shop["upper"])).sum()


def test_origins_lie_a_step_apart_and_leave_four_weeks_of_history(bill: pl.DataFrame) -> None:
    bill = bill.filter(pl.col("business_unit") == "euro")
    tested = forecasts.backtest(bill, "business_unit", FIRST, 15, origins=8)
    assert tested["origin"].unique().sort().to_list() == [FIRST - timedelta(days=days) for days in (29, 22, 15)]
    assert forecasts.backtest(bill, "business_unit", FIRST, 60).is_empty()


def test_units_actuals_of_a_backtest_are_those_of_the_whole(bill: pl.DataFrame) -> None:
    tested = forecasts.backtest(bill, "business_unit", FIRST, 14, origins=1)
    whole = pl.col("business_unit") == forecasts.ALL
    for column in ("actual", "expected"):
        one, parts = (tested.filter(part).group_by("BillingCurrency", "origin").agg(pl.col(column).sum()).sort(pl.all())
                      for part in (whole, ~whole))  # fmt: skip
        assert one[column].to_list() == parts[column].to_list()


def test_a_verdict_counts_the_origins_and_says_so_plainly() -> None:
    def rows(*errors: float) -> pl.DataFrame:
        schema = {"business_unit": pl.String, "BillingCurrency": pl.String, "days": pl.Int64, "held": pl.Int64,
                  "error": pl.Float64, "last_week_error": pl.Float64, "mase": pl.Float64, "last_week_mase": pl.Float64,
                  "sum_held": pl.Boolean}  # fmt: skip
        return pl.DataFrame(
            [("a", "USD", 10, 9, error, 1.0, error, 1.0, True) for error in errors], schema, orient="row"
        )

    good = forecasts.verdicts(rows(0.5, 0.5, 2)).row(0, named=True)
    assert good["verdict"] == "better than the last week in 2 of 3"
    assert (good["coverage"], good["sums_held"], good["mase"]) == (0.9, 3, 1.0)
    assert forecasts.verdicts(rows(1, 0.5, 2))["verdict"].item() == "no better than the last week in 2 of 3"


def test_a_backtest_of_nothing_is_refused(bill: pl.DataFrame) -> None:
    with pytest.raises(UsageError, match="all must be 1 or more"):
        forecasts.backtest(bill, "business_unit", FIRST, 0)


@pytest.mark.parametrize(("days", "horizon"), [(10, 7), (60, 15), (120, 30), (900, 30)])
def test_a_short_history_is_tested_over_fewer_days(days: int, horizon: int) -> None:
    assert forecasts.backtest_horizon(days) == horizon
