"""Pictures of a report of each verdict, on a desk and a phone, in light and dark; and the three of the documentation.

Run:  python -m tests.browser.screenshots FOLDER     (every picture, to look at)
      python -m tests.browser.screenshots --docs     (docs/report.png, docs/report_items.png, docs/report_phone.png)
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from playwright.sync_api import sync_playwright

from evalsuite.gate.decision import Verdict
from evalsuite.report.build import build_html
from tests.browser.conftest import CHROMIUM
from tests.browser.scenes import scene

DOCS = Path(__file__).parents[2] / "docs"
DESK, PHONE = (1280, 1290), (390, 844)


def write_all(browser: Any, folder: Path) -> None:
    """VERDICT-WIDTH-SCHEME.png for the first screen, ``-items`` with one item open, ``-whole`` for everything."""
    folder.mkdir(parents=True, exist_ok=True)
    for verdict in Verdict:
        file = written(verdict, folder)
        for size in (PHONE, DESK):
            for scheme in ("light", "dark"):
                page = opened(browser, file, size, scheme)
                name = f"{verdict.value}-{size[0]}-{scheme}"
                page.screenshot(path=folder / f"{name}.png")
                page.locator("#list summary").nth(1).click()
                page.locator("#items").screenshot(path=folder / f"{name}-items.png")
                page.screenshot(path=folder / f"{name}-whole.png", full_page=True)
                page.close()


def write_docs(browser: Any) -> None:
    """The pictures that README.md and docs/ show."""
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        page = opened(browser, written(Verdict.PROMOTE, folder), DESK, "light")
        page.screenshot(path=DOCS / "report.png")
        page = opened(browser, written(Verdict.REJECT, folder), (1280, 1000), "light")
        page.locator("#by-change").select_option("broken")
        page.locator("#by-suite").select_option("mmlu_pro")
        page.locator("#list summary").nth(1).click()
        page.locator(".filters").evaluate("element => scrollTo(0, element.getBoundingClientRect().top + scrollY - 20)")
        page.screenshot(path=DOCS / "report_items.png")
        page = opened(browser, written(Verdict.INCONCLUSIVE, folder), PHONE, "dark")
        page.screenshot(path=DOCS / "report_phone.png")


def written(verdict: Verdict, folder: Path) -> Path:
    """A report of this verdict."""
    file = folder / f"{verdict.value}.html"
    file.write_text(build_html(scene(verdict)), encoding="utf-8")
    return file


def opened(browser: Any, file: Path, size: tuple[int, int], scheme: str) -> Any:
    """The report in a window of this size."""
    page = browser.new_page(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
    page.goto(file.resolve().as_uri())
    return page


if __name__ == "__main__":
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        if sys.argv[1] == "--docs":
            write_docs(started)
        else:
            write_all(started, Path(sys.argv[1]))
        started.close()
