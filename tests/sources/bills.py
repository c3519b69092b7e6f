"""Small bills for tests."""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from workbench.sources.focus import Bill

OBSERVED = datetime(2025, 11, 1, tzinfo=UTC)
COLUMNS = (
    "BillingAccountId", "ProviderName", "ServiceName", "RegionId", "ResourceId", "SkuId", "SkuPriceId",
    "BillingCurrency", "ChargePeriodStart", "ChargePeriodEnd", "ChargeCategory", "ChargeFrequency",
    "PricingCategory", "BilledCost", "ListCost", "ConsumedQuantity", "ChargeDescription", "Tags",
)  # fmt: skip
USUAL = {
    "BillingAccountId": "account",
    "ProviderName": "AWS",
    "ServiceName": "Amazon EC2",
    "RegionId": "eu-west-1",
    "ResourceId": "i-1",
    "SkuId": "SKU",
    "SkuPriceId": "SKU.1",
    "BillingCurrency": "USD",
    "ChargePeriodStart": "2025-10-01 00:00:00",
    "ChargePeriodEnd": "2025-10-01 01:00:00",
    "ChargeCategory": "Usage",
    "ChargeFrequency": "Usage-Based",
    "PricingCategory": "Standard",
    "BilledCost": "1.25",
    "ListCost": "1.5",
    "ConsumedQuantity": "1",
    "ChargeDescription": "an hour",
    "Tags": '{"business_unit": "shop"}',
}

Line = dict[str, str]


def line(**other: str) -> Line:
    """The usual line, but for what is named."""
    return USUAL | other


def hours(count: int, **other: str) -> list[Line]:
    """Lines of as many resources; their costs are 1, 2, 3 …."""
    return [line(ResourceId=f"i-{number}", BilledCost=str(number), **other) for number in range(1, count + 1)]


def text(lines: Iterable[Line], *, columns: Sequence[str] = COLUMNS, delimiter: str = ",", end: str = "\n") -> str:
    """Lines as CSV."""
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, delimiter=delimiter, lineterminator=end, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(lines)
    return out.getvalue()


def write(path: Path, lines: Iterable[Line] | str | bytes) -> Path:
    """A CSV file of lines, of text, or of bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = lines if isinstance(lines, bytes) else (lines if isinstance(lines, str) else text(lines)).encode()
    path.write_bytes(data)
    return path


def reasons(bill: Bill) -> list[tuple[int, str]]:
    """Line and reason of each refused row."""
    return list(bill.rejected.select("row", "reason").iter_rows())


def total(bill: Bill, measure: str = "BilledCost", outcome: str | None = None) -> Decimal:
    """All that a bill says, or what was accepted or rejected of it, in whatever currency."""
    rows = bill.totals.iter_rows(named=True)
    return sum((row[measure] for row in rows if outcome in {None, row["outcome"]}), Decimal(0))


def counts(bill: Bill) -> tuple[int, int, int, int]:
    """Rows read, accepted, rejected and filtered, over all files."""
    files = bill.files
    return (
        sum(file.rows for file in files),
        sum(file.accepted for file in files),
        sum(file.rejected.height for file in files),
        sum(file.filtered for file in files),
    )
