"""Bills in Parquet: whatever types their columns have."""

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.sources.bills import OBSERVED, counts, line, reasons, total, write
from workbench.errors import SourceError
from workbench.sources.focus import Bill, read_focus, rows

START = datetime(2025, 10, 1, tzinfo=UTC)
USUAL = {
    "BilledCost": pa.array([Decimal("1.5"), Decimal(-2)], pa.decimal128(20, 6)),
    "ChargePeriodStart": pa.array([START, START], pa.timestamp("us", "UTC")),
    "BillingCurrency": ["USD", "usd"],
    "ResourceId": ["a", "b"],
}


def bill_of(tmp_path: Path, **columns: Any) -> Bill:
    pq.write_table(pa.table(USUAL | columns), tmp_path / "bill.parquet")
    bill = read_focus(tmp_path / "bill.parquet", observed_at=OBSERVED)
    assert bill.events().collect().height == bill.files[0].accepted
    return bill


def test_the_same_lines_as_csv_and_as_parquet_are_the_same(tmp_path: Path) -> None:
    csv = read_focus(
        write(tmp_path / "a.csv", [line(), line(Tags="NULL", ResourceId="b")]), observed_at=OBSERVED
    ).lines()
    csv.drop("event_id", "business_unit", "source_file").write_parquet(tmp_path / "a.parquet")
    parquet = read_focus(tmp_path / "a.parquet", observed_at=OBSERVED).lines()
    assert parquet.drop("source_file").equals(csv.drop("source_file"))


@pytest.mark.parametrize(
    "amounts",
    [
        pa.array([Decimal("1.5"), Decimal(-2)], pa.decimal128(38, 18)),
        pa.array([Decimal("1.5"), Decimal(-2)], pa.decimal256(60, 20)),
        pa.array([1.5, -2.0], pa.float64()),
        pa.array([1.5, -2.0], pa.float32()),
        pa.array(["1.5", "-2E0"]),
        pa.array(["1.5", "-2"]).dictionary_encode(),
        pa.array([b"1.5", b"-2"]),
    ],
    ids=lambda amounts: str(amounts.type),
)
def test_amounts_of_any_type_are_exact(tmp_path: Path, amounts: pa.Array) -> None:
    assert bill_of(tmp_path, BilledCost=amounts).lines()["BilledCost"].to_list() == [Decimal("1.5"), Decimal(-2)]


def test_doubles_count_as_their_shortest_spelling_or_are_rejected(tmp_path: Path) -> None:
    bill = bill_of(tmp_path, BilledCost=[1e-7, 0.1 + 0.2])
    assert total(bill) == Decimal("0.0000001")
    assert reasons(bill) == [(2, "BilledCost has more than 12 digits after the point")]


def test_nan_is_rejected(tmp_path: Path) -> None:
    assert reasons(bill_of(tmp_path, BilledCost=[float("nan"), 1.0])) == [(1, "BilledCost is NaN or infinite")]


@pytest.mark.parametrize(
    "starts",
    [
        pa.array([START, START], pa.timestamp("ms", "Europe/Berlin")),
        pa.array([datetime(2025, 10, 1)] * 2, pa.timestamp("ns")),  # noqa: DTZ001
        pa.array([date(2025, 10, 1)] * 2, pa.date32()),
        pa.array(["2025-10-01", "2025-10-01T00:00:00Z"]),
    ],
    ids=lambda starts: str(starts.type),
)
def test_times_of_any_type_are_utc(tmp_path: Path, starts: pa.Array) -> None:
    assert bill_of(tmp_path, ChargePeriodStart=starts).lines()["ChargePeriodStart"].to_list() == [START, START]


@pytest.mark.parametrize(
    "tags",
    [
        pa.array([[("Team", "shop"), ("b", None)], None], pa.map_(pa.string(), pa.string())),
        pa.array([{"b": None, "Team": "shop"}, None], pa.struct([("Team", pa.string()), ("b", pa.string())])),
        pa.array(['{"Team":"shop","b":null}', "NULL"]),
    ],
    ids=["map", "struct", "text"],
)
def test_tags_of_any_type_become_a_json_object(tmp_path: Path, tags: pa.Array) -> None:
    lines = bill_of(tmp_path, Tags=tags).lines()
    assert lines["Tags"].str.replace_all(" ", "").to_list() == ['{"Team":"shop","b":null}', None]
    assert lines["business_unit"].to_list() == ["shop", "unallocated"]


def test_a_list_is_no_object_of_tags(tmp_path: Path) -> None:
    lines = bill_of(tmp_path, Tags=[["team"], [None]]).lines()
    assert lines["Tags"].to_list() == ['["team"]', "[null]"]
    assert lines["business_unit"].to_list() == ["unallocated"] * 2


def test_other_types_of_text_columns_are_text(tmp_path: Path) -> None:
    lines = bill_of(
        tmp_path,
        ResourceId=[1, 2],
        ServiceName=pa.array(["a", "NULL"]).dictionary_encode(),
        SkuId=pa.array(["a", "b"], pa.large_string()),
        RegionId=pa.array(["a", "b"], pa.string_view()),
        ChargeDescription=[True, None],
        Tags=pa.nulls(2),
        ListCost=pa.nulls(2),
    ).lines()
    assert lines.select("ResourceId", "ServiceName", "SkuId", "RegionId", "ChargeDescription").rows() == [
        ("1", "a", "a", "a", "true"),
        ("2", None, "b", "b", None),
    ]


def test_what_is_no_number_at_all_is_rejected(tmp_path: Path) -> None:
    for odd in ([True, False], [{"a": 1}, {"a": 2}], [[1], [2]]):
        assert [reason for _, reason in reasons(bill_of(tmp_path, BilledCost=odd))] == [
            "BilledCost is not a number"
        ] * 2


def test_a_type_that_nothing_can_be_made_of_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="can't be read"):
        bill_of(tmp_path, BilledCost=pa.array([1, 2], pa.duration("s")))


def test_column_names_in_capitals_are_found(tmp_path: Path) -> None:
    pq.write_table(pa.table({name.upper(): values for name, values in USUAL.items()}), tmp_path / "bill.PARQUET")
    assert counts(read_focus(tmp_path)) == (2, 2, 0, 0)


def test_rows_are_numbered_across_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "_BATCH_ROWS", 3)
    costs = ["x" if number in {4, 9} else "1" for number in range(1, 11)]
    frame = pl.DataFrame({"BilledCost": costs}).with_columns(
        ChargePeriodStart=pl.lit(START), BillingCurrency=pl.lit("USD")
    )
    frame.write_parquet(tmp_path / "bill.parquet")
    assert [row for row, _ in reasons(read_focus(tmp_path, observed_at=OBSERVED))] == [4, 9]


def test_an_empty_table_is_a_bill_of_nothing(tmp_path: Path) -> None:
    pq.write_table(pa.table(USUAL).slice(0, 0), tmp_path / "bill.parquet")
    assert counts(read_focus(tmp_path)) == (0, 0, 0, 0)


def test_a_parquet_file_cut_off_is_an_error(tmp_path: Path) -> None:
    pq.write_table(pa.table(USUAL), tmp_path / "whole.parquet")
    path = write(tmp_path / "bill.parquet", (tmp_path / "whole.parquet").read_bytes()[:-20])
    with pytest.raises(SourceError, match=r"bill.parquet: can't be read"):
        read_focus(path)
