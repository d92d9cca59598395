"""Held-out items must not be trained on."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


def test_twelve_words_in_a_row_are_not_enough_by_themselves(held_out: HeldOut, tmp_path: Path) -> None:
    text = "Before. " + " ".join(LONG.split()[1:13]) + " after"
    assert HeldOut(tmp_path, share=None).find(text) is None
    assert held_out.find(text) == ("set/test.jsonl#9", "80% of the words in runs of 8")


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


QUESTION = "Wie setze ich mein Passwort zur\u00fcck?"
LONG_QUESTION = LONG + "?"


def said(*texts: str, system: str | None = None) -> list[dict[str, str]]:
    """User and assistant in turn, the user first."""
    first = [] if system is None else [{"role": "system", "content": system}]
    return first + [{"role": ("user", "assistant")[at % 2], "content": text} for at, text in enumerate(texts)]


def of_items(folder: Path, *items: list[dict[str, str]]) -> HeldOut:
    lines = [json.dumps({"id": f"i{number}", "messages": item}) for number, item in enumerate(items)]
    (folder / "dev.jsonl").write_text("\n".join(lines) + "\n")
    return HeldOut(folder)


@pytest.mark.parametrize(
    ("item", "row", "found"),
    [
        pytest.param(said(QUESTION), said(QUESTION, "So."), True, id="the-row"),
        pytest.param(said(QUESTION), said(QUESTION, "So.", "Danke", "Gern."), True, id="first-of-two-turns"),
        pytest.param(said(QUESTION), said("Hallo", "Hallo!", QUESTION, "So."), True, id="second-of-two-turns"),
        pytest.param(said(QUESTION), said("Los", "So.", system=QUESTION), True, id="the-system-turn"),
        pytest.param(
            said(LONG_QUESTION),
            said("Go", "So.", system=f"Answer this. {LONG} Thanks."),
            True,
            id="inside-the-system-turn",
        ),
        pytest.param(
            said("Be nice. " + LONG_QUESTION), said("Go", "So.", system=LONG), False, id="shared-words-of-instructions"
        ),
        pytest.param(said("Hallo", "Hallo!", QUESTION), said(QUESTION, "So."), True, id="last-turn-of-an-item"),
        pytest.param(
            said("Hallo", "Hallo!", QUESTION), said("Hi", "Hi!", QUESTION, "So."), True, id="last-turns-of-both"
        ),
        pytest.param(said("Which one?", "A or B?", "yes"), said("Ready?", "Sure?", "Yes!", "Go."), False, id="yes"),
        pytest.param(said("yes"), said("Ready?", "Sure?", "Yes!", "Go."), True, id="an-item-that-is-yes"),
        pytest.param(
            said(QUESTION, "So.", "Und dann, bitte sehr?"), said(QUESTION, "So."), False, id="context-of-an-item"
        ),
        pytest.param(said(QUESTION), said("Hallo", QUESTION), False, id="an-answer"),
        pytest.param(said(LONG_QUESTION), said("Go", f"You asked: {LONG} So."), True, id="inside-an-answer"),
        pytest.param(said("Be nice. " + LONG_QUESTION), said("Go", LONG), False, id="shared-words-of-answers"),
    ],
)
def test_a_question_is_found_in_whatever_turn_it_is_asked(
    tmp_path: Path, item: list[dict[str, str]], row: list[dict[str, str]], found: bool
) -> None:
    assert (of_items(tmp_path, item).find_row(row) is not None) is found


WORD = st.text(st.characters(categories=["Ll"]), min_size=1, max_size=6)


@settings(deadline=None, max_examples=60)
@given(st.lists(WORD, min_size=1, max_size=20), st.lists(WORD, max_size=4), st.lists(WORD, max_size=4))
def test_a_question_is_found_between_any_other_turns(
    tmp_path_factory: pytest.TempPathFactory, words: list[str], before: list[str], after: list[str]
) -> None:
    question = " ".join(words)
    held = of_items(tmp_path_factory.mktemp("set"), said(question))
    turns = [text for word in before for text in (word, "a")] + [question, "a"]
    row = said(*turns, *(text for word in after for text in (word, "a")))
    assert held.find_row(row) is not None


@pytest.mark.parametrize(("shared", "found"), [(12, True), (9, False)])
def test_a_row_that_covers_most_of_a_question_with_runs_of_8_words_is_found(
    tmp_path: Path, shared: int, found: bool
) -> None:
    # 20 words; 12 in a row are five runs of 8 words that cover 12 of 20, and 9 are two runs that cover 9 of 20.
    words = [f"w{number}" for number in range(20)]
    held = of_items(tmp_path, said(" ".join(words)))
    match = held.find("so " + " ".join(words[:shared]) + " and on")
    assert (match is not None) is found
    if match:
        assert match == ("dev.jsonl#i0", "60% of the words in runs of 8")
    assert HeldOut(tmp_path, share=None).find("so " + " ".join(words[:shared])) is None
    assert (HeldOut(tmp_path, share=0.4).find("so " + " ".join(words[:shared])) is None) is False


def test_two_pieces_of_a_question_count_together_and_words_once(tmp_path: Path) -> None:
    words = [f"w{number}" for number in range(20)]
    held = of_items(tmp_path, said(" ".join(words)))
    assert held.find(" ".join([*words[:8], "x", *words[12:]])) == ("dev.jsonl#i0", "80% of the words in runs of 8")
    assert held.find(" ".join([*words[:8], "x", *words[:8]])) is None
