"""What is learnt of a conversation is its answers, in the template's own rendering."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evalsuite.core.errors import UsageError
from evalsuite.engines.encoding import Encoder
from tasks.base_model.template_settings import settle_template
from tasks.config.model import ModelParams
from tasks.config.train import Answers
from tasks.objectives.conversation import Labeller
from tasks.objectives.documents import IGNORED, Example
from tests.tasks.training.rows.tokenized import tokenize
from tests.tasks.training.templates import MARKS, TEMPLATES, byte_level, sentence_piece

SETTINGS: dict[str, dict[str, Any]] = {
    "llama_3": {"chat_template_date": "2026-01-31"},
    "qwen_3": {"chat_template_kwargs": {"enable_thinking": False}},
}
KINDS = {"byte_level": byte_level, "sentence_piece": sentence_piece}
ALL_MARKS = {mark for marks in MARKS.values() for mark in marks} | {"<think>", "</think>"}
WEIGHTS = st.sampled_from([None, 0, 1])


@cache
def tokenizer_of(kind: str, name: str) -> Any:
    tokenizer = KINDS[kind](name)
    settle_template(tokenizer, ModelParams(id="tiny", **SETTINGS.get(name, {})))
    return tokenizer


def is_plain(text: str) -> bool:
    """Whether a text is one, and writes none of the templates' marks (nor SentencePiece's own sign for a space)."""
    return bool(text.strip()) and not any(mark in text for mark in ALL_MARKS)


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00▁"), min_size=1, max_size=12).filter(is_plain)
WORDS = st.sampled_from(["it is here", "Yes", "\n\nwell", " no ", "größer", "a\n\n\nb  c", "12345", "ここ"])
CONTENTS = st.one_of(WORDS, TEXTS)


@st.composite
def conversations(draw: st.DrawFn) -> list[dict[str, Any]]:
    turns: list[dict[str, Any]] = []
    for _ in range(draw(st.integers(1, 3))):
        weight = draw(WEIGHTS)
        turns += [
            {"role": "user", "content": draw(CONTENTS)},
            {"role": "assistant", "content": draw(CONTENTS), **({} if weight is None else {"weight": weight})},
        ]
    return turns


def learnt_texts(examples: list[Example], tokenizer: Any, end: str) -> list[str]:
    """The runs of learnt tokens as text, each without the end of its turn."""
    texts = []
    for example in examples:
        run: list[int] = []
        for token, label in zip(example.input_ids, example.labels, strict=True):
            assert label in (IGNORED, token)
            if label != IGNORED:
                run.append(token)
                if token == tokenizer.eos_token_id:
                    text = tokenizer.decode(run)
                    assert text.endswith(end)
                    texts.append(text.removesuffix(end))
                    run = []
        assert not run, "an answer without its end is learnt"
    return texts


def plain_turns(messages: list[dict[str, Any]]) -> list[dict[str, str]]:
    return [{"role": turn["role"], "content": turn["content"]} for turn in messages]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", TEMPLATES)
@given(messages=conversations(), answers=st.sampled_from(Answers))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_exactly_the_answers_and_their_ends_are_learnt_in_the_template_s_rendering(
    kind: str, name: str, messages: list[dict[str, Any]], answers: Answers
) -> None:
    tokenizer = tokenizer_of(kind, name)
    found = tokenize("r", messages, tokenizer, answers=answers)
    wanted = [turn["content"] for turn in messages if turn["role"] == "assistant" and turn.get("weight") != 0]
    wanted = wanted if answers is Answers.ALL else wanted[-1:]
    learnt = learnt_texts(found, tokenizer, MARKS[name][1])
    assert [text.strip() for text in learnt] == [text.strip() for text in wanted]
    turns = plain_turns(messages)
    renderings = [
        Encoder(tokenizer).encode(tokenizer.apply_chat_template(turns[:stop], tokenize=False))
        for stop in range(2, len(turns) + 1, 2)
    ]
    for example in found:
        assert any(ids[: len(example.input_ids)] == example.input_ids for ids in renderings)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", TEMPLATES)
@given(user=CONTENTS, answer=CONTENTS.filter(lambda text: not text[0].isspace()), before=CONTENTS)
@settings(max_examples=40, deadline=None)
def test_what_stands_before_an_answer_is_what_an_engine_asks_with(
    kind: str, name: str, user: str, answer: str, before: str
) -> None:
    tokenizer = tokenizer_of(kind, name)
    turns = [{"role": "user", "content": user}, {"role": "assistant", "content": before}]
    turns += [{"role": "user", "content": user}, {"role": "assistant", "content": answer}]
    [example] = tokenize("r", turns, tokenizer, answers=Answers.LAST)
    encoder = Encoder(tokenizer)
    first = next(index for index, label in enumerate(example.labels) if label != IGNORED)
    assert example.input_ids[:first] == encoder.encode(encoder.render(turns[:-1]))


def turns_of(*contents: str) -> list[dict[str, Any]]:
    return [{"role": ("user", "assistant")[n % 2], "content": text} for n, text in enumerate(contents)]


def test_all_answers_of_a_conversation_stand_in_one_sequence() -> None:
    tokenizer = tokenizer_of("byte_level", "chatml")
    messages = turns_of("q0", "first 0", "more", "second 0")
    found = tokenize("r", messages, tokenizer)
    assert len(found) == 1
    assert learnt_texts(found, tokenizer, "<|im_end|>") == ["first 0", "second 0"]
    last = tokenize("r", messages, tokenizer, answers=Answers.LAST)
    assert learnt_texts(last, tokenizer, "<|im_end|>") == ["second 0"]
    assert last[0].input_ids == found[0].input_ids


def test_answers_that_the_template_writes_otherwise_later_are_learnt_apart() -> None:
    tokenizer = tokenizer_of("byte_level", "qwen_3")
    messages = turns_of("q0", "first 0", "more", "second 0")
    found = tokenize("r", messages, tokenizer)
    expected = [tokenizer.apply_chat_template(messages[:stop], tokenize=False).rstrip("\n") for stop in (2, 4)]
    assert [tokenizer.decode(example.input_ids) for example in found] == expected
    assert learnt_texts(found, tokenizer, "<|im_end|>") == ["first 0", "second 0"]


def test_a_template_that_ends_the_last_answer_alone_gives_each_answer_its_end() -> None:
    tokenizer = byte_level("chatml")
    tokenizer.chat_template = (
        "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% if loop.last and m.role == 'assistant' %}"
        "{{ eos_token }}{% endif %}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
    )
    found = tokenize("r", turns_of("q", "one", "q", "two"), tokenizer)
    assert learnt_texts(found, tokenizer, "<|im_end|>") == ["one", "two"]
    assert len(found) == 2


def test_an_answer_with_weight_zero_after_the_last_learnt_one_is_left_out() -> None:
    tokenizer = tokenizer_of("byte_level", "chatml")
    messages = turns_of("q", "one", "q", "two")
    messages[3]["weight"] = 0
    [example] = tokenize("r", messages, tokenizer)
    assert example == tokenize("r", messages[:2], tokenizer)[0]
    messages[1]["weight"] = 0
    assert tokenize("r", messages, tokenizer) == []


def test_line_breaks_that_join_the_prompt_s_last_token_are_not_learnt() -> None:
    tokenizer = tokenizer_of("byte_level", "chatml")
    assert len(tokenizer("\n\n")["input_ids"]) == 1
    [example] = tokenize("r", turns_of("q", "\nYes"), tokenizer)
    assert learnt_texts([example], tokenizer, "<|im_end|>") == ["Yes"]
    whole = tokenizer.apply_chat_template(turns_of("q", "\nYes"), tokenize=False)
    assert tokenizer(whole)["input_ids"][:-1] == example.input_ids


def test_a_prompt_whose_end_joins_the_answer_s_first_word_is_refused() -> None:
    tokenizer = byte_level("chatml")
    tokenizer.chat_template = tokenizer.chat_template.replace("\n", ": ", 1).replace("assistant\n", "assistant: ")
    assert len(tokenizer(" is")["input_ids"]) == 1
    with pytest.raises(UsageError, match=r"row 'r': the tokenizer joins the end of the prompt \('.*: '\)"):
        tokenize("r", turns_of("q", "is it"), tokenizer)


def test_plain_rows_of_a_hybrid_model_name_the_setting_that_turns_reasoning_off() -> None:
    plain = byte_level("qwen_3")
    with pytest.raises(UsageError, match=r"adds '<think>.*model\.chat_template_kwargs: \{enable_thinking: false\}"):
        tokenize("r", turns_of("q", "a0"), plain)


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ raise_exception('System role not supported') }}", "System role not supported"),
        ("{{ messages[0].nothing.here }}", "UndefinedError: 'dict object' has no attribute 'nothing'"),
        ("{{ messages[0].content + 1 }}", "TypeError: "),
        ("{{ 1 // 0 }}", "ZeroDivisionError: "),
    ],
)
def test_a_template_that_fails_on_a_row_gives_the_row_and_its_own_words(template: str, words: str) -> None:
    tokenizer = byte_level("chatml")
    tokenizer.chat_template = template
    with pytest.raises(UsageError) as caught:
        tokenize("data/raw/x.jsonl:3", turns_of("q", "a"), tokenizer)
    text = str(caught.value)
    assert text.startswith(
        "row 'data/raw/x.jsonl:3': the chat template refuses turns with the roles user, assistant: " + words
    )
    assert "name another template in model.chat_template" in text


def test_a_slow_tokenizer_gives_the_same_answers_one_a_sequence(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = byte_level("chatml")
    messages = turns_of("q", "one", "q", "two")
    [whole] = tokenize("r", messages, tokenizer)
    monkeypatch.setattr(type(tokenizer), "is_fast", False)
    found = Labeller(tokenizer).label("r", messages)
    assert found[1].input_ids == whole.input_ids
    examples = [each.example() for each in found]
    assert learnt_texts(examples, tokenizer, "<|im_end|>") == ["one", "two"]


def test_a_template_that_reads_the_clock_trains_nothing(tmp_path: Path) -> None:
    tokenizer = byte_level("llama_3")
    with pytest.raises(UsageError, match=r"writes today's date.*model\.chat_template_date"):
        tokenize("r", turns_of("q", "a"), tokenizer)
