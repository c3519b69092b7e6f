"""Reports on real bills: the totals of the pages are the exact decimal sums of the files."""

import csv
import json
import os
import random
import shutil
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from workbench.pipelines.ingest import FOCUS_COSTS, ingest
from workbench.reports.make import make
from workbench.settings import load
from workbench.warehouse import Warehouse, stop

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("WORKBENCH_DATA", ROOT / "../shared/data")).resolve()
pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(600)]

Totals = dict[str, Decimal]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    if not (DATA / "focus").is_dir():
        pytest.skip(f"no real data at {DATA}: set WORKBENCH_DATA")
    monkeypatch.setenv("WORKBENCH_DATA", str(DATA))
    shutil.copytree(ROOT / "params", tmp_path / "params")
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")
    yield tmp_path
    for name in ("focus", "binder"):
        stop(load(tmp_path / "params" / f"{name}.yaml"))


def page_totals(run_folder: Path, table: str, name: str, measure: str = "BilledCost") -> Totals:
    frame = pl.read_csv(run_folder / "tables" / "01_ingest" / f"{table}.csv", infer_schema=False)
    return {row[name]: Decimal(row[measure] or 0) for row in frame.iter_rows(named=True)}


def test_the_focus_sample_is_reported_to_the_last_digit_by_provider_and_by_unit(project: Path) -> None:
    run, _ = make(str(project / "params" / "focus.yaml"), ["01_ingest", "02_costs"], quiet=True)
    assert run.exit_code == 0, [entry.error for entry in run.notebooks]
    assert run.folder is not None
    said: dict[str, Totals] = {name: defaultdict(Decimal) for name in ("provider", "list", "unit")}
    with (DATA / "focus" / "focus_1.0_sample_1000.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            tags = {} if row["Tags"] == "NULL" else json.loads(row["Tags"])
            tags = {key.strip().lower(): value for key, value in tags.items()}
            keys = (
                ["org", "cost department", "ms:department"] if row["ProviderName"] == "Microsoft" else ["business_unit"]
            )
            unit = next((tags[key] for key in keys if tags.get(key)), "unallocated")
            said["provider"][row["ProviderName"]] += Decimal(row["BilledCost"])
            said["list"][row["ProviderName"]] += Decimal(row["ListCost"])
            said["unit"][unit] += Decimal(row["BilledCost"])
    assert page_totals(run.folder, "by_provider", "ProviderName") == said["provider"]
    assert page_totals(run.folder, "by_provider", "ProviderName", "ListCost") == said["list"]
    assert page_totals(run.folder, "by_unit", "business_unit") == said["unit"]
    assert sum(said["provider"].values()) == Decimal("20.52022672899")


def test_the_mybinder_bill_is_reported_to_the_last_digit_through_a_mapping(project: Path) -> None:
    run, _ = make(str(project / "params" / "binder.yaml"), ["01_ingest", "02_costs"], quiet=True)
    assert run.exit_code == 0, [entry.error for entry in run.notebooks]
    assert run.folder is not None
    said: Totals = defaultdict(Decimal)
    (path,) = (DATA / "gcp-binder-daily").glob("*.csv")
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            if row["level"] == "project_id":
                said[row["name"]] += Decimal(row["cost_usd"])
    assert page_totals(run.folder, "by_unit", "business_unit") == said
    assert page_totals(run.folder, "by_provider", "ProviderName") == {"Google Cloud": sum(said.values())}
    missing = pl.read_csv(run.folder / "tables" / "01_ingest" / "missing_days.csv", infer_schema=False)
    assert missing["date"].to_list() == ["2018-02-03"]


@pytest.mark.parametrize(
    ("profile", "file", "whole"),
    [
        ("focus", "focus/focus_1.0_sample_1000.csv", Decimal("20.52022672899")),
        ("binder", "gcp-binder-daily/binder-daily-cost-2017-12_2018-12.csv", None),
    ],
)
def test_a_real_bill_loaded_three_times_shuffled_and_in_overlapping_pieces_has_the_same_totals(
    project: Path, profile: str, file: str, whole: Decimal | None
) -> None:
    params = project / "params" / f"{profile}.yaml"
    (project / "pieces").mkdir()
    params.write_text(params.read_text().replace(f"${{WORKBENCH_DATA}}/{file}", "pieces"))
    head, *rows = (DATA / file).read_text().splitlines(keepends=True)
    if whole is None:
        whole = sum((Decimal(row.rsplit(",", 1)[1]) for row in rows if row.startswith("project_id")), Decimal(0))
    random.Random(11).shuffle(rows)
    for piece, part in enumerate((rows, rows[: len(rows) * 2 // 3], rows[len(rows) // 3 :])):
        (project / "pieces" / f"{piece}.csv").write_text(head + "".join(part))
    settings = load(params)
    with Warehouse(settings) as warehouse:
        for _ in range(3):
            assert ingest(warehouse, settings).exit_code == 0
            held = warehouse.query(f"SELECT SUM(BilledCost) AS money FROM {FOCUS_COSTS}")
            assert held["money"][0] == whole
