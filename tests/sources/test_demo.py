"""The bill that the package generates."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from workbench.focus import AMOUNT, COLUMNS, TIME, UNALLOCATED
from workbench.sources.demo import bill, write_bill
from workbench.sources.focus import Bill, read_focus

END = date(2025, 11, 1)
OBSERVED = datetime(2025, 11, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def generated() -> pl.DataFrame:
    return bill(60, 7, END)


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Bill:
    folder = tmp_path_factory.mktemp("demo")
    write_bill(folder, 60, 7, END)
    return read_focus(folder, observed_at=OBSERVED)


def test_the_same_seed_gives_the_same_bill_and_another_seed_another(generated: pl.DataFrame) -> None:
    assert bill(60, 7, END).equals(generated)
    assert not bill(60, 8, END).equals(generated)


def test_it_is_a_valid_bill_to_the_last_digit(read: Bill, generated: pl.DataFrame) -> None:
    assert read.rejected.is_empty()
    assert sum(file.accepted for file in read.files) == generated.height
    exact = sum(generated["BilledCost"].to_list(), Decimal(0))
    assert read.totals["BilledCost"].to_list() == [exact]
    assert read.lines()["event_id"].n_unique() == generated.height
    assert [file.equal_lines for file in read.files] == [0] * len(read.files)


def test_it_has_focus_columns_of_their_types(generated: pl.DataFrame) -> None:
    assert set(generated.columns) <= set(COLUMNS)
    assert generated.schema["BilledCost"] == AMOUNT
    assert generated.schema["ChargePeriodStart"] == TIME


def test_it_covers_each_hour_of_its_days_and_no_more(generated: pl.DataFrame) -> None:
    usage = generated.filter(ChargeCategory="Usage")
    start = datetime(2025, 11, 1, tzinfo=UTC) - timedelta(days=60)
    assert usage["ChargePeriodStart"].min() == start
    assert usage["ChargePeriodStart"].max() == datetime(2025, 10, 31, 23, tzinfo=UTC)
    assert usage.group_by("ResourceId").len()["len"].unique().to_list() == [60 * 24]


def test_a_file_is_written_a_month(tmp_path: Path) -> None:
    files = write_bill(tmp_path / "demo", 40, 1, END)
    assert [file.name for file in files] == ["demo-2025-09.parquet", "demo-2025-10.parquet"]


@pytest.mark.parametrize("days", [1, 2, 365])
def test_it_may_be_as_long_as_one_likes(days: int) -> None:
    assert bill(days, 7, END).filter(ChargeCategory="Usage")["ChargePeriodStart"].dt.date().n_unique() == days


def test_there_are_things_worth_finding(read: Bill) -> None:
    lines = read.lines()
    assert lines.filter(business_unit=UNALLOCATED).height > 0
    assert lines.filter(ChargeCategory="Credit")["BilledCost"].max() < 0
    by_day = lines.with_columns(day=pl.col("ChargePeriodStart").dt.date()).group_by("ResourceName", "day")
    daily = by_day.agg(pl.col("BilledCost").cast(pl.Float64).sum()).sort("day")
    training = daily.filter(ResourceName="training")["BilledCost"]
    assert training.max() > 10 * training.median()  # type: ignore[operator]
    index = daily.filter(ResourceName="index")["BilledCost"]
    assert index[-10:].mean() < 0.8 * index[:20].mean()  # type: ignore[operator]
    logs = daily.filter(ResourceName="logs")["BilledCost"]
    assert logs[-7:].mean() > 1.5 * logs[:7].mean()  # type: ignore[operator]


def test_a_commitment_lowers_what_is_billed(generated: pl.DataFrame) -> None:
    web = generated.filter(ResourceName="web")
    assert (web["BilledCost"] < web["ListCost"]).all()
    assert web["PricingCategory"].unique().to_list() == ["Committed"]
