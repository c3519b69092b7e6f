"""What every engine must do, Snowflake as well as the embedded one."""

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.warehouse.conftest import DAY, costs, total
from workbench import focus
from workbench.errors import WarehouseError
from workbench.warehouse import Warehouse

LATER = DAY + timedelta(days=10)
EARLIER = DAY - timedelta(days=10)


def test_a_frame_comes_back_as_it_went_in(engine: Warehouse) -> None:
    given = costs("round", ["0.000000000001", "-12345678901234567890.123456789012", "0"])
    engine.merge(given, "cost_events", loaded_at=DAY)
    found = engine.query(
        "SELECT * FROM finops_curated.cost_events WHERE business_unit = ? ORDER BY event_id", ["round"]
    )
    assert_frame_equal(found, given)


def test_sums_of_money_are_exact(engine: Warehouse) -> None:
    engine.merge(costs("exact", ["0.1"] * 1000 + ["0.000000000001"]), "cost_events")
    assert total(engine, "exact") == Decimal("100.000000000001")


def test_no_time_is_no_time(engine: Warehouse) -> None:
    found = engine.query("SELECT CAST(NULL AS TIMESTAMP_NTZ) AS moment, CAST(NULL AS VARCHAR) AS word")
    assert found.rows() == [(None, None)]
    assert found.schema["moment"] == pl.Datetime("us", "UTC")


def test_all_kinds_of_values_can_be_bound(engine: Warehouse) -> None:
    moment = datetime(2025, 3, 1, 2, 3, 4, 123456, tzinfo=UTC)
    values = ["it's", 7, Decimal("1.50"), date(2025, 3, 1), moment, True, None]
    found = engine.query(
        "SELECT CAST(? AS VARCHAR) AS a, CAST(? AS NUMBER(38,0)) AS b, CAST(? AS NUMBER(38,12)) AS c, "
        "CAST(? AS DATE) AS d, CAST(? AS TIMESTAMP_NTZ) AS e, CAST(? AS BOOLEAN) AS f, CAST(? AS VARCHAR) AS g",
        values,
    )
    assert found.row(0) == tuple(values)


def test_a_time_with_another_zone_is_bound_as_utc(engine: Warehouse) -> None:
    from zoneinfo import ZoneInfo

    local = datetime(2025, 7, 1, 2, tzinfo=ZoneInfo("Europe/Berlin"))
    assert engine.query("SELECT CAST(? AS TIMESTAMP_NTZ) AS t", [local]).item() == datetime(2025, 7, 1, tzinfo=UTC)


def test_a_bound_decimal_compares_exactly(engine: Warehouse) -> None:
    engine.merge(costs("compare", ["1.499999999999", "1.5", "1.500000000001"]), "cost_events")
    sql = "SELECT COUNT(*) AS n FROM finops_curated.cost_events WHERE business_unit = ? AND cost_amount > ?"
    assert engine.query(sql, ["compare", Decimal("1.5")]).item() == 1


def test_focus_columns_come_back_in_their_own_case(engine: Warehouse) -> None:
    found = engine.query("SELECT BilledCost, event_id, 1 AS MyOwn FROM finops_curated.focus_costs WHERE 1 = 0")
    assert found.columns == ["BilledCost", "event_id", "myown"]


@pytest.mark.parametrize("sql", ["DELETE FROM finops_curated.cost_events", "-- SELECT\nDROP TABLE x", "", "(UPDATE x)"])
def test_a_query_only_reads(engine: Warehouse, sql: str) -> None:
    with pytest.raises(WarehouseError, match="query only reads"):
        engine.query(sql)


def test_two_statements_in_one_are_refused(engine: Warehouse) -> None:
    engine.merge(costs("two", ["1"]), "cost_events")
    with pytest.raises(WarehouseError, match="one statement"):
        engine.query("SELECT 1 AS a; DELETE FROM finops_curated.cost_events")
    assert total(engine, "two") == 1


def test_what_looks_like_sql_is_only_a_value(engine: Warehouse) -> None:
    evil = "x'; DROP TABLE finops_curated.cost_events; --"
    engine.merge(costs("evil", ["1"], business_unit=evil), "cost_events")
    assert total(engine, evil) == 1


@pytest.mark.parametrize("name", ["cost_events; DROP TABLE x", "nowhere", "finops_curated.cost_events_history", ""])
def test_only_known_tables_are_written(engine: Warehouse, name: str) -> None:
    with pytest.raises(WarehouseError, match=r"no table .* there are finops_curated\.focus_costs"):
        engine.load(costs("x", ["1"]), name)


def test_replace_where_takes_names_not_sql(engine: Warehouse) -> None:
    with pytest.raises(WarehouseError, match="can't be a column's name"):
        engine.load(pl.DataFrame({"run_id": ["a"]}), "ingest_runs", replace_where={"1=1 OR run_id": "a"})


def test_a_refusal_says_what_the_warehouse_said(engine: Warehouse) -> None:
    with pytest.raises(WarehouseError, match="(?i)no_such_table"):
        engine.query("SELECT * FROM finops_curated.no_such_table")


def test_load_appends_and_replace_where_replaces(engine: Warehouse) -> None:
    runs = pl.DataFrame({"run_id": ["r1", "r2"], "rows_read": [1, 2]})
    assert engine.load(runs, "ingest_runs") == 2
    assert engine.load(runs.head(1), "ingest_runs") == 1
    assert engine.load(runs.head(1), "ingest_runs", replace_where={"run_id": "r1"}) == 1
    found = engine.query("SELECT run_id, rows_read, source_name FROM finops_staging.ingest_runs ORDER BY run_id")
    assert found.filter(pl.col("run_id").is_in(["r1", "r2"])).rows() == [("r1", 1, None), ("r2", 2, None)]


def test_a_column_the_table_has_not_is_refused(engine: Warehouse) -> None:
    with pytest.raises(WarehouseError, match=r"rows_raed.*did you mean 'rows_read'"):
        engine.load(pl.DataFrame({"run_id": ["r9"], "rows_raed": [1]}), "ingest_runs")


def test_an_empty_frame_changes_nothing(engine: Warehouse) -> None:
    assert engine.load(pl.DataFrame(schema={"run_id": pl.String()}), "ingest_runs") == 0
    merged = engine.merge(costs("none", []), "cost_events")
    assert merged.rows == 0
    assert merged.amounts.is_empty()


def test_parquet_files_are_taken_as_they_are(engine: Warehouse, tmp_path: Path) -> None:
    parts = [costs("pq", ["1", "2"]), costs("pq", ["1", "2", "3"]).tail(1)]
    files = [tmp_path / "it's part 1.parquet", tmp_path / "deep" / "part.parquet"]
    files[1].parent.mkdir()
    for part, file in zip(parts, files, strict=True):
        part.drop("loaded_at").write_parquet(file)
    assert engine.merge(files, "cost_events").inserted == 3
    assert total(engine, "pq") == 6


def test_a_file_that_is_no_parquet_is_named(engine: Warehouse, tmp_path: Path) -> None:
    (tmp_path / "bad.parquet").write_bytes(b"no parquet")
    with pytest.raises(WarehouseError, match=r"bad\.parquet can't be read as Parquet"):
        engine.merge([tmp_path / "bad.parquet"], "cost_events")


def test_the_same_batch_again_changes_nothing(engine: Warehouse) -> None:
    given = costs("same", ["1", "2", "-3"])
    first, second = engine.merge(given, "cost_events"), engine.merge(given, "cost_events")
    assert (first.inserted, first.rows) == (3, 3)
    assert (second.unchanged, second.rows) == (3, 3)
    assert second.amounts.rows() == [("unchanged", "EUR", 3, Decimal(0), Decimal(0))]
    assert total(engine, "same") == 0


@pytest.mark.slow
def test_three_loads_shuffled_and_overlapping_give_the_same_total(engine: Warehouse) -> None:
    given = costs("shuffle", [f"{i}.000000000001" for i in range(200)])
    chance = random.Random(5)
    for _ in range(3):
        starts = list(range(0, 200, 20))
        chance.shuffle(starts)
        for start in starts:
            piece = given.slice(max(0, start - 15), 60).sample(fraction=1, shuffle=True, seed=chance.randrange(999))
            engine.merge(piece, "cost_events")
    assert total(engine, "shuffle") == given["cost_amount"].sum()


def test_a_later_observation_restates_and_the_former_version_is_kept(engine: Warehouse) -> None:
    engine.merge(costs("restate", ["1", "2"]), "cost_events", loaded_at=LATER)
    merged = engine.merge(
        costs("restate", ["1", "5"], observed=DAY + timedelta(1)), "cost_events", loaded_at=LATER + timedelta(1)
    )
    assert (merged.restated, merged.unchanged) == (1, 1)
    assert merged.amounts.filter(outcome="restated").rows() == [("restated", "EUR", 1, Decimal(5), Decimal(2))]
    assert total(engine, "restate") == 6
    history = engine.query(
        "SELECT cost_amount, superseded_at FROM finops_curated.cost_events_history WHERE business_unit = ?", ["restate"]
    )
    assert history.rows() == [(Decimal(2), LATER + timedelta(1))]


def test_what_was_believed_when_can_be_asked(engine: Warehouse) -> None:
    loads = [LATER, LATER + timedelta(1), LATER + timedelta(2)]
    for number, loaded in enumerate(loads):
        engine.merge(costs("known", [str(10 + number)], observed=DAY + timedelta(number)), "cost_events", loaded)
    sql = (
        "SELECT SUM(cost_amount) AS total FROM finops_curated.cost_events_versions WHERE business_unit = 'known' "
        "AND loaded_at <= ? AND (superseded_at IS NULL OR superseded_at > ?)"
    )
    moments = [LATER - timedelta(1), LATER, LATER + timedelta(1, 1), LATER + timedelta(9)]
    assert [engine.query(sql, [m, m]).item() for m in moments] == [None, 10, 11, 12]


def test_an_older_replay_never_restores_an_old_amount(engine: Warehouse) -> None:
    old, new = costs("older", ["1"], observed=DAY), costs("older", ["2"], observed=LATER)
    engine.merge(old, "cost_events")
    engine.merge(new, "cost_events")
    merged = engine.merge(old, "cost_events")
    assert (merged.older, merged.rows) == (1, 1)
    assert merged.amounts.rows() == [("older", "EUR", 1, Decimal(1), Decimal(2))]
    assert total(engine, "older") == 2


def test_a_later_observation_of_the_same_amount_protects_it(engine: Warehouse) -> None:
    engine.merge(costs("bump", ["1"], observed=EARLIER), "cost_events", loaded_at=DAY)
    assert engine.merge(costs("bump", ["1"], observed=LATER), "cost_events").unchanged == 1
    assert engine.merge(costs("bump", ["9"], observed=DAY), "cost_events").older == 1
    sql = "SELECT observed_at, loaded_at, cost_amount FROM finops_curated.cost_events WHERE business_unit = 'bump'"
    # loaded_at stays: this amount has been believed since then.
    assert engine.query(sql).rows() == [(LATER, DAY, Decimal(1))]


def test_a_new_description_is_taken_without_a_trace(engine: Warehouse) -> None:
    engine.merge(costs("named", ["1"]), "cost_events", loaded_at=DAY)
    merged = engine.merge(costs("named", ["1"], observed=LATER, resource_id="renamed"), "cost_events")
    assert (merged.unchanged, merged.restated) == (1, 0)
    sql = "SELECT resource_id, loaded_at FROM finops_curated.cost_events WHERE business_unit = 'named'"
    assert engine.query(sql).rows() == [("renamed", DAY)]


def test_another_owner_of_the_same_amount_is_a_restatement(engine: Warehouse) -> None:
    engine.merge(costs("owner", ["4"]), "cost_events")
    merged = engine.merge(costs("owner", ["4"], observed=LATER, project_id="q"), "cost_events")
    assert merged.restated == 1
    assert merged.amounts.rows() == [("restated", "EUR", 1, Decimal(4), Decimal(4))]


def test_another_label_at_the_same_moment_is_a_restatement_too(engine: Warehouse) -> None:
    """The profile's unit names are the reader's own: a change of them needs no new bill."""
    engine.merge(costs("label", ["4"]), "cost_events")
    merged = engine.merge(costs("label", ["4"], environment="test"), "cost_events")
    assert (merged.restated, merged.conflicts) == (1, 0)
    sql = "SELECT environment FROM finops_curated.cost_events WHERE business_unit = 'label'"
    assert engine.query(sql).item() == "test"


def test_two_amounts_at_the_same_moment_are_a_conflict_and_nothing_is_guessed(engine: Warehouse) -> None:
    engine.merge(costs("conflict", ["1", "2"]), "cost_events")
    merged = engine.merge(costs("conflict", ["1", "3"]), "cost_events")
    assert (merged.unchanged, merged.conflicts) == (1, 1)
    assert merged.conflicting.rows() == [("conflict-1", "EUR", Decimal(2), Decimal(3))]
    assert total(engine, "conflict") == 3


def test_another_currency_for_the_same_event_is_a_conflict(engine: Warehouse) -> None:
    engine.merge(costs("money", ["1"]), "cost_events")
    assert engine.merge(costs("money", ["1"], observed=LATER, currency="USD"), "cost_events").conflicts == 1


def test_a_batch_with_an_id_twice_keeps_the_latest_and_says_so(engine: Warehouse) -> None:
    one = costs("twice", ["1"])
    batch = pl.concat([one, one, costs("twice", ["7"], observed=LATER), costs("twice", ["1", "2"]).tail(1)])
    merged = engine.merge(batch, "cost_events")
    assert (merged.inserted, merged.older, merged.repeated, merged.rows) == (2, 2, 0, 4)
    assert total(engine, "twice") == 9


def test_the_same_line_twice_in_a_batch_counts_once(engine: Warehouse) -> None:
    one = costs("repeat", ["5"])
    merged = engine.merge(pl.concat([one, one, one]), "cost_events")
    assert (merged.inserted, merged.repeated) == (1, 2)
    assert total(engine, "repeat") == 5


def test_two_amounts_in_one_batch_are_a_conflict_that_ends_the_same_in_any_order(engine: Warehouse) -> None:
    for name in ("ab", "ba"):
        pair = [costs(f"pair{name}", ["4"]), costs(f"pair{name}", ["3"])]
        merged = engine.merge(pl.concat(pair if name == "ab" else pair[::-1]), "cost_events")
        assert (merged.inserted, merged.conflicts) == (1, 1)
        assert merged.conflicting.rows() == [(f"pair{name}-0", "EUR", Decimal(3), Decimal(4))]
        assert total(engine, f"pair{name}") == 3


def test_the_outcomes_add_up_to_the_batch(engine: Warehouse) -> None:
    chance = random.Random(11)
    for step in range(6):
        rows = pl.concat([
            costs("sum", [str(chance.randrange(3))] * 40, observed=DAY + timedelta(chance.randrange(4)))
            .sample(fraction=0.5, seed=step, shuffle=True)
            for _ in range(2)
        ])  # fmt: skip
        before = total(engine, "sum") or Decimal(0)
        merged = engine.merge(rows, "cost_events")
        assert merged.rows == rows.height
        assert merged.amounts["rows"].sum() == rows.height
        assert merged.amounts["amount"].sum() == rows["cost_amount"].sum()
        by = {row["outcome"]: row for row in merged.amounts.iter_rows(named=True)}
        change = Decimal(0)
        if "inserted" in by:
            change += by["inserted"]["amount"]
        if "restated" in by:
            change += by["restated"]["amount"] - by["restated"]["amount_before"]
        assert total(engine, "sum") == before + change


def test_rows_without_what_a_merge_needs_are_refused_as_a_whole(engine: Warehouse) -> None:
    batch = pl.concat(
        [costs("needs", ["1"]), costs("needs", ["2"]).with_columns(event_id=None)], how="vertical_relaxed"
    )
    with pytest.raises(WarehouseError, match="1 of 2 rows have no event_id"):
        engine.merge(batch, "cost_events")
    assert total(engine, "needs") is None


def test_a_table_without_events_can_not_be_merged_into(engine: Warehouse) -> None:
    with pytest.raises(WarehouseError, match="use load"):
        engine.merge(pl.DataFrame({"run_id": ["a"]}), "ingest_runs")


def test_business_and_resource_events_merge_too(engine: Warehouse) -> None:
    shared = {
        "event_id": ["b1"],
        "timestamp": [DAY],
        "business_unit": ["br"],
        "observed_at": [DAY],
        "currency": ["EUR"],
    }
    business = pl.DataFrame(shared | {"revenue_impact": [Decimal("9.5")]}).cast({"revenue_impact": focus.AMOUNT})
    resource = pl.DataFrame(shared | {"utilization": [0.5], "cost_estimate": [Decimal(1)]}).cast(
        {"cost_estimate": focus.AMOUNT}
    )
    assert engine.merge(business, "business_events").inserted == 1
    assert engine.merge(resource, "resource_events").inserted == 1
    later = resource.with_columns(utilization=pl.lit(0.7), observed_at=pl.lit(LATER))
    assert engine.merge(later, "resource_events").restated == 1


def test_status_tells_rows_and_span_of_every_table(engine: Warehouse) -> None:
    engine.merge(costs("status", ["1"]), "cost_events")
    found = engine.status()
    assert found.columns == ["table", "rows", "first", "last"]
    row = found.row(by_predicate=pl.col("table") == "finops_curated.cost_events", named=True)
    assert row["rows"] > 0
    assert row["first"] == DAY


def test_the_snowpark_session_sees_the_same(engine: Warehouse) -> None:
    engine.merge(costs("snowpark", ["1", "2"]), "cost_events")
    rows = engine.session.sql(
        "SELECT SUM(cost_amount) FROM finops_curated.cost_events WHERE business_unit = 'snowpark'"
    )
    assert rows.collect()[0][0] == 3
