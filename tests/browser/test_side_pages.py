"""Reports that cannot hold every item: the pages beside them, also where those are missing or of another run."""

import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.report import report_data
from evalsuite.report.build import build_html, build_item_pages

Open = Callable[..., Any]

NUM_ITEMS = 20_000


@pytest.fixture(scope="module")
def folder(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on 20,000 items that all changed, with its side pages."""
    found = tmp_path_factory.mktemp("reports")
    data = report_data(NUM_ITEMS)
    (found / "promotion.html").write_text(build_html(data), encoding="utf-8")
    for name, page in build_item_pages(data):
        (found / name).write_text(page, encoding="utf-8")
    return found


def test_the_report_says_what_it_leaves_out_and_leads_to_all_of_it(open_page: Open, folder: Path) -> None:
    assert (folder / "promotion.html").stat().st_size < 3_000_000
    page = open_page(folder / "promotion.html")
    shown, _, total = page.locator("#left-out").text_content().split(" changed items")[0].partition(" of the ")
    assert 1_000 < int(shown.replace(",", "")) < NUM_ITEMS
    assert total == f"{NUM_ITEMS:,}"
    assert page.locator("#found").text_content().startswith(f"{shown} of {shown} items")
    page.locator("#left-out a").click()
    page.locator("#found", has_text=f"{NUM_ITEMS:,} of {NUM_ITEMS:,} items").wait_for()
    assert not page.locator("#other-decision").is_visible()
    page.locator("a", has_text="The report").click()
    page.locator("#items-title", has_text="Items that changed").wait_for()


def test_twenty_thousand_items_are_searched_while_one_types(open_page: Open, folder: Path) -> None:
    page = open_page(folder / "items.html")
    page.locator("#find").press_sequentially("item-012345", delay=5)
    start = time.perf_counter()
    page.locator("#found", has_text="1 of 20,000 items").wait_for()
    assert time.perf_counter() - start < 5.0
    assert page.locator("#list summary > b").all_text_contents() == ["item-012345"]
    assert page.locator("#list details").count() <= 25


def test_a_side_page_of_another_decision_says_so(open_page: Open, folder: Path) -> None:
    page = open_page(folder / "items.html", "#decision=0123abcd")
    warning = page.locator("#other-decision")
    assert warning.is_visible()
    assert "ratchet report items" in warning.text_content()


def test_a_report_that_is_opened_out_of_a_zip_file_says_why_its_link_leads_nowhere(
    open_page: Open, folder: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "reports.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for each in folder.iterdir():
            file.write(each, each.name)
    # What archive programs do with a double click: this one file goes to a temporary folder.
    with zipfile.ZipFile(archive) as file:
        file.extract("promotion.html", tmp_path / "opened")
    page = open_page(tmp_path / "opened/promotion.html")
    assert page.locator("#list details").count() == 25
    said = " ".join(page.locator("#left-out").text_content().split())
    assert "If the link opens nothing, that file is not there" in said
    assert "opened inside a zip file. Unpack the whole folder, or run the command again." in said
