"""What is learnt of conversations with tools: the assistant's calls and answers, never what a tool gave back."""

from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.engines.encoding import Encoder
from tasks.config.train import Answers
from tasks.data.formats import Row, parse_row, read_rows
from tasks.objectives.conversation import Labeller, UnwritableRowError
from tasks.objectives.documents import IGNORED
from tests.tasks.data.rows import as_bytes
from tests.tasks.training.tool_templates import FAMILIES, tokenizer_of_family

SHARED = Path(__file__).parents[4] / "shared" / "data"
WITH_TOOLS = ("llama_3_tools", "mistral_tools", "qwen_tools")
TOOLS = [{"type": "function", "function": {"name": "find", "description": "Finds.", "parameters": {"type": "object"}}}]
CALL = {"id": "call_1", "type": "function", "function": {"name": "find", "arguments": '{"id": 12, "who": "größer"}'}}
ASKED = {"role": "user", "content": "Where is it?"}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": '{"place": "camera"}'}
CALLS = {"role": "assistant", "content": None, "tool_calls": [CALL]}


@cache
def tokenizer_of(family: str) -> Any:
    return tokenizer_of_family(family)


def row_of(messages: list[dict[str, Any]], tools: Any = TOOLS) -> Row:
    row = parse_row(as_bytes({"messages": messages, "tools": tools}), "f:1")
    assert isinstance(row, Row), row
    return row


def learnt(
    family: str, messages: list[dict[str, Any]], answers: Answers = Answers.ALL, tools: Any = TOOLS
) -> list[str]:
    """Each run of learnt tokens as text, up to the token that ends a turn."""
    row, tokenizer = row_of(messages, tools), tokenizer_of(family)
    texts = []
    for found in Labeller(tokenizer, answers=answers).label("r", row.messages, row.tools):
        example, run = found.example(), []
        for token, label in zip(example.input_ids, example.labels, strict=True):
            run += [token] if label != IGNORED else []
            if label == tokenizer.eos_token_id:
                texts.append(tokenizer.decode(run).removesuffix(tokenizer.eos_token))
                run = []
        assert not run, "a turn without its end is learnt"
    return texts


@pytest.mark.parametrize(
    ("family", "call"),
    [
        ("llama_3_tools", '{"name": "find", "parameters": {"id": 12, "who": "größer"}}'),
        ("qwen_tools", '<tool_call>\n{"name": "find", "arguments": {"id": 12, "who": "größer"}}\n</tool_call>'),
    ],
)
def test_a_call_is_learnt_as_the_template_writes_it_and_its_result_is_not(family: str, call: str) -> None:
    messages = [ASKED, CALLS, RESULT, {"role": "assistant", "content": "It is in the camera."}]
    assert learnt(family, messages) == [call, "It is in the camera."]
    assert learnt(family, messages, Answers.LAST) == ["It is in the camera."]
    assert learnt(family, messages[:2]) == [call]


def test_mistrals_calls_are_learnt_with_ids_of_nine_characters() -> None:
    [call, answer] = learnt("mistral_tools", [ASKED, CALLS, RESULT, {"role": "assistant", "content": "There."}])
    assert call.startswith('[TOOL_CALLS] [{"name": "find", "arguments": {"id": 12, "who": "größer"}, "id": "')
    row = row_of([ASKED, CALLS, RESULT, {"role": "assistant", "content": "There."}])
    assert row.messages[2]["tool_call_id"] in call
    assert answer.strip() == "There."


@pytest.mark.parametrize("family", FAMILIES)
def test_turns_with_weight_zero_are_never_learnt(family: str) -> None:
    messages: list[dict[str, Any]] = [
        *[ASKED, {"role": "assistant", "content": "No.", "weight": 0}],
        *[ASKED, {"role": "assistant", "content": "Yes, it is."}],
        *[ASKED, {"role": "assistant", "content": "Well."}],
    ]
    assert [text.strip() for text in learnt(family, messages, tools=None)] == ["Yes, it is.", "Well."]
    assert [text.strip() for text in learnt(family, messages, Answers.LAST, tools=None)] == ["Well."]


@pytest.mark.parametrize("family", WITH_TOOLS)
def test_a_call_with_weight_zero_is_context(family: str) -> None:
    messages = [ASKED, {**CALLS, "weight": 0}, RESULT, {"role": "assistant", "content": "There."}]
    assert [text.strip() for text in learnt(family, messages)] == ["There."]


@pytest.mark.parametrize("family", ["chatml", "gemma"])
def test_a_template_that_writes_no_tools_gives_a_reason(family: str) -> None:
    row = row_of([ASKED, CALLS, RESULT, {"role": "assistant", "content": "There."}])
    with pytest.raises(UnwritableRowError, match=r"does not write the tools .*'find'|roles must alternate"):
        Labeller(tokenizer_of(family)).label("r", row.messages, row.tools)
    without = row_of([ASKED, CALLS], tools=None)
    with pytest.raises(UnwritableRowError, match="does not write the call of 'find' with its arguments"):
        Labeller(tokenizer_of(family)).label("r", without.messages)


def test_a_text_before_a_call_that_the_template_drops_is_told() -> None:
    row = row_of([ASKED, {**CALLS, "content": "Let me look."}])
    with pytest.raises(UnwritableRowError, match="does not write the text before a call"):
        Labeller(tokenizer_of("llama_3_tools")).label("r", row.messages, row.tools)
    assert learnt("qwen_tools", [ASKED, {**CALLS, "content": "Let me look."}])[0].startswith(
        "Let me look.\n<tool_call>"
    )


def test_two_calls_at_once_are_refused_in_the_template_s_words() -> None:
    row = row_of([ASKED, {**CALLS, "tool_calls": [CALL, {**CALL, "id": "call_2"}]}])
    with pytest.raises(UnwritableRowError, match="only supports single tool-calls at once"):
        Labeller(tokenizer_of("llama_3_tools")).label("r", row.messages, row.tools)


WORDS = st.sampled_from(["it is here", "Yes", "größer", "12345", "No. Well", "[INST", '"x": {', "camera\n\nis"])


@st.composite
def tool_conversations(draw: st.DrawFn) -> list[dict[str, Any]]:
    turns: list[dict[str, Any]] = []
    for _ in range(draw(st.integers(1, 3))):
        turns.append({"role": "user", "content": draw(WORDS)})
        for _ in range(draw(st.integers(0, 2))):
            function = {"name": "find", "arguments": {"key": draw(WORDS), "n": draw(st.integers())}}
            weight = draw(st.sampled_from([{}, {"weight": 0}, {"weight": 1}]))
            turns.append({"role": "assistant", "tool_calls": [{"type": "function", "function": function}], **weight})
            turns.append({"role": "tool", "content": "RESULT " + draw(WORDS)})
        turns.append({"role": "assistant", "content": draw(WORDS), **draw(st.sampled_from([{}, {"weight": 0}]))})
    turns[-1].pop("weight", None)
    return turns


@pytest.mark.parametrize("family", WITH_TOOLS)
@given(messages=tool_conversations(), answers=st.sampled_from(Answers))
@settings(max_examples=40, deadline=None)
def test_exactly_the_assistant_s_turns_are_learnt_whatever_the_conversation(
    family: str, messages: list[dict[str, Any]], answers: Answers
) -> None:
    wanted = [turn for turn in messages if turn["role"] == "assistant" and turn.get("weight") != 0]
    wanted = wanted if answers is Answers.ALL else wanted[-1:]
    found = learnt(family, messages, answers)
    assert len(found) == len(wanted)
    for text, turn in zip(found, wanted, strict=True):
        assert "RESULT" not in text
        if "tool_calls" not in turn:
            assert text.strip() == turn["content"].strip()
        else:
            assert "find" in text
            assert str(turn["tool_calls"][0]["function"]["arguments"]["n"]) in text


@pytest.mark.skipif(not (SHARED / "llamafactory").is_dir(), reason="the public data folder is not there")
@pytest.mark.parametrize("family", WITH_TOOLS)
def test_public_tool_conversations_are_learnt_in_the_template_s_rendering_without_their_results(family: str) -> None:
    path, tokenizer = SHARED / "llamafactory/glaive_toolcall_en_demo.json", tokenizer_of(family)
    rows = [row for row in islice(read_rows(path, path.name), 60) if isinstance(row, Row)]
    assert sum(turn["role"] == "tool" for row in rows for turn in row.messages) > 20
    for row in rows:
        found = Labeller(tokenizer).label(row.row_id, row.messages, row.tools)
        text = " ".join(tokenizer.decode(each.input_ids[begin:end]) for each in found for begin, end in each.spans)
        for turn in row.messages:
            assert turn["role"] != "tool" or len(turn["content"]) < 30 or turn["content"] not in text
            assert all(call["function"]["name"] in text for call in turn.get("tool_calls", ()))
        assert sum(len(each.spans) for each in found) == sum(turn["role"] == "assistant" for turn in row.messages)
        tools = {"tools": list(row.tools)} if row.tools else {}
        whole = tokenizer.apply_chat_template(list(row.messages), tokenize=False, **tools)
        assert Encoder(tokenizer).encode(whole)[: len(found[-1].input_ids)] == found[-1].input_ids
