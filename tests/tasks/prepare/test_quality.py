"""Which signs of poor text drop a row."""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from tasks.config.prepare import PrepareParams
from tasks.config.train import Answers
from tasks.data.formats import Row
from tasks.paths import ArtifactPaths
from tasks.prepare.lengths import TokenLengths
from tasks.prepare.order import chosen_steps
from tasks.prepare.quality import REFUSAL, STRAIGHT, Quality, apart, letters, repeated_lines, repeated_words
from tasks.prepare.steps import StepInputs

XSTEST = Path(__file__).parents[4] / "shared/data/xstest"
GIVEN = StepInputs(
    PrepareParams(sources=("data/raw/rows.jsonl",)),
    ArtifactPaths(),
    TokenLengths(Path("nowhere"), 1024, Answers.ALL),
)
PLAIN = "Open the settings, choose Account and press Delete; a letter tells you when it is done."
DISTINCT = " ".join(f"word{number}" for number in range(60))

HASHES = " ".join(f"#tag{number}" for number in range(12))


def row(answer: str, question: str = "How do I close my account?", **turn: Any) -> Row:
    turns = ({"role": "user", "content": question}, {"role": "assistant", "content": answer, **turn})
    return Row("f:1", "id", "chat", turns, {})


def reason(one: Row, **settings: Any) -> str | None:
    outcome = Quality(**settings).run([one], GIVEN)
    assert len(outcome.kept) + len(outcome.dropped) == 1
    return outcome.dropped[0].reason if outcome.dropped else None


@pytest.mark.parametrize(
    "answer",
    [
        PLAIN,
        "billing",
        "42",
        "Of Mice and Men",
        "```python\nprint(1)\n```",
        "Here are the steps:\n1. Open it\n2. Close it",
        "はい、できます。",
        DISTINCT,
        "I'm sorry that it broke. Press reset.",
    ],
)
def test_a_plain_answer_is_kept(answer: str) -> None:
    assert reason(row(answer), refusals=True) is None


@pytest.mark.parametrize(
    ("answer", "settings", "wanted"),
    [
        ("ok", {"least_characters": 3}, "too short"),
        (PLAIN, {"most_characters": 20}, "too long"),
        ("again and again it says\n" * 20, {}, "repeats its lines"),
        (f"{DISTINCT} {' '.join(['please wait for our next free agent'] * 9)}", {}, "repeats its words"),
        (f"{DISTINCT} {HASHES}", {}, "many symbols"),
        ("1 2 3 4 5 6 7 8 x", {"least_letters": 0.5}, "few letters"),
        ("To close it you first have to open the", {}, "the answer breaks off"),
        ("```python\nprint(1)", {}, "the answer breaks off"),
        ("How do I close my account?", {}, "the answer repeats the question"),
        ("As an AI language model I have no account.", {}, "boilerplate"),
        ("Thanks for asking Ratchet Corp.", {"boilerplate": ("ratchet corp",)}, "boilerplate"),
        ("I\u2019m sorry, but I can\u2019t help with that.", {"refusals": True}, "the answer refuses"),
        ("Je voudrais fermer mon compte, s'il vous plaît.", {"languages": ("de",)}, "another language"),
    ],
)
def test_a_sign_of_poor_text_drops_the_row(answer: str, settings: dict[str, Any], wanted: str) -> None:
    assert reason(row(answer), **settings) == wanted


def test_an_answer_that_begins_with_a_long_question_repeats_it_and_a_short_one_is_taken_up() -> None:
    question = "how do i close the account that i opened last year"
    assert reason(row(f"How do I close the account that I opened last year?\n{PLAIN}", question)) is not None
    assert reason(row("Close it? Press Delete.", "Close it?")) is None
    assert reason(row(f"How do I close my account? {PLAIN}", "Something else"), echo=True) is None


def test_a_short_answer_may_be_the_question_and_right() -> None:
    assert reason(row("yes", "Yes!")) is None
    assert reason(row("One two three four.", "one two three four")) is None
    assert reason(row("One two three four five.", "one two three four five")) == "the answer repeats the question"


def test_a_call_of_a_function_is_no_answer_to_judge_by_its_words() -> None:
    call = {"id": "123456789", "type": "function", "function": {"name": "look", "arguments": {}}}
    turns = (
        {"role": "user", "content": "How is the weather?"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "rain", "tool_call_id": "123456789", "name": "look"},
        {"role": "assistant", "content": "It rains."},
    )
    assert reason(Row("f:1", "id", "chat", turns, {})) is None
    assert reason(Row("f:1", "id", "chat", (*turns[:3], {"role": "assistant", "content": ""}), {})) == "too short"


@pytest.mark.parametrize(
    ("share", "limit", "said"), [(0.2, 0.15, "0.20"), (0.1504, 0.15, "0.1504"), (0.15000001, 0.15, "0.15000001")]
)
def test_a_share_is_told_so_that_it_differs_from_its_limit(share: float, limit: float, said: str) -> None:
    assert apart(share, limit) == said


def test_what_is_not_learnt_drops_no_row_and_a_setting_of_null_looks_for_nothing() -> None:
    assert reason(row("How do I close my account?", weight=0)) is None
    assert reason(row("line\n" * 60), most_repeated_lines=None, most_repeated_words=None) is None
    assert reason(Row("f:1", "id", "text", (), {}, "a document that ends in the middle of the")) is None
    assert reason(Row("f:1", "id", "text", (), {}, "line\n" * 60)) == "repeats its lines"


def test_a_reason_quotes_nothing_of_the_row() -> None:
    marked = "Zanzibar"
    texts = (f"this is a long letter to {marked} and the", f"{marked}\n" * 60, f"{DISTINCT} {marked} {HASHES}")
    rows = [row(text) for text in texts]
    outcome = Quality(languages=("de",)).run(rows, GIVEN)
    assert len(outcome.dropped) == 3
    assert marked not in repr(outcome.dropped)


@drawn(st.lists(st.sampled_from("abc"), max_size=30))
def test_repeated_words_are_those_that_a_plain_search_finds(words: list[str]) -> None:
    again = {
        place
        for at in range(len(words) - 4)
        for place in range(at, at + 5)
        if any(words[before : before + 5] == words[at : at + 5] for before in range(at))
    }
    assert repeated_words(words) == (len(again) / len(words) if words else 0.0)


@pytest.mark.parametrize(
    ("measure", "text", "share"),
    [(repeated_lines, "a\n\na\nb\na\n", 0.5), (repeated_lines, "", 0.0), (letters, "ab 1!", 0.5), (letters, " ", 0.0)],
)
def test_shares_are_counted_as_defined(measure: Callable[[str], float], text: str, share: float) -> None:
    assert measure(text) == share


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("en", "Where is the parcel that I ordered two weeks ago?"),
        ("de", "Wo ist das Paket, das ich vor zwei Wochen bestellt habe?"),
        ("fr", "Où est le colis que j'ai commandé il y a deux semaines ?"),
        ("es", "¿Dónde está el paquete que pedí hace dos semanas?"),
        ("ja", "二週間前に注文した荷物はどこですか。いつ届きますか。"),
        ("ar", "أين الطرد الذي طلبته قبل أسبوعين من متجركم؟"),
    ],
)
def test_a_language_is_told(code: str, text: str) -> None:
    assert reason(row("x", text), languages=(code,)) is None
    assert reason(row("x", text), languages=("tr",)) == "another language"


@pytest.mark.skipif(not XSTEST.is_dir(), reason="XSTest's completions are not on this machine")
def test_refusals_agree_with_people_on_real_completions() -> None:
    labelled = [
        (entry["completion"], entry["final_label"])
        for path in sorted(XSTEST.glob("*completions*.csv"))
        for entry in csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"), newline=""))
    ]
    assert len(labelled) > 400
    found = [(bool(REFUSAL.match(text.translate(STRAIGHT))), label) for text, label in labelled]
    wrong = sum(refused and label == "1_full_compliance" for refused, label in found)
    refusals = [refused for refused, label in found if label == "2_full_refusal"]
    assert wrong / sum(refused for refused, _ in found) < 0.02
    assert sum(refusals) / len(refusals) > 0.5


def test_params_name_the_step_with_its_settings() -> None:
    steps = [{"quality": {"languages": ["en"]}}, "held_out", "length"]
    params = PrepareParams.model_validate({"sources": ["data/raw/rows.jsonl"], "steps": steps})
    assert chosen_steps(params)[0].step == Quality(languages=("en",))
