"""The SQL files."""

import re

import polars as pl
import pytest
import sqlglot

from workbench import events, focus
from workbench.warehouse import Warehouse, models
from workbench.warehouse.tables import TABLES

FILES = models.sql_files()


def test_files_are_numbered_and_run_in_that_order() -> None:
    assert list(FILES) == sorted(FILES)
    assert all(re.fullmatch(r"\d{3}_[a-z_]+\.sql", name) for name in FILES)
    assert next(iter(FILES)) == "001_schemas.sql"


@pytest.mark.parametrize("name", FILES)
def test_every_statement_is_snowflake_sql(name: str) -> None:
    for statement in models.statements(FILES[name]):
        (parsed,) = sqlglot.parse(statement, read="snowflake", error_level=sqlglot.ErrorLevel.RAISE)
        assert not isinstance(parsed, sqlglot.exp.Command), f"only passed through, not understood: {statement[:60]}"


@pytest.mark.parametrize("name", FILES)
def test_no_view_knows_what_day_it_is(name: str) -> None:
    views = [s for s in models.statements(FILES[name]) if "VIEW" in s]
    assert not any(re.search(r"CURRENT_DATE|CURRENT_TIMESTAMP|GETDATE|SYSDATE", view) for view in views)


def test_nothing_is_replaced_but_views() -> None:
    """A table that is replaced would be emptied at the next start."""
    for text in FILES.values():
        for statement in models.statements(text):
            new = r"CREATE OR REPLACE VIEW|CREATE (SCHEMA|TABLE|STAGE) IF NOT EXISTS"
            assert re.match(new + r"|ALTER TABLE \S+ ADD COLUMN IF NOT EXISTS", statement)


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("focus_costs", focus.SCHEMA),
        ("cost_events", events.COST),
        ("business_events", events.BUSINESS),
        ("resource_events", events.RESOURCE),
    ],
)
def test_a_table_is_what_its_frames_are(embedded: Warehouse, name: str, schema: dict[str, object]) -> None:
    found = embedded.query(f"SELECT * FROM finops_curated.{name} WHERE 1 = 0")
    assert found.columns == list(schema)
    kept = {column: dtype for column, dtype in schema.items() if column != "line_count"}
    assert {column: found.schema[column] for column in kept} == kept
    for beside in ("history", "versions"):
        assert embedded.query(f"SELECT * FROM finops_curated.{name}_{beside} WHERE 1 = 0").columns == [
            *schema,
            "superseded_at",
        ]


@pytest.mark.parametrize("name", ["cost_windows", "cost_anomalies", "roi_calculations", "optimization_recommendations"])
def test_a_table_of_what_was_told_has_its_history_and_its_versions(embedded: Warehouse, name: str) -> None:
    columns = set(embedded.query(f"SELECT * FROM finops_aggregated.{name} WHERE 1 = 0").columns)
    assert {"record_id", "origin", "observed_at", "loaded_at", *TABLES[f"finops_aggregated.{name}"].content} <= columns
    for beside in ("history", "versions"):
        found = embedded.query(f"SELECT * FROM finops_aggregated.{name}_{beside} WHERE 1 = 0").columns
        assert set(found) == columns | {"superseded_at"}


def test_the_articles_names_are_there(embedded: Warehouse) -> None:
    for name in (
        "finops_staging.cost_events_raw",
        "finops_staging.business_events_raw",
        "finops_curated.cost_events",
        "finops_curated.business_events",
        "finops_aggregated.daily_cost_summary",
        "finops_aggregated.cost_anomalies",
        "finops_reporting.cost_by_business_unit",
        "finops_reporting.roi_analysis",
        *TABLES,
    ):
        assert embedded.query(f"SELECT * FROM {name} WHERE 1 = 0").is_empty()


def test_all_six_schemas_are_there(embedded: Warehouse) -> None:
    found = embedded.query("SELECT LOWER(schema_name) AS name FROM information_schema.schemata")["name"].to_list()
    for name in ("staging", "curated", "aggregated", "reporting", "analysis", "tasks"):
        assert f"finops_{name}" in found


def test_init_may_run_again_and_loses_nothing(embedded: Warehouse) -> None:
    embedded.load(pl.DataFrame({"run_id": ["init"]}), "ingest_runs")
    assert embedded.init() == list(FILES)
    sql = "SELECT COUNT(*) AS n FROM finops_staging.ingest_runs WHERE run_id = 'init'"
    assert embedded.query(sql).item() == 1
