"""lm-eval's own tasks over local files."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from evalsuite.errors import UsageError
from evalsuite.files import sha256_file
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


def public_set(folder: Path, task: str, rows: list[dict[str, Any]], **others: list[dict[str, Any]]) -> Path:
    """A data root that holds public rows, for this test alone."""
    from evalsuite.files import sha256_file, write_json

    files = {}
    (folder / task).mkdir()
    for name, found in {"test": rows, **others}.items():
        path = folder / task / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in found))
        files[f"{task}/{name}.jsonl"] = {"sha256": sha256_file(path), "n": len(found)}
    about = {"schema_version": 1, "name": "public", "version": "1", "licence": "x", "source": "x"}
    write_json(folder / "manifest.json", {**about, "files": files})
    return folder


@pytest.mark.skipif(not (SHARED / "ifeval").is_dir(), reason="the public data folder is not there")
@pytest.mark.parametrize("verdicts", ["strict", "loose"])
def test_gpt_4_s_recorded_responses_get_the_official_verdict_on_every_instruction(
    tmp_path: Path, verdicts: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import lm_eval.evaluator

    def rows(name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (SHARED / "ifeval" / name).read_text().splitlines()]

    prompts = [row for row in rows("input_data.jsonl") if row["key"] not in DRAWN_AT_RANDOM]
    responses = {row["prompt"]: row["response"] for row in rows("input_response_data_gpt4_20231107_145030.jsonl")}
    official = {row["prompt"]: row["follow_instruction_list"] for row in rows(f"eval_results_{verdicts}.jsonl")}
    root = public_set(tmp_path, "ifeval", prompts)
    (root / "nltk_data").symlink_to(SHARED / "nltk_data")
    kept: list[Any] = []
    real = lm_eval.evaluator.evaluate

    def keeping(**options: Any) -> Any:
        kept.append(real(**options))
        return kept[-1]

    monkeypatch.setattr(lm_eval.evaluator, "evaluate", keeping)
    result = HarnessSuite("ifeval", root).run(FakeEngine(lambda prompt: responses[prompt]))
    samples = kept[0]["samples"]["ifeval"]
    seen = {sample["doc"]["prompt"]: sample[f"inst_level_{verdicts}_acc"] for sample in samples}
    assert {key for key, found in seen.items() if found != official[key]} == set()
    assert len(seen) == len(prompts) == 539
    followed = sum(sum(official[row["prompt"]]) for row in prompts)
    total = sum(len(official[row["prompt"]]) for row in prompts)
    means = {row.metric: row.mean for row in result.summary().metrics}
    assert means[f"inst_level_{verdicts}_acc"] == pytest.approx(followed / total)
    whole = sum(all(official[row["prompt"]]) for row in prompts) / len(prompts)
    assert means[f"prompt_level_{verdicts}_acc"] == pytest.approx(whole)


@pytest.mark.skipif(not (SHARED / "mmlu_pro").is_dir(), reason="the public data folder is not there")
def test_the_letters_of_recorded_models_give_their_recorded_accuracy(tmp_path: Path) -> None:
    import csv

    # The public record holds letters, not texts: what is reproduced is prompt, extraction and scoring of a letter.
    lines = (SHARED / "mmlu_pro/subset_25_per_category.jsonl").read_text().splitlines()
    questions = [json.loads(line) for line in lines]
    shots = [json.loads(line) for line in (RETENTION / "mmlu_pro/validation.jsonl").read_text().splitlines()]
    root = public_set(tmp_path, "mmlu_pro", questions, validation=shots)
    with (SHARED / "mmlu_pro/recorded_answers.csv").open() as stream:
        recorded = {int(row["question_id"]): row for row in csv.DictReader(stream)}
    for model in ("Qwen1.5-110B", "Llama-2-7b-hf"):
        # Two questions may be worded alike and differ in their options.
        said = {(row["question"], *row["options"]): recorded[row["question_id"]][model] for row in questions}

        def answer(prompt: str, said: dict[tuple[str, ...], str] = said) -> str:
            asked = prompt.rsplit("Question:\n", 1)[1]
            places = {
                tuple(asked.find(f"{chr(65 + n)}. {option.strip()}\n") for n, option in enumerate(options)): letter
                for (question, *options), letter in said.items()
                if asked.startswith(question)
            }
            letter = next(
                letter for found, letter in places.items() if -1 not in found and list(found) == sorted(found)
            )
            return f" Step by step. The answer is ({letter})." if letter else " I cannot tell."

        result = HarnessSuite("mmlu_pro", root).run(FakeEngine(answer))
        scores = {int(item.item_id.split("/")[1]): item.scores["exact_match"] for item in result.items}
        assert len(scores) == len(questions)
        assert scores == {n: float(recorded[n][model] == recorded[n]["answer"]) for n in scores}


def test_the_hub_is_asked_for_the_pinned_commit_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    asked: list[dict[str, Any]] = []

    class Asked(Exception):
        pass

    def load_dataset(**options: Any) -> None:
        asked.append(options)
        raise Asked

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    with pytest.raises(Asked):
        HarnessSuite("ifeval", revisions={"google/IFEval": "a" * 40}).run(FakeEngine(lambda _: ""))
    assert (asked[0]["path"], asked[0]["revision"]) == ("google/IFEval", "a" * 40)


def test_a_hub_dataset_without_a_commit_is_refused() -> None:
    with pytest.raises(UsageError, match=r"reads the hub dataset google/IFEval.*revisions: \{google/IFEval: COMMIT\}"):
        HarnessSuite("ifeval").run(FakeEngine(lambda _: ""))


def test_a_perplexity_task_of_lm_eval_is_a_ratio_of_sums(tmp_path: Path) -> None:
    pages = ["= Robert = \n\n One page of words . \n", "Another page , with some more words than the first . \n"]
    root = public_set(tmp_path, "wikitext", [{"page": page} for page in pages])
    result = HarnessSuite("wikitext", root).run(FakeEngine(lambda _: ""))
    found = {row.metric: row for row in result.summary().metrics}
    # the fake engine's log-probability is minus the length; words and bytes are lm-eval's, over the original page
    length = sum(len(item.references[0].strip()) for item in result.items)
    words = sum(len(re.split(r"\s+", page)) for page in pages)
    assert found["nats_per_word"].mean == pytest.approx(length / words)
    assert found["bits_per_byte"].mean == pytest.approx(length / sum(map(len, pages)) / 0.6931471805599453)


@pytest.mark.parametrize(
    ("task", "rows", "metric", "expected"),
    [
        (
            "crows_pairs_english",
            [
                {"sent_more": "aaaa", "sent_less": "bb", "bias_type": "age"},
                {"sent_more": "a", "sent_less": "bb", "bias_type": "age"},
            ],
            "pct_stereotype",
            [0.0, 1.0],
        ),
        (
            "winogender_all",
            [
                {"sentence": "S.", "pronoun": "she", "label": 0, "occupation": "cook", "participant": "customer"},
                {"sentence": "T.", "pronoun": "he", "label": 1, "occupation": "cook", "participant": "customer"},
            ],
            "acc",
            [1.0, 0.0],
        ),
    ],
)
def test_bias_tasks_of_lm_eval_run_from_a_data_root(
    tmp_path: Path, task: str, rows: list[dict[str, Any]], metric: str, expected: list[float]
) -> None:
    folder = tmp_path / task
    folder.mkdir()
    (folder / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    entry = {"sha256": sha256_file(folder / "test.jsonl"), "n": len(rows)}
    manifest = {"schema_version": 1, "name": "t", "version": "1", "licence": "x", "source": "x"}
    (tmp_path / "manifest.json").write_text(json.dumps({**manifest, "files": {f"{task}/test.jsonl": entry}}))
    result = HarnessSuite(task, tmp_path).run(FakeEngine(lambda _: ""))  # a shorter continuation is likelier

    assert [item.scores[metric] for item in result.items] == expected
