"""What forecasts and returns rest on: exact, as of a day, with the knowledge of a moment, currencies apart."""

import os
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

import workbench
from tests.pipelines.conftest import BILL, HEADER, line, write
from workbench import Workbench, events
from workbench.errors import UsageError
from workbench.focus import AMOUNT
from workbench.pipelines.ingest import ingest
from workbench.settings import Settings, load
from workbench.warehouse import Warehouse, stop

pytestmark = pytest.mark.slow  # each test has a warehouse of its own

FEE = dict(zip(HEADER, line("fee", 1, "420"), strict=True))
FEE |= {"ChargeCategory": "Purchase", "ChargePeriodEnd": "2025-11-01 00:00:00"}
FIRST = Decimal(BILL[0][HEADER.index("BilledCost")])  # r0 on day 1, restated to 500
EURO = line("e", 3, "1.000000000007", currency="EUR", unit=None)


def quiet(what: str, done: int, total: int) -> None:
    """Show nothing."""


def sale(key: str, day: int, amount: str, **more: object) -> dict[str, object]:
    """A business event of October 2025."""
    at = datetime(2025, 10, day, 23, 30, tzinfo=UTC)
    return {"event_id": key, "timestamp": at, "event_type": "purchase", "action": "completed", "business_unit": "shop",
            "revenue_impact": Decimal(amount), "currency": "USD", "observed_at": at} | more  # fmt: skip


SALES = [
    sale("a", 3, "10.000000000001"), sale("b", 3, "5"), sale("c", 3, "-2", event_type="refund"),
    sale("d", 3, "0", action="looked"), sale("e", 3, "7", currency="EUR"), sale("f", 25, "9"),
    sale("g", 4, "1", business_unit=None),
]  # fmt: skip


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A bill that was loaded, and restated later; sales of the same days."""
    root = tmp_path_factory.mktemp("history")
    (root / "params").mkdir()
    (root / "bills").mkdir()
    (root / "params" / "test.yaml").write_text("sources:\n  - name: bills\n    path: bills\n")
    made = load(root / "params" / "test.yaml")
    with Warehouse(made) as warehouse:
        brought(warehouse, made, root / "bills" / "bill.csv", [*BILL, list(FEE.values()), EURO], 1_761_000_000)
        warehouse.merge(pl.DataFrame(SALES, schema=events.BUSINESS), "finops_curated.business_events")
        restated = line("r0", 1, "500")
        brought(warehouse, made, root / "bills" / "bill.csv", [restated], 1_761_100_000)
    yield made
    stop(made)


def brought(warehouse: Warehouse, settings: Settings, path: Path, rows: list[list[str]], at: int) -> None:
    """Write a bill, as old as `at` says, and load it."""
    write(path, rows)
    os.utime(path, (at, at))
    ingest(warehouse, settings)


@pytest.fixture(scope="module")
def wb(settings: Settings) -> Iterator[Workbench]:
    with workbench.open(settings.file, "2025-10-11", progress=quiet) as found:
        yield found


@pytest.fixture(scope="module")
def earlier(settings: Settings, wb: Workbench) -> Iterator[Workbench]:
    """With the knowledge before the bill was restated."""
    known_at = wb.ingests()["loaded_at"].min()
    with workbench.open(settings.file, "2025-10-11", known_at, progress=quiet) as found:
        yield found


def test_the_history_read_through_snowpark_is_that_of_the_query_to_the_last_digit(
    wb: Workbench, earlier: Workbench
) -> None:
    keys = ["date", "business_unit", "BillingCurrency", "BilledCost"]
    for then in (wb, earlier):
        history, daily = then.cost_history("business_unit"), then.costs("business_unit")
        assert history.select(keys).equals(daily.select(keys))
        assert then.cost_history()["BilledCost"].sum() == sum(daily["BilledCost"])
    by_service = wb.cost_history("ServiceName", "business_unit")
    assert by_service["BilledCost"].sum() == history["BilledCost"].sum() + (500 - FIRST)
    assert history["date"].max() == date(2025, 10, 10)
    assert history.schema["BilledCost"] == history.schema["fees"] == AMOUNT


def test_a_history_can_be_read_again_with_the_knowledge_of_its_day(wb: Workbench, earlier: Workbench) -> None:
    assert wb.cost_history()["BilledCost"].sum() - earlier.cost_history()["BilledCost"].sum() == 500 - FIRST


def test_a_monthly_charge_is_told_from_what_runs(wb: Workbench) -> None:
    history = wb.cost_history("business_unit")
    assert dict(history.filter(pl.col("fees") != 0).select("date", "fees").iter_rows()) == {date(2025, 10, 1): 420}


def test_without_charges_or_events_the_frames_are_empty_and_typed(settings: Settings) -> None:
    with workbench.open(settings.file, "2020-01-01", progress=quiet) as wb:
        history, revenue = wb.cost_history("business_unit"), wb.revenue("business_unit", "action")
    assert (history.height, revenue.height) == (0, 0)
    assert history.schema["date"] == revenue.schema["date"] == pl.Date
    assert history.schema["business_unit"] == revenue.schema["action"] == pl.String
    assert revenue.schema["revenue_impact"] == AMOUNT


def test_business_events_come_by_day_with_refunds_and_currencies_apart(settings: Settings) -> None:
    now = datetime.now(UTC)
    with workbench.open(settings.file, "2025-10-21", now, progress=quiet) as wb:
        assert wb.revenue("business_unit").rows() == [
            (date(2025, 10, 3), "shop", "EUR", 1, 1, Decimal(7)),
            (date(2025, 10, 3), "shop", "USD", 4, 2, Decimal("13.000000000001")),
            (date(2025, 10, 4), "unallocated", "USD", 1, 1, Decimal(1)),
        ]
        split = wb.revenue("event_type", "action").filter(pl.col("currency") == "USD")
        assert split["revenue_impact"].sum() == Decimal("14.000000000001")
        assert split["events"].sum() == 5


def test_a_column_that_can_not_split_is_named(wb: Workbench) -> None:
    with pytest.raises(UsageError, match=r"costs can't be split by 'busines_unit'; did you mean 'business_unit'"):
        wb.cost_history("busines_unit")
    for name in ("user_id", "1; DROP TABLE x"):
        with pytest.raises(UsageError, match=r"revenue can't be split by .*; e.g. business_unit, event_type"):
            wb.revenue(name)
