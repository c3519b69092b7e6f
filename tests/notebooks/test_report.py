"""The demo report from nothing, twice; a user's own bill; a notebook opened in JupyterLab."""

import json
import shutil
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import nbformat
import polars as pl
import pytest
from nbclient import NotebookClient

from tests.pipelines.conftest import BILL, WHOLE, write
from workbench.pipelines.estate import estates
from workbench.reports.make import make
from workbench.settings import load
from workbench.sources.focus import read_focus
from workbench.warehouse import stop

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project of its own: the demo profile and the notebooks, and nothing that was loaded before."""
    root = tmp_path_factory.mktemp("project")
    (root / "params").mkdir()
    shutil.copy(ROOT / "params" / "demo.yaml", root / "params")
    shutil.copytree(ROOT / "notebooks", root / "notebooks")
    yield root
    for profile in (root / "params" / "demo.yaml", *(root / ".workbench" / "profiles").glob("*.yaml")):
        stop(load(profile))


@pytest.fixture(scope="module")
def report(project: Path) -> Path:
    run, loaded = make(str(project / "params" / "demo.yaml"), [], quiet=True)
    assert run.exit_code == 0, [entry.error for entry in run.notebooks]
    assert not loaded.unread
    return project / "reports" / "demo" / "2025-11-01"


def figures(folder: Path, notebook: str) -> dict[str, str]:
    record = json.loads((folder / "records" / f"{notebook}.json").read_text())
    return {figure["key"]: str(figure["value"]) for figure in record["figures"]}


def test_the_demo_report_says_what_the_simulated_bill_costs(project: Path, report: Path) -> None:
    """Each statement corrects the one before: what is said last is the cost."""
    [estate] = estates(load(project / "params" / "demo.yaml"))
    said: dict[str, Decimal] = {}
    for path, moment in estate.bills():
        lines = read_focus(path, observed_at=moment).lines()
        said |= dict(lines.select("event_id", "BilledCost").iter_rows())
    assert Decimal(figures(report, "02_costs")["spend"]) == sum(said.values())
    assert figures(report, "01_ingest")["lines"] == str(len(said))
    assert Decimal(figures(report, "01_ingest")["difference"]) == 0


def test_the_run_leaves_pages_notebooks_records_and_every_table_as_csv_and_xlsx(report: Path) -> None:
    for name in ("00_summary", "01_ingest", "02_costs", "06_forecast"):
        page = (report / f"{name}.html").read_text()
        assert "<script src" not in page
        assert len(page.encode()) <= 2_000_000
        record = json.loads((report / "records" / f"{name}.json").read_text())
        assert all((report / table["csv"]).is_file() for table in record["tables"])
        assert (report / "notebooks" / f"{name}.ipynb").is_file()
        assert (report / "tables" / f"{name}.xlsx").is_file()
    assert (report / "index.html").is_file()


def test_every_split_of_the_cost_page_adds_up_to_the_same_total(report: Path) -> None:
    tables = report / "tables" / "02_costs"
    totals = {
        name: sum(Decimal(cost) for cost in pl.read_csv(tables / f"{name}.csv", infer_schema=False)["BilledCost"])
        for name in ("by_unit", "by_service", "by_region", "by_provider", "whole")
    }
    assert len(set(totals.values())) == 1, totals
    changes = {
        name: sum(Decimal(cost) for cost in pl.read_csv(tables / f"{name}.csv", infer_schema=False)["change"])
        for name in ("week_total", "week_by_unit", "largest_changes")
    }
    assert len(set(changes.values())) == 1, changes


def test_the_forecast_of_the_units_is_that_of_the_whole_and_the_summary_says_it(report: Path) -> None:
    rows = pl.read_csv(report / "tables" / "06_forecast" / "month_end.csv", infer_schema=False)
    expected = {row["business_unit"]: Decimal(row["expected"]) for row in rows.iter_rows(named=True)}
    whole = expected.pop("(all)")
    assert sum(expected.values()) == whole == Decimal(figures(report, "06_forecast")["month"])
    assert f"{whole:,.0f} USD" in (report / "00_summary.html").read_text()


def test_cost_and_revenue_of_the_units_are_what_came_in(report: Path) -> None:
    rows = pl.read_csv(report / "tables" / "02_costs" / "roi.csv", infer_schema=False)
    held = figures(report, "02_costs")
    assert sum(map(Decimal, rows["cost"])) == Decimal(held["roi_cost"]) == Decimal(held["spend"])
    assert sum(map(Decimal, rows["revenue"])) == Decimal(held["revenue"]) > 0
    actions = pl.read_csv(report / "tables" / "02_costs" / "actions.csv", infer_schema=False)
    assert sum(map(Decimal, actions["revenue_impact"])) == Decimal(held["revenue"])


def test_the_same_input_and_as_of_give_the_same_records_and_tables(project: Path, report: Path) -> None:
    kinds, clocked = {".json", ".csv", ".xlsx", ".html"}, {"run.json", "index.html"}
    kept = [path for path in report.rglob("*") if path.suffix in kinds and path.name not in clocked]
    before = {path: path.read_bytes() for path in kept}
    make(str(project / "params" / "demo.yaml"), [], quiet=True)
    assert {path: path.read_bytes() for path in kept} == before


def test_a_bill_of_the_users_own_becomes_a_report_without_touching_a_profile(project: Path) -> None:
    own = write(project / "own" / "my bill.csv", BILL)
    run, _ = make(str(project / "params" / "demo.yaml"), [], input_file=own, quiet=True)
    assert run.exit_code == 0, [entry.error for entry in run.notebooks]
    assert run.folder is not None
    assert Decimal(figures(run.folder, "02_costs")["spend"]) == WHOLE
    assert run.as_of.isoformat() == "2025-10-21"
    assert "roi" not in figures(run.folder, "02_costs")
    assert "no business events have come in" in (run.folder / "00_summary.html").read_text()
    assert "so there is no revenue" in (run.folder / "02_costs.html").read_text()


@pytest.mark.parametrize("name", ["00_summary", "01_ingest", "02_costs", "06_forecast"])
def test_a_notebook_runs_as_it_is_in_jupyterlab(project: Path, report: Path, name: str) -> None:
    del report  # it makes sure that the demo is loaded
    notebook = nbformat.read(project / "notebooks" / f"{name}.ipynb", as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(project / "notebooks")}}).execute()
    shown = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert any("image/svg+xml" in output.get("data", {}) for output in shown)
    assert not any(output.output_type == "error" for output in shown)
