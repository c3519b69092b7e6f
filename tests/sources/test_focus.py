"""Reading a bill: the public calls."""

import gc
import os
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from tests.sources.bills import COLUMNS, OBSERVED, counts, hours, line, text, total, write
from workbench.errors import SourceError, UsageError
from workbench.events import COST, validate
from workbench.focus import SCHEMA
from workbench.settings import Limits, Mapping, Names
from workbench.sources.focus import FileRead, cost_events, find_files, read_focus


def test_a_bill_is_read_into_the_schema(tmp_path: Path) -> None:
    bill = read_focus(write(tmp_path / "bill.csv", hours(3)), observed_at=OBSERVED)
    lines = bill.lines()
    assert lines.schema == SCHEMA
    assert bill.scan().collect_schema() == SCHEMA
    assert lines["BilledCost"].to_list() == [1, 2, 3]
    assert lines["ChargePeriodStart"].to_list() == [datetime(2025, 10, 1, tzinfo=UTC)] * 3
    assert lines.select("business_unit", "source_file", "line_count").row(0) == ("shop", "bill.csv", 1)
    assert lines["observed_at"].to_list() == [OBSERVED] * 3
    assert repr(bill) == "<Bill of 3 lines, 0 rejected: 6 USD billed>"


def test_the_totals_tell_accepted_and_rejected_by_currency(tmp_path: Path) -> None:
    given = [*hours(2), line(BilledCost="7", ChargeCategory="Fee"), line(BilledCost="-3", BillingCurrency="EUR")]
    totals = read_focus(write(tmp_path / "bill.csv", given), observed_at=OBSERVED).totals
    assert totals.rows() == [
        ("EUR", "accepted", 1, Decimal(-3), Decimal("1.5")),
        ("USD", "accepted", 2, Decimal(3), Decimal(3)),
        ("USD", "rejected", 1, Decimal(7), Decimal("1.5")),
    ]


def test_by_sums_up_dearest_first_and_keeps_currencies_apart(tmp_path: Path) -> None:
    given = [line(BilledCost="1"), line(BilledCost="5", ServiceName="S3"), line(BillingCurrency="EUR", BilledCost="2")]
    bill = read_focus(write(tmp_path / "bill.csv", given), observed_at=OBSERVED)
    assert bill.by("ServiceName").select("ServiceName", "BillingCurrency", "lines", "BilledCost").rows() == [
        ("S3", "USD", 1, Decimal(5)),
        ("Amazon EC2", "EUR", 1, Decimal(2)),
        ("Amazon EC2", "USD", 1, Decimal(1)),
    ]
    assert bill.by().height == bill.by("BillingCurrency").height == 2
    assert bill.by("date")["date"].to_list() == [date(2025, 10, 1)] * 2


@pytest.mark.parametrize("name", ["Servicename", "BilledCost"])
def test_by_knows_only_columns_to_split_by(tmp_path: Path, name: str) -> None:
    bill = read_focus(write(tmp_path / "bill.csv", hours(1)))
    with pytest.raises(UsageError, match=f"no column '{name}'"):
        bill.by(name)


def test_events_have_the_same_ids_and_amounts_and_are_valid(tmp_path: Path) -> None:
    bill = read_focus(write(tmp_path / "bill.csv", hours(5)), observed_at=OBSERVED)
    events = bill.events().collect()
    assert events.schema == COST
    assert events["event_id"].to_list() == bill.lines()["event_id"].to_list()
    assert events["cost_amount"].sum() == total(bill)
    checked = validate(events, "cost")
    assert checked.rejected.is_empty()
    assert checked.valid.equals(events)
    assert events["metadata"][0] == (
        '{"ChargeCategory":"Usage","ProviderName":"AWS","SkuId":"SKU","ChargePeriodEnd":"2025-10-01T01:00:00Z"}'
    )


def test_a_frame_that_is_collected_later_outlives_its_bill(tmp_path: Path) -> None:
    path = write(tmp_path / "bill.csv", hours(3))
    lazy = read_focus(path).events().filter(pl.col("cost_amount") > 1)
    gc.collect()
    assert lazy.collect()["cost_amount"].to_list() == [2, 3]
    assert lazy.head(1).collect().height == 1
    (file,) = read_focus(path).files
    gc.collect()
    assert cost_events(pl.scan_parquet(list(file.parts))).collect().height == 3


def test_a_temporary_folder_goes_with_the_last_that_holds_it(tmp_path: Path) -> None:
    bill = read_focus(write(tmp_path / "bill.csv", hours(3)))
    part = bill.files[0].parts[0]
    assert part.exists()
    del bill
    gc.collect()
    assert not part.exists()


def test_the_temporary_folder_of_a_file_that_fails_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    with pytest.raises(SourceError):
        read_focus(write(tmp_path / "bill.csv", ""))
    gc.collect()
    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_folder_that_was_named_is_kept(tmp_path: Path) -> None:
    read_focus(write(tmp_path / "bill.csv", hours(3)), folder=tmp_path / "parts")
    gc.collect()
    assert pl.read_parquet(tmp_path / "parts").height == 3


def test_all_lines_as_pandas_stay_exact(tmp_path: Path) -> None:
    frame = read_focus(write(tmp_path / "bill.csv", hours(3))).to_pandas()
    assert list(frame["BilledCost"]) == [Decimal(1), Decimal(2), Decimal(3)]


def test_a_folder_and_a_pattern_mean_all_their_files(tmp_path: Path) -> None:
    write(tmp_path / "a" / "1.csv", hours(1))
    write(tmp_path / "b" / "2.csv", hours(2))
    write(tmp_path / "notes.txt", "no bill")
    write(tmp_path / ".ipynb_checkpoints" / "1-checkpoint.csv", hours(9))
    write(tmp_path / "._1.csv", b"\x00\x05\x16\x07")
    bill = read_focus(tmp_path, observed_at=OBSERVED)
    assert [file.source_file for file in bill.files] == ["a/1.csv", "b/2.csv"]
    assert find_files(str(tmp_path / "*" / "*.csv")) == [tmp_path / "a" / "1.csv", tmp_path / "b" / "2.csv"]
    assert bill.lines()["source_file"].to_list() == ["a/1.csv", "b/2.csv", "b/2.csv"]


def test_nothing_to_read_says_what_would_be_read(tmp_path: Path) -> None:
    with pytest.raises(
        SourceError, match=r"does not exist, or matches nothing that ends in \.csv, \.csv\.gz, \.parquet"
    ):
        read_focus(tmp_path / "bill.csv")
    with pytest.raises(SourceError, match=r"holds no file that ends in"):
        read_focus(tmp_path)


def test_a_file_is_observed_when_it_was_written(tmp_path: Path) -> None:
    path = write(tmp_path / "bill.csv", hours(1))
    os.utime(path, (1_761_955_200, 1_761_955_200))
    assert read_focus(path).lines()["observed_at"].to_list() == [datetime(2025, 11, 1, tzinfo=UTC)]


def test_a_moment_without_zone_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no time zone"):
        read_focus(write(tmp_path / "bill.csv", hours(1)), observed_at=datetime(2025, 11, 1))  # noqa: DTZ001


def test_progress_is_told_file_by_file(tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path / f"{number}.csv", hours(number))
    told: list[FileRead] = []
    read_focus(tmp_path, progress=told.append)
    assert [file.accepted for file in told] == [0, 1, 2]


# A CSV that is no FOCUS, by a mapping


PLAIN = Mapping(
    fields={"BilledCost": "cost", "ChargePeriodStart": "Day", "business_unit": "team", "ChargeDescription": "cost"},
    constants={"BillingCurrency": "USD", "ProviderName": "Cloud"},
    rows={"level": "team"},
    period="1mo",
    delimiter=";",
)
PLAIN_CSV = (
    "day;level;team;cost\n2025-01-31;team;shop;1\n2025-01-31;all;;3\n2025-01-31; team ;lab;2\n2025-02-01;team;lab;x\n"
)


def test_a_mapping_says_what_is_what(tmp_path: Path) -> None:
    bill = read_focus(write(tmp_path / "bill.csv", PLAIN_CSV), mapping=PLAIN, observed_at=OBSERVED)
    assert counts(bill) == (4, 2, 1, 1)
    lines = bill.lines()
    assert lines.select(
        "BilledCost", "business_unit", "BillingCurrency", "ProviderName", "ChargeDescription"
    ).rows() == [
        (Decimal(1), "shop", "USD", "Cloud", "1"),
        (Decimal(2), "lab", "USD", "Cloud", "2"),
    ]
    assert lines["ChargePeriodEnd"].to_list() == [datetime(2025, 2, 28, tzinfo=UTC)] * 2
    assert bill.rejected.select("row", "reason", "value").rows() == [(5, "BilledCost is not a number", "x")]


def test_a_row_filter_that_matches_nothing_filters_everything(tmp_path: Path) -> None:
    mapping = PLAIN.model_copy(update={"rows": {"level": "nobody"}})
    bill = read_focus(write(tmp_path / "bill.csv", PLAIN_CSV), mapping=mapping)
    assert counts(bill) == (4, 0, 0, 4)
    assert bill.lines().schema == SCHEMA
    assert bill.totals.is_empty()


def test_a_mapped_column_that_is_missing_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "bill.csv", PLAIN_CSV.replace("level", "layer"))
    with pytest.raises(SourceError, match=r"lacks the mapped column level; found 'day', 'layer', 'team', 'cost'"):
        read_focus(path, mapping=PLAIN)


@pytest.mark.parametrize("delimiter", ["§", '"', "\n"])
def test_a_delimiter_is_one_plain_character(tmp_path: Path, delimiter: str) -> None:
    with pytest.raises(SourceError, match="a delimiter is one ASCII character"):
        read_focus(write(tmp_path / "bill.csv", PLAIN_CSV), mapping=PLAIN.model_copy(update={"delimiter": delimiter}))


def test_a_mapping_may_read_columns_of_any_name(tmp_path: Path) -> None:
    mapping = Mapping(fields={"BilledCost": "row", "ChargePeriodStart": "at", "ResourceId": "part"},
                      constants={"BillingCurrency": "USD"})  # fmt: skip
    bill = read_focus(write(tmp_path / "bill.csv", "row,at,part,len\n1,2025-10-01,x,9\n"), mapping=mapping)
    assert bill.lines().select("BilledCost", "ResourceId").rows() == [(Decimal(1), "x")]


def test_new_names_for_units_change_no_id(tmp_path: Path) -> None:
    path = write(tmp_path / "bill.csv", PLAIN_CSV)
    before = read_focus(path, mapping=PLAIN).lines()
    after = read_focus(path, mapping=PLAIN, names=Names(units={"shop": "The shop"})).lines()
    assert after["business_unit"].to_list() == ["The shop", "lab"]
    assert after["event_id"].to_list() == before["event_id"].to_list()


def test_lines_that_differ_in_their_owner_only_are_two_lines(tmp_path: Path) -> None:
    lines = read_focus(write(tmp_path / "bill.csv", PLAIN_CSV.replace(";2\n", ";1\n")), mapping=PLAIN).lines()
    assert lines["event_id"].n_unique() == 2
    assert lines["line_count"].to_list() == [1, 1]


# Whose line it is


@pytest.mark.parametrize(
    ("tags", "unit"),
    [
        ('{"business_unit": "shop"}', "shop"),
        ('{" Business_Unit ": " shop "}', "shop"),
        ('{" org": "shop"}', "shop"),
        ('{"org": "second", "team": "shop"}', "shop"),
        ('{"team": "", "org": "shop"}', "shop"),
        ('{"team": 7}', "7"),
        ('{"other": "shop"}', "unallocated"),
        ('{"team": null}', "unallocated"),
        ("not json", "unallocated"),
        ('["team"]', "unallocated"),
        ("7", "unallocated"),
        ("NULL", "unallocated"),
        ("", "unallocated"),
    ],
)
def test_tags_tell_the_unit(tmp_path: Path, tags: str, unit: str) -> None:
    lines = read_focus(write(tmp_path / "bill.csv", [line(Tags=tags)])).lines()
    assert lines["business_unit"].to_list() == [unit]


def test_tag_keys_differ_by_provider(tmp_path: Path) -> None:
    names = Names(unit_tags={"default": ["team"], "Microsoft": ["Cost department"]}, units={"a": "Alpha"})
    tags = '{"team": "a", "cost department": "b"}'
    given = [line(Tags=tags), line(Tags=tags, ProviderName="Microsoft"), line(Tags=tags, ProviderName="")]
    lines = read_focus(write(tmp_path / "bill.csv", given), names=names).lines()
    assert lines["business_unit"].to_list() == ["Alpha", "b", "Alpha"]


def test_project_and_environment_come_from_tags_too(tmp_path: Path) -> None:
    given = [line(Tags='{"app": "web", "stage": "production"}')]
    lines = read_focus(write(tmp_path / "bill.csv", given)).lines()
    assert lines.select("project_id", "environment").row(0) == ("web", "production")


def test_columns_of_any_case_and_order_are_found_and_others_left_alone(tmp_path: Path) -> None:
    given = [line() | {"x_Extra": "1", "Id": "2"}]
    written = text(given, columns=["x_Extra", *reversed(COLUMNS), "Id"])
    head, rest = written.split("\n", 1)
    usual = read_focus(write(tmp_path / "a.csv", [line()]), observed_at=OBSERVED).lines()
    other = read_focus(write(tmp_path / "b.csv", head.upper() + "\n" + rest), observed_at=OBSERVED).lines()
    assert other.drop("source_file").equals(usual.drop("source_file"))


def test_a_limit_may_be_lowered(tmp_path: Path) -> None:
    given = [line(), line(ChargeDescription="x" * 2000), line(ResourceId="other")]
    bill = read_focus(write(tmp_path / "bill.csv", given), limits=Limits(max_line_bytes=1000))
    assert bill.rejected.select("row", "reason").rows() == [(3, "line is longer than 1000 bytes")]
    assert counts(bill) == (3, 2, 1, 0)
