"""lm-eval's own tasks over local files."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from evalsuite.errors import UsageError
from evalsuite.suites.harness import HarnessSuite
from tests.evalsuite.suites.fake_engine import FakeEngine

RETENTION = Path(__file__).parents[3] / "golden_sets/retention"
SHARED = Path(__file__).parents[4] / "shared" / "data"
DRAWN_AT_RANDOM = {1122, 1129}
"""IFEval keys whose checker draws a letter when the instruction names a non-letter."""


def answers() -> dict[str, str]:
    rows = [json.loads(line) for line in (RETENTION / "mmlu_pro/test.jsonl").read_text().splitlines()]
    return {row["question"]: row["answer"] for row in rows}


@pytest.fixture(scope="module")
def mmlu_pro() -> tuple[Any, FakeEngine]:
    letters = answers()

    def answer(prompt: str) -> str:
        question = re.findall(r"Question:\n(.*)\nOptions:", prompt)[-1]
        return f" It is so. The answer is ({letters[question]})." if "law" in prompt[:90] else " I do not know."

    engine = FakeEngine(answer)
    return HarnessSuite("mmlu_pro", RETENTION, max_new_tokens=16).run(engine), engine


def test_mmlu_pro_is_scored_item_by_item_by_lm_eval(mmlu_pro: tuple[Any, FakeEngine]) -> None:
    result, _ = mmlu_pro
    assert len(result.items) == 154
    by_category = {item.slices["category"]: item.scores["exact_match"] for item in result.items}
    assert by_category.pop("law") == 1.0
    assert set(by_category.values()) == {0.0}
    assert len({item.item_id for item in result.items}) == 154


def test_mmlu_pro_prompts_hold_five_worked_examples(mmlu_pro: tuple[Any, FakeEngine]) -> None:
    _, engine = mmlu_pro
    assert {prompt.count("Question:\n") for prompt in engine.prompts} == {6}
    assert {prompt.count("The answer is (") for prompt in engine.prompts} == {5}


def test_some_items_get_the_prompts_hashes_and_scores_that_they_have_in_a_run_of_all(
    mmlu_pro: tuple[Any, FakeEngine],
) -> None:
    whole, all_prompts = mmlu_pro
    wanted = [whole.items[at] for at in (3, 20, 21, 150)]
    engine = FakeEngine(all_prompts.answer)
    suite = HarnessSuite("mmlu_pro", RETENTION, max_new_tokens=16)
    for part in (wanted[:1], wanted[2:0:-1], wanted):
        result = suite.run(engine, only={item.item_id for item in part})
        assert sorted(result.items, key=lambda item: item.item_id) == sorted(part, key=lambda item: item.item_id)
        assert (result.info.suite_version, result.info.scorers) == (whole.info.suite_version, whole.info.scorers)
    assert len(engine.prompts) == 1 + 2 + 4
    with pytest.raises(UsageError, match="has no item 'mmlu_pro_law/none'"):
        suite.run(engine, only={"mmlu_pro_law/none", wanted[0].item_id})


def test_ifeval_verdicts_are_lm_eval_s() -> None:
    result = HarnessSuite("ifeval", RETENTION, apply_chat_template=True).run(FakeEngine(lambda _: "One, two."))
    scores = {item.item_id: item.scores for item in result.items}
    assert len(scores) == 100
    assert scores["ifeval/5001"]["prompt_level_strict_acc"] == 0.0  # no commas were asked for
    short = next(item for item in result.items if "fewer than 15 words and do not use the word animal" in item.prompt)
    assert short.value("inst_level_strict_acc") == 1.0
    half = next(item for item in result.items if item.prompt.startswith("What is ice?"))
    assert (half.scores["inst_level_strict_acc"], half.denominators["inst_level_strict_acc"]) == (1.0, 2.0)


def test_the_same_answers_give_the_same_scores_twice() -> None:
    runs = [HarnessSuite("ifeval", RETENTION).run(FakeEngine(lambda _: "SOME WORDS HERE")) for _ in range(2)]
    assert [item.scores for item in runs[0].items] == [item.scores for item in runs[1].items]


def test_an_unknown_task_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"has no task 'mmlu_prof'; nearest: .*mmlu_pro"):
        HarnessSuite("mmlu_prof").run(FakeEngine(lambda _: ""))


def test_a_data_root_without_the_task_lists_what_it_has() -> None:
    with pytest.raises(UsageError, match="tasks there: ifeval, mmlu_pro"):
        HarnessSuite("gsm8k", RETENTION)


@pytest.mark.skipif(not (SHARED / "ifeval").is_dir(), reason="the public data folder is not there")
def test_gpt_4_s_recorded_responses_get_their_official_verdicts(tmp_path: Path) -> None:
    from evalsuite.files import sha256_file, write_json

    def rows(name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (SHARED / "ifeval" / name).read_text().splitlines()]

    prompts = [row for row in rows("input_data.jsonl") if row["key"] not in DRAWN_AT_RANDOM]
    responses = {row["prompt"]: row["response"] for row in rows("input_response_data_gpt4_20231107_145030.jsonl")}
    official = {row["prompt"]: row["follow_instruction_list"] for row in rows("eval_results_strict.jsonl")}
    (tmp_path / "ifeval").mkdir()
    path = tmp_path / "ifeval/test.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in prompts))
    entry = {"ifeval/test.jsonl": {"sha256": sha256_file(path), "n": len(prompts)}}
    about = {"schema_version": 1, "name": "i", "version": "1", "licence": "x", "source": "x"}
    write_json(tmp_path / "manifest.json", {**about, "files": entry})
    (tmp_path / "nltk_data").symlink_to(SHARED / "nltk_data")
    result = HarnessSuite("ifeval", tmp_path).run(FakeEngine(lambda prompt: responses[prompt]))
    wrong = [
        item.item_id
        for item in result.items
        if item.value("inst_level_strict_acc") != sum(official[item.prompt]) / len(official[item.prompt])
    ]
    # langdetect's draws differ from the recorded run's; everything else must agree
    assert len(wrong) <= 0.01 * len(prompts), wrong
    followed = [each for prompt in prompts for each in official[prompt["prompt"]]]
    summary = next(each for each in result.summary().metrics if each.metric == "inst_level_strict_acc")
    assert summary.denominator == len(followed)
    assert summary.mean == pytest.approx(sum(followed) / len(followed), abs=0.004)
