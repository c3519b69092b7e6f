"""The project's frame: what is declared, locked, used, and kept out of the repository."""

import ast
import functools
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import time
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
LOCK = (ROOT / "requirements.lock").read_text()
NOTEBOOKS = sorted(ROOT.glob("notebooks/*.ipynb"))
MODULES = sorted(ROOT.glob("workbench/**/*.py"))

CARD = {
    "jupyterlab",
    "papermill",
    "pandas",
    "polars",
    "snowflake-snowpark-python",
    "confluent-kafka",
    "statsmodels",
    "tensorflow",
    "causalnex",
    "ipywidgets",
}
"""What the environment holds by design, used yet or not."""

needs_git = pytest.mark.skipif(not (ROOT / ".git").exists() or shutil.which("git") is None, reason="not a git checkout")
needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def requirements(*groups: list[str]) -> list[Requirement]:
    return [Requirement(line) for group in groups for line in group]


def locked() -> dict[str, set[Version]]:
    """Package → its pinned versions (more than one where they differ by platform)."""
    found: dict[str, set[Version]] = {}
    for name, version in re.findall(r"^([\w.-]+)(?:\[[\w,-]+\])?==(\S+)", LOCK, flags=re.MULTILINE):
        found.setdefault(canonicalize_name(name), set()).add(Version(version))
    return found


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True)
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


# What is declared and what is locked


def test_the_lock_satisfies_every_requirement() -> None:
    extras = PROJECT["optional-dependencies"]
    wanted = requirements(PROJECT["dependencies"], extras["structure"], PYPROJECT["dependency-groups"]["dev"])
    pins = locked()
    wrong = [
        str(need)
        for need in wanted
        if not (versions := pins.get(canonicalize_name(need.name)))
        or not all(need.specifier.contains(version) for version in versions)
    ]
    assert not wrong


def test_every_locked_package_is_pinned_with_hashes() -> None:
    entries = re.split(r"\n(?=\S)", re.sub(r"^#.*\n", "", LOCK, flags=re.MULTILINE).strip())
    assert len(entries) > 150
    assert [entry.split()[0] for entry in entries if "==" not in entry or "--hash=sha256:" not in entry] == []


def test_conda_gets_a_python_that_the_package_accepts() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    names = {re.split(r"[=<> ]", entry)[0]: entry for entry in environment["dependencies"]}
    assert set(names) == {"python", "make", "uv"}
    version = names["python"].partition("=")[2]
    assert SpecifierSet(PROJECT["requires-python"]).contains(f"{version}.5")
    assert f"--python-version {version}" in LOCK


def test_the_card_is_in_the_environment_and_heavy_extras_are_not() -> None:
    assert locked().keys() >= CARD
    assert not locked().keys() & {"torch", "drain3"}
    extras = PROJECT["optional-dependencies"]
    assert [Requirement(line).name for line in extras["torch"] + extras["logs"]] == ["torch", "drain3"]


def test_every_dependency_says_what_it_is_for() -> None:
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    packages = [line for line in lines if re.match(r'\s+"[A-Za-z][\w.\[\]-]*([<>=]=.*)?",', line)]
    declared = requirements(
        PROJECT["dependencies"], *PROJECT["optional-dependencies"].values(), PYPROJECT["dependency-groups"]["dev"]
    )
    assert len([line for line in packages if "# " in line]) >= len(declared)


# What is declared and what is used


INSEPARABLE = {
    "pydantic_core": "pydantic",
    "numpy": "pandas",
    "jupyter_client": "nbclient",
    "botocore": "boto3",
    "starlette": "fakesnow[server]",
    "uvicorn": "fakesnow[server]",
}
"""The other half of a declared package, which alone says which version fits."""


@functools.cache
def imported() -> set[str]:
    """Top-level modules that the package imports, by statement or by `importlib.import_module("…")`."""
    found: set[str] = set()
    for module in MODULES:
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module)
            elif isinstance(node, ast.Call) and "import_module" in ast.dump(node.func):
                found |= {str(arg.value) for arg in node.args[:1] if isinstance(arg, ast.Constant)}
    return {name.partition(".")[0] for name in found}


@functools.cache
def distributions() -> dict[str, set[str]]:
    """Top-level module → the installed packages that bring it."""
    return {module: {canonicalize_name(name) for name in names} for module, names in packages_distributions().items()}


def test_every_dependency_beside_the_card_is_imported_by_the_package() -> None:
    used = set().union(*(distributions().get(module, set()) for module in imported()))
    declared = {canonicalize_name(need.name) for need in requirements(PROJECT["dependencies"])}
    assert sorted(declared - CARD - used) == []


def test_every_third_party_import_is_declared() -> None:
    lists = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    declared = {canonicalize_name(need.name) for need in requirements(*lists)}
    third_party = imported() & distributions().keys() - {"workbench", *INSEPARABLE}
    assert sorted(module for module in third_party if not distributions()[module] & declared) == []


# What the repository holds


@pytest.mark.parametrize(
    "path",
    [
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "LICENSE",
        "Makefile",
        "environment.yml",
        "requirements.lock",
        ".pre-commit-config.yaml",
        ".ci/run",
        "notebooks",
        "params/demo.yaml",
        "params/focus.yaml",
        "params/production.yaml",
        "workbench/py.typed",
        "reports/README.md",
        "benchmarks",
    ],
)
def test_the_layout_is_the_designs(path: str) -> None:
    assert (ROOT / path).exists()


def test_no_module_passes_three_hundred_lines() -> None:
    lines = {str(module.relative_to(ROOT)): len(module.read_text().splitlines()) for module in MODULES}
    assert {name: count for name, count in lines.items() if count > 300} == {}
    assert statistics.median(lines.values()) < 180


@needs_git
def test_no_tracked_file_names_a_machine_or_a_place_on_it() -> None:
    host = socket.gethostname()
    registries = [
        "pypi" + ".org",
        "files.python" + "hosted",
        "conda.ana" + "conda",
        "--index" + "-url",
        "find" + "-links",
    ]
    own_host = [re.escape(host)] if len(host) >= 6 and re.search(r"\d", host) else []
    pattern = re.compile(
        r"(?<![\w.~-])/(?:work|root|home/\w+)/(?!\.\.)|" + "|".join([*map(re.escape, registries), *own_host])
    )
    found = []
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {match[0]}" for match in pattern.finditer(text)]
    assert not found


@needs_git
def test_nothing_generated_or_local_is_tracked() -> None:
    names = [path.relative_to(ROOT).as_posix() for path in tracked()]
    local = re.compile(
        r"^(\.venv|\.peers|\.workbench|reports/(?!README\.md$))|__pycache__|\.ipynb_checkpoints|^uv\.lock$"
    )
    assert [name for name in names if local.search(name)] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_holds_prose_parameters_and_calls_but_no_outputs(path: Path) -> None:
    notebook = json.loads(path.read_text())
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell for cell in code if cell["outputs"] or cell["execution_count"] is not None] == []
    assert len([cell for cell in code if "parameters" in cell["metadata"].get("tags", [])]) == 1
    for cell in code:
        source = "".join(line for line in cell["source"] if not line.lstrip().startswith(("%", "!")))
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        assert not [node for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)]


# The Makefile


@needs_make
def test_help_is_the_default_and_lists_every_target_quickly() -> None:
    started = time.perf_counter()
    shown = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True, env=clean_environment())
    assert time.perf_counter() - started < 1
    [phony] = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert [line.split()[1] for line in shown.stdout.splitlines()] == phony.split()


def clean_environment(**more: str) -> dict[str, str]:
    """Without a conda environment or an outer make, whose settings would reach the inner one."""
    dropped = ("CONDA", "MAKE", "MFLAGS", "VENV", "VIRTUAL_ENV")
    return {key: value for key, value in os.environ.items() if not key.startswith(dropped)} | more


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what the Makefile reads, with a Python and a uv that only write down how they were called."""
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    for folder in (".venv/bin", "conda/bin"):
        (tmp_path / folder).mkdir(parents=True)
        for tool in ("python", "uv"):
            stub = tmp_path / folder / tool
            stub.write_text(f'#!/bin/sh\n[ "$1" = -c ] || [ "$1" = --version ] || echo "{folder}/{tool} $*" >> calls\n')
            stub.chmod(0o755)
    return tmp_path


def make(project: Path, *args: str, **environment: str) -> list[str]:
    """Run make; what uv and Python were asked for meanwhile."""
    (project / "calls").write_text("")
    subprocess.run(["make", *args], cwd=project, capture_output=True, check=True, env=clean_environment(**environment))
    return (project / "calls").read_text().splitlines()


@needs_make
def test_the_environment_is_made_once_and_again_when_the_lock_changes(project: Path) -> None:
    first = make(project, "env")
    assert [line.split()[:3] for line in first] == [
        [".venv/bin/uv", "pip", "sync"],
        [".venv/bin/uv", "pip", "install"],
    ]
    started = time.perf_counter()
    assert make(project, "env") == []
    assert time.perf_counter() - started < 1
    (project / "requirements.lock").touch()
    assert make(project, "env") == [], "a new date on the same lock changes nothing"
    with (project / "requirements.lock").open("a") as lock:
        lock.write("# changed\n")
    assert make(project, "env") == first


@needs_make
def test_an_active_conda_environment_is_used_and_nothing_is_taken_from_it(project: Path) -> None:
    calls = make(project, "env", CONDA_PREFIX="conda", CONDA_DEFAULT_ENV="finops")
    assert [line.split()[:3] for line in calls] == [["conda/bin/uv", "pip", "install"]] * 2
    base = make(project, "env", CONDA_PREFIX="conda", CONDA_DEFAULT_ENV="base")
    assert base[0].startswith(".venv/bin/uv pip sync")


@needs_make
def test_a_python_that_does_not_suit_is_named_with_what_to_do(project: Path) -> None:
    shutil.rmtree(project / ".venv")
    ran = subprocess.run(
        ["make", "report", "PYTHON=/nowhere/python"],
        cwd=project,
        capture_output=True,
        text=True,
        env=clean_environment(),
        check=False,
    )
    assert ran.returncode == 2
    assert "No Python 3.11 or 3.12 found" in ran.stderr
    assert "make report PYTHON=/path/to/python3.11" in ran.stderr
    assert not (project / ".venv").exists()


@needs_make
def test_clean_keeps_the_labels_unless_told_to_take_all(project: Path) -> None:
    kept = project / ".workbench/demo/labels/mine.csv"
    gone = [project / ".workbench/demo/warehouse/data", project / "reports/demo/index.html"]
    readme = project / "reports/README.md"
    for path in [kept, readme, *gone]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    make(project, "clean")
    assert kept.exists()
    assert readme.exists()
    assert not any(path.exists() for path in gone)
    make(project, "clean", "CLEAN=all")
    assert not (project / ".workbench").exists()
    assert readme.exists()
