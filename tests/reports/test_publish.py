"""An executed notebook becomes a page that is safe, small, complete and the same each time."""

import base64
import datetime as dt
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat
import pytest

from workbench.plots import NARROW_MIME, SVG_MIME
from workbench.reports import index, publish
from workbench.reports.failure import ends, failure
from workbench.reports.run import NotebookRun, Run

HOSTILE = '<script>alert(1)</script><img src=x onerror="alert(2)">'


def output(data: dict[str, str]) -> Any:
    return nbformat.v4.new_output("display_data", data=data)


def code(source: str, *outputs: Any) -> Any:
    return nbformat.v4.new_code_cell(source, outputs=list(outputs))


def text(source: str) -> Any:
    return nbformat.v4.new_markdown_cell(source)


@pytest.fixture
def report(tmp_path: Path) -> Run:
    for name in ("notebooks", "records", "tables"):
        (tmp_path / name).mkdir()
    entries = [
        NotebookRun("01_ingest", "Ingest", "What came in.", status="done", seconds=1.2),
        NotebookRun("02_costs", "Costs & <b>more</b>", "What it cost.", status="done", seconds=2.0),
        NotebookRun("04_cause", "Causes", status="skipped", reason="it needs 03_x, which was not completed"),
    ]
    started = dt.datetime(2025, 11, 1, 6, tzinfo=dt.UTC)
    return Run("demo", dt.date(2025, 11, 1), started, entries, started, "abc", {}, finished=started, folder=tmp_path)


def page(report: Run, cells: list[Any], name: str = "02_costs") -> str:
    assert report.folder
    notebook = nbformat.v4.new_notebook(cells=cells)
    (report.folder / "notebooks" / f"{name}.ipynb").write_text(json.dumps(notebook))
    return publish.page(report, report.by_name[name], report.folder)


class Reader(HTMLParser):
    """Collects what a browser would load or run."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: D102 (HTMLParser's)
        self.tags.append((tag, dict(attrs)))


def test_a_page_loads_nothing_from_anywhere(report: Run) -> None:
    content = page(
        report, [text("# Costs\n\nSee [FOCUS](https://focus.finops.org)."), code("1", output({"text/plain": "1"}))]
    )
    for tag, attributes in Reader(content).tags:
        for name in ("src", "srcset", "data", "poster", "background"):
            assert name not in attributes, tag
        if tag == "link":
            assert attributes["href"] == "data:,"
    assert not re.search(r"@import|url\((?!#)", content)
    assert not re.search(r"require\.js|mathjax|mermaid|cdn", content, re.IGNORECASE)


def test_the_policy_lets_only_the_pages_own_script_run(report: Run) -> None:
    content = page(report, [text("# Costs")])
    scripts = re.findall(r"<script>(.*?)</script>", content, re.DOTALL)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in content


def test_what_comes_from_outside_as_text_is_shown_as_text(report: Run) -> None:
    cells = [
        code("a", nbformat.v4.new_output("stream", name="stdout", text=HOSTILE)),
        code("b", output({"text/plain": HOSTILE})),
        code("c", output({"text/markdown": f"**{HOSTILE}** [x](javascript:alert(3))"})),
        code(f"d = '{HOSTILE}'", nbformat.v4.new_output("error", ename="E", evalue=HOSTILE, traceback=[HOSTILE])),
    ]
    content = page(report, cells)
    tags = Reader(content).tags
    assert len([tag for tag, _ in tags if tag == "script"]) == 1
    assert not [tag for tag, attributes in tags if tag == "img" or any(name.startswith("on") for name in attributes)]
    assert not [attributes for _, attributes in tags if str(attributes.get("href", "")).startswith("javascript:")]
    assert content.count("&lt;script&gt;alert(1)") >= 4
    assert "Costs &amp; &lt;b&gt;more&lt;/b&gt;" in content


def test_code_is_folded_and_gathered_and_only_results_show(report: Run) -> None:
    cells = [
        text("# Costs"),
        code("import a"),
        code("import b"),
        code("show", output({"text/plain": "42"})),
        text("## Next"),
    ]
    content = page(report, cells)
    assert content.count('<details class="code">') == 1
    assert '<pre class="plain">42</pre>' in content
    assert '<details class="code" open' not in content


def test_warnings_stay_in_the_notebook_and_colours_of_a_terminal_are_taken_off(report: Run) -> None:
    cells = [
        code("a", nbformat.v4.new_output("stream", name="stderr", text="a warning of some library")),
        code("b", nbformat.v4.new_output("stream", name="stdout", text="\x1b[31mred\x1b[0m")),
    ]
    content = page(report, cells)
    assert "a warning" not in content
    assert '<pre class="plain">red</pre>' in content


def test_the_first_heading_is_the_pages_and_the_others_make_its_contents(report: Run) -> None:
    content = page(
        report, [text("# Costs of *all*"), text("## By day"), text("## By day"), text("### Élan & <i>x</i>")]
    )
    assert "<h1>Costs of all</h1>" in content
    assert content.count("<h1") == 1
    anchors = re.findall(r'<h[23] id="([^"]+)"', content)
    assert anchors == ["by-day", "by-day-1", "élan-x"]
    assert re.findall(r'<a href="#([^"]+)"', content) == anchors


def test_a_chart_is_there_for_page_and_phone_with_its_description(report: Run) -> None:
    data = {
        SVG_MIME: '<?xml version="1.0"?><svg id="w"/>',
        NARROW_MIME: '<svg id="n"/>',
        "text/plain": "Bars: Cost (USD).",
    }
    content = page(report, [code("chart", output(data))])
    assert '<div class="wide"><svg id="w"/></div><div class="narrow"><svg id="n"/></div>' in content
    assert 'aria-label="Bars: Cost (USD)."' in content
    assert "<?xml" not in content


def test_a_page_over_two_megabytes_loses_its_largest_output_and_says_so(report: Run) -> None:
    big = output({"text/html": "<table>" + "x" * 2_100_000 + "</table>"})
    content = page(report, [text("# Costs"), code("big", big), code("small", output({"text/plain": "kept"}))])
    assert len(content.encode()) <= publish.MAX_BYTES
    assert "A table of 2.1 MB was left out of this page" in content
    assert "kept" in content
    assert report.by_name["02_costs"].notes


def test_the_fixed_parts_of_a_page_fit_into_the_room_kept_for_them(report: Run) -> None:
    assert len(page(report, [text("# Costs")]).encode()) < publish._ROOM


def test_a_failed_page_says_so_at_its_head_even_without_a_notebook(report: Run) -> None:
    entry = report.by_name["01_ingest"]
    entry.status, entry.error = (
        "failed",
        failure("ValueError", "no <b>", ["a\n", "ValueError: no <b>"], "x", 3).as_dict(),
    )
    assert report.folder
    content = publish.page(report, entry, report.folder)
    assert "This page is not complete." in content
    assert "ValueError: no &lt;b&gt;" in content


def test_the_same_notebook_gives_the_same_page_to_the_byte(report: Run) -> None:
    cells = [text("# Costs"), code("1", output({"text/plain": "1"}))]
    before = page(report, cells)
    report.finish()
    report.by_name["02_costs"].seconds = 99
    assert page(report, cells) == before


def test_cells_for_jupyterlab_only_are_left_out(report: Run) -> None:
    cell = text("Change these and run all cells.")
    cell["metadata"]["tags"] = ["lab"]
    assert "run all cells" not in page(report, [cell])


def test_prose_tables_scroll_in_their_own_box_and_dollars_stay(report: Run) -> None:
    content = page(report, [text("| a |\n|---|\n| 1 |\n\nFrom $5 to **$6**.")])
    assert '<div class="wb-scroll" tabindex="0"><table>' in content
    assert "$5 to" in content


def test_the_index_shows_figures_findings_failures_and_downloads(report: Run) -> None:
    assert report.folder
    record = {
        "known_at": "2025-11-01T05:59:00Z",
        "figures": [
            {"key": "total", "label": "Billed <b>cost</b>", "value": "-1234567.891234", "unit": "USD"},
            {"key": "share", "label": "Unowned", "value": "0.0283", "unit": "share"},
            {"key": "rows", "label": "Rows", "value": 27362, "unit": ""},
            {"key": "best", "label": "Best", "value": "2025-10-03", "unit": ""},
            {"key": "none", "label": "None", "value": None, "unit": "USD"},
        ],
        "look_at": [
            {"severity": "info", "text": "hushed"},
            {"severity": "high", "text": "loud <i>", "link": "02_costs.html#x"},
        ],
        "tables": [
            {"name": "t", "rows": 1, "csv": "tables/02_costs/t.csv"},
            {"name": "gone", "rows": 1, "csv": "tables/gone.csv"},
        ],
    }
    (report.folder / "records" / "02_costs.json").write_text(json.dumps(record))
    (report.folder / "tables" / "02_costs").mkdir()
    (report.folder / "tables" / "02_costs" / "t.csv").write_text("a\n")
    entry = report.by_name["01_ingest"]
    entry.status, entry.error = "failed", failure("ValueError", "no", ["ValueError: no"], "a\nb", 3).as_dict()
    index.write_report(report, report.folder)
    content = (report.folder / "index.html").read_text()
    for shown in ("−1,234,567.89", "Billed &lt;b&gt;cost&lt;/b&gt;", ">2.8 <", "27,362", "2025-10-03", "loud &lt;i&gt;",  # noqa: RUF001
                  "ValueError: no", "it needs 03_x, which was not completed", "tables/02_costs/t.csv",
                  "1 November 2025, 05:59 UTC", "1 of 3 pages complete, 1 failed, 1 skipped."):  # fmt: skip
        assert shown in content, shown
    assert content.index("loud") < content.index("hushed")
    assert "gone.csv" not in content
    assert 'href="04_cause.html"' not in content
    assert "script-src 'none'" in content


def test_the_list_of_runs_is_newest_first_with_latest_beside_it(tmp_path: Path) -> None:
    for day, status in (("2025-09-01", "done"), ("2025-10-01", "failed"), ("2025-08-01", "done")):
        (tmp_path / day / "records").mkdir(parents=True)
        record = {"as_of": day, "known_at": "", "started": f"{day}T01:00:00Z", "notebooks": [{"status": status}]}
        (tmp_path / day / "records" / "run.json").write_text(json.dumps(record))
    (tmp_path / "2025-07-01" / "records").mkdir(parents=True)
    (tmp_path / "2025-07-01" / "records" / "run.json").write_text("half a fi")
    index.write_runs(tmp_path)
    index.write_runs(tmp_path)
    assert re.findall(r'href="([\d-]+)/index.html"', (tmp_path / "index.html").read_text()) == [
        "2025-10-01", "2025-09-01", "2025-08-01",
    ]  # fmt: skip
    assert (tmp_path / "latest").resolve().name == "2025-10-01"


def test_a_moment_is_told_in_utc_and_beside_it_in_local_time() -> None:
    assert publish.moment("2025-11-01T06:00:00Z") == "1 November 2025, 06:00 UTC"
    assert publish.moment("2025-11-01T06:00:00+00:00", "Europe/Berlin") == "1 November 2025, 06:00 UTC (07:00 CET)"
    assert (
        publish.moment("2025-11-01T23:30:00Z", "Europe/Berlin") == "1 November 2025, 23:30 UTC (2 November, 00:30 CET)"
    )
    assert publish.moment("") == ""


def test_a_long_cell_is_cut_to_its_ends() -> None:
    assert ends([str(n) for n in range(20)]) == ["0", "1", "2", "3", "4", "… 10 lines …", "15", "16", "17", "18", "19"]
    assert len(ends([str(n) for n in range(11)])) == 11
