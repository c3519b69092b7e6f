"""`workbench.open`: data as of a day, with the knowledge of a moment."""

import os
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

import workbench
from tests.pipelines.conftest import BILL, WHOLE, MakeProfile, line, write
from workbench.errors import UsageError
from workbench.pipelines.ingest import ingest
from workbench.settings import Settings
from workbench.warehouse import Warehouse

pytestmark = pytest.mark.slow  # each test has a warehouse of its own

Open = Callable[[Settings], Warehouse]


def quiet(what: str, done: int, total: int) -> None:
    """Show nothing."""


def test_the_first_opening_loads_the_sources_and_the_default_as_of_is_the_day_after_the_last_charge(
    tmp_path: Path, make_profile: MakeProfile
) -> None:
    settings = make_profile()
    write(tmp_path / "bills" / "bill.csv", BILL)
    with workbench.open(settings.file, progress=quiet) as wb:
        assert wb.as_of == date(2025, 10, 21)
        assert sum(wb.costs()["BilledCost"]) == WHOLE
        assert (wb.reconcile()["difference"] == 0).all()
        assert (wb.against_files()["in_several_files"] == 0).all()


def test_charges_from_the_as_of_day_on_do_not_count_and_every_split_has_the_same_total(
    tmp_path: Path, make_profile: MakeProfile
) -> None:
    settings = make_profile()
    write(tmp_path / "bills" / "bill.csv", BILL)
    with workbench.open(settings.file, "2025-10-11", progress=quiet) as wb:
        daily = wb.costs()
        assert daily["date"].max() == date(2025, 10, 10)
        for split in ("business_unit", "ServiceName", "ResourceId", "AvailabilityZone"):
            assert sum(wb.costs(split)["BilledCost"]) == sum(daily["BilledCost"])


def test_an_old_report_can_be_made_again_with_the_knowledge_of_its_day(
    tmp_path: Path, make_profile: MakeProfile, open_warehouse: Open
) -> None:
    settings = make_profile()
    path = write(tmp_path / "bills" / "bill.csv", [line("a", 1, "10"), line("b", 1, "5")])
    os.utime(path, (1_761_000_000, 1_761_000_000))
    warehouse = open_warehouse(settings)
    ingest(warehouse, settings)
    with workbench.open(settings.file, progress=quiet) as wb:
        before = wb.known_at
    write(path, [line("a", 1, "8"), line("b", 1, "5"), line("c", 1, "1")])
    os.utime(path, (1_761_100_000, 1_761_100_000))
    ingest(warehouse, settings)
    with workbench.open(settings.file, known_at=before, progress=quiet) as wb:
        assert wb.costs()["BilledCost"].to_list() == [Decimal(15)]
    with workbench.open(settings.file, progress=quiet) as wb:
        assert wb.costs()["BilledCost"].to_list() == [Decimal(14)]


def test_a_column_that_is_none_is_refused_before_it_reaches_the_warehouse(
    tmp_path: Path, make_profile: MakeProfile
) -> None:
    settings = make_profile()
    write(tmp_path / "bills" / "bill.csv", BILL)
    with workbench.open(settings.file, progress=quiet) as wb:
        for name in ("ServiceNam", "1; DROP TABLE x", "BilledCost) FROM x --"):
            with pytest.raises(UsageError, match="can't be split by"):
                wb.costs(name)


@pytest.mark.parametrize(
    ("as_of", "known_at", "said"),
    [("yesterday", "", "as-of 'yesterday' is no date"), ("", "noon", "known-at 'noon' is no time"),
     ("", "2025-11-01T00:00:00", "has no time zone")],
)  # fmt: skip
def test_a_wrong_as_of_or_known_at_is_an_error_that_says_how_to_write_it(
    tmp_path: Path, make_profile: MakeProfile, as_of: str, known_at: str, said: str
) -> None:
    settings = make_profile()
    write(tmp_path / "bills" / "bill.csv", BILL[:5])
    with pytest.raises(UsageError, match=said):
        workbench.open(settings.file, as_of, known_at, progress=quiet)


def test_a_known_at_in_another_zone_is_taken_to_utc(tmp_path: Path, make_profile: MakeProfile) -> None:
    settings = make_profile()
    write(tmp_path / "bills" / "bill.csv", BILL[:5])
    with workbench.open(settings.file, known_at="2030-01-01T02:00:00+02:00", progress=quiet) as wb:
        assert wb.known_at == datetime(2030, 1, 1, tzinfo=UTC)
        assert wb.known_at.utcoffset() == timedelta(0)
        assert isinstance(wb.lines(3), pl.DataFrame)
