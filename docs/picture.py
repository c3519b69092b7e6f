"""Make the README's picture: the cost page of the demo report, seen in Chromium.

    python docs/picture.py            # writes docs/report.png

Needs a report (`make report`) and a Chromium.
"""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "reports" / "demo" / "2025-11-01" / "02_costs.html"


def main() -> None:
    """Take the picture."""
    browser_path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not browser_path or not PAGE.is_file():
        sys.exit("needs a Chromium and a demo report: run `make report` first")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1180, "height": 760})
        page.goto(PAGE.as_uri())
        page.locator("h2", has_text="By day and unit").evaluate("heading => heading.scrollIntoView(true)")
        page.screenshot(path=ROOT / "docs" / "report.png")
        browser.close()


if __name__ == "__main__":
    main()
