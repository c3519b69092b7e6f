"""One embedded warehouse for the session; each test works on events of its own."""

import os
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from workbench import events, focus, warehouse
from workbench.settings import DemoSource, Embedded, Settings, Snowflake
from workbench.warehouse import Warehouse

DAY = datetime(2025, 3, 1, tzinfo=UTC)


def embedded_settings(state: Path, idle_minutes: float = 5) -> Settings:
    return Settings(
        name="test",
        root=state.parent,
        state=state,
        sources=[DemoSource(name="demo", end=date(2025, 11, 1))],
        warehouse=Embedded(idle_minutes=idle_minutes, memory_limit="1500MB"),
    )


def snowflake_settings(state: Path) -> Settings:
    """The account named by the environment; skips where there is none."""
    name = os.environ.get("WORKBENCH_TEST_SNOWFLAKE_CONNECTION")
    if not name:
        pytest.skip("no Snowflake account: set WORKBENCH_TEST_SNOWFLAKE_CONNECTION to a name in connections.toml")
    return Settings(
        name="test",
        root=state.parent,
        state=state,
        sources=[DemoSource(name="demo", end=date(2025, 11, 1))],
        warehouse=Snowflake(engine="snowflake", connection_name=name),
    )


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    settings = embedded_settings(tmp_path_factory.mktemp("warehouse") / "state")
    yield settings
    warehouse.stop(settings)


@pytest.fixture(scope="session", params=["embedded", "snowflake"])
def engine_settings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    if request.param == "embedded":
        return request.getfixturevalue("shared")
    return snowflake_settings(tmp_path_factory.mktemp("snowflake"))


@pytest.fixture(scope="session")
def engine(engine_settings: Settings) -> Iterator[Warehouse]:
    """Every engine, for the contract that all must hold."""
    with warehouse.session(engine_settings) as found:
        found.init()
        yield found


@pytest.fixture
def embedded(shared: Settings) -> Iterator[Warehouse]:
    with warehouse.session(shared) as found:
        yield found


def costs(prefix: str, amounts: list[str], observed: datetime = DAY, **columns: object) -> pl.DataFrame:
    """Cost events `prefix-0`, `prefix-1` …, one an hour."""
    count = len(amounts)
    rows = pl.DataFrame(
        {
            "event_id": [f"{prefix}-{i}" for i in range(count)],
            "timestamp": [DAY.replace(day=1 + i // 24 % 28, hour=i % 24) for i in range(count)],
            "event_type": "cloud_cost_incurred",
            "service": "compute",
            "region": "eu-1",
            "cost_amount": [Decimal(amount) for amount in amounts],
            "resource_id": "vm",
            "business_unit": prefix,
            "project_id": "p",
            "environment": "production",
            "metadata": "{}",
            "currency": "EUR",
            "observed_at": observed,
            "loaded_at": observed,
        },
        schema=events.COST,
    )
    return rows.with_columns(pl.lit(value).cast(events.COST[name]).alias(name) for name, value in columns.items())


def bill(prefix: str, lines: list[dict[str, object]], observed: datetime = DAY) -> pl.DataFrame:
    """Lines of a bill with the given columns, the rest empty; ids `prefix-0` …."""
    full = [
        {"event_id": f"{prefix}-{i}", "BillingCurrency": "EUR", "observed_at": observed, "ServiceName": "compute"}
        | line
        for i, line in enumerate(lines)
    ]
    return pl.DataFrame(full, schema=focus.SCHEMA)


def total(found: Warehouse, unit: str, name: str = "finops_curated.cost_events") -> Decimal | None:
    sql = f"SELECT SUM(cost_amount) AS total FROM {name} WHERE business_unit = ?"
    return found.query(sql, [unit]).item()
