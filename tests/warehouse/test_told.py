"""What the stream told, in the warehouse: sums where the obvious version would be wrong, on every engine."""

from datetime import datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest

from tests.warehouse.conftest import DAY
from workbench.warehouse import Warehouse

HOUR = timedelta(hours=1)
pytestmark = pytest.mark.slow


def windows(unit: str, rows: list[dict[str, object]]) -> pl.DataFrame:
    """Records of the first window of the day, by default its first one, of a dollar."""
    usual: dict[str, object] = {
        "origin": "stream", "service": None, "currency": "USD", "window_start": DAY, "window_end": DAY + HOUR,
        "total_cost": Decimal(1), "delta_cost": Decimal(1), "events": 1, "late_events": 0, "revision": 0,
        "beyond_horizon": False, "closed_at": DAY + HOUR,
    }  # fmt: skip
    full = [usual | {"record_id": f"{unit}-{at}", "business_unit": unit} | row for at, row in enumerate(rows)]
    money = pl.Decimal(38, 12)
    types = {"service": pl.String, "total_cost": money, "delta_cost": money, "revision": pl.Int64}
    frame = pl.DataFrame(full, schema_overrides=types, infer_schema_length=None)
    return frame.with_columns(observed_at="closed_at")


def spike(identity: str, **more: object) -> pl.DataFrame:
    usual: dict[str, object] = {
        "record_id": identity, "origin": "stream", "anomaly_id": identity, "detected_at": DAY + HOUR,
        "anomaly_type": "cost_spike", "business_unit": identity, "service": "vm", "currency": "USD",
        "window_start": DAY, "window_end": DAY + HOUR, "cost_amount": Decimal(9), "expected_amount": Decimal(1),
        "excess_amount": Decimal(8), "ratio": 9.0, "deviation": None, "deviation_percent": 800.0,
        "business_impact": "CRITICAL", "history": 30, "streak": 1, "status": "raised", "revision": 0,
        "resolved": False, "observed_at": DAY + HOUR,
    }  # fmt: skip
    money = pl.Decimal(38, 12)
    types = {**dict.fromkeys(("cost_amount", "expected_amount", "excess_amount"), money), "deviation": pl.Float64}
    return pl.DataFrame([usual | more], schema_overrides=types)


def totals(engine: Warehouse, unit: str) -> list[tuple[object, ...]]:
    sql = """
        SELECT origin, currency, service, window_end, total_cost, events, late_events
        FROM finops_reporting.cost_window_totals WHERE business_unit = ? ORDER BY 1, 2, 3, 4
    """
    return engine.query(sql, [unit]).rows()


def test_a_window_is_the_sum_of_all_its_records_also_those_beyond_the_horizon(engine: Warehouse) -> None:
    late = {"total_cost": Decimal("1.000000000003"), "delta_cost": Decimal("0.000000000003"), "events": 3,
            "late_events": 2, "revision": 1, "closed_at": DAY + 2 * HOUR}  # fmt: skip
    beyond = {"total_cost": None, "delta_cost": Decimal("-0.5"), "events": 1, "late_events": 1, "revision": None,
              "beyond_horizon": True, "closed_at": DAY + 9 * HOUR}  # fmt: skip
    engine.merge(windows("sum", [{}, late, beyond]), "cost_windows")
    assert totals(engine, "sum") == [("stream", "USD", None, DAY + HOUR, Decimal("0.500000000003"), 4, 3)]
    view = "SELECT reported_cost, beyond_cost FROM finops_reporting.cost_window_totals WHERE business_unit = ?"
    assert engine.query(view, ["sum"]).row(0) == (Decimal("1.000000000003"), Decimal("-0.5"))


def test_records_that_come_again_change_nothing(engine: Warehouse) -> None:
    records = windows("again", [{}, {"revision": 1, "delta_cost": Decimal(2), "closed_at": DAY + 2 * HOUR}])
    engine.merge(records, "cost_windows", loaded_at=DAY)
    merged = engine.merge(pl.concat([records, records.head(1)]), "cost_windows", loaded_at=DAY + HOUR)
    assert (merged.inserted, merged.restated, merged.unchanged, merged.repeated) == (0, 0, 2, 1)
    assert totals(engine, "again")[0][4] == 3
    sql = "SELECT MAX(loaded_at) AS latest FROM finops_aggregated.cost_windows_versions WHERE business_unit = ?"
    assert engine.query(sql, ["again"]).item() == DAY


def test_tellers_lengths_services_and_currencies_are_never_added_up(engine: Warehouse) -> None:
    rows: list[dict[str, object]] = [
        {}, {"origin": "replay"}, {"window_end": DAY + 2 * HOUR}, {"service": "vm"}, {"currency": "EUR"},
    ]  # fmt: skip
    engine.merge(windows("apart", rows), "cost_windows")
    assert [row[4] for row in totals(engine, "apart")] == [Decimal(1)] * 5


def test_the_revision_that_was_known_later_stands_and_the_former_is_kept(engine: Warehouse) -> None:
    first, later = DAY + 10 * HOUR, DAY + 20 * HOUR
    withdrawn = {"revision": 1, "status": "withdrawn", "resolved": True, "cost_amount": Decimal(1),
                 "observed_at": DAY + 2 * HOUR}  # fmt: skip
    engine.merge(spike("revised"), "cost_anomalies", loaded_at=first)
    assert engine.merge(spike("revised", **withdrawn), "cost_anomalies", loaded_at=later).restated == 1
    assert engine.merge(spike("revised"), "cost_anomalies", loaded_at=later + HOUR).older == 1
    held = "SELECT revision, status, resolved FROM finops_aggregated.cost_anomalies WHERE anomaly_id = ?"
    assert engine.query(held, ["revised"]).rows() == [(1, "withdrawn", True)]
    known = """
        SELECT status FROM finops_aggregated.cost_anomalies_versions
        WHERE anomaly_id = ? AND loaded_at <= ? AND (superseded_at IS NULL OR superseded_at > ?)
    """
    moments: list[tuple[datetime, str]] = [(first, "raised"), (later, "withdrawn")]
    for moment, status in moments:
        assert engine.query(known, ["revised", moment, moment])["status"].to_list() == [status]
    still_open = "SELECT COUNT(*) AS n FROM finops_reporting.open_anomalies WHERE anomaly_id = ?"
    assert engine.query(still_open, ["revised"]).item() == 0


def test_both_revisions_in_one_batch_leave_the_later(engine: Warehouse) -> None:
    later = spike("batch", revision=1, cost_amount=Decimal(12), observed_at=DAY + 2 * HOUR)
    merged = engine.merge(pl.concat([later, spike("batch")]), "cost_anomalies")
    assert (merged.inserted, merged.older) == (1, 1)
    held = "SELECT revision, cost_amount FROM finops_aggregated.cost_anomalies WHERE anomaly_id = ?"
    assert engine.query(held, ["batch"]).rows() == [(1, Decimal(12))]


def test_return_adds_up_a_moments_own_and_shows_the_last_word_on_its_window(engine: Warehouse) -> None:
    usual: dict[str, object] = {
        "origin": "stream", "business_unit": "roi", "currency": "USD", "timestamp": DAY, "window_start": DAY - HOUR,
        "window_end": DAY + HOUR, "cost": Decimal(4), "revenue": Decimal(8), "gain": Decimal(4), "roi": 1.0,
        "roi_percentage": 100.0, "cost_events": 2, "revenue_events": 1, "delta_cost": Decimal(1),
        "delta_revenue": Decimal(2), "revision": 0, "beyond_horizon": False, "calculated_at": DAY + HOUR,
    }  # fmt: skip
    again = usual | {"record_id": "roi-1", "revision": 1, "cost": Decimal(5), "gain": Decimal(3), "roi": 0.6,
                     "delta_cost": Decimal(1), "delta_revenue": Decimal(0)}  # fmt: skip
    beyond = usual | {"record_id": "roi-2", "revision": None, "cost": None, "revenue": None, "gain": None, "roi": None,
                      "beyond_horizon": True, "delta_cost": Decimal(10), "delta_revenue": Decimal(0)}  # fmt: skip
    money = dict.fromkeys(("cost", "revenue", "gain", "delta_cost", "delta_revenue"), pl.Decimal(38, 12))
    frame = pl.DataFrame([usual | {"record_id": "roi-0"}, again, beyond], schema_overrides=money)
    engine.merge(frame.with_columns(observed_at="calculated_at"), "roi_calculations")
    sql = """
        SELECT cost, revenue, gain, roi, own_cost, own_revenue, records
        FROM finops_reporting.roi_windows WHERE business_unit = ?
    """
    assert engine.query(sql, ["roi"]).rows() == [(Decimal(5), Decimal(8), Decimal(3), 0.6, Decimal(12), Decimal(2), 3)]


def test_only_the_latest_advice_on_a_resource_is_open_and_keep_takes_it_back(engine: Warehouse) -> None:
    def advice(resource: str, day: int, action: str) -> dict[str, object]:
        return {
            "record_id": f"{resource}-{day}", "recommendation_id": f"{resource}-{day}", "origin": "stream",
            "business_unit": "sizes", "resource_id": resource, "currency": "USD", "action": action,
            "monthly_saving": Decimal(day), "recommended_at": DAY + timedelta(days=day),
            "observed_at": DAY + timedelta(days=day),
        }  # fmt: skip

    rows = [advice("a", 1, "downsize"), advice("a", 2, "terminate"), advice("b", 1, "downsize"), advice("b", 3, "keep"),
            advice("c", 2, "upsize")]  # fmt: skip
    engine.merge(pl.DataFrame(rows, schema_overrides={"monthly_saving": pl.Decimal(38, 12)}),
                 "optimization_recommendations")  # fmt: skip
    sql = """
        SELECT resource_id, action, monthly_saving FROM finops_reporting.open_recommendations
        WHERE business_unit = ? ORDER BY 1
    """
    assert engine.query(sql, ["sizes"]).rows() == [("a", "terminate", Decimal(2)), ("c", "upsize", Decimal(2))]


def test_a_warehouse_from_before_gets_the_new_columns_and_keeps_its_rows(embedded: Warehouse) -> None:
    embedded.merge(spike("before"), "cost_anomalies")
    for column in ("status", "excess_amount"):
        embedded.session.sql(f"ALTER TABLE finops_aggregated.cost_anomalies DROP COLUMN {column}").collect()
    embedded.init()
    sql = "SELECT cost_amount, status, excess_amount FROM finops_aggregated.cost_anomalies WHERE anomaly_id = ?"
    assert embedded.query(sql, ["before"]).rows() == [(Decimal(9), None, None)]
    merged = embedded.merge(spike("before", observed_at=DAY + 3 * HOUR), "cost_anomalies")
    assert merged.restated == 1
    assert embedded.query(sql, ["before"]).rows() == [(Decimal(9), "raised", Decimal(8))]
