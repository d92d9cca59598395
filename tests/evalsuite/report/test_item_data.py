import json
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.gate.policy import GatePolicy
from evalsuite.items.results import ItemResult
from evalsuite.report.flips import FlipGroup, flips_of
from evalsuite.report.item_data import all_items, worst_items
from evalsuite.report.units import Units
from evalsuite.testing import make_item, make_result

POLICY = GatePolicy.model_validate({"rules": [{"suite": "golden", "metric": "exact", "kind": "guard", "margin": 0.1}]})
UNITS = Units(frozenset({("golden", "exact")}))


def groups(after: list[ItemResult], before: list[ItemResult]) -> tuple[FlipGroup, ...]:
    return flips_of({"golden": make_result(after)}, {"golden": make_result(before)}, "base", POLICY)


def broken_and_fixed(broken: int, fixed: int, text: str = "a") -> tuple[FlipGroup, ...]:
    scores = [1.0] * broken + [0.0] * fixed
    after = [make_item(f"i{i:03d}", {"exact": 1.0 - score}, output=text) for i, score in enumerate(scores)]
    return groups(after, [make_item(f"i{i:03d}", {"exact": score}) for i, score in enumerate(scores)])


class Script(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.inside = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.inside += data


@given(st.text(max_size=40) | st.sampled_from(["</script>", "<!--<script>", "]]>", "\u2028", "\ud800", "\x00", "&lt;"]))
def test_no_text_ends_the_element_or_changes_on_its_way(text: str) -> None:
    (group,) = groups(
        [make_item("i", {"exact": 0.0}, output=text, prompt=text, references=(text,), slices={text: text})],
        [make_item("i", {"exact": 1.0}, output=text)],
    )
    page = Script(f"<script>{worst_items([group], UNITS).json}</script>")
    assert page.tags == ["script"]
    (item,) = json.loads(page.inside)["items"]
    plain = "".join(char for char in text if char.isprintable() or char in "\n\t")
    for shown in (item["output"], item["before"], item["prompt"], item["references"][0], *item["slices"]):
        assert shown == text or ("⟨U+" in shown and len(shown) > len(plain))
        assert not set(shown) & {"\u202e", "\u2028", "\x00", "\ud800"}


def test_a_page_that_cannot_hold_all_takes_the_first_of_every_list() -> None:
    found = broken_and_fixed(40, 40, "x" * 500)
    data = worst_items(found, UNITS, limit=8_000)
    items = json.loads(data.json)["items"]
    assert data.total == 80
    assert 0 < data.num_items == len(items) == 80 - data.left_out
    assert len(data.json) <= 8_000 + 200
    assert abs(sum(item["broken"] for item in items) * 2 - len(items)) <= 1
    assert [item["broken"] for item in items] == sorted((item["broken"] for item in items), reverse=True)
    assert worst_items(found, UNITS).left_out == 0


@pytest.mark.parametrize("limit", [1, 900, 10_000, 10**9])
def test_the_parts_hold_every_item_once_in_order(limit: int) -> None:
    found = broken_and_fixed(30, 12, "é" * 100)
    parts = list(all_items(found, UNITS, limit))
    assert [item["id"] for part in parts for item in json.loads(part.json)["items"]] == [
        flip.candidate.item_id for flip in (*found[0].broken, *found[0].fixed)
    ]
    assert parts[0].first == 1
    assert [part.first for part in parts[1:]] == [part.last + 1 for part in parts[:-1]]
    assert parts[-1].last == parts[-1].total == 42
    assert all(len(part.json.encode()) < limit + 500 for part in parts if part.num_items > 1)


def test_nothing_that_changed_is_an_empty_part() -> None:
    (part,) = all_items(broken_and_fixed(0, 0), UNITS)
    assert json.loads(part.json) == {"items": []}
    assert (part.num_items, part.total) == (0, 0)


def test_long_outputs_that_differ_only_where_they_are_left_out_say_so() -> None:
    head, tail = "a" * 3000, "z" * 3000
    for middle, expected in (("1", True), ("2", False)):
        (group,) = groups(
            [make_item("i", {"exact": 0.0}, output=f"{head}2{tail}")],
            [make_item("i", {"exact": 1.0}, output=f"{head}{middle}{tail}")],
        )
        (item,) = json.loads(worst_items([group], UNITS).json)["items"]
        assert item["differs_unseen"] is expected


def test_scores_stand_in_the_units_of_the_page() -> None:
    (group,) = groups([make_item("i", {}, metrics=("exact",), unscored="no answer")], [make_item("i", {"exact": 0.25})])
    (item,) = json.loads(worst_items([group], UNITS).json)["items"]
    assert item["changes"] == [["exact", "25.0", "unscored", True]]
    assert item["unscored"] == "no answer"
