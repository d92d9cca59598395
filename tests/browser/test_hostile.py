"""Nothing that a model, a data row or a file name says runs, loads, hides or leaves its box."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evalsuite.report.build import build_html, build_item_pages
from evalsuite.report.data import ReportData
from evalsuite.report.text import clip, visible
from evalsuite.testing import make_item
from tests.browser.hostile import OUTPUTS, RUN
from tests.browser.scenes import one_suite

Open = Callable[..., Any]

BOXES = """() => [...document.querySelectorAll("#list details.item")].map((details) => ({
  id: details.querySelector("summary > b").textContent,
  boxes: [...details.querySelectorAll("pre.text")].map((pre) => pre.textContent),
  tags: [...new Set([...details.querySelectorAll("*")].map((each) => each.localName))],
}))"""
OURS = {"summary", "b", "span", "div", "h4", "pre", "del", "ins", "p", "a"}


@pytest.fixture(scope="module")
def data(browser: Any) -> ReportData:
    def items(outputs: list[str], score: float) -> list[Any]:
        return [
            make_item(
                f"{i:02d} {text[:60]}".encode("utf-8", "replace").decode(), {"exact": score}, item_hash=str(i),
                prompt=text, output=output, references=(text,), slices={text[:60]: text[:60]},
            )
            for i, (text, output) in enumerate(zip(OUTPUTS, outputs, strict=True))
        ]  # fmt: skip

    return one_suite({"base": items([f"{text} before" for text in OUTPUTS], 1.0), "lora": items(list(OUTPUTS), 0.0)})


def test_there_are_fifty() -> None:
    assert len(set(OUTPUTS)) == 50


@pytest.mark.parametrize("of", ["report", "items"])
def test_fifty_hostile_outputs_are_shown_and_nothing_of_them_runs(
    data: ReportData, of: str, open_page: Open, tmp_path: Path
) -> None:
    file = tmp_path / f"{of}.html"
    file.write_text(build_html(data) if of == "report" else next(build_item_pages(data))[1], encoding="utf-8")
    page = open_page(file, width=390)
    found = []
    while True:
        for summary in page.locator("#list summary").all():
            summary.click()
        found += page.evaluate(BOXES)
        if not page.locator("#forward").is_enabled():
            break
        page.locator("#forward").click()
    assert len(found) == 50
    for text, item in zip(OUTPUTS, found, strict=True):
        shown = visible(clip(text))
        assert [item["boxes"][at] for at in (0, 1, 3)] == [shown, shown, shown]
        assert item["boxes"][2] == visible(clip(f"{text} before"))
        assert set(item["tags"]) <= OURS
    search = page.locator("#find")
    search.fill(RUN)
    page.locator("#found", has_text="of 50 items").wait_for()
    assert page.evaluate("[window.ran, ({}).polluted]") == [None, None]
    assert page.evaluate("document.scripts.length") == 2
    assert page.evaluate("document.scrollingElement.scrollWidth") == 390
    assert page.evaluate("document.title").startswith(("REJECT: lora", "Changed items: lora"))


def test_the_list_without_scripts_is_as_safe(data: ReportData, open_page: Open, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(build_html(data), encoding="utf-8")
    page = open_page(file, java_script_enabled=False)
    boxes = page.locator("#static-items details.item").first.locator("pre.text").all_text_contents()
    assert visible(clip(OUTPUTS[0])) in boxes
    assert page.locator("#static-items").locator("script, img, svg, iframe, style").count() == 0


def test_the_policy_stops_a_script_that_gets_into_the_page_all_the_same(
    data: ReportData, browser: Any, tmp_path: Path
) -> None:
    file = tmp_path / "report.html"
    injected = f"<script>{RUN}</script><img src=x onerror='{RUN}'><img src='https://evil.example/a.png'>"
    file.write_text(build_html(data).replace("<main", f"{injected}<main"), encoding="utf-8")
    page = browser.new_page()
    requests, refused = [], []
    page.on("requestfinished", lambda request: requests.append(request.url))
    page.on("console", lambda message: refused.append(message.text))
    page.goto(file.as_uri())
    assert page.evaluate("window.ran") is None
    assert page.locator("#list details").count() > 0
    assert requests == [file.as_uri()]
    assert sum("Content Security Policy" in text for text in refused) >= 3
    page.close()
