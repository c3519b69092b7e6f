"""The demo's simulated estate goes in like anybody's data: bills with their statements, events by the road."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from workbench.pipelines.estate import estate_of
from workbench.pipelines.ingest import ingest
from workbench.settings import DemoSource, Settings
from workbench.sources.focus import read_focus
from workbench.warehouse import Warehouse, stop

pytestmark = pytest.mark.slow  # each test has a warehouse of its own

SOURCE = DemoSource(name="shop", days=12, seed=4, end=date(2025, 11, 3), workloads=8, orders_per_day=40, metric_days=1)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    settings = Settings(name="small", root=tmp_path_factory.mktemp("estate"), sources=[SOURCE])
    yield settings
    stop(settings)


@pytest.fixture(scope="module")
def loaded(settings: Settings) -> Iterator[Warehouse]:
    with Warehouse(settings) as warehouse:
        done = ingest(warehouse, settings)
        assert done.exit_code == 0
        yield warehouse


def one(warehouse: Warehouse, sql: str) -> object:
    return warehouse.query(sql).row(0)[0]


def test_all_its_events_are_in_and_each_once(loaded: Warehouse, settings: Settings) -> None:
    files = estate_of(SOURCE, settings)
    for kind in ("business", "resource"):
        said = pl.concat([pl.read_parquet(path) for path in files.events(kind)])
        held = loaded.query(f"SELECT event_id, observed_at FROM finops_curated.{kind}_events")
        assert sorted(held["event_id"]) == sorted(said["event_id"])
    revenue = sum(pl.concat([pl.read_parquet(path) for path in files.events("business")])["revenue_impact"], Decimal(0))
    assert one(loaded, "SELECT SUM(revenue_impact) FROM finops_curated.business_events") == revenue


def test_the_last_statement_counts_and_both_roads_agree(loaded: Warehouse, settings: Settings) -> None:
    said: dict[str, Decimal] = {}
    for path, moment in estate_of(SOURCE, settings).bills():
        said |= dict(read_focus(path, observed_at=moment).lines().select("event_id", "BilledCost").iter_rows())
    total = sum(said.values(), Decimal(0))
    assert one(loaded, "SELECT SUM(BilledCost) FROM finops_curated.focus_costs") == total
    assert one(loaded, "SELECT SUM(cost_amount) FROM finops_curated.cost_events") == total
    assert one(loaded, "SELECT COUNT(*) FROM finops_curated.focus_costs_history") > 0


def test_a_second_run_reads_nothing_and_a_forced_one_changes_nothing(loaded: Warehouse, settings: Settings) -> None:
    def state() -> list[object]:
        tables = ("focus_costs", "cost_events", "business_events", "resource_events")
        return [loaded.query(f"SELECT * FROM finops_curated.{name} ORDER BY event_id").rows() for name in tables]

    before = state()
    runs = one(loaded, "SELECT COUNT(*) FROM finops_staging.stream_runs")
    assert ingest(loaded, settings, again=False).files == ()
    assert one(loaded, "SELECT COUNT(*) FROM finops_staging.stream_runs") == runs
    ingest(loaded, settings, again=True)
    assert one(loaded, "SELECT COUNT(*) FROM finops_staging.stream_runs") > runs
    assert state() == before


def test_it_is_simulated_once_and_again_where_somebody_deleted_it(settings: Settings) -> None:
    files = estate_of(SOURCE, settings)
    stamp = (files.folder / "estate.json").stat().st_mtime_ns
    assert (estate_of(SOURCE, settings).folder / "estate.json").stat().st_mtime_ns == stamp
    (files.folder / "estate.json").unlink()
    other = SOURCE.model_copy(update={"seed": 5})
    assert estate_of(other, settings).folder != files.folder


def test_where_two_simulate_at_once_both_get_the_same(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    settings = Settings(name="twice", root=tmp_path, sources=[SOURCE])
    with ThreadPoolExecutor(2) as pool:
        folders = {files.folder for files in pool.map(lambda _: estate_of(SOURCE, settings), range(2))}
    assert len(folders) == 1
    name = "estate-2025-11-03-12-8-4-1-40"
    assert sorted(path.name for path in folders.pop().parent.iterdir()) == [name, f"{name}.lock"]
