"""The report on a desk and on a phone, in light and dark, printed, and for those who do not see it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evalsuite.gate.decision import Verdict
from evalsuite.report.build import build_item_pages
from tests.browser.scenes import scene

Open = Callable[..., Any]

WIDE = """() => {
  // What reaches past the window, or past a box that cuts it, and does not scroll inside a frame of its own.
  const inFrame = (element) => element.closest(".scroll, pre.text, .hidden-text, .skip, svg");
  return [...document.body.querySelectorAll("*")]
    .filter((element) => !inFrame(element) && element.getClientRects().length)
    .filter((element) => element.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5
      || (element.scrollWidth > element.clientWidth + 1 && getComputedStyle(element).overflowX !== "visible"))
    .map((element) => `${element.tagName}.${element.className} ${element.textContent.slice(0, 40)}`);
}"""


@pytest.fixture(scope="session")
def side_page(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("side") / "items.html"
    ((_, page),) = build_item_pages(scene(Verdict.REJECT))
    file.write_text(page, encoding="utf-8")
    return file


def open_every_part(page: Any) -> None:
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("verdict", list(Verdict))
def test_nothing_is_cut_or_scrolls_sideways_but_a_table_in_its_frame(
    open_page: Open, reports: dict[Verdict, Path], verdict: Verdict, width: int
) -> None:
    page = open_page(reports[verdict], width=width)
    open_every_part(page)
    assert page.evaluate("document.scrollingElement.scrollWidth") == width
    assert page.evaluate(WIDE) == []
    assert page.locator("table:not(.scroll table):not(.forest)").count() == 0
    page.evaluate("scrollTo(500, 0)")
    assert page.evaluate("scrollX") == 0


def test_the_page_of_all_items_fits_a_phone(open_page: Open, side_page: Path) -> None:
    page = open_page(side_page, width=390)
    open_every_part(page)
    assert page.evaluate("document.scrollingElement.scrollWidth") == 390
    assert page.evaluate(WIDE) == []


@pytest.mark.parametrize(
    ("verdict", "width", "dark"),
    [
        (Verdict.PROMOTE, 1280, False),
        (Verdict.REJECT, 390, False),
        (Verdict.REJECT, 1280, True),
        (Verdict.INCONCLUSIVE, 390, True),
    ],
)
def test_the_page_keeps_the_web_accessibility_guidelines_at_level_aa(
    open_page: Open, reports: dict[Verdict, Path], verdict: Verdict, width: int, dark: bool
) -> None:
    page = open_page(reports[verdict], width=width, dark=dark)
    page.locator("#list summary").first.click()
    assert violations(page) == []


def test_the_page_of_all_items_keeps_them_too(open_page: Open, side_page: Path) -> None:
    page = open_page(side_page)
    page.locator("#list summary").first.click()
    assert violations(page) == []


def violations(page: Any) -> list[str]:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="run make test-browser").Axe()
    levels = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
    options = {"runOnly": {"type": "tag", "values": levels}, "resultTypes": ["violations"]}
    response = axe.run(page, options=options).response
    assert len(response["passes"]) > 10
    return [f"{each['id']}: {node['html']}" for each in response["violations"] for node in each["nodes"]]


def test_every_picture_that_says_something_has_words_for_it(open_page: Open, reports: dict[Verdict, Path]) -> None:
    page = open_page(reports[Verdict.REJECT])
    open_every_part(page)
    nameless = """() => [...document.querySelectorAll("svg")].filter((svg) =>
      !svg.parentElement.closest("svg") && !svg.closest("[aria-hidden=true]") &&
      !(svg.getAttribute("role") === "img" && svg.getAttribute("aria-label").length > 20)).length"""
    assert page.locator("svg[role=img]").count() > 5
    assert page.evaluate(nameless) == 0


def test_dark_mode_darkens_and_paper_is_light(open_page: Open, reports: dict[Verdict, Path]) -> None:
    colour = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
    page = open_page(reports[Verdict.PROMOTE], dark=True)
    assert max(page.evaluate(colour)) < 60
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate(colour) == [255, 255, 255]
    assert not page.locator("nav").is_visible()
    assert not page.locator(".filters").is_visible()
    assert page.locator("#list summary").first.is_visible()
    # The width of a sheet of A4 between its margins, at 96 dots an inch.
    page.set_viewport_size({"width": 718, "height": 1000})
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 718
    assert page.pdf().startswith(b"%PDF")
