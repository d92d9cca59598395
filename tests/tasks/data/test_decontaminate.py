"""Held-out items must not be trained on."""

import json
from pathlib import Path

import pytest

from tasks.data.decontaminate import HeldOut

LONG = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"


@pytest.fixture
def held_out(tmp_path: Path) -> HeldOut:
    folder = tmp_path / "set"
    folder.mkdir()
    golden = {"id": "t1", "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "Where is it?"}]}
    (folder / "test.jsonl").write_text(json.dumps(golden) + "\n" + json.dumps({"key": 9, "prompt": LONG}) + "\n")
    return HeldOut(tmp_path)


@pytest.mark.parametrize("text", ["Where is it?", "where is  it", "WHERE is it!!", "“Where” is it…"])
def test_case_punctuation_and_space_do_not_hide_an_item(held_out: HeldOut, text: str) -> None:
    match = held_out.find(text)
    assert match is not None
    assert match.item == "set/test.jsonl#t1"


def test_thirteen_words_in_a_row_are_found_inside_another_text(held_out: HeldOut) -> None:
    match = held_out.find("Before. " + " ".join(LONG.split()[1:14]) + " after")
    assert match is not None
    assert match.item == "set/test.jsonl#9"


def test_twelve_words_in_a_row_are_not_enough(held_out: HeldOut) -> None:
    assert held_out.find("Before. " + " ".join(LONG.split()[1:13]) + " after") is None


def test_another_text_is_no_match(held_out: HeldOut) -> None:
    assert held_out.find("Where is my parcel?") is None


def test_the_demo_rows_share_nothing_with_the_golden_sets() -> None:
    root = Path(__file__).parents[3]
    held = HeldOut(root / "golden_sets")
    rows = (json.loads(line) for line in (root / "data/raw/support.jsonl").read_text().splitlines())
    assert [row["id"] for row in rows if held.find(row["messages"][1]["content"])] == []


THAI = (
    "\u0e01\u0e23\u0e38\u0e07\u0e40\u0e17\u0e1e\u0e40\u0e1b\u0e47\u0e19\u0e40\u0e21\u0e37\u0e2d\u0e07\u0e2b\u0e25\u0e27\u0e07"
    "\u0e41\u0e25\u0e30\u0e19\u0e04\u0e23\u0e17\u0e35\u0e48\u0e43\u0e2b\u0e0d\u0e48\u0e17\u0e35\u0e48\u0e2a\u0e38\u0e14"
    "\u0e02\u0e2d\u0e07\u0e1b\u0e23\u0e30\u0e40\u0e17\u0e28\u0e44\u0e17\u0e22\u0e43\u0e0a\u0e48\u0e44\u0e2b\u0e21"
)


@pytest.mark.parametrize(
    ("item", "row", "found"),
    [
        ("\u0926\u093f\u0928 ?", "\u0926\u093e\u0928 ?", False),
        ("What is C++?", "What is C#?", False),
        ("caf\u00e9?", "cafe\u0301?", True),
        (THAI, f"\u0e0a\u0e48\u0e27\u0e22 {THAI} \u0e02\u0e2d\u0e1a\u0e04\u0e38\u0e13", True),
    ],
)
def test_marks_and_signs_tell_texts_apart_and_whole_copies_are_found(
    tmp_path: Path, item: str, row: str, found: bool
) -> None:
    turns = [{"role": "user", "content": item}]
    (tmp_path / "test.jsonl").write_text(json.dumps({"id": "i", "messages": turns}) + "\n")
    assert (HeldOut(tmp_path).find(row) is not None) is found
