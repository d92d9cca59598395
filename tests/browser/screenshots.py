"""Pictures of a report of each verdict, on a desk and a phone, in light and dark.

Run:  python -m tests.browser.screenshots FOLDER
"""

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from evalsuite.gate.decision import Verdict
from evalsuite.report import build_html
from tests.browser.conftest import CHROMIUM
from tests.browser.scenes import scene


def main(folder: Path) -> None:
    """Write VERDICT-WIDTH-SCHEME.png: the first screen, then the items with one open, then the whole page."""
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for verdict in Verdict:
            file = folder / f"{verdict.value}.html"
            if not file.exists():
                file.write_text(build_html(scene(verdict, self_test=True)), encoding="utf-8")
            for width, height in ((390, 844), (1280, 1290)):
                for scheme in ("light", "dark"):
                    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
                    page.goto(file.resolve().as_uri())
                    name = f"{verdict.value}-{width}-{scheme}"
                    page.screenshot(path=folder / f"{name}.png")
                    page.locator("#list summary").nth(1).click()
                    page.locator("#items").screenshot(path=folder / f"{name}-items.png")
                    page.screenshot(path=folder / f"{name}-whole.png", full_page=True)
                    page.close()
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
