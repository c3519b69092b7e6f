"""Make the README's picture: the map of the demo report's cost page, seen in Chromium.

    python docs/picture.py            # writes docs/report.png

Needs a report (`make report`) and a Chromium.
"""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "reports" / "demo" / "2025-11-01" / "02_costs.html"
MAP = "xpath=//h2[contains(., 'Who calls whom')]/following::*[name()='svg'][1]"


def main() -> None:
    """Take the picture."""
    browser_path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not browser_path or not PAGE.is_file():
        sys.exit("needs a Chromium and a demo report: run `make report` first")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1180, "height": 1400})
        page.goto(PAGE.as_uri())
        drawing = page.locator(MAP)
        drawing.scroll_into_view_if_needed()
        box = drawing.bounding_box() or sys.exit("the page has no map: run `make report` again")
        around = {"x": box["x"] - 16, "y": box["y"] - 12, "width": box["width"] + 32, "height": box["height"] + 24}
        page.screenshot(path=ROOT / "docs" / "report.png", clip=around)
        browser.close()


if __name__ == "__main__":
    main()
