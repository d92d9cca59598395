"""Tools, calls and results of OpenAI's and ShareGPT's files in one form."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.data.formats import BadRow, Row, read_rows
from tests.tasks.data.rows import good, parsed, reason

SHARED = Path(__file__).parents[4] / "shared" / "data"
USER = {"role": "user", "content": "weather?"}
FUNCTION = {"name": "look", "arguments": '{"city": "Oslo"}'}
CALL = {"id": "call_abc", "type": "function", "function": FUNCTION}
CALLS = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "call_abc", "content": "rain"}
ANSWER = {"role": "assistant", "content": "It rains."}
TOOL = {"name": "look", "description": "Looks.", "parameters": {"type": "object", "properties": {}}}
WRAPPED = {"type": "function", "function": TOOL}
READ = {"name": "look", "arguments": {"city": "Oslo"}}


def functions(row: Row) -> list[Any]:
    return [call["function"] for turn in row.messages for call in turn.get("tool_calls", ())]


@pytest.mark.parametrize(
    "row",
    [
        pytest.param({"messages": [USER, CALLS, RESULT, ANSWER], "tools": [WRAPPED]}, id="openai"),
        pytest.param({"messages": [USER, CALLS, RESULT, ANSWER], "tools": json.dumps([WRAPPED])}, id="tools-as-text"),
        pytest.param(
            {
                "messages": [
                    USER,
                    {"role": "assistant", "content": None, "function_call": FUNCTION},
                    {"role": "function", "name": "look", "content": "rain"},
                    ANSWER,
                ],
                "functions": [TOOL],
            },
            id="openai-before-tools",
        ),
        pytest.param(
            {
                "conversations": [
                    {"from": "human", "value": "weather?"},
                    {"from": "function_call", "value": json.dumps(READ)},
                    {"from": "observation", "value": "rain"},
                    {"from": "gpt", "value": "It rains."},
                ],
                "tools": json.dumps([TOOL]),
            },
            id="sharegpt",
        ),
    ],
)
def test_tools_come_out_in_one_form(row: dict[str, Any]) -> None:
    read = good(row)
    assert read.tools == (WRAPPED,)
    assert [turn["role"] for turn in read.messages] == ["user", "assistant", "tool", "assistant"]
    assert functions(read) == [READ]
    call, result = read.messages[1], read.messages[2]
    assert call["content"] == ""
    assert result == {"role": "tool", "content": "rain", "tool_call_id": call["tool_calls"][0]["id"], "name": "look"}


def test_ids_have_nine_letters_or_digits_and_those_that_have_them_are_kept() -> None:
    kept = good({"messages": [USER, {**CALLS, "tool_calls": [{**CALL, "id": "abcDEF123"}]}]})
    assert kept.messages[1]["tool_calls"][0]["id"] == "abcDEF123"
    made = good({"messages": [USER, CALLS]}).messages[1]["tool_calls"][0]["id"]
    assert made == good({"messages": [USER, CALLS]}).messages[1]["tool_calls"][0]["id"]
    assert len(made) == 9
    assert made.isalnum()


def test_a_text_and_the_calls_after_it_are_one_turn() -> None:
    turns = [
        {"from": "human", "value": "weather?"},
        {"from": "gpt", "value": "Let me look."},
        {"from": "function_call", "value": json.dumps(READ)},
        {"from": "function_call", "value": json.dumps(READ | {"arguments": {"city": "Rome"}})},
        {"from": "observation", "value": "rain"},
        {"from": "observation", "value": "sun"},
        {"from": "gpt", "value": "Mixed."},
    ]
    read = good({"conversations": turns})
    assert [turn["role"] for turn in read.messages] == ["user", "assistant", "tool", "tool", "assistant"]
    assert read.messages[1]["content"] == "Let me look."
    ids = [call["id"] for call in read.messages[1]["tool_calls"]]
    assert ids == [turn["tool_call_id"] for turn in read.messages[2:4]]
    assert len(set(ids)) == 2


def test_results_find_their_calls_in_any_order() -> None:
    calls = [CALL, {**CALL, "id": "call_b", "function": {"name": "smell", "arguments": "{}"}}]
    results = [{"role": "tool", "tool_call_id": "call_b", "content": "smoke"}, RESULT]
    read = good({"messages": [USER, {**CALLS, "tool_calls": calls}, *results, ANSWER]})
    assert [turn["name"] for turn in read.messages[2:4]] == ["smell", "look"]


@pytest.mark.parametrize(
    ("messages", "why"),
    [
        ([USER, RESULT, ANSWER], "turn 1 is a tool's result, and no call stands before it"),
        ([USER, CALLS, ANSWER], "turn 2 is assistant, and the call before it has no result"),
        ([USER, CALLS, RESULT, USER, ANSWER], "turn 3 is user; after a tool's result the assistant speaks"),
        ([USER, CALLS, RESULT], "the last turn is not the assistant's"),
        ([USER, CALLS, {**RESULT, "tool_call_id": "other"}, ANSWER], "a result of 'other', which waits for none"),
        ([USER, CALLS, RESULT, RESULT, ANSWER], "a result of 'call_abc', which waits for none"),
        ([USER, {**CALLS, "tool_calls": [CALL, CALL]}], "two calls with id 'call_abc'"),
        ([USER, {**CALLS, "tool_calls": [{"id": "c"}]}], "call 0 has no name of a function"),
        (
            [USER, {**CALLS, "tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}],
            "call 0 arguments: not JSON",
        ),
        ([USER, {**CALLS, "tool_calls": [{"function": {"name": "f", "arguments": [1]}}]}], "arguments that are a list"),
        ([USER, {**CALLS, "tool_calls": [{"type": "retrieval", "function": FUNCTION}]}], "type 'retrieval'"),
        ([{**USER, "tool_calls": [CALL]}, ANSWER], "turn 0 .user. has tool_calls"),
        ([USER, CALLS, {**RESULT, "weight": 1}, ANSWER], "turn 2 .tool. is marked to be learnt"),
    ],
)
def test_a_broken_exchange_with_tools_says_why(messages: list[Any], why: str) -> None:
    import re

    found = reason({"messages": messages})
    assert re.search(why, found), found


def test_a_call_of_a_function_that_the_row_does_not_define_is_bad() -> None:
    assert "calls 'look', which tools does not define" in reason(
        {"messages": [USER, CALLS], "tools": [{"name": "other"}]}
    )


@pytest.mark.skipif(not (SHARED / "llamafactory").is_dir(), reason="the public data folder is not there")
def test_public_tool_conversations_are_read() -> None:
    path = SHARED / "llamafactory/glaive_toolcall_en_demo.json"
    entries = list(read_rows(path, path.name))
    bad = Counter(entry.reason for entry in entries if isinstance(entry, BadRow))
    assert len(entries) == 300
    assert sum(bad.values()) <= 3, bad
    said = json.loads(path.read_text())
    assert sum(len(functions(row)) for row in entries if isinstance(row, Row)) == 211 - sum(
        turn["from"] == "function_call"
        for row, entry in zip(said, entries, strict=True)
        if isinstance(entry, BadRow)
        for turn in row["conversations"]
    )


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "f", "{}", "[", '{"name": "f"}', "function"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                ["id", "type", "function", "name", "arguments", "role", "content", "value", "result", "text"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)
TURN = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "tool", "function_call", "observation"]) | VALUES},
    optional={key: VALUES for key in ("content", "tool_calls", "function_call", "tool_call_id", "name")},
)
KEYS = ("tools", "functions", "fields", "responses", "suggestions", "status", "metadata", "data", "annotations", "id")


@settings(deadline=None, max_examples=400)
@given(
    st.fixed_dictionaries(
        {}, optional={"messages": st.lists(TURN, max_size=4) | VALUES, **{key: VALUES for key in KEYS}}
    )
)
def test_no_value_in_any_place_breaks_the_reader(row: dict[str, Any]) -> None:
    assert isinstance(parsed(row), Row | BadRow)


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("value", "why"),
    [(float("nan"), "holds nan, which is no JSON"), (-float("inf"), "holds -inf"), (nested(700), "nested too deeply")],
)
def test_what_no_json_may_hold_and_what_is_nested_too_deeply_is_a_bad_row(value: Any, why: str) -> None:
    call = {"role": "assistant", "content": "", "tool_calls": [{"name": "look", "arguments": {"city": value}}]}
    as_text = {"name": "look", "arguments": json.dumps({"city": value})}
    rows: list[dict[str, Any]] = [
        {"messages": [USER, ANSWER], "tools": [{**TOOL, "parameters": value}]},
        {"messages": [USER, call, RESULT, ANSWER]},
        {"messages": [USER, {**call, "tool_calls": [as_text]}, RESULT, ANSWER]},
        {"messages": [USER, CALLS, {**RESULT, "content": {"x": value}}, ANSWER]},
    ]
    for row in rows:
        assert why in reason(row)


def test_what_is_nested_as_schemas_are_is_read() -> None:
    row = good({"messages": [USER, ANSWER], "tools": [{**TOOL, "parameters": nested(60)}]})
    assert row.tools[0]["function"]["parameters"] == nested(60)
