"""Search, filters, keys, links and word differences, as somebody uses them in a browser."""

import difflib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evalsuite.gate.decision import Verdict
from evalsuite.report.build import build_html
from evalsuite.report.flips import flips_of
from evalsuite.report.text import MAX_CHARS
from evalsuite.testing import make_item
from tests.browser.scenes import one_suite, scene

Open = Callable[..., Any]


UNMARKED = """(pre, tag) =>
  [...pre.childNodes].filter((node) => node.nodeName !== tag).map((node) => node.textContent)"""


def shown(page: Any) -> list[str]:
    """Ids of the items in the list."""
    return page.locator("#list summary > b").all_text_contents()


def count(page: Any) -> str:
    return page.locator("#found").text_content()


def search(page: Any, words: str, leads_to: re.Pattern[str]) -> None:
    page.locator("#find").fill(words)
    page.locator("#found").filter(has_text=leads_to).wait_for(timeout=5000)


@pytest.fixture
def page(open_page: Open, reports: dict[Verdict, Path]) -> Any:
    return open_page(reports[Verdict.REJECT])


def test_every_changed_item_is_there_the_broken_ones_first(page: Any) -> None:
    data = scene(Verdict.REJECT)
    groups = [
        group
        for role in ("base", "champion")
        for group in flips_of(data.results["lora"], data.results[role], role, data.decision.policy)
    ]
    broken, fixed = sum(group.num_broken for group in groups), sum(group.num_fixed for group in groups)
    total = broken + fixed
    assert count(page) == f"{total} of {total} items: {broken} broken, {fixed} fixed"
    assert not page.locator("#static-items").is_visible()
    wanted = [flip.candidate.item_id for group in groups for flip in group.broken]
    wanted += [flip.candidate.item_id for group in groups for flip in group.fixed]
    found = shown(page)
    while page.locator("#forward").is_enabled():
        page.locator("#forward").click()
        found += shown(page)
    assert found == wanted


def test_a_search_finds_the_items_that_hold_every_word(page: Any) -> None:
    data = scene(Verdict.REJECT)
    items = {item.item_id: item for item in data.results["lora"]["golden"].items}
    search(page, "camera PLEASE", re.compile(r"^\d\d? of"))
    found = shown(page)
    assert found
    for item_id in found:
        text = items[item_id].prompt.lower()
        assert "camera" in text
        assert "please" in text
    search(page, "camera zebra", re.compile("None of the"))
    assert shown(page) == []


def test_filters_narrow_the_list_together_and_clear_brings_it_back(page: Any) -> None:
    every = count(page)
    page.locator("#by-change").select_option("broken")
    page.locator("#by-suite").select_option("golden")
    page.locator("#by-against").select_option("champion")
    page.locator("#by-slice").select_option(json.dumps(["queue", "safety"], separators=(",", ":")))
    data = scene(Verdict.REJECT)
    (golden,) = [
        group
        for group in flips_of(data.results["lora"], data.results["champion"], "champion", data.decision.policy)
        if group.suite == "golden"
    ]
    broken = [flip.candidate for flip in golden.broken if flip.candidate.slices["queue"] == "safety"]
    assert shown(page) == [item.item_id for item in broken]
    page.locator("#by-must").check()
    assert shown(page) == [item.item_id for item in broken if item.must_pass]
    assert shown(page)
    page.locator("#clear").click()
    assert count(page) == every


def test_keys_move_open_and_search_and_can_be_turned_off(page: Any) -> None:
    focused = "document.activeElement.querySelector('b')?.textContent"
    first, second = shown(page)[:2]
    page.keyboard.press("j")
    assert page.evaluate(focused) == first
    page.keyboard.press("j")
    assert page.evaluate(focused) == second
    page.keyboard.press("Enter")
    assert page.locator("#list details").nth(1).get_attribute("open") is not None
    page.keyboard.press("k")
    assert page.evaluate(focused) == first
    page.keyboard.press("/")
    page.keyboard.type("jk/")
    assert page.locator("#find").input_value() == "jk/"
    page.locator("#clear").click()
    page.locator("#use-keys").uncheck()
    page.locator("h1").click()
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.tagName") == "BODY"


def test_the_next_key_goes_on_to_the_next_page_of_the_list(page: Any) -> None:
    first_page = shown(page)
    page.locator("#list summary").last.focus()
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.querySelector('b').textContent") == shown(page)[0]
    assert shown(page) != first_page
    page.keyboard.press("k")
    assert shown(page) == first_page


def test_a_link_opens_the_page_at_its_item(page: Any, open_page: Open, reports: dict[Verdict, Path]) -> None:
    page.locator("#forward").click()
    page.locator("#list summary").nth(3).click()
    wanted = shown(page)[3]
    link = page.locator("#list a", has_text="Link to this item").get_attribute("href")
    again = open_page(reports[Verdict.REJECT], link)
    opened = again.locator("#list details[open]")
    assert opened.locator("summary > b").text_content() == wanted
    top = opened.bounding_box()["y"]
    assert 0 <= top < 300
    lost = open_page(reports[Verdict.REJECT], "#item=golden/base/nothing")
    assert "did not change, or is not in this page" in count(lost)


def longest_common(one: list[str], other: list[str]) -> int:
    """Textbook dynamic programming."""
    row = [0] * (len(other) + 1)
    for word in one:
        before = row
        row = [0]
        for at, each in enumerate(other):
            row.append(before[at] + 1 if word == each else max(row[at], before[at + 1]))
    return row[-1]


def test_the_marked_words_are_what_the_other_output_lacks(open_page: Open, tmp_path: Path) -> None:
    pairs = [
        ("the invoice is wrong", "the new invoice was not wrong"),
        ("technical", "Billing"),
        ("same words", "same words"),
        ("", "something"),
        ("naïve café; 東京 1,5 €", "naive café: 東京 15 €"),
        ("a b c d e f g " * 20, "b c a d g f e " * 20),
        (difflib.SequenceMatcher.__doc__ or "", (difflib.SequenceMatcher.__doc__ or "").replace("the", "a")),
    ]
    base = [make_item(f"i{i:02d}", {"exact": 1.0}, output=one) for i, (one, _) in enumerate(pairs)]
    lora = [make_item(f"i{i:02d}", {"exact": 0.0}, output=other) for i, (_, other) in enumerate(pairs)]
    file = tmp_path / "report.html"
    file.write_text(build_html(one_suite({"base": base, "lora": lora})), encoding="utf-8")
    page = open_page(file)
    word = re.compile(r"\s+|\w+|[^\w\s]")
    for at, (item_id, (one, other)) in enumerate(zip(shown(page), pairs, strict=True)):
        assert item_id == f"i{at:02d}"
        page.locator("#list summary").nth(at).click()
        kept = []
        for place, tag, text in ((-2, "DEL", one), (-1, "INS", other)):
            box = page.locator("#list details").nth(at).locator("pre").nth(place)
            if text and len(text) <= MAX_CHARS:
                assert box.text_content() == text
                kept.append(box.evaluate(UNMARKED, tag))
        if len(kept) == 2:
            assert "".join(kept[0]) == "".join(kept[1])
            common = longest_common(word.findall(one), word.findall(other))
            assert [sum(len(word.findall(text)) for text in each) for each in kept] == [common, common]


def test_without_scripts_the_worst_and_best_items_are_listed(open_page: Open, reports: dict[Verdict, Path]) -> None:
    page = open_page(reports[Verdict.REJECT], java_script_enabled=False)
    assert page.locator("#static-items details.item").first.is_visible()
    assert not page.locator("#explorer").is_visible()
