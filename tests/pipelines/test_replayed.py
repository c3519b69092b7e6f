"""The processors over what the warehouse holds, and how a notebook asks for what was told."""

import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from workbench.errors import EventError
from workbench.pipelines.ingest import ingest
from workbench.pipelines.notebook import Workbench
from workbench.pipelines.opening import resolve_known_at
from workbench.pipelines.outputs import Outputs
from workbench.pipelines.replayed import hourly, stream_history
from workbench.pipelines.told import STREAM, TOLD, rows_of
from workbench.settings import DemoSource, Settings
from workbench.streaming import replay
from workbench.warehouse import Warehouse, stop

pytestmark = pytest.mark.slow  # there is a warehouse, and a cloud is simulated

END = date(2025, 11, 3)
SOURCE = DemoSource(name="shop", days=16, seed=4, end=END, workloads=8, orders_per_day=40, metric_days=1)
STOP = datetime.combine(END, time(), UTC)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A profile whose demo has been loaded; nobody has it open."""
    settings = Settings(name="small", root=tmp_path_factory.mktemp("replayed"), sources=[SOURCE])
    with Warehouse(settings) as warehouse:
        assert ingest(warehouse, settings).exit_code == 0
    stop(settings)
    return settings


@pytest.fixture
def settings(base: Settings, tmp_path: Path) -> Iterator[Settings]:
    """A copy of its own for a test that changes something."""
    shutil.copytree(base.state, tmp_path / ".workbench" / base.name, ignore=shutil.ignore_patterns("run"))
    settings = Settings(name=base.name, root=tmp_path, sources=[SOURCE])
    yield settings
    stop(settings)


@pytest.fixture
def warehouse(settings: Settings) -> Iterator[Warehouse]:
    with Warehouse(settings) as warehouse:
        yield warehouse


def workbench(
    warehouse: Warehouse, settings: Settings, as_of: date = END, known_at: datetime | None = None
) -> Workbench:
    known = known_at or resolve_known_at(warehouse, settings, None)
    return Workbench(settings, warehouse, as_of, known, Outputs("test", None, {}))


def by_hour(costs: pl.DataFrame) -> pl.DataFrame:
    """What each unit cost each hour."""
    hour = pl.col("timestamp").dt.truncate("1h").alias("window_start")
    return costs.group_by("business_unit", "currency", hour).agg(total_cost=pl.sum("cost_amount")).sort(
        "window_start", "business_unit", "currency")  # fmt: skip


def state(warehouse: Warehouse) -> list[pl.DataFrame]:
    """All that is in the four tables and their histories, but for when it was looked at."""
    return [
        warehouse.query(f"SELECT * FROM {told.table}_versions").drop("observed_at").sort("record_id", "superseded_at")
        for told in TOLD
    ]


def held(wb: Workbench) -> None:
    """What was told adds up to the events, window by window and to the last digit."""
    costs, business = wb.events("cost"), wb.events("business")
    assert_frame_equal(wb.cost_windows().select("business_unit", "currency", "window_start", "total_cost").sort(
        "window_start", "business_unit", "currency"), by_hour(costs).select(
        "business_unit", "currency", "window_start", "total_cost"))  # fmt: skip
    check = wb.windows_check()
    assert check["difference"].to_list() == [0] * costs["currency"].n_unique()
    assert check["events"].sum() == costs.height
    roi = wb.stream_roi()
    assert roi["own_cost"].sum() == costs["cost_amount"].sum()
    assert roi["own_revenue"].sum() == business["revenue_impact"].sum()


def test_an_ingestion_of_the_demo_leaves_windows_spikes_return_and_advice(
    warehouse: Warehouse, settings: Settings
) -> None:
    wb = workbench(warehouse, settings)
    assert wb.teller() == "replay"
    held(wb)
    told = {processor.name: replay({kind: wb.events(kind) for kind in processor.kinds}, processor)
            for processor in hourly()}  # fmt: skip
    [spikes] = told["spikes"].values()
    assert wb.spikes()["anomaly_id"].sort().to_list() == spikes["anomaly_id"].sort().to_list()
    assert wb.spikes()["excess_amount"].sum() == spikes["excess_amount"].sum()
    [advice] = told["rightsizing"].values()
    latest = advice.sort("recommended_at").group_by("business_unit", "resource_id").agg(pl.all().last())
    standing = latest.filter(pl.col("action") != "keep")
    assert standing.height > 0
    assert wb.recommendations()["monthly_saving"].sum() == standing["monthly_saving"].sum()
    roi = wb.stream_roi().filter(pl.col("cost") > 0)
    assert (roi["gain"] == roi["revenue"] - roi["cost"]).all()
    shares = roi["gain"].cast(pl.Float64) / roi["cost"].cast(pl.Float64)
    assert ((roi["roi"] - shares).abs() < 1e-9 * shares.abs().clip(1)).all()


def test_a_second_ingestion_changes_nothing_and_a_forced_replay_neither(
    warehouse: Warehouse, settings: Settings
) -> None:
    before = state(warehouse)
    assert stream_history(warehouse, END) == {}
    ingest(warehouse, settings)
    warehouse.load(pl.DataFrame([{"source": "replay", "key": "history", "value": "another"}]), "cursors",
                   {"source": "replay", "key": "history"})  # fmt: skip
    merged = stream_history(warehouse, END)
    assert all(one.inserted == one.restated == one.conflicts == 0 for one in merged.values())
    assert sum(one.rows for one in merged.values()) > 1_000
    for found, expected in zip(state(warehouse), before, strict=True):
        assert_frame_equal(found, expected)


def test_restated_moved_and_new_costs_are_followed_and_an_old_report_stays_as_it_was(
    warehouse: Warehouse, settings: Settings
) -> None:
    old = workbench(warehouse, settings)
    before = old.cost_windows(), old.spikes()
    costs = old.events("cost", days=5)
    dear = costs.head(3).with_columns(cost_amount=(pl.col("cost_amount") + Decimal(1_000)).cast(pl.Decimal(38, 12)))
    moved = costs.filter(pl.col("business_unit") == costs["business_unit"][10]).with_columns(
        business_unit=pl.lit("new")
    )
    changed = pl.concat([dear, moved.filter(~pl.col("event_id").is_in(dear["event_id"].implode()))])
    later = changed.with_columns(pl.col("observed_at") + timedelta(days=40))
    merged = warehouse.merge(later, "cost_events")
    assert merged.restated == changed.height
    stream_history(warehouse, END)
    now = workbench(warehouse, settings, known_at=datetime.now(UTC))
    held(now)
    assert (now.cost_windows()["business_unit"] == "new").any()
    view = warehouse.query(
        "SELECT total_cost FROM finops_reporting.cost_window_totals ORDER BY window_start, business_unit"
    )
    assert view["total_cost"].to_list() == now.cost_windows()["total_cost"].to_list()
    assert (
        warehouse.query("SELECT COUNT(*) AS n FROM finops_aggregated.cost_windows")["n"][0] > view.height
    )  # taken back
    assert warehouse.query("SELECT COUNT(*) AS n FROM finops_reporting.roi_windows")["n"][0] == now.stream_roi().height
    assert_frame_equal(old.cost_windows(), before[0])
    assert_frame_equal(old.spikes(), before[1])


def test_a_span_that_moves_on_keeps_what_was_told_of_the_days_before(warehouse: Warehouse, settings: Settings) -> None:
    wb = workbench(warehouse, settings)
    whole = wb.cost_windows()
    warehouse.load(pl.DataFrame([{"source": "replay", "key": "history", "value": "another"}]), "cursors",
                   {"source": "replay", "key": "history"})  # fmt: skip
    stream_history(warehouse, END, days=4)
    assert_frame_equal(wb.cost_windows(), whole)
    held(wb)


def test_charges_from_the_as_of_day_on_do_not_count(warehouse: Warehouse, settings: Settings) -> None:
    earlier = workbench(warehouse, settings, as_of=END - timedelta(days=6))
    held(earlier)
    assert earlier.cost_windows()["window_end"].max() == STOP - timedelta(days=6)
    assert earlier.cost_windows().height < workbench(warehouse, settings).cost_windows().height
    assert earlier.events("resource")["timestamp"].max() < STOP - timedelta(days=6)


def test_once_the_live_stream_has_told_something_it_alone_is_heard(warehouse: Warehouse, settings: Settings) -> None:
    wb = workbench(warehouse, settings)
    records = replay(wb.events("cost", days=1), hourly()[0])
    [live] = [rows_of(records[told.topic], told, STREAM) for told in TOLD if told.topic in records]
    loaded = datetime.now(UTC)
    warehouse.merge(live, "cost_windows", loaded)
    assert wb.teller() == "replay"  # it did not know then
    now = workbench(warehouse, settings, known_at=loaded)
    assert now.teller() == "stream"
    assert now.cost_windows().height == live.height
    assert now.cost_windows()["total_cost"].sum() == wb.events("cost", days=1)["cost_amount"].sum()
    assert now.spikes().is_empty()


def test_the_views_say_what_the_accessors_say_and_an_unknown_kind_of_event_is_named(
    warehouse: Warehouse, settings: Settings
) -> None:
    wb = workbench(warehouse, settings)
    view = warehouse.query(
        "SELECT * FROM finops_reporting.cost_window_totals ORDER BY window_start, business_unit, currency"
    )
    assert view["total_cost"].to_list() == wb.cost_windows()["total_cost"].to_list()
    assert warehouse.query("SELECT COUNT(*) AS n FROM finops_reporting.open_anomalies")["n"][0] == wb.spikes().height
    assert (
        warehouse.query("SELECT COUNT(*) AS n FROM finops_reporting.open_recommendations")["n"][0]
        == wb.recommendations().height
    )
    assert warehouse.query("SELECT SUM(own_revenue) AS r FROM finops_reporting.roi_windows")["r"][0] == (
        wb.stream_roi()["own_revenue"].sum()
    )
    with pytest.raises(EventError, match="no event kind 'costs'.*did you mean 'cost'"):
        wb.events("costs")
