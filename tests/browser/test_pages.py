"""The pages in a real browser: nothing is fetched, everything fits, the code unfolds, charts answer a pointer."""

import base64
import datetime as dt
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "reports"))

from books import plain, rich, settings_in

from workbench.reports import runner

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OPTIONS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with a full page, a plain one and a failed one."""
    root = tmp_path_factory.mktemp("project")
    plain(root / "notebooks", "01_ingest")
    rich(root / "notebooks", "02_costs")
    plain(root / "notebooks", "03_fails", source="1 / 0")
    made = runner.run(settings_in(root), dt.date(2025, 10, 1), progress=False)
    assert made.folder
    return made.folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        started = play.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield started
        started.close()


@pytest.fixture
def opened(browser: Any, report: Path) -> Iterator[Any]:
    """A function that opens a page of the report; at the end nothing may have been fetched or complained about."""
    contexts, troubles = [], []

    def watch(request: Any) -> None:
        if not request.url.startswith((report.parent.as_uri(), "data:")):
            troubles.append(request.url)

    def open_page(name: str, viewport: dict[str, int], **options: Any) -> Any:
        context = browser.new_context(viewport=viewport, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("request", watch)
        page.on("console", lambda message: troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.goto((report / name).as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert troubles == []


def wide(page: Any) -> int:
    return int(page.evaluate("document.documentElement.scrollWidth"))


@pytest.mark.parametrize("name", ["index.html", "01_ingest.html", "02_costs.html", "03_fails.html", "../index.html"])
@pytest.mark.parametrize("width", [320, 390, 700, 820, 1280])
def test_a_page_never_scrolls_sideways(opened: Any, name: str, width: int) -> None:
    assert wide(opened(name, {"width": width, "height": 800})) <= width


def test_a_wide_table_scrolls_in_its_own_box_with_its_first_column_in_sight(opened: Any) -> None:
    page = opened("02_costs.html", PHONE)
    box = page.locator(".wb-scroll", has=page.locator("caption"))
    assert box.evaluate("box => box.scrollWidth > box.clientWidth")
    box.evaluate("box => { box.scrollLeft = 200 }")
    assert box.locator("td").first.bounding_box()["x"] >= 0


def test_a_phone_gets_the_chart_that_was_drawn_for_it(opened: Any) -> None:
    for viewport, shown, hidden in ((PHONE, ".narrow", ".wide"), (DESK, ".wide", ".narrow")):
        figure = opened("02_costs.html", viewport).locator("figure.chart").first
        assert figure.locator(shown).is_visible()
        assert not figure.locator(hidden).is_visible()


def test_text_in_charts_is_large_enough_to_read_on_a_phone(opened: Any) -> None:
    page = opened("02_costs.html", PHONE)
    sizes = page.evaluate("[...document.querySelectorAll('.narrow text')].map(t => t.getBoundingClientRect().height)")
    assert min(size for size in sizes if size) >= 11


def test_a_chart_is_a_picture_of_its_own_as_jupyterlab_shows_it(browser: Any, report: Path) -> None:
    cells = json.loads((report / "notebooks" / "02_costs.ipynb").read_text())["cells"]
    outputs = [output["data"] for cell in cells for output in cell.get("outputs", []) if "data" in output]
    drawings = ["".join(data["image/svg+xml"]) for data in outputs if "image/svg+xml" in data]
    assert len(drawings) == 5
    page = browser.new_page()
    for drawing in drawings:
        source = "data:image/svg+xml;base64," + base64.b64encode(drawing.encode()).decode()
        page.set_content(f'<img src="{source}">')
        page.wait_for_function("document.images[0].complete")
        assert page.evaluate("document.images[0].naturalWidth") == 760
    page.close()


def test_the_button_unfolds_all_code_and_folds_it_again(opened: Any) -> None:
    page = opened("02_costs.html", DESK)
    code = page.locator("details.code pre").first
    assert not code.is_visible()
    page.click("#code")
    assert code.is_visible()
    assert page.locator("#code").inner_text() == "Hide code"
    page.click("#code")
    assert not code.is_visible()


def test_a_pointer_over_a_mark_shows_its_words_and_away_hides_them(opened: Any) -> None:
    page = opened("02_costs.html", DESK)
    bar = page.locator(".wide svg [aria-label*='Checkout']").first
    bar.hover()
    tip = page.locator("#tip")
    assert tip.is_visible()
    assert tip.inner_text() == "2025-09-02 · Checkout · 120.50 USD"
    box = tip.bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= DESK["width"]
    page.locator("h1").hover()
    assert not tip.is_visible()


def test_a_finger_on_a_mark_shows_its_words(opened: Any) -> None:
    page = opened("02_costs.html", PHONE, has_touch=True)
    page.locator(".narrow svg [aria-label*='unallocated']").first.tap()
    assert "unallocated" in page.locator("#tip").inner_text()


def test_a_name_that_looks_like_a_script_is_shown_and_not_run(opened: Any) -> None:
    page = opened("02_costs.html", DESK)
    page.locator(".wide svg [aria-label*='<script>']").first.hover()
    assert "<script>alert(1)</script>" in page.locator("#tip").inner_text()
    assert page.evaluate("document.scripts.length") == 1


def test_without_javascript_everything_can_be_read(opened: Any) -> None:
    page = opened("02_costs.html", DESK, java_script_enabled=False)
    assert page.locator("figure.chart .wide").first.is_visible()
    assert page.locator("table").first.is_visible()
    assert not page.locator("#code").is_visible()
    page.locator("details.code summary").first.click()
    assert page.locator("details.code pre").first.is_visible()


def test_a_long_table_is_folded_to_its_first_rows_and_whole_on_paper(opened: Any) -> None:
    page = opened("02_costs.html", DESK)
    rows = page.locator("tbody tr", has_text="Service")
    assert rows.count() == 30
    assert len([row for row in rows.all() if row.is_visible()]) == 12
    page.get_by_text("Show all 30 rows").click()
    assert all(row.is_visible() for row in rows.all())
    page.get_by_text("Show fewer rows").click()
    page.emulate_media(media="print")
    assert all(row.is_visible() for row in rows.all())


def test_the_contents_lead_to_their_headings(opened: Any) -> None:
    page = opened("02_costs.html", DESK)
    page.locator(".toc a", has_text="Coverage").click()
    assert page.locator("#coverage").is_visible()
    assert not opened("02_costs.html", PHONE).locator(".toc a").first.is_visible()


def test_links_of_the_index_lead_to_files_that_exist(opened: Any, report: Path) -> None:
    page = opened("index.html", DESK)
    links = page.evaluate("[...document.querySelectorAll('a[href]')].map(a => a.getAttribute('href'))")
    assert {"01_ingest.html", "02_costs.html", "03_fails.html", "tables/02_costs/totals.csv"} <= set(links)
    for link in links:
        file, _, anchor = link.partition("#")
        assert (report / (file or "index.html")).exists(), link
        assert not anchor or f'id="{anchor}"' in (report / (file or "index.html")).read_text()


@pytest.mark.parametrize("name", ["index.html", "02_costs.html"])
@pytest.mark.parametrize("paper", ["A4", "Letter"])
def test_it_prints_to_paper_without_navigation_and_code(opened: Any, tmp_path: Path, name: str, paper: str) -> None:
    page = opened(name, DESK)
    page.pdf(path=tmp_path / "page.pdf", format=paper)
    content = (tmp_path / "page.pdf").read_bytes()
    assert content.startswith(b"%PDF")
    assert 1 <= content.count(b"/Type /Page\n") <= 8
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    if name != "index.html":
        assert not page.locator("details.code").first.is_visible()
        assert page.locator(".chart .wide").first.is_visible()


def test_pictures_of_the_pages_can_be_taken_at_both_widths(opened: Any, tmp_path: Path) -> None:
    for viewport in (DESK, PHONE):
        shot = tmp_path / f"{viewport['width']}.png"
        opened("02_costs.html", viewport).screenshot(path=shot, full_page=True)
        assert shot.stat().st_size > 20_000
