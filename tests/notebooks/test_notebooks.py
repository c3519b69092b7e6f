"""The notebooks as literature, and as reports that run from nothing."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def cells(path: Path, kind: str) -> list[dict[str, Any]]:
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == kind]


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def test_there_are_notebooks() -> None:
    assert {path.stem for path in NOTEBOOKS} >= {"00_summary", "01_ingest", "02_costs"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_mostly_prose_in_short_cells_and_defines_nothing(path: Path) -> None:
    code, prose = cells(path, "code"), cells(path, "markdown")
    assert len(prose) >= 0.4 * (len(code) + len(prose))
    assert max(source(cell).count("\n") + 1 for cell in code) <= 12
    assert not any(re.search(r"^(def|class) ", source(cell), re.MULTILINE) for cell in code)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_declares_its_parameters_with_type_default_and_help(path: Path) -> None:
    (parameters,) = [cell for cell in cells(path, "code") if "parameters" in cell["metadata"].get("tags", [])]
    lines = source(parameters).splitlines()
    assert all(re.fullmatch(r"\w+: (str|int|float|bool) = .+  # .+", line) for line in lines)
    assert [line.split(":")[0] for line in lines[:4]] == ["profile", "as_of", "known_at", "run_dir"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_says_what_it_is_and_what_it_needs_and_ends_with_its_record(path: Path) -> None:
    about = json.loads(path.read_text())["metadata"]["workbench"]
    assert about["title"]
    assert about["about"].endswith(".")
    known = {other.stem for other in NOTEBOOKS} | {"*"}
    assert set(about["needs"]) <= known
    assert "wb.record(" in source(cells(path, "code")[-1])
