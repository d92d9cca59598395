"""Rows in three formats, and a reason for every one that is refused."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tasks.config.prepare import PrepareParams
from tasks.data.conversations import SHAPES
from tasks.data.formats import BadRow, Row, RowRules, read_rows
from tasks.data.formats import parse_row as _parse
from tasks.data.keys import METADATA, NOT_LEARNT, ignore_advice, is_empty
from tasks.data.preferences import SHAPES as PAIRS
from tasks.data.ranked_answers import TEXTS

SHARED = Path(__file__).parents[4] / "shared" / "data"


def part(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


TURNS = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        pytest.param({"messages": TURNS}, "chat", id="chat"),
        pytest.param({"prompt": "hi", "completion": "hello"}, "prompt_completion", id="prompt-completion"),
        pytest.param({"instruction": "hi", "output": "hello"}, "alpaca", id="alpaca"),
        pytest.param({"instruction": "hi", "input": "", "output": "hello"}, "alpaca", id="alpaca-empty-input"),
        pytest.param({"instruction": "", "input": "hi", "output": "hello"}, "alpaca", id="alpaca-input-alone"),
        pytest.param(
            {"messages": None, "prompt": "hi", "completion": "hello"}, "prompt_completion", id="null-messages"
        ),
        pytest.param(
            {"conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "hello"}]},
            "sharegpt",
            id="sharegpt",
        ),
        pytest.param({"prompt": TURNS[:1], "completion": TURNS[1:]}, "prompt_completion", id="trl-conversational"),
        pytest.param(
            {"messages": [{"role": "user", "content": [part("h"), part("i")]}, TURNS[1]]}, "chat", id="text-parts"
        ),
        pytest.param(
            {"messages": TURNS, "tools": [], "images": [], "history": [], "system": "", "chosen": None, "odd": {}},
            "chat",
            id="empty-values-carry-nothing",
        ),
        pytest.param({"messages": TURNS, "tools": "[]"}, "chat", id="llama-factory-no-tools"),
        pytest.param({"messages": TURNS, "id": 7, "source": "x", "category": ["a"]}, "chat", id="metadata"),
        pytest.param({"messages": TURNS, "label": True, "weight": 1.0, "train": True}, "chat", id="good-example"),
        pytest.param({"question": "hi", "answer": "hello"}, "question_answer", id="question-answer"),
        pytest.param({"prompt": "hi", "response": "hello"}, "question_answer", id="prompt-response"),
        pytest.param({"instruction": "hi", "context": "", "response": "hello"}, "alpaca", id="dolly"),
        pytest.param(
            {"messages": [{**TURNS[0], "train": False}, {**TURNS[1], "tool_calls": None}]},
            "chat",
            id="unlearnt-question",
        ),
    ],
)
def test_every_format_becomes_the_same_turns(row: dict[str, object], kind: str) -> None:
    parsed = _parse(json.dumps(row).encode(), "f:1")
    assert isinstance(parsed, Row)
    assert (parsed.format, list(parsed.messages)) == (kind, TURNS)


def test_an_alpaca_input_follows_the_instruction() -> None:
    row = {"instruction": "Add.", "input": "1 2", "output": "3", "system": "Be brief."}
    parsed = _parse(json.dumps(row).encode(), "f:1")
    assert isinstance(parsed, Row)
    assert [turn["content"] for turn in parsed.messages] == ["Be brief.", "Add.\n\n1 2", "3"]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        pytest.param(b"{", "not JSON", id="half-a-line"),
        pytest.param(b"[1]", "a JSON list, expected an object", id="list"),
        pytest.param(b'"\xff"', "not UTF-8 at byte 1", id="bytes"),
        pytest.param(b'{"text": "x"}', "keys text: expected messages", id="unknown-shape"),
        pytest.param(b'{"messages": []}', "not a list of turns", id="no-turns"),
        pytest.param(b'{"messages": [{"role": "bot", "content": "x"}]}', "role 'bot'", id="role"),
        pytest.param(b'{"prompt": " ", "completion": "x"}', r"turn 0 \(user\) has no text", id="empty"),
        pytest.param(b'{"prompt": "x", "completion": null}', r"turn 1 \(assistant\) has no text", id="null"),
        pytest.param(b'{"prompt": "a\\u0000b", "completion": "x"}', "NUL", id="nul"),
        pytest.param(b'{"messages": [{"role": "user", "content": "x"}]}', "last turn is not", id="no-answer"),
        pytest.param(
            b'{"messages": [{"role": "assistant", "content": "x"}, {"role": "user", "content": "x"}]}',
            "take turns, user first",
            id="order",
        ),
        pytest.param(b'{"prompt": ' + b"1" * 5000 + b"}", "not JSON .Exceeds the limit", id="long-number"),
        pytest.param(b"[" * 100_000, "nested too deeply", id="deep"),
    ],
)
def test_a_bad_row_says_why(raw: bytes, reason: str) -> None:
    parsed = _parse(raw, "f:1")
    assert isinstance(parsed, BadRow)
    assert re.search(reason, parsed.reason), parsed.reason


def test_a_row_without_question_and_answer_names_the_keys_that_hold_them_and_none_to_ignore() -> None:
    read = parsed({"text": "Where is my parcel?", "label": "delivery"})
    assert isinstance(read, BadRow)
    assert read.reason.startswith("keys label, text: expected messages")
    assert "or question and answer" in read.reason
    assert read.unknown == ()
    assert "'text'" in str(parsed({**LEARNT, "text": "both as one text, as Alpaca's rows have it"}))


def parsed(row: object, **rules: Any) -> Row | BadRow:
    return _parse(json.dumps(row).encode(), "f:1", RowRules(**rules))


def test_a_system_text_beside_the_turns_becomes_the_first_turn() -> None:
    said = {"role": "system", "content": "Answer in French only."}
    for row in (
        {"messages": TURNS},
        {"messages": [said, *TURNS]},
        {"prompt": "hi", "completion": "hello"},
        {"instruction": "hi", "output": "hello"},
        {"conversations": TURNS},
        {"prompt": TURNS[:1], "completion": "hello"},
    ):
        read = parsed({**row, "system": said["content"]})
        assert isinstance(read, Row), read
        assert list(read.messages) == [said, *TURNS]


def test_the_developers_text_is_the_system_turn() -> None:
    read = parsed({"messages": [{"role": "developer", "content": "s"}, *TURNS]})
    assert isinstance(read, Row)
    assert read.messages[0] == {"role": "system", "content": "s"}


def test_alpacas_history_is_the_earlier_turns_and_their_answers_are_learnt() -> None:
    row = {"instruction": "And its colour?", "output": "red", "history": [["What is a rose?", "A flower."]]}
    read = parsed(row)
    assert isinstance(read, Row)
    assert [turn["content"] for turn in read.messages] == ["What is a rose?", "A flower.", "And its colour?", "red"]
    assert all("weight" not in turn for turn in read.messages)


def test_answers_in_trls_prompt_are_context() -> None:
    row = {
        "prompt": [*TURNS, {"role": "user", "content": "more"}],
        "completion": [{"role": "assistant", "content": "c"}],
    }
    read = parsed(row)
    assert isinstance(read, Row)
    assert [turn.get("weight") for turn in read.messages] == [None, 0, None, None]


LEARNT = {"messages": TURNS}
ANSWER = {"role": "assistant", "content": "Let me look."}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({**LEARNT, "label": False}, "label is false"),
        ({"instruction": "a", "output": "b", "kto_tag": False}, "kto_tag is false"),
        ({**LEARNT, "train": False}, "train is False: nothing in the row"),
        ({**LEARNT, "weight": 0}, "weight is 0: nothing in the row"),
        ({**LEARNT, "weight": 0.5}, "weight 0.5, expected 0, 1, true or false"),
        ({**LEARNT, "weight": 1, "train": False}, "weight and train that contradict"),
        ({**LEARNT, "tools": [{"type": "function"}]}, "tools entry 0 is no function with a name"),
        ({**LEARNT, "functions": [{}]}, "functions entry 0 is no function with a name"),
        ({**LEARNT, "tools": "{"}, "tools: not JSON"),
        ({**LEARNT, "images": ["a.png"]}, "has images: only text"),
        ({**LEARNT, "system": "s", "messages": [{"role": "system", "content": "t"}, *TURNS]}, "system differs"),
        ({**LEARNT, "conversations": TURNS}, "unknown key 'conversations'"),
        ({**LEARNT, "history": [["a", "b"]]}, "unknown key 'history'"),
        ({**LEARNT, "chosen": "b"}, "has chosen: a preference pair has both chosen and rejected"),
        ({"messages": [TURNS[0], {**TURNS[1], "weight": 0}]}, "no answer is learnt"),
        ({"messages": [TURNS[0], {**TURNS[1], "train": False}]}, "no answer is learnt"),
        ({"messages": [TURNS[0], {**TURNS[1], "weight": "0"}]}, "turn 1 .assistant. has weight '0'"),
        ({"messages": [{**TURNS[0], "train": True}, TURNS[1]]}, "turn 0 .user. is marked to be learnt"),
        ({"messages": [TURNS[0], {**TURNS[1], "train_detail": [{"train": False}]}]}, "parts of a turn"),
        ({"messages": [TURNS[0], {**ANSWER, "tool_calls": [{"id": "c"}]}]}, "turn 1 .assistant. call 0 has no name"),
        ({"messages": [TURNS[0], {"role": "assistant", "content": None, "tool_calls": [{}]}]}, "call 0 has no name"),
        ({"messages": [{**TURNS[0], "function_call": {"name": "w"}}, ANSWER]}, "has function_call"),
        ({"messages": [TURNS[0], {**ANSWER, "reasoning_content": "r"}]}, "reasoning beside the answer"),
        ({"messages": [TURNS[0], {**ANSWER, "thinking": "r"}]}, "reasoning beside the answer"),
        ({"messages": [TURNS[0], {**ANSWER, "refusal": "no"}]}, "has refusal"),
        ({"messages": [TURNS[0], {**ANSWER, "name": "Ann"}]}, "has name"),
        ({"messages": [*TURNS, {"role": "tool", "content": "x"}, ANSWER]}, "turn 2 is a tool.s result, and no call"),
        (
            {"conversations": [{"from": "human", "value": "a"}, {"from": "observation", "value": "b"}]},
            "turn 1 is a tool.s result, and no call",
        ),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}]}, "type 'image_url'"),
        ({"messages": [{"role": "user", "content": 5}, ANSWER]}, "turn 0 .user.: content is a number, expected text"),
        ({"prompt": 5, "completion": "5"}, "turn 0 .user.: content is a number, expected text"),
        ({"prompt": False, "completion": "5"}, "content is false, expected text"),
        ({"instruction": "a", "input": 0, "output": "b"}, "input is a number, expected text"),
        ({"instruction": "a", "output": "b", "history": [["q"]]}, "history entry 0 is not"),
        ({"instruction": "a", "output": "b", "history": "q"}, "history is text, expected a list"),
        ({"contents": [{"role": "user", "parts": []}]}, "Gemini"),
        ({**LEARNT, "Weight": 0}, r"unknown key 'Weight' .did you mean weight"),
        ({**LEARNT, "source": {"train": False}}, "unknown key 'source'"),
        ({**LEARNT, "label": "spam"}, "label is 'spam', expected true .* or false"),
        ({**LEARNT, "label": 0}, "label is 0, expected true .* or false"),
        ({**LEARNT, "kto_tag": "false"}, "kto_tag is 'false', expected true .* or false"),
        ({**LEARNT, "rejected_completion": "b"}, "has rejected_completion: a preference pair"),
        ({**LEARNT, "tool_choice": "auto"}, "has tool_choice: a choice that was forced"),
        ({"messages": [TURNS[0], {**ANSWER, "label": False}]}, "turn 1 .assistant. has label: .* on the whole row"),
        (
            {"messages": [TURNS[0], {"role": "assistant", "content": [{**part("a"), "weight": 0}]}]},
            "turn 1 .assistant. content part 0 has weight: .*mark the whole turn",
        ),
        ({"messages": [TURNS[0], {**ANSWER, "loss": False}]}, "unknown key 'loss'"),
        ({"messages": [{"role": "user", "content": [{**part("a"), "mask": 1}]}, ANSWER]}, "unknown key 'mask'"),
    ],
)
def test_what_cannot_be_learnt_makes_the_row_bad(row: dict[str, Any], reason: str) -> None:
    read = parsed(row)
    assert isinstance(read, BadRow), read
    assert re.search(reason, read.reason), read.reason


def test_keys_that_are_named_are_passed_over_in_rows_turns_and_parts() -> None:
    row = {"messages": [{"role": "user", "content": [{**part("hi"), "a": 1}], "b": 2}, TURNS[1]], "c": 3}
    read = parsed(row, ignore_keys=frozenset("abc"))
    assert isinstance(read, Row)
    assert list(read.messages) == TURNS
    assert isinstance(parsed(row, ignore_keys=frozenset("ab")), BadRow)


def test_a_group_key_says_nothing_against_a_bad_label() -> None:
    for key in ("label", "kto_tag"):
        assert isinstance(parsed({**LEARNT, key: True}, group_by=key), Row)
        for value in (False, 0, "bad", "spam"):
            assert isinstance(parsed({**LEARNT, key: value}, group_by=key), BadRow)
    assert isinstance(parsed({**LEARNT, "mask": 0}, group_by="mask"), BadRow)
    assert isinstance(parsed({"messages": [TURNS[0], {**ANSWER, "mask": 1}], "mask": 1}, group_by="mask"), BadRow)


def test_a_row_without_an_id_is_named_by_its_place() -> None:
    for row in (LEARNT, {**LEARNT, "id": None}):
        read = parsed(row)
        assert isinstance(read, Row)
        assert read.row_id == "f:1"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
READ = {"messages", "system", "weight", "train", "training", "label", "kto_tag", "tools", "functions"}
TURN_KEYS = {"role", "from", "content", "value", "weight", "train", "training", "tool_calls", "function_call"}
WORDS = [
    "mask",
    "Weight",
    "loss",
    "score",
    "tools",
    "images",
    "reasoning",
    "context",
    "history",
    "messages ",
    "metadata",
]


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(WORDS) | st.text(max_size=12), VALUES.filter(lambda value: not is_empty(value)), st.booleans())
def test_no_row_is_learnt_without_a_key_that_nobody_knows(key: str, value: Any, in_turn: bool) -> None:
    assume(key not in METADATA)
    if in_turn:
        assume(key not in TURN_KEYS)
        read = parsed({"messages": [TURNS[0], {**TURNS[1], key: value}]})
    else:
        assume(key not in READ)
        read = parsed({**LEARNT, key: value})
    # LLaMA-Factory writes "no tools" as the text [].
    assert isinstance(read, BadRow) or value in ("[]", "{}", "null")


SAYING = st.sampled_from(
    [
        *("weight", "label", "loss", "mask", "train_on_turn", "lossMask", "Weight", "weigt", "is_masked", "label_id"),
        *("tools_used", "rejected_answer", "image_url", "kto_label", "reasoning_trace", "train_detail", "tool_choice"),
    ]
)


@settings(deadline=None, max_examples=200)
@given(SAYING, st.sampled_from([0, 1, "0", False, "false"]), st.sampled_from(["row", "turn", "part"]))
def test_no_key_whose_name_says_what_is_learnt_is_advised_to_be_ignored(key: str, value: Any, where: str) -> None:
    row: dict[str, Any] = {"messages": [TURNS[0], {**ANSWER, "content": [part("a")]}], "quality": 3}
    {"row": row, "turn": row["messages"][1], "part": row["messages"][1]["content"][0]}[where][key] = value
    read = parsed(row)
    if isinstance(read, BadRow):
        line = ignore_advice(read.unknown, ()).partition("ignore_keys: ")[2]
        assert line.startswith("[quality]") or not line


@pytest.mark.parametrize(
    "key", ["weight", "train", "training", "label", "kto_tag", "loss", "mask", "train_on_turn", "Weight"]
)
def test_a_mark_cannot_be_ignored(key: str) -> None:
    with pytest.raises(ValueError, match=f"'{key}' marks what is learnt"):
        PrepareParams(sources=("a",), ignore_keys=("country", key))


def test_what_only_sounds_like_a_mark_can_be_ignored() -> None:
    keys = ("tools", "country", "training_site", "label_printer", "body_weight_kg", "images", "rejected")
    assert PrepareParams(sources=("a",), ignore_keys=keys).ignore_keys == keys


MARKS = st.sampled_from([None, True, False, 0, 1, 0.0, 1.0])


@settings(deadline=None, max_examples=300)
@given(
    st.lists(st.tuples(st.sampled_from(["weight", "train", "training"]), MARKS), min_size=1, max_size=4), st.booleans()
)
def test_exactly_the_answers_marked_so_are_not_learnt(marks: list[tuple[str, Any]], sharegpt: bool) -> None:
    turns: list[dict[str, Any]] = []
    for number, (key, value) in enumerate(marks):
        turns += [{"from": "human", "value": f"q{number}"}, {"from": "gpt", "value": f"a{number}", key: value}]
    if not sharegpt:
        names = {"from": "role", "value": "content", "human": "user", "gpt": "assistant"}
        turns = [{names.get(key, key): names.get(str(value), value) for key, value in turn.items()} for turn in turns]
    read = parsed({"conversations" if sharegpt else "messages": turns})
    unlearnt = [value is not None and not value for _, value in marks]
    if all(unlearnt):
        assert isinstance(read, BadRow)
        return
    assert isinstance(read, Row), read
    answers = [turn for turn in read.messages if turn["role"] == "assistant"]
    assert [turn.get("weight", 1) == 0 for turn in answers] == unlearnt
    assert all("weight" not in turn for turn in read.messages if turn["role"] != "assistant")


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=200))
def test_no_bytes_can_break_the_reader(raw: bytes) -> None:
    assert isinstance(_parse(raw, "f:1"), Row | BadRow)


def test_a_row_is_named_by_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "a", "completion": "b"}\n\n{"prompt": 1, "completion": "b"}\n')
    good, bad = read_rows(path, "data/raw/rows.jsonl")
    assert good.source == "data/raw/rows.jsonl:1"
    assert bad.source == "data/raw/rows.jsonl:3"


@pytest.mark.skipif(not (SHARED / "bitext").is_dir(), reason="the public data folder is not there")
def test_no_line_of_public_data_breaks_the_reader() -> None:
    paths = [path for path in sorted(SHARED.rglob("*.jsonl")) if path.stat().st_size < 3_000_000]
    assert paths
    for path in paths:
        for entry in read_rows(path, path.name):
            assert isinstance(entry, Row | BadRow)


def test_the_page_on_data_names_every_key() -> None:
    page = (Path(__file__).parents[3] / "docs/data.md").read_text()
    keys = {*METADATA, *NOT_LEARNT, *TURN_KEYS, *READ, *TEXTS}
    keys |= {key for shape in (*SHAPES, *PAIRS) for key in (*shape.keys, *shape.more)}
    assert {key for key in keys if f"`{key}`" not in page and f'"{key}"' not in page} == set()


@pytest.mark.parametrize("key", ["rejected", "boost"])
def test_a_key_that_an_objective_reads_is_no_reason_to_refuse_a_row(key: str) -> None:
    row = {"messages": TURNS, key: "no"}
    assert isinstance(parsed(row), BadRow)
    found = parsed(row, fields=(key,))
    assert isinstance(found, Row)
    assert found.fields[key] == "no"
    assert isinstance(parsed({**row, "other": 1}, fields=(key,)), BadRow)
