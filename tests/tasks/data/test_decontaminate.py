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
