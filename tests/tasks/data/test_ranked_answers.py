"""Which of several answers is preferred, by ranks and scores as data sets have them."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tasks.data.rows import good, reason

TEXTS = ["one", "two", "three"]


def picked(**row: Any) -> tuple[str, str]:
    """The preferred and the rejected answer."""
    found = good({"prompt": "Count.", **row})
    return found.messages[-1]["content"], found.fields["rejected"][-1]["content"]


def entries(key: str, *values: Any) -> list[dict[str, Any]]:
    return [{"text": text, key: value} for text, value in zip(TEXTS, values, strict=True)]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"responses": entries("rank", 2, 1, 3)}, ("two", "three")),
        ({"responses": entries("rank", 1, 0, 2)}, ("two", "three")),
        ({"responses": entries("score", 2, 1, 3)}, ("three", "two")),
        ({"answers": entries("rating", -2, 0.5, 0)}, ("two", "one")),
        ({"responses": TEXTS, "ranks": [2, 1, 3]}, ("two", "three")),
        ({"responses": TEXTS, "rank": [2, 1, 3]}, ("two", "three")),
        ({"completions": TEXTS, "scores": [2, 1, 3]}, ("three", "two")),
        ({"generations": TEXTS, "ratings": [0.1, 0.1, 3]}, ("three", "one")),
        ({"responses": TEXTS, "ranking": [1, 2, 3]}, ("one", "three")),
        ({"responses": TEXTS, "ranking": [1.0, 2.0, 3]}, ("one", "three")),
        ({"responses": TEXTS, "scores": [int("1" * 400), 1, 2]}, ("one", "two")),
        ({"responses": TEXTS, "scores": [9007199254740993, 9007199254740992, 1]}, ("one", "three")),
        ({"responses": TEXTS, "ranking": [0, 1, 2]}, ("one", "three")),
        ({"responses": TEXTS, "ranking": [1, 2, 2]}, ("one", "two")),
        ({"responses": entries("rank", 2, 1, 3), "scores": [5, 9, 1]}, ("two", "three")),
        ({"responses": [[{"role": "assistant", "content": "a"}], "b"], "scores": [2, 1]}, ("a", "b")),
    ],
)
def test_the_best_is_preferred_and_the_worst_rejected(row: dict[str, Any], expected: tuple[str, str]) -> None:
    assert picked(**row) == expected


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"responses": entries("rank", 1, 1, 2)}, "rank of responses: 2 answers share the best place: a tie"),
        ({"responses": TEXTS, "scores": [1, 1, 1]}, "scores: 3 answers share the best place"),
        ({"responses": TEXTS, "scores": [1, float("nan"), 3]}, "scores, entry 1, is nan, expected a finite number"),
        ({"responses": TEXTS, "ranking": [float("inf"), 1, 2]}, "ranking, entry 0, is inf, expected a finite number"),
        ({"responses": TEXTS, "ranking": [1.9, 1.2, 3]}, "ranking, entry 0, is 1.9, expected a whole number"),
        ({"responses": TEXTS}, "responses says of no answer how good it is"),
        ({"responses": TEXTS[:1], "scores": [1]}, "responses has 1 entries, expected two or more"),
        ({"responses": TEXTS, "scores": [1, 2]}, "scores has 2 entries, expected a list with a number for each of 3"),
        ({"responses": TEXTS, "scores": 5}, "scores has a number, expected a list"),
        ({"responses": TEXTS, "scores": [1, None, 3]}, "scores, entry 1, is null, expected a number"),
        ({"responses": TEXTS, "scores": [1, True, 3]}, "scores, entry 1, is true, expected a number"),
        ({"responses": entries("score", 1, "2", 3)}, "score of responses, entry 1, is text, expected a number"),
        ({"responses": [*entries("score", 1, 2, 3), "four"]}, "score of responses, entry 3, is null"),
        ({"responses": entries("rank", 1, 2, 3), "scores": [1, 2, 3]}, "disagree about the best or the worst"),
        ({"responses": TEXTS, "ranking": [2, 3, 1]}, "ranking may be the place of each answer or the answers in their"),
        ({"responses": [{"rank": 1}, {"rank": 2}]}, "responses entry 0 has no text, expected one of answer"),
        ({"responses": [{"text": "a", "answer": "b"}, "c"]}, "entry 0 has answer and text, expected one of"),
        ({"responses": [{"text": "a", "votes": 3}, "c"], "ranks": [1, 2]}, "unknown key 'votes'"),
        ({"responses": ["a", "a "], "ranks": [1, 2]}, "chosen and rejected are the same"),
    ],
)
def test_answers_of_which_none_is_the_best_are_a_bad_row(row: dict[str, Any], why: str) -> None:
    found = reason({"prompt": "Count.", **row})
    assert re.search(why, found), found


def test_keys_of_answers_that_say_nothing_are_named_once_and_passed_over() -> None:
    row = {"prompt": "p", "completions": [{"response": "a", "overall_score": 2, "critique": "x"}, "b"]}
    row["completions"][1] = {"response": "b", "overall_score": 1, "critique": "y"}  # type: ignore[index]
    assert reason(row) == "unknown key 'critique'"
    assert good(row, ignore_keys=frozenset(["critique"])).messages[-1]["content"] == "a"


@given(st.permutations(range(1, 6)))
def test_a_list_that_can_be_read_in_two_ways_is_read_only_where_both_agree(places: list[int]) -> None:
    answers = [f"answer {number}" for number in range(1, 6)]
    by_place = answers[places.index(1)], answers[places.index(5)]
    by_order = answers[places[0] - 1], answers[places[-1] - 1]
    row = {"responses": answers, "ranking": places}
    if by_place == by_order:
        assert picked(**row) == by_place
    else:
        assert "write ranks" in reason({"prompt": "p", **row})
