"""The retention set against the schemas and the checkers that read it."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from evalsuite.suites.golden_set.items import read_set_manifest

FOLDER = Path(__file__).parents[2] / "golden_sets/retention"


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FOLDER / name).read_text().splitlines()]


def test_the_manifest_names_these_bytes() -> None:
    assert {name: entry.n for name, entry in read_set_manifest(FOLDER).files.items()} == {
        "mmlu_pro/validation.jsonl": 70,
        "mmlu_pro/test.jsonl": 154,
        "ifeval/test.jsonl": 100,
    }


@pytest.mark.parametrize(("name", "each"), [("mmlu_pro/test.jsonl", 11), ("mmlu_pro/validation.jsonl", 5)])
def test_every_category_of_mmlu_pro_has_its_questions(name: str, each: int) -> None:
    counts = Counter(row["category"] for row in rows(name))
    assert len(counts) == 14
    assert set(counts.values()) == {each}


@pytest.mark.parametrize("name", ["mmlu_pro/test.jsonl", "mmlu_pro/validation.jsonl"])
def test_the_letter_is_the_index_and_options_differ(name: str) -> None:
    for row in rows(name):
        assert "ABCDEFGHIJ".index(row["answer"]) == row["answer_index"]
        assert len(set(row["options"])) == len(row["options"])
    letters = Counter(row["answer"] for row in rows(name))
    assert max(letters.values()) - min(letters.values()) <= 1


def test_every_few_shot_answer_ends_with_its_letter() -> None:
    for row in rows("mmlu_pro/validation.jsonl"):
        assert row["cot_content"].startswith("A: Let's think step by step. ")
        assert row["cot_content"].endswith(f"The answer is ({row['answer']}).")


def test_ids_are_unique() -> None:
    ids = [row["question_id"] for name in ("test", "validation") for row in rows(f"mmlu_pro/{name}.jsonl")]
    assert len(set(ids)) == len(ids)


@pytest.fixture(scope="module")
def checkers() -> Any:
    import nltk

    nltk.data.path.append(str(FOLDER / "nltk_data"))
    from langdetect import DetectorFactory

    DetectorFactory.seed = 0
    from lm_eval.tasks.ifeval import instructions_registry

    return instructions_registry.INSTRUCTION_DICT


def test_lm_eval_knows_every_instruction_and_its_arguments(checkers: Any) -> None:
    for row in rows("ifeval/test.jsonl"):
        for name, arguments in zip(row["instruction_id_list"], row["kwargs"], strict=True):
            assert checkers[name](name).build_description(**arguments)


ANSWERS = [
    ("punctuation:no_comma", {}, "The sea is blue.", "The sea, it is blue."),
    (
        "change_case:english_lowercase",
        {},
        "the apple and the pear are both fruits that i like",
        "The Apple and the pear are both fruits",
    ),
    ("change_case:english_capital", {}, "THE CAPITAL OF SPAIN IS MADRID.", "Hello my dear friend, how are you?"),
    ("startend:quotation", {}, '"Hello"', "Hello"),
    ("startend:end_checker", {"end_phrase": "That is all."}, "It is round. That is all.", "That is all. Or not"),
    ("keywords:existence", {"keywords": ["dog"]}, "A dog runs.", "A cat runs."),
    ("keywords:forbidden_words", {"forbidden_words": ["hot"]}, "It shines.", "It is hot."),
    (
        "length_constraints:number_words",
        {"relation": "less than", "num_words": 5},
        "It is ice.",
        "It is ice on a lake.",
    ),
    ("detectable_format:title", {}, "<<The Dragon>>", "The Dragon"),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "* cat\n* dog", "cat, dog"),
]


@pytest.mark.parametrize(("name", "arguments", "right", "wrong"), ANSWERS, ids=[entry[0] for entry in ANSWERS])
def test_a_checker_tells_right_from_wrong(
    checkers: Any, name: str, arguments: dict[str, Any], right: str, wrong: str
) -> None:
    checker = checkers[name](name)
    checker.build_description(**arguments)
    assert checker.check_following(right)
    assert not checker.check_following(wrong)
