"""Tables and records: exact, escaped, and the same in the page and in the file."""

import json
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from workbench.errors import UsageError
from workbench.focus import AMOUNT
from workbench.pipelines.outputs import Figure, LookAt, Note, Outputs, Table, harmless, read_records, read_table

CONTEXT = {"profile": "test", "as_of": "2025-11-01", "known_at": "2025-11-01T00:00:00Z"}
EVIL = "<script>alert(1)</script>"


def amounts(*values: str) -> pl.DataFrame:
    return pl.DataFrame({"unit": [f"u{at}" for at in range(len(values))], "cost": values}).with_columns(
        pl.col("cost").cast(AMOUNT)
    )


def test_text_from_outside_is_escaped_in_tables_and_notes() -> None:
    frame = pl.DataFrame({EVIL: [EVIL]})
    for html in (Table(frame, EVIL)._repr_html_(), Note("{a} is dear", a=EVIL)._repr_html_()):
        assert "<script>" not in html
        assert "&lt;script&gt;" in html


def test_a_note_does_not_read_braces_in_its_values() -> None:
    assert "{0.__class__}" in Note("{a}", a="{0.__class__}")._repr_html_()


def test_large_amounts_show_two_decimals_small_ones_six_and_the_exact_amount_stands_on_hover() -> None:
    assert ">1,234.57</td>" in Table(amounts("1234.567890123456"))._repr_html_()
    small = Table(amounts("0.0000008"))._repr_html_()
    assert 'title="0.0000008"' in small
    assert ">0.000001</td>" in small


def test_exact_tables_show_all_digits() -> None:
    assert ">20.52022672899</td>" in Table(amounts("20.520226728990"), exact=True)._repr_html_()


def test_the_csv_of_a_table_holds_all_rows_with_exact_amounts(tmp_path: Path) -> None:
    frame = amounts(*(f"{at}.000000000001" for at in range(300)))
    outputs = Outputs("02_costs", tmp_path, CONTEXT)
    shown = outputs.table("spend", Table(frame))
    assert "275 more rows" in shown._repr_html_()
    written = pl.read_csv(tmp_path / "tables/02_costs/spend.csv", infer_schema=False)
    assert written.height == 300
    assert sum(Decimal(text) for text in written["cost"]) == sum(frame["cost"])


def test_a_spreadsheet_takes_no_text_from_outside_for_a_formula() -> None:
    frame = pl.DataFrame({"unit": ["=HYPERLINK(1)", "+1", "@x", "plain", None], "cost": [-1, 2, 3, 4, 5]})
    safe = harmless(frame)
    assert safe["unit"].to_list() == ["'=HYPERLINK(1)", "'+1", "'@x", "plain", None]
    assert safe["cost"].to_list() == frame["cost"].to_list()


def test_the_record_names_figures_findings_and_tables_and_the_workbook_has_a_sheet_a_table(tmp_path: Path) -> None:
    outputs = Outputs("02_costs", tmp_path, CONTEXT)
    outputs.table("spend", Table(amounts("1.5", "2.5")))
    outputs.table("changes", Table(amounts("3")))
    outputs.record([Figure("spend", "Spend", Decimal("4.000000000000"), "USD")], [LookAt("warn", "dear")])
    (record,) = read_records(tmp_path)
    assert record["figures"] == [{"key": "spend", "label": "Spend", "value": "4", "unit": "USD"}]
    assert record["look_at"] == [{"severity": "warn", "text": "dear", "link": ""}]
    assert [table["name"] for table in record["tables"]] == ["spend", "changes"]
    assert all((tmp_path / table["csv"]).is_file() for table in record["tables"])
    assert (tmp_path / "tables/02_costs.xlsx").stat().st_size > 0
    assert json.loads(json.dumps(record)) == record


def test_without_a_run_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    outputs = Outputs("02_costs", None, CONTEXT)
    outputs.table("spend", Table(amounts("1")))
    outputs.record([], [])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["Spend", "a/b", "../x", "", "x" * 32])
def test_a_table_name_that_is_no_file_and_sheet_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="small letters"):
        Outputs("02_costs", None, CONTEXT).table(name, Table(amounts("1")))


def test_shares_are_shown_in_percent_and_a_ratio_to_next_to_nothing_as_huge() -> None:
    html = Table(pl.DataFrame({"share": [0.2679], "ratio": [380516.5]}))._repr_html_()
    assert ">26.8%</td>" in html
    assert ">over 10,000%</td>" in html


def test_the_same_tables_make_the_same_workbook(tmp_path: Path) -> None:
    for name in ("one", "two"):
        outputs = Outputs("02_costs", tmp_path / name, CONTEXT)
        outputs.table("spend", Table(amounts("1.5")))
        outputs.record([], [])
    one, two = ((tmp_path / name / "tables/02_costs.xlsx").read_bytes() for name in ("one", "two"))
    assert one == two


def test_a_table_of_another_notebook_can_be_read_back_to_be_drawn(tmp_path: Path) -> None:
    frame = amounts("1.5", "-2").with_columns(date=pl.lit("2025-11-01").str.to_date())
    Outputs("06_forecast", tmp_path, CONTEXT).table("whole", Table(frame))
    found = read_table(tmp_path, "06_forecast", "whole")
    assert found["date"].to_list() == frame["date"].to_list()
    assert found["cost"].to_list() == [1.5, -2.0]
    assert read_table(tmp_path, "06_forecast", "nothing").is_empty()
