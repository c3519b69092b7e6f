"""Real bills: read to the last digit, whatever their order and their pieces, or refused and counted."""

import csv
import json
import os
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

import pytest
import xxhash

from tests.sources.bills import counts, total
from workbench.focus import COLUMNS, IDENTITY, IDENTITY_WITHOUT_SKU
from workbench.settings import Mapping as ColumnMapping
from workbench.settings import load
from workbench.sources.focus import Bill, read_focus

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("WORKBENCH_DATA", ROOT / "../shared/data")).resolve()
SAMPLE = DATA / "focus" / "focus_1.0_sample_1000.csv"
RAW = DATA / "focus" / "raw-exports"
SPEC = sorted((DATA / "focus" / "spec-examples").glob("*.csv"))
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not SAMPLE.exists(), reason=f"no real data at {DATA}: set WORKBENCH_DATA"),
]

Rows = list[dict[str, str]]


def rows_of(path: Path) -> Rows:
    """The rows as Python's csv reads them: another way than ours."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [row for row in csv.DictReader(file) if any(row.values())]


def number(text: str | None) -> Decimal | None:
    try:
        return Decimal((text or "").strip())
    except InvalidOperation:
        return None


def held(amount: Decimal | None) -> Decimal:
    """The amount where a bill can hold it: at most twelve digits after the point."""
    fits = amount is not None and amount == amount.quantize(Decimal("1e-12"))
    return amount if fits and amount is not None else Decimal(0)


def sums(rows: Rows, by: str, measure: str) -> dict[str, Decimal]:
    found: dict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        found[row[by]] += Decimal(row[measure])
    return dict(found)


def accounted(bill: Bill, amounts: Iterable[str | None]) -> None:
    """Every row is somewhere, and what was accepted and what was rejected add up to what the file says."""
    read, accepted, rejected, filtered = counts(bill)
    assert read == accepted + rejected + filtered
    given = [held(number(text)) for text in amounts]
    assert accepted + rejected == len(given)
    assert total(bill) == sum(given, Decimal(0))
    assert bill.events().collect()["cost_amount"].sum() == total(bill, outcome="accepted")


@pytest.mark.parametrize("measure", ["BilledCost", "ListCost"])
def test_the_sample_is_exact_by_provider_and_as_a_whole(measure: str) -> None:
    rows, bill = rows_of(SAMPLE), read_focus(SAMPLE)
    assert counts(bill) == (1000, 1000, 0, 0)
    assert total(bill, measure) == sum((Decimal(row[measure]) for row in rows), Decimal(0))
    split = {row["ProviderName"]: row[measure] for row in bill.by("ProviderName").iter_rows(named=True)}
    assert split == sums(rows, "ProviderName", measure)


def test_the_sample_is_exact_by_business_unit() -> None:
    names = load(ROOT / "params" / "focus.yaml").names
    expected: dict[str, Decimal] = defaultdict(Decimal)
    for row in rows_of(SAMPLE):
        tags = json.loads(row["Tags"]) if row["Tags"] not in {"NULL", ""} else {}
        folded = {key.strip().casefold(): value for key, value in tags.items()}
        keys = names.unit_tags.get(row["ProviderName"], names.unit_tags["default"])
        unit = next((folded[key.casefold()] for key in keys if folded.get(key.casefold())), "unallocated")
        expected[unit.strip()] += Decimal(row["BilledCost"])
    found = read_focus(SAMPLE, names=names).by("business_unit")
    assert {row["business_unit"]: row["BilledCost"] for row in found.iter_rows(named=True)} == expected
    assert len(expected) > 5


def test_the_sample_shuffled_and_in_overlapping_pieces_gives_the_same_events(tmp_path: Path) -> None:
    head, *lines = SAMPLE.read_text(encoding="utf-8").splitlines(keepends=True)
    whole = read_focus(SAMPLE).lines().sort("event_id")
    assert whole["event_id"].n_unique() == 1000
    random.Random(7).shuffle(lines)
    for name, some in {"shuffled": lines, "a": lines[:600], "b": lines[400:]}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "bill.csv").write_text(head + "".join(some), encoding="utf-8")
    shuffled = read_focus(tmp_path / "shuffled").lines().sort("event_id")
    same = [name for name in whole.columns if name not in {"source_file", "observed_at"}]
    assert shuffled.select(same).equals(whole.select(same))
    pieces = read_focus(tmp_path / "*" / "bill.csv").lines().unique("event_id").sort("event_id")
    assert pieces.select(same).equals(whole.select(same))


def test_ids_of_the_sample_are_hashes_of_its_text_and_never_change() -> None:
    ids = read_focus(SAMPLE).lines()["event_id"].to_list()
    assert ids == [xxhash.xxh3_128_hexdigest(key(row).encode()) for row in rows_of(SAMPLE)]
    assert xxhash.xxh3_128_hexdigest("".join(ids).encode()) == GOLDEN


GOLDEN = "9a7bd01001b01a4e4b69200f7af304ca"
"""Should this ever differ, then every bill that was loaded before would count twice."""


def key(row: dict[str, str]) -> str:
    """The natural key of a row of the sample, in plain Python."""
    values = {name: "" if text == "NULL" else text for name, text in row.items()}
    for name in ("ChargePeriodStart", "ChargePeriodEnd"):
        values[name] = str(int(datetime.fromisoformat(values[name]).replace(tzinfo=UTC).timestamp()))
    values["ChargeFrequency"] = values["ChargeFrequency"].replace("based", "Based")
    columns = IDENTITY if values["SkuId"] or values["SkuPriceId"] else (*IDENTITY, *IDENTITY_WITHOUT_SKU)
    return "\x1f".join(values.get(name, "") for name in columns).rstrip("\x1f")


@pytest.mark.parametrize("path", SPEC, ids=lambda path: path.stem)
def test_every_example_of_the_specification_is_read_or_counted(path: Path) -> None:
    bill = read_focus(path)
    rows = rows_of(path)
    accounted(bill, [row["BilledCost"] for row in rows])
    # None of them is a whole bill: they lack the currency, write `$10,000.00` or `4/1/25`, or the hour 30.
    assert bill.files[0].accepted == 0
    reasons = set(bill.rejected["reason"])
    assert reasons <= {
        "BillingCurrency is missing",
        "BilledCost is not a number",
        "ChargePeriodStart is not an ISO 8601 time",
        "ChargePeriodEnd is not an ISO 8601 time",
    }


@pytest.mark.parametrize(
    "path", [path for path in SPEC if path.stem.startswith("commitment")], ids=lambda path: path.stem
)
def test_examples_that_only_lack_a_currency_are_read_by_a_mapping(path: Path) -> None:
    rows = rows_of(path)
    fields = {name: name for name in rows[0] if name in COLUMNS}
    bill = read_focus(path, mapping=ColumnMapping(fields=fields, constants={"BillingCurrency": "USD"}))
    accounted(bill, [row["BilledCost"] for row in rows])
    impossible = [row for row in rows if "T30:" in row["ChargePeriodEnd"]]
    assert bill.rejected["value"].to_list() == [row["ChargePeriodEnd"] for row in impossible]
    assert total(bill, outcome="accepted") == sum(
        (Decimal(row["BilledCost"]) for row in rows if row not in impossible), Decimal(0)
    )


AWS = ColumnMapping(
    fields={
        "BilledCost": "lineItem/UnblendedCost",
        "ChargePeriodStart": "lineItem/UsageStartDate",
        "ChargePeriodEnd": "lineItem/UsageEndDate",
        "BillingCurrency": "lineItem/CurrencyCode",
        "ServiceName": "lineItem/ProductCode",
        "ChargeDescription": "lineItem/LineItemDescription",
        "ChargeCategory": "lineItem/LineItemType",
        "SubAccountId": "lineItem/UsageAccountId",
        "SkuPriceId": "product/sku",
        "SkuMeter": "lineItem/UsageType",
        "ConsumedQuantity": "lineItem/UsageAmount",
    },
    constants={"ProviderName": "AWS"},
)
AZURE = ColumnMapping(
    fields={"BilledCost": "Cost", "ChargePeriodStart": "Date", "BillingCurrency": "BillingCurrency", "Tags": "Tags"},
    period="1d",
)
GOOGLE = ColumnMapping(
    fields={
        "BilledCost": "cost",
        "ChargePeriodStart": "usage_start_time",
        "ChargePeriodEnd": "usage_end_time",
        "BillingCurrency": "currency",
        "ServiceName": "service.description",
        "SkuId": "sku.id",
        "project_id": "project.id",
    },
    rows={"cost_type": "regular"},
)
EXPORTS: Mapping[str, tuple[ColumnMapping, str]] = {
    "aws_cur1_sample": (AWS, "lineItem/UnblendedCost"),
    "azure_ea_actual_small": (AZURE, "Cost"),
    "azure_ea_amortized_small": (AZURE, "Cost"),
    "gcp_billing_export_sample": (GOOGLE, "cost"),
}


@pytest.mark.parametrize("name", list(EXPORTS))
def test_raw_exports_are_read_by_a_mapping_or_counted(name: str) -> None:
    mapping, cost = EXPORTS[name]
    rows = rows_of(RAW / f"{name}.csv")
    accounted(read_focus(RAW / f"{name}.csv", mapping=mapping), [row[cost] for row in rows])


def test_costs_in_e_notation_are_exact() -> None:
    bill = read_focus(RAW / "aws_cur1_sample.csv", mapping=AWS)
    assert counts(bill) == (1281, 1281, 0, 0)
    assert total(bill) == Decimal("1.68230869740")


def test_days_in_american_spelling_are_refused_and_not_guessed() -> None:
    bill = read_focus(RAW / "azure_ea_actual_small.csv", mapping=AZURE)
    assert counts(bill) == (11, 0, 11, 0)
    assert "ChargePeriodStart is not an ISO 8601 time" in set(bill.rejected["reason"])


def test_the_binder_bill_counts_its_money_once() -> None:
    settings = load(ROOT / "params" / "binder.yaml")
    path = next((DATA / "gcp-binder-daily").glob("*.csv"))
    rows = [row for row in rows_of(path) if row["level"] == "project_id"]
    bill = read_focus(path, mapping=settings.names.columns["binder"], names=settings.names)
    read, accepted, rejected, filtered = counts(bill)
    assert (read, accepted, rejected) == (len(rows_of(path)), len(rows), 0)
    assert filtered == read - accepted
    assert total(bill) == sum((Decimal(row["cost_usd"]) for row in rows), Decimal(0))
    by_unit = {row["business_unit"]: row["BilledCost"] for row in bill.by("business_unit").iter_rows(named=True)}
    assert by_unit == sums(rows, "name", "cost_usd")
    assert bill.files[0].equal_lines == 0
