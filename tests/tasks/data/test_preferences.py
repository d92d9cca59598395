"""Preference pairs of every tool: the preferred answer is the row, the rejected one stays beside it."""

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.data.formats import BadRow, Row, read_rows
from tasks.data.preferences import FIRST
from tests.tasks.data.rows import good, parsed, reason

SHARED = Path(__file__).parents[4] / "shared" / "data"
ASKED = {"role": "user", "content": "What is red?"}
GOOD = {"role": "assistant", "content": "A colour."}
BAD = {"role": "assistant", "content": "A number."}
SYSTEM = {"role": "system", "content": "Be brief."}
PAST = [["q", "r"]]
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
CALL = {"role": "assistant", "content": "", "tool_calls": [{"id": "c1", "function": {"name": "weather"}}]}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "rain"}


def shared(name: str) -> Any:
    return pytest.param(
        name, marks=pytest.mark.skipif(not (SHARED / name).exists(), reason=f"no ../shared/data/{name}")
    )


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        pytest.param(
            {"prompt": ASKED["content"], "chosen": "A colour.", "rejected": "A number."}, "preference", id="trl"
        ),
        pytest.param({"prompt": [ASKED], "chosen": [GOOD], "rejected": [BAD]}, "preference", id="trl-turns"),
        pytest.param(
            {"chosen": [ASKED, GOOD], "rejected": [ASKED, BAD]}, "preference_conversations", id="trl-implicit"
        ),
        pytest.param(
            {
                "chosen": "\n\nHuman: What is red?\n\nAssistant: A colour.",
                "rejected": "\n\nHuman: What is red?\n\nAssistant: A number.",
            },
            "preference_transcripts",
            id="hh-rlhf",
        ),
        pytest.param(
            {"prompt": "\n\nHuman: What is red?\n\nAssistant:", "chosen": " A colour.", "rejected": " A number."},
            "preference",
            id="transcript-as-prompt",
        ),
        pytest.param(
            {
                "conversations": [{"from": "human", "value": ASKED["content"]}],
                "chosen": {"from": "gpt", "value": "A colour."},
                "rejected": {"from": "gpt", "value": "A number."},
            },
            "preference",
            id="llama-factory-sharegpt",
        ),
        pytest.param(
            {"instruction": "What is", "input": "red?", "chosen": "A colour.", "rejected": "A number."},
            "preference",
            id="llama-factory-alpaca",
        ),
        pytest.param(
            {
                "prompt": ASKED["content"],
                "prompt_id": "9f",
                "chosen": [ASKED, GOOD],
                "rejected": [ASKED, BAD],
                "messages": [ASKED, GOOD],
                "score_chosen": 8.5,
                "score_rejected": 3,
            },
            "preference_conversations",
            id="ultrafeedback-binarised",
        ),
        pytest.param(
            {"question": ASKED["content"], "chosen": "A colour.", "rejected": "A number.", "system": ""},
            "preference",
            id="orca-dpo-pairs",
        ),
        pytest.param(
            {
                "input": {"messages": [ASKED], "tools": [], "parallel_tool_calls": True},
                "preferred_output": [GOOD],
                "non_preferred_output": [BAD],
            },
            "preference_openai",
            id="openai",
        ),
        pytest.param(
            {
                "prompt": "\n\nHuman: What is red? \n\nAssistant: ",
                "answers": [
                    {"answer": "A number.", "model": "x", "rank": 3},
                    {"answer": "A colour.", "model": "y", "rank": 1},
                    {"answer": "A word.", "model": "z", "rank": 2},
                ],
            },
            "ranked",
            id="nectar",
        ),
        pytest.param(
            {
                "instruction": ASKED["content"],
                "completions": [
                    {"response": "A colour.", "model": "x", "overall_score": 9.0},
                    {"response": "A number.", "model": "y", "overall_score": 1.0},
                ],
            },
            "ranked",
            id="ultrafeedback",
        ),
        pytest.param(
            {"messages": [ASKED], "generations": ["A number.", "A colour.", "A word."], "ratings": [1, 5, 4]},
            "ranked",
            id="distilabel",
        ),
    ],
)
def test_every_kind_of_pair_becomes_the_preferred_conversation_and_the_rejected_turns(
    row: dict[str, Any], kind: str
) -> None:
    found = good(row)
    texts = [(turn["role"], " ".join(turn["content"].split())) for turn in found.messages]
    assert (found.format, texts) == (kind, [("user", "What is red?"), ("assistant", "A colour.")])
    [rejected] = found.fields["rejected"]
    assert {**rejected, "content": rejected["content"].strip()} == BAD
    assert all("weight" not in turn for turn in found.messages)


def test_a_system_text_stands_before_both_answers() -> None:
    for row in (
        {"system": SYSTEM["content"], "prompt": ASKED["content"], "chosen": "A colour.", "rejected": "A number."},
        {"chosen": [SYSTEM, ASKED, GOOD], "rejected": [SYSTEM, ASKED, BAD]},
        {"prompt": ASKED["content"], "chosen": [SYSTEM, ASKED, GOOD], "rejected": [SYSTEM, ASKED, BAD]},
        {"input": {"messages": [SYSTEM, ASKED]}, "preferred_output": [GOOD], "non_preferred_output": [BAD]},
    ):
        found = good(row)
        assert list(found.messages) == [SYSTEM, ASKED, GOOD]
        assert found.fields["rejected"] == [BAD]


def test_earlier_answers_are_context_and_the_prompt_ends_before_the_first_that_is_learnt() -> None:
    start = [ASKED, GOOD, {"role": "user", "content": "And blue?"}]
    last = {"role": "assistant", "content": "Another."}
    for row in (
        {"prompt": start, "chosen": [last], "rejected": [BAD]},
        {"chosen": [*start, last], "rejected": [*start, BAD]},
        {"messages": start, "chosen": "Another.", "rejected": "A number."},
        {"prompt": start[:1], "chosen": [*start[1:], last], "rejected": [*start[1:], BAD]},
        {
            "instruction": "And blue?",
            "history": [["What is red?", "A colour."]],
            "chosen": "Another.",
            "rejected": "A number.",
        },
    ):
        found = good(row)
        assert [turn.get("weight") for turn in found.messages] == [None, 0, None, None]
        prompt = next(
            at for at, turn in enumerate(found.messages) if turn["role"] == "assistant" and turn.get("weight", 1)
        )
        assert [turn["content"] for turn in found.messages[:prompt]] == ["What is red?", "A colour.", "And blue?"]
        assert found.fields["rejected"] == [BAD]


def test_calls_of_tools_can_be_preferred() -> None:
    found = good({"prompt": [ASKED], "tools": [WEATHER], "chosen": [CALL, RESULT, GOOD], "rejected": [BAD]})
    assert found.tools == (WEATHER,)
    assert [turn["role"] for turn in found.messages] == ["user", "assistant", "tool", "assistant"]
    assert found.messages[1]["tool_calls"][0]["id"] == found.messages[2]["tool_call_id"]
    swapped = good({"prompt": [ASKED], "tools": [WEATHER], "chosen": [GOOD], "rejected": [CALL, RESULT, BAD]})
    assert [turn["role"] for turn in swapped.fields["rejected"]] == ["assistant", "tool", "assistant"]
    unknown = {"prompt": [ASKED], "tools": [WEATHER | {"function": {"name": "other"}}], "chosen": [GOOD]}
    assert reason({**unknown, "rejected": [CALL, RESULT, BAD]}).startswith("rejected: ")


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"chosen": "A  colour.", "rejected": "A colour. "}, "chosen and rejected are the same, so that nothing"),
        ({"chosen": [ASKED, GOOD], "rejected": [{**ASKED, "content": "x"}, BAD], "prompt": ""}, "same prompt"),
        ({"chosen": [ASKED, GOOD], "rejected": [{**ASKED, "content": "x"}, BAD]}, "rejected does not begin with pro"),
        ({"chosen": [GOOD], "rejected": [BAD], "prompt": None}, "the row has no prompt: an answer alone needs one"),
        ({"chosen": "a", "rejected": "b", "question": "q"}, "the row has prompt and question: an answer alone"),
        ({"chosen": "a", "rejected": ""}, r"rejected: turn 0 .assistant. has no text"),
        ({"chosen": "", "rejected": "b"}, r"chosen: turn 0 .assistant. has no text"),
        ({"chosen": 5, "rejected": "b"}, "chosen: .* content is a number, expected text"),
        ({"chosen": {"text": "a"}, "rejected": "b"}, "chosen: turn 0 has role None"),
        ({"chosen": "a", "rejected": "b", "score_chosen": 2, "score_rejected": 2}, "a tie, which prefers neither"),
        ({"chosen": "a", "rejected": "b", "chosen_rating": 1, "rejected_rating": 2}, "the rejected answer would be"),
        ({"chosen": "a", "rejected": "b", "score_chosen": float("nan"), "score_rejected": 2}, "score_chosen is nan"),
        ({"chosen": "a", "rejected": "b", "score_chosen": "2", "score_rejected": 2}, "score_chosen is text, expected"),
        ({"chosen": [{**GOOD, "weight": 0}], "rejected": [BAD]}, "is the preferred answer, and marked not to be"),
        ({"chosen": "a", "rejected": "b", "label": False}, "label is false"),
        ({"prompt": [ASKED, None], "chosen": "a", "rejected": "b"}, "turn 1 is not an object"),
        ({"prompt": f"{FIRST} a\n\nAssistant: b{FIRST}", "chosen": "a", "rejected": "b"}, "turn 2 .user. has no text"),
        ({"prompt": [ASKED], "chosen": "a", "rejected": "b", "history": PAST}, "history stands beside no single"),
        ({"prompt": "", "messages": [ASKED], "chosen": "a", "rejected": "b", "history": PAST}, "history stands"),
        ({"prompt": "", "chosen": [ASKED, GOOD], "rejected": [ASKED, BAD], "history": PAST}, "history stands"),
        ({"chosen": "a", "rejected": "b", "margin_of_votes": 2}, "unknown key 'margin_of_votes'"),
        ({"chosen": "a", "rejected": "b", "completion": "c"}, "unknown key 'completion'"),
        ({"chosen": "a", "rejected": "b", "images": ["a.png"]}, "has images: only text"),
        ({"chosen": [ASKED, GOOD, ASKED, GOOD], "rejected": [ASKED, GOOD]}, "part at turn 2, which is user .* absent"),
        ({"chosen": [ASKED, GOOD, ASKED], "rejected": [ASKED, BAD]}, "chosen: the last turn is not the assistant's"),
    ],
)  # fmt: skip
def test_a_pair_that_prefers_nothing_is_a_bad_row(row: dict[str, Any], why: str) -> None:
    found = reason({"prompt": ASKED["content"]} | row)
    assert re.search(why, found), found


def test_a_learnt_answer_in_the_prompt_of_a_pair_is_refused() -> None:
    start = [ASKED, {**GOOD, "weight": 1}, ASKED]
    assert "turn 1 (assistant) is marked to be learnt" in reason({"prompt": start, "chosen": "a", "rejected": "b"})


def test_half_a_pair_says_what_a_pair_has() -> None:
    said = reason({"messages": [ASKED, GOOD], "rejected": "A number."})
    assert said.startswith("the row has rejected: a preference pair has both chosen and rejected, beside a prompt or ")
    assert "a prompt with chosen and rejected" in reason({"answer": "x"})
    assert "has chosen: a preference pair" in reason({"text": "t", "chosen": "a", "rejected": "b"}, documents=True)


def test_a_cut_transcript_is_a_bad_row_and_no_answer_is_learnt_by_another_speaker() -> None:
    cut = f"{FIRST} a\n\nAssistant: b\n\nHuman: c\n\nAssistant: "
    assert reason({"chosen": cut, "rejected": cut + "d"}) == "chosen: turn 3 (assistant) has no text"
    twice = f"{FIRST} a\n\nAssistant: b\n\nAssistant: c"
    assert "user and assistant must take turns" in reason({"chosen": twice, "rejected": f"{FIRST} a\n\nAssistant: d"})


TEXTS = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\x00"), min_size=1, max_size=20)
SAID = TEXTS.filter(lambda text: bool(text.strip()) and "\n\n" not in text)


@settings(deadline=None, max_examples=150)
@given(st.lists(SAID, min_size=1, max_size=7).filter(lambda texts: len(texts) % 2 == 1), SAID, SAID)
def test_pairs_of_one_conversation_in_every_form_are_the_same_row(texts: list[str], better: str, worse: str) -> None:
    roles = ("user", "assistant")
    prompt = [{"role": roles[at % 2], "content": text.strip()} for at, text in enumerate(texts)]
    ends = [[{"role": "assistant", "content": text.strip()}] for text in (better, worse)]
    transcripts = [
        "".join(
            f"\n\n{'Assistant' if turn['role'] == 'assistant' else 'Human'}: {turn['content']}" for turn in prompt + end
        )
        for end in ends
    ]
    forms = [
        dict(zip(("prompt", "chosen", "rejected"), (prompt, *ends), strict=True)),
        dict(zip(("chosen", "rejected"), (prompt + end for end in ends), strict=True)),
        dict(zip(("chosen", "rejected"), transcripts, strict=True)),
        {"input": {"messages": prompt}, "preferred_output": ends[0], "non_preferred_output": ends[1]},
        {"messages": prompt, "responses": [worse.strip(), better.strip()], "ranks": [2, 1]},
    ]
    read = [parsed(form) for form in forms]
    if isinstance(read[0], BadRow):
        assert "are the same" in read[0].reason
        assert {row.reason for row in read if isinstance(row, BadRow)} == {read[0].reason}
        assert len([row for row in read if isinstance(row, BadRow)]) == len(read)
        return
    rows = [row for row in read if isinstance(row, Row)]
    assert len(rows) == len(read), read
    assert all(row.messages == rows[0].messages for row in rows)
    assert all(row.fields["rejected"] == ends[1] for row in rows)
    assert rows[0].messages[-1] == ends[0][0]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 9) | st.text(max_size=4) | st.sampled_from([ASKED, GOOD, f"{FIRST} a"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "content", "answer", "rank", "score", "messages"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)
KEYS = ["prompt", "chosen", "rejected", "messages", "responses", "answers", "ranks", "ranking", "input", "history"]


@settings(deadline=None, max_examples=150)
@given(st.dictionaries(st.sampled_from([*KEYS, "preferred_output", "non_preferred_output"]), VALUES))
def test_no_row_of_strange_values_breaks_the_reader(row: dict[str, Any]) -> None:
    assert isinstance(parsed(row), Row | BadRow)


@pytest.mark.parametrize("name", [shared("hh_rlhf/test.jsonl.gz")])
def test_hh_rlhf_is_read_but_for_transcripts_that_are_cut_or_broken(name: str) -> None:
    """9 of 2,312 have two answers in a row (a turn that begins in the middle of a line), 4 an empty answer."""
    read = list(read_rows(SHARED / name, "hh"))
    rows = [row for row in read if isinstance(row, Row)]
    bad = [row for row in read if isinstance(row, BadRow)]
    assert (len(rows), len(bad)) == (2299, 13)
    assert sum("has no text" in row.reason for row in bad) == 4
    assert sum("must take turns" in row.reason for row in bad) == 9
    assert {row.format for row in rows} == {"preference_transcripts"}
    lines = gzip.decompress((SHARED / name).read_bytes()).splitlines()
    given = {number: json.loads(line) for number, line in enumerate(lines, 1)}
    for row in rows:
        as_given = given[int(row.source.rpartition(":")[2])]
        turns, other = list(row.messages), row.fields["rejected"]
        assert as_given["chosen"].endswith(turns[-1]["content"]) or as_given["chosen"].strip().endswith(
            turns[-1]["content"]
        )
        assert as_given["rejected"].strip().endswith(other[-1]["content"])
        learnt = [turn for turn in turns if turn["role"] == "assistant" and turn.get("weight", 1)]
        assert learnt[-1] is turns[-1]
        assert len("".join(turn["content"] for turn in turns)) < len(as_given["chosen"])


@pytest.mark.parametrize("name", [shared("llamafactory/dpo_en_demo.json")])
def test_llama_factorys_pairs_are_all_read(name: str) -> None:
    read = list(read_rows(SHARED / name, "dpo"))
    given = json.loads((SHARED / name).read_text())
    assert len(read) == len(given) == 300
    for row, pair in zip(read, given, strict=True):
        assert isinstance(row, Row), row
        assert row.messages[-1]["content"].strip() == pair["chosen"]["value"].strip()
        assert row.fields["rejected"][-1]["content"].strip() == pair["rejected"]["value"].strip()
        assert len(row.messages) == len(pair["conversations"]) + 1


def test_prompt_and_answers_are_those_that_trl_extracts() -> None:
    """TRL 1.16's extract_prompt on the same pairs, as conversations: our own and all of hh-rlhf where it is there."""
    from trl.data_utils import extract_prompt

    start = [SYSTEM, ASKED, GOOD, {"role": "user", "content": "And blue?"}]
    pairs = [({"chosen": [*start, GOOD], "rejected": [*start, BAD]})]
    pairs += [
        {"chosen": [*start, *tail], "rejected": [*start, BAD]}
        for tail in ([GOOD, ASKED, BAD], [BAD | {"content": "x"}])
    ]
    read = [good(pair) for pair in pairs]
    hh = SHARED / "hh_rlhf/test.jsonl.gz"
    read += [row for row in read_rows(hh, "hh") if isinstance(row, Row)] if hh.is_file() else []
    for row in read:
        turns = [{"role": turn["role"], "content": turn["content"]} for turn in row.messages]
        at = next(n for n, turn in enumerate(row.messages) if turn["role"] == "assistant" and turn.get("weight", 1))
        found = extract_prompt({"chosen": turns, "rejected": [*turns[:at], *row.fields["rejected"]]})
        assert found == {"prompt": turns[:at], "chosen": turns[at:], "rejected": row.fields["rejected"]}
