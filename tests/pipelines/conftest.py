"""A profile with a small bill of its own, and a warehouse for it."""

import csv
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path

import pytest

from workbench.settings import Settings, load
from workbench.warehouse import Warehouse, stop

# A real Kafka, where a test asks for it.
from tests.real.kafka.fixture import kafka_address  # noqa: F401  isort: skip

HEADER = [
    "BillingAccountId", "ProviderName", "ServiceName", "RegionId", "ResourceId", "SkuId", "SkuPriceId",
    "BillingCurrency", "ChargePeriodStart", "ChargePeriodEnd", "ChargeCategory", "BilledCost", "ListCost", "Tags",
]  # fmt: skip


def line(resource: str, day: int, cost: str, *, unit: str | None = "shop", currency: str = "USD") -> list[str]:
    """One row of a bill, for one day of October 2025."""
    tags = f'{{"business_unit": "{unit}"}}' if unit else "NULL"
    start, end = f"2025-10-{day:02} 00:00:00", f"2025-10-{day + 1:02} 00:00:00"
    return [
        "acc",
        "AWS",
        "Amazon EC2",
        "eu-west-1",
        resource,
        "SKU",
        "SKU.1",
        currency,
        start,
        end,
        "Usage",
        cost,
        cost,
        tags,
    ]


def write(path: Path, rows: Sequence[Sequence[str]]) -> Path:
    """Write rows as a FOCUS CSV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        writer.writerows(rows)
    return path


BILL = [line(f"r{number}", day, f"{number + 1}.{day:012}") for number in range(5) for day in range(1, 21)]
WHOLE = sum((Decimal(row[HEADER.index("BilledCost")]) for row in BILL), Decimal(0))

MakeProfile = Callable[..., Settings]


@pytest.fixture
def make_profile(tmp_path: Path) -> Iterator[MakeProfile]:
    """Write a profile for the folder `bills` in a temporary project and load it; its warehouse ends with the test."""
    made: list[Settings] = []

    def make(text: str = "", name: str = "test") -> Settings:
        (tmp_path / "params").mkdir(exist_ok=True)
        (tmp_path / "bills").mkdir(exist_ok=True)
        profile = tmp_path / "params" / f"{name}.yaml"
        profile.write_text(text or "sources:\n  - name: bills\n    path: bills\n")
        made.append(load(profile))
        return made[-1]

    yield make
    for settings in made:
        stop(settings)


@pytest.fixture
def open_warehouse() -> Iterator[Callable[[Settings], Warehouse]]:
    """Open warehouses that are let go at the end."""
    opened: list[Warehouse] = []

    def open_one(settings: Settings) -> Warehouse:
        opened.append(Warehouse(settings))
        return opened[-1]

    yield open_one
    for warehouse in opened:
        warehouse.close()
