"""A bill in: the same totals whatever the order, the pieces and the number of loads."""

import os
import random
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

import workbench
from tests.pipelines.conftest import BILL, WHOLE, MakeProfile, line, write
from workbench.errors import SourceError
from workbench.pipelines.ingest import COST_EVENTS, FOCUS_COSTS, ingest
from workbench.settings import Settings
from workbench.warehouse import Warehouse

pytestmark = pytest.mark.slow

Open = Callable[[Settings], Warehouse]


def held(warehouse: Warehouse, table: str = FOCUS_COSTS, column: str = "BilledCost") -> tuple[int, Decimal]:
    frame = warehouse.query(f"SELECT COUNT(*) AS many, SUM({column}) AS money FROM {table}")
    return frame["many"][0], frame["money"][0] or Decimal(0)


@pytest.mark.slow
def test_a_bill_loaded_three_times_shuffled_and_in_overlapping_pieces_gives_the_same_totals(
    tmp_path: Path, make_profile: MakeProfile, open_warehouse: Open
) -> None:
    settings = make_profile()
    warehouse = open_warehouse(settings)
    shuffled = random.Random(3).sample(BILL, len(BILL))
    for number, pieces in enumerate(([BILL], [shuffled], [shuffled[:60], shuffled[40:]])):
        for old in (tmp_path / "bills").iterdir():
            old.unlink()
        for piece, rows in enumerate(pieces):
            write(tmp_path / "bills" / f"bill-{number}-{piece}.csv", rows)
        ingested = ingest(warehouse, settings)
        assert ingested.exit_code == 0
        assert held(warehouse) == (len(BILL), WHOLE)
        assert held(warehouse, COST_EVENTS, "cost_amount") == (len(BILL), WHOLE)


def test_the_whole_lines_and_their_cost_events_have_the_same_ids_and_amounts(
    tmp_path: Path, make_profile: MakeProfile, open_warehouse: Open
) -> None:
    settings = make_profile()
    write(tmp_path / "bills" / "bill.csv", BILL)
    warehouse = open_warehouse(settings)
    ingest(warehouse, settings)
    apart = warehouse.query(
        f"SELECT COUNT(*) AS many FROM {FOCUS_COSTS} f FULL OUTER JOIN {COST_EVENTS} e ON e.event_id = f.event_id "
        "WHERE f.event_id IS NULL OR e.event_id IS NULL OR f.BilledCost <> e.cost_amount"
    )
    assert apart["many"][0] == 0


@pytest.mark.slow
def test_one_bad_file_among_ten_is_named_and_the_nine_others_are_loaded(
    tmp_path: Path, make_profile: MakeProfile, open_warehouse: Open
) -> None:
    settings = make_profile()
    for number in range(9):
        write(tmp_path / "bills" / f"good-{number}.csv", [line(f"r{number}", day, "1.5") for day in range(1, 5)])
    (tmp_path / "bills" / "broken.csv").write_bytes(os.urandom(4_000))
    warehouse = open_warehouse(settings)
    ingested = ingest(warehouse, settings)
    assert [read.source_file for read in ingested.unread] == ["broken.csv"]
    assert "broken.csv" in (ingested.unread[0].error or "")
    assert str(tmp_path) not in (ingested.unread[0].error or "")
    assert ingested.exit_code == 1
    assert held(warehouse) == (36, Decimal("54.000000000000"))


def test_a_single_bad_file_is_an_error_that_names_it(
    tmp_path: Path, make_profile: MakeProfile, open_warehouse: Open
) -> None:
    settings = make_profile()
    (tmp_path / "bills" / "bill.csv").write_text("a;b;c\n1;2;3\n")
    with pytest.raises(SourceError, match="bill.csv"):
        ingest(open_warehouse(settings), settings)


def test_a_refused_row_is_kept_with_its_reason_and_the_rest_is_loaded(
    tmp_path: Path, make_profile: MakeProfile, open_warehouse: Open
) -> None:
    settings = make_profile()
    write(tmp_path / "bills" / "bill.csv", [line("a", 1, "1"), line("b", 1, "NaN"), line("c", 1, "2")])
    warehouse = open_warehouse(settings)
    assert ingest(warehouse, settings).exit_code == 1
    kept = warehouse.query("SELECT row_number, reason, record FROM finops_staging.rejected_rows")
    assert kept["row_number"].to_list() == [3]
    assert "BilledCost" in kept["reason"][0]
    assert '"b"' in kept["record"][0]
    assert held(warehouse)[1] == Decimal(3)


@pytest.mark.slow
def test_an_unchanged_file_is_not_read_again_unless_it_is_asked_for(
    tmp_path: Path, make_profile: MakeProfile, open_warehouse: Open
) -> None:
    settings = make_profile()
    path = write(tmp_path / "bills" / "bill.csv", BILL)
    warehouse = open_warehouse(settings)
    ingest(warehouse, settings)
    assert ingest(warehouse, settings, again=False).files == ()
    assert len(ingest(warehouse, settings, again=True).files) == 1
    write(path, [*BILL, line("new", 1, "7")])
    assert len(ingest(warehouse, settings, again=False).files) == 1
    assert held(warehouse) == (len(BILL) + 1, WHOLE + 7)


@pytest.mark.slow
def test_a_restated_bill_replaces_the_amount_and_the_book_still_closes(
    tmp_path: Path, make_profile: MakeProfile, open_warehouse: Open
) -> None:
    settings = make_profile()
    path = write(tmp_path / "bills" / "bill.csv", [line("a", 1, "10"), line("b", 1, "5")])
    os.utime(path, (1_761_000_000, 1_761_000_000))
    warehouse = open_warehouse(settings)
    ingest(warehouse, settings)
    write(path, [line("a", 1, "8"), line("b", 1, "5")])
    os.utime(path, (1_761_100_000, 1_761_100_000))
    (loaded,) = ingest(warehouse, settings).files
    assert loaded.merged is not None
    assert (loaded.merged.restated, loaded.merged.unchanged) == (1, 1)
    assert held(warehouse) == (2, Decimal(13))
    history = warehouse.query(f"SELECT BilledCost FROM {FOCUS_COSTS}_history")
    assert history["BilledCost"].to_list() == [Decimal(10)]


@pytest.mark.slow
def test_other_unit_names_in_the_profile_reach_lines_that_are_known_already(
    tmp_path: Path, make_profile: MakeProfile, open_warehouse: Open
) -> None:
    settings = make_profile()
    write(tmp_path / "bills" / "bill.csv", BILL)
    warehouse = open_warehouse(settings)
    ingest(warehouse, settings)
    renamed = make_profile("sources:\n  - name: bills\n    path: bills\nnames:\n  units:\n    shop: The shop\n")
    ingest(warehouse, renamed, again=False)
    units = warehouse.query(f"SELECT DISTINCT business_unit FROM {FOCUS_COSTS}")
    assert units["business_unit"].to_list() == ["The shop"]
    assert held(warehouse) == (len(BILL), WHOLE)


@pytest.mark.slow
def test_the_totals_of_a_file_add_up_to_what_it_says(
    tmp_path: Path, make_profile: MakeProfile, open_warehouse: Open
) -> None:
    settings = make_profile()
    rows = [line("a", 1, "10"), line("b", 1, "5", currency="EUR"), line("c", 1, "2", currency="euro")]
    write(tmp_path / "bills" / "bill.csv", rows)
    warehouse = open_warehouse(settings)
    ingest(warehouse, settings)
    totals = warehouse.query("SELECT * FROM finops_staging.ingest_totals WHERE measure = 'BilledCost'")
    parts = totals.select(pl.col("accepted_total") + pl.col("rejected_total") == pl.col("read_total"))
    assert parts.to_series().all()
    assert set(totals["currency"]) >= {"USD", "EUR"}
    assert sum(totals["read_total"]) == Decimal(17)


@pytest.mark.slow
@pytest.mark.parametrize("table", [COST_EVENTS, FOCUS_COSTS])
def test_the_book_closes_though_a_load_dies_before_the_second_road_or_within_its_transaction(
    tmp_path: Path, make_profile: MakeProfile, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    settings = make_profile()
    write(tmp_path / "bills" / "bill.csv", BILL)
    merge = Warehouse.merge

    def dies(self: Warehouse, data: object, name: str, loaded_at: object = None, beside: object = None) -> object:
        def broken(merged: object) -> dict[str, pl.DataFrame]:
            del merged
            raise RuntimeError("the process dies here")

        return merge(self, data, name, loaded_at, broken if name == table else beside)  # type: ignore[arg-type]

    monkeypatch.setattr(Warehouse, "merge", dies)
    with pytest.raises(Exception, match="dies here"), Warehouse(settings) as warehouse:
        ingest(warehouse, settings)
    monkeypatch.undo()
    with workbench.open(settings.file, progress=lambda *_: None) as wb:
        assert (wb.reconcile()["difference"] == 0).all()
        assert sum(wb.costs()["BilledCost"]) == WHOLE
        assert held(wb.warehouse, COST_EVENTS, "cost_amount") == (len(BILL), WHOLE)
