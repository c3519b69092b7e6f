"""Finding notebooks, their order, their names and what may be told to them."""

from pathlib import Path

import pytest
from books import plain, write

from workbench.errors import ReportError, UsageError
from workbench.reports.notebooks import assigned, find, select
from workbench.reports.parameters import declared, typed


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    plain(tmp_path, "01_costs", needs=["09_ingest"])
    plain(tmp_path, "09_ingest")
    plain(tmp_path, "00_summary", needs=["*"])
    plain(tmp_path, "03_root_cause", needs=["01_costs"])
    (tmp_path / ".hidden.ipynb").write_text("not read")
    return tmp_path


def test_needs_come_first_and_the_summary_last(folder: Path) -> None:
    assert list(find(folder)) == ["09_ingest", "01_costs", "03_root_cause", "00_summary"]


def test_two_that_need_all_come_after_the_rest_in_the_order_of_their_needs(folder: Path) -> None:
    write(folder, "99_digest", [], needs=["*", "00_summary"])
    assert list(find(folder))[-2:] == ["00_summary", "99_digest"]


@pytest.mark.parametrize("name", ["03_root_cause", "03", "3", "root_cause", "ROOT_CAUSE", "03_root_cause.ipynb"])
def test_a_notebook_is_chosen_by_name_number_or_word(folder: Path, name: str) -> None:
    assert list(select(find(folder), [name])) == ["03_root_cause"]


def test_what_a_chosen_notebook_needs_is_not_run_again(folder: Path) -> None:
    assert list(select(find(folder), ["00", "03"])) == ["03_root_cause", "00_summary"]
    assert len(select(find(folder), [])) == 4


def test_an_unknown_name_lists_what_there_is_and_a_near_miss(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"'rot_cause'.*00_summary, 01_costs.*did you mean 'root_cause'"):
        select(find(folder), ["rot_cause"])


def test_a_name_for_two_asks_for_the_whole_name(folder: Path) -> None:
    plain(folder, "01_carbon")
    with pytest.raises(UsageError, match="01_carbon or 01_costs"):
        select(find(folder), ["01"])


def test_a_circle_names_its_members(folder: Path) -> None:
    plain(folder, "09_ingest", needs=["03_root_cause"])
    with pytest.raises(ReportError, match=r"01_costs needs 09_ingest.*take one of these needs away"):
        find(folder)


def test_a_need_that_does_not_exist_is_an_error_with_a_near_miss(folder: Path) -> None:
    plain(folder, "01_costs", needs=["09_ingst"])
    with pytest.raises(ReportError, match="did you mean '09_ingest'"):
        find(folder)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"cells": 3, "metadata": {}}', "\x00\x01"])
def test_a_file_that_is_no_notebook_is_named(folder: Path, text: str) -> None:
    (folder / "05_broken.ipynb").write_text(text)
    with pytest.raises(ReportError, match="05_broken.ipynb"):
        find(folder)


def test_a_folder_without_notebooks_says_so(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="no notebooks"):
        find(tmp_path)
    with pytest.raises(ReportError, match="no such folder"):
        find(tmp_path / "nowhere")


def test_a_parameter_goes_to_every_notebook_that_has_it_or_to_the_one_named(folder: Path) -> None:
    write(folder, "05_other", [], parameters="days: int = 7\n")
    books = find(folder)
    assert assigned(books, {"top": "5"})["01_costs"] == {"top": 5}
    assert assigned(books, {"top": 5})["05_other"] == {}
    assert assigned(books, {"costs.top": 5})["09_ingest"] == {}


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("tpo", 5, "did you mean 'top'"),
        ("top", "many", "takes int, like its default 3, not 'many'"),
        ("top", True, "takes int"),
        ("top", 1.5, "takes int"),
        ("run_dir", "/tmp", "set by the run itself"),  # noqa: S108 (never written)
        ("costz.top", 5, "did you mean 'costs'"),
        ("costs.days", 5, "01_costs has no parameter 'days'"),
    ],
)
def test_a_wrong_parameter_is_an_error_before_anything_runs(folder: Path, key: str, value: object, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        assigned(find(folder), {key: value})


def test_parameters_are_read_with_type_default_and_help() -> None:
    found = declared("# all of them\na: float = -1  # how far\nb = 'x'\nc: bool = True\nimport os\n", "x")
    assert [(p.name, p.kind, p.default, p.help) for p in found] == [
        ("a", "float", -1.0, "how far"),
        ("b", "str", "x", ""),
        ("c", "bool", True, ""),
    ]


@pytest.mark.parametrize("source", ["a: list = []", "a: int = 'x'", "a: int = f()", "a = None", "a: date = 1", "a: ="])
def test_a_parameter_of_another_type_is_refused_where_it_is_declared(source: str) -> None:
    with pytest.raises(ReportError, match="02_costs"):
        declared(source, "02_costs")


def test_text_from_a_command_line_becomes_the_type() -> None:
    yes, number, text = declared("a: bool = False\nb: float = 1.5\nc: str = ''", "x")
    assert typed(yes, "yes", "x") is True
    assert typed(yes, "0", "x") is False
    assert typed(number, "2", "x") == 2.0
    assert typed(number, 2, "x") == 2.0
    assert typed(text, "007", "x") == "007"
    with pytest.raises(UsageError):
        typed(yes, "perhaps", "x")
