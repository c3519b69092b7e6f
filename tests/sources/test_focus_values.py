"""What a value of a bill may look like."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from tests.sources.bills import OBSERVED, Line, counts, line, reasons, text, write
from workbench.focus import ENUMERATIONS
from workbench.sources.focus import Bill, read_focus


def bill_of(tmp_path: Path, *lines: Line) -> Bill:
    return read_focus(write(tmp_path / "bill.csv", lines), observed_at=OBSERVED)


@pytest.mark.parametrize(
    ("column", "given", "value"),
    [
        ("BilledCost", "1.5E-7", Decimal("0.00000015")),
        ("BilledCost", "1e3", Decimal(1000)),
        ("BilledCost", "-0.1", Decimal("-0.1")),
        ("BilledCost", " 1.5 ", Decimal("1.5")),
        ("BilledCost", "0.000000800000000000000", Decimal("0.0000008")),
        ("ConsumedQuantity", "2.000000000000000001", Decimal("2.000000000000000001")),
        ("ListCost", "NULL", None),
        ("ChargePeriodStart", "2025-09-30T23:00:00Z", datetime(2025, 9, 30, 23, tzinfo=UTC)),
        ("ChargePeriodStart", "2025-10-01T01:00:00+02:00", datetime(2025, 9, 30, 23, tzinfo=UTC)),
        ("ChargePeriodStart", "2025-09-30 23:00:00", datetime(2025, 9, 30, 23, tzinfo=UTC)),
        ("ChargePeriodStart", " 2025-09-30 ", datetime(2025, 9, 30, tzinfo=UTC)),
        ("ChargePeriodEnd", "null", None),
        ("ChargeCategory", "usage", "Usage"),
        ("ChargeCategory", " TAX ", "Tax"),
        ("ChargeFrequency", "Usage-based", "Usage-Based"),
        ("ChargeFrequency", "one-time", "One-Time"),
        ("PricingCategory", "", None),
        ("PricingCategory", "NULL", None),
        ("BillingCurrency", "eur", "EUR"),
        ("BillingCurrency", " usd ", "USD"),
        ("ResourceId", "NULL", None),
        ("ResourceId", "Null", None),
        ("ResourceId", "nullable", "nullable"),
        ("ResourceId", "größer 漢字", "größer 漢字"),
        ("ChargeDescription", 'a "quoted", description', 'a "quoted", description'),
        ("Tags", "not json", "not json"),
    ],
)
def test_a_value_is_read_right(tmp_path: Path, column: str, given: str, value: object) -> None:
    bill = bill_of(tmp_path, line(**{column: given}), line(ResourceId="other"))
    assert reasons(bill) == []
    assert bill.lines()[column][0] == value


@pytest.mark.parametrize(
    ("column", "given", "reason"),
    [
        ("BilledCost", "$10,000.00", "is not a number"),
        ("BilledCost", "1.234,56", "is not a number"),
        ("BilledCost", "NaN", "is NaN or infinite"),
        ("BilledCost", "inf", "is NaN or infinite"),
        ("BilledCost", "1E-13", "has more than 12 digits after the point"),
        ("BilledCost", "1e999", "is too large"),
        ("BilledCost", "NULL", "is missing"),
        ("ListCost", "free", "is not a number"),
        ("ConsumedQuantity", "1.0000000000000000001", "has more than 18 digits after the point"),
        ("ChargePeriodStart", "2025-09-28T30:00:00Z", "is not an ISO 8601 time"),
        ("ChargePeriodStart", "5/1/25", "is not an ISO 8601 time"),
        ("ChargePeriodStart", "", "is missing"),
        ("ChargePeriodEnd", "soon", "is not an ISO 8601 time"),
        ("ChargePeriodEnd", "2025-10-01 00:00:00", "is not after ChargePeriodStart"),
        ("ChargeCategory", "Fee", "is none of Usage, Purchase, Tax, Credit, Adjustment"),
        ("PricingCategory", "On-Demand", "is none of Standard, Dynamic, Committed, Other"),
        ("BillingCurrency", "", "is missing"),
        ("BillingCurrency", "EURO", "is not a code of three letters"),
        ("BillingCurrency", "€", "is not a code of three letters"),
        ("ServiceName", "x" * 4097, "is longer than 4096 bytes"),
        ("ServiceName", "é" * 2049, "is longer than 4096 bytes"),
        ("Tags", "x" * 65_537, "is longer than 65536 bytes"),
    ],
)
def test_a_wrong_value_rejects_its_row_only(tmp_path: Path, column: str, given: str, reason: str) -> None:
    bill = bill_of(tmp_path, line(ResourceId="first"), line(**{column: given}), line(ResourceId="last"))
    assert reasons(bill) == [(3, f"{column} {reason}")]
    assert counts(bill) == (3, 2, 1, 0)
    assert given[:100] in (bill.rejected["value"][0] or given)


def test_a_unit_that_is_too_long_rejects_its_row(tmp_path: Path) -> None:
    bill = bill_of(tmp_path, line(Tags='{"team": "' + "x" * 5000 + '"}'))
    assert reasons(bill) == [(2, "business_unit is longer than 4096 bytes")]


def test_each_word_of_an_enumeration_is_allowed_in_any_case(tmp_path: Path) -> None:
    for name, words in ENUMERATIONS.items():
        given = [line() | {name: spelled} for word in words for spelled in (word, word.upper(), word.lower())]
        columns = list(dict.fromkeys([*given[0]]))
        bill = read_focus(write(tmp_path / "bill.csv", text(given, columns=columns)), observed_at=OBSERVED)
        assert bill.lines()[name].unique().sort().to_list() == sorted(words)


def test_spellings_may_change_within_a_file(tmp_path: Path) -> None:
    given = [line(ChargePeriodStart=start, ResourceId=start) for start in
             ("2025-09-30", "2025-09-30T00:00:00Z", "2025-09-30 00:00:00", "2025-09-30T02:00:00+02:00")]  # fmt: skip
    assert bill_of(tmp_path, *given).lines()["ChargePeriodStart"].unique().to_list() == [
        datetime(2025, 9, 30, tzinfo=UTC)
    ]


def test_a_file_without_the_optional_columns_is_a_bill(tmp_path: Path) -> None:
    columns = ["ChargePeriodStart", "BilledCost", "BillingCurrency"]
    path = write(tmp_path / "bill.csv", text([line()], columns=columns))
    lines = read_focus(path).lines()
    assert lines.select("BilledCost", "ServiceName", "ListCost", "ChargePeriodEnd", "business_unit").row(0) == (
        Decimal("1.25"),
        None,
        None,
        None,
        "unallocated",
    )


def test_a_file_without_a_currency_is_rejected_row_by_row(tmp_path: Path) -> None:
    path = write(tmp_path / "bill.csv", text([line(), line()], columns=["ChargePeriodStart", "BilledCost"]))
    bill = read_focus(path)
    assert reasons(bill) == [(2, "BillingCurrency is missing"), (3, "BillingCurrency is missing")]
    assert bill.totals.rows() == [(None, "rejected", 2, Decimal("2.5"), Decimal(0))]
