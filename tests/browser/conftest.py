"""A headless Chromium of the system; `make test-browser` installs it, and elsewhere these tests are skipped."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from evalsuite.gate.decision import Verdict
from evalsuite.report.build import build_html
from tests.browser.scenes import scene

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
INSTALL = "`make test-browser` installs it"

Open = Callable[..., Any]


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason=f"playwright is not installed; {INSTALL}")
    if CHROMIUM is None:
        pytest.skip(f"no chromium on the path; {INSTALL}")
    with playwright.sync_playwright() as started:
        # Chromium's own sandbox does not start for root, as in most containers.
        found = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="session")
def reports(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[Verdict, Path]:
    """A report of each verdict."""
    folder = tmp_path_factory.mktemp("reports")
    found = {}
    for verdict in Verdict:
        found[verdict] = folder / f"{verdict.value}.html"
        found[verdict].write_text(build_html(scene(verdict)), encoding="utf-8")
    return found


@pytest.fixture
def open_page(browser: Any) -> Iterator[Open]:
    """Open a file in a fresh window; what a page must never do fails the test that opened it."""
    contexts, seen = [], []

    def opened(path: Path, fragment: str = "", width: int = 1280, dark: bool = False, **options: Any) -> Any:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light", **options
        )
        contexts.append(context)
        page = context.new_page()
        page.on("dialog", lambda dialog: (seen.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("console", lambda message: seen.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: seen.append(f"error: {error}"))
        page.on("request", lambda request: request.url.startswith("file:") or seen.append(f"request: {request.url}"))
        page.goto(path.as_uri() + fragment)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert seen == []
