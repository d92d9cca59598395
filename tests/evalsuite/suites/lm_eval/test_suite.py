"""lm-eval's own tasks over local files."""

import io
import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evalsuite.core.errors import StageError, UsageError
from evalsuite.core.files import sha256_file
from evalsuite.engines.base import Loglikelihood
from evalsuite.items.results import read_items
from evalsuite.suites.lm_eval.suite import HarnessSuite
from evalsuite.testing import FakeEngine
from tests.hub import COMMIT, serving_hub, use_hub

RETENTION = Path(__file__).parents[4] / "golden_sets/retention"
SHARED = Path(__file__).parents[5] / "shared" / "data"
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
    from evalsuite.core.files import sha256_file, write_json

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
def test_texts_with_the_letters_of_13_recorded_models_give_their_recorded_accuracy(tmp_path: Path) -> None:
    import csv

    # The public record holds letters and no texts: what is reproduced is prompt, extraction and scoring of a letter.
    lines = (SHARED / "mmlu_pro/subset_25_per_category.jsonl").read_text().splitlines()
    questions = [json.loads(line) for line in lines][::5]
    with (SHARED / "mmlu_pro/recorded_answers.csv").open() as stream:
        recorded = {int(row["question_id"]): row for row in csv.DictReader(stream)}
    models = [name for name in recorded[70] if name not in ("question_id", "category", "answer")]
    assert len(models) == 13
    rows = [
        {
            **row,
            "question_id": len(recorded) * (number + 1) + place,
            "question": f"({number}/{place}) {row['question']}",
        }
        for number in range(13)
        for place, row in enumerate(questions)
    ]
    shots = [json.loads(line) for line in (RETENTION / "mmlu_pro/validation.jsonl").read_text().splitlines()]
    endings = [" The answer is ({}).", " So the answer is {}.", "\n\nThe answer is ({}), and not (A) or (B)."]

    def answer(prompt: str) -> str:
        number, place = map(int, re.findall(r"Question:\n\((\d+)/(\d+)\) ", prompt)[-1])
        letter = recorded[questions[place]["question_id"]][models[number]]
        told = endings[place % len(endings)].format(letter) if letter else " I cannot tell which answer is right."
        return f" A: Let's think (J) step by step. {told}"

    root = public_set(tmp_path, "mmlu_pro", rows, validation=shots)
    result = HarnessSuite("mmlu_pro", root).run(FakeEngine(answer))
    assert len(result.items) == len(rows)
    found: dict[str, list[float]] = {}
    expected: dict[str, list[float]] = {}
    for item in result.items:
        number, place = divmod(int(item.item_id.split("/")[1]) - len(recorded), len(recorded))
        right = recorded[questions[place]["question_id"]]
        found.setdefault(models[number], []).append(item.scores["exact_match"])
        expected.setdefault(models[number], []).append(float(right[models[number]] == right["answer"]))
    assert found == expected
    assert len({sum(scores) for scores in found.values()}) > 5


def as_on_the_hub(task: str) -> dict[str, bytes]:
    """The retention set's rows in the form in which the public dataset is stored."""
    if task == "ifeval":
        return {"ifeval_input_data.jsonl": (RETENTION / "ifeval/test.jsonl").read_bytes()}
    files = {"README.md": b"---\nconfigs:\n- config_name: default\n  data_files:\n"}
    for split in ("test", "validation"):
        rows = [json.loads(line) for line in (RETENTION / f"mmlu_pro/{split}.jsonl").read_text().splitlines()]
        table = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows), table)
        files[f"data/{split}-00000-of-00001.parquet"] = table.getvalue()
        files["README.md"] += f"  - split: {split}\n    path: data/{split}-*\n".encode()
    files["README.md"] += b"---\n"
    return files


@pytest.mark.parametrize(
    ("task", "dataset", "chat"), [("ifeval", "google/IFEval", True), ("mmlu_pro", "TIGER-Lab/MMLU-Pro", False)]
)
def test_a_dataset_of_the_hub_gives_what_the_same_rows_in_local_files_give_and_the_hub_is_asked_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: str, dataset: str, chat: bool
) -> None:
    import nltk
    from datasets import config

    monkeypatch.setattr(nltk.data, "path", [str(RETENTION / "nltk_data")])
    monkeypatch.setattr(config, "HF_DATASETS_CACHE", tmp_path / "prepared")
    local = HarnessSuite(task, RETENTION, limit=1, apply_chat_template=chat).run(FakeEngine(lambda _: "(A)"))
    revisions = {dataset: COMMIT}
    with serving_hub({f"datasets/{dataset}": as_on_the_hub(task)}) as endpoint:
        use_hub(monkeypatch, tmp_path / "hub", endpoint)
        HarnessSuite(task, limit=1, revisions=revisions)._load_tasks()
    use_hub(monkeypatch, tmp_path / "hub")
    result = HarnessSuite(task, limit=1, apply_chat_template=chat, revisions=revisions).run(FakeEngine(lambda _: "(A)"))
    assert [(item.item_id, item.prompt, item.scores) for item in result.items] == [
        (item.item_id, item.prompt, item.scores) for item in local.items
    ]
    assert f"{dataset}@{COMMIT[:12]}" in result.info.suite_version


def test_a_hub_that_does_not_answer_is_found_out_before_lm_eval_asks_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets
    import nltk

    monkeypatch.setattr(nltk.data, "path", [str(RETENTION / "nltk_data")])
    monkeypatch.setattr(datasets, "load_dataset", lambda **_: pytest.fail("lm-eval asked the hub"))
    use_hub(monkeypatch, tmp_path)
    with pytest.raises(StageError, match=r"suite ifeval .*dataset google/IFEval at commit a{12} .*data_root"):
        HarnessSuite("ifeval", revisions={"google/IFEval": "a" * 40}).run(FakeEngine(lambda _: ""))


def test_ifeval_without_its_sentence_splitter_is_refused_and_not_left_unscored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import nltk

    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    monkeypatch.setattr(nltk, "download", lambda *_, **__: False)
    snapshot = tmp_path / "datasets--google--IFEval/snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot / "rows.jsonl").write_text("{}")
    use_hub(monkeypatch, tmp_path)
    with pytest.raises(StageError, match=r"needs NLTK's tokenizers/punkt_tab.*set NLTK_DATA"):
        HarnessSuite("ifeval", revisions={"google/IFEval": COMMIT}).run(FakeEngine(lambda _: ""))


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


def forgetful(_: str, sentence: str) -> float | Loglikelihood:
    """Leaves sentences of three letters or more without an answer."""
    return Loglikelihood(float("-inf"), False, "too long") if len(sentence) >= 3 else -float(len(sentence))


def test_a_sentence_that_was_not_asked_leaves_its_own_item_unscored_alone(tmp_path: Path) -> None:
    pairs = [("a", "bb"), ("aaaa", "b"), ("aa", "b")]
    rows = [{"sent_more": more, "sent_less": less, "bias_type": "age"} for more, less in pairs]
    root = public_set(tmp_path, "crows_pairs_english", rows)
    result = HarnessSuite("crows_pairs_english", root).run(FakeEngine({}, forgetful))
    assert [item.unscored for item in result.items] == [None, "too long", None]
    assert [item.scores.get("pct_stereotype") for item in result.items] == [1.0, None, 0.0]


def test_documents_whose_ids_repeat_are_told_apart_by_their_places(tmp_path: Path) -> None:
    rows = [{"sent_more": "a", "sent_less": "bb", "bias_type": "age", "id": 7} for _ in range(2)]
    root = public_set(tmp_path, "crows_pairs_english", rows)
    result = HarnessSuite("crows_pairs_english", root).run(FakeEngine(lambda _: ""))
    assert [item.item_id for item in result.items] == ["crows_pairs_english/0", "crows_pairs_english/1"]


@pytest.mark.parametrize("task", ["crows_pairs_english", "winogender_all", "mmlu_pro", "ifeval"])
def test_rows_of_another_dataset_are_one_clear_error(tmp_path: Path, task: str) -> None:
    root = public_set(tmp_path, task, [{"question": "Who?"}], validation=[{"question": "Who?"}])
    with pytest.raises(UsageError, match=f"{task}: lm-eval's task cannot read a row .*the public dataset's fields"):
        HarnessSuite(task, root).run(FakeEngine(lambda _: ""))


def test_a_missing_file_of_examples_for_the_prompts_is_named(tmp_path: Path) -> None:
    row = {"question_id": 1, "question": "Who?", "options": ["I", "You"], "answer": "A", "answer_index": 0}
    row |= {"cot_content": "", "category": "math", "src": ""}
    root = public_set(tmp_path, "mmlu_pro_math", [row])
    with pytest.raises(UsageError, match=r"has no validation\.jsonl, from which .*takes the examples of its prompts"):
        HarnessSuite("mmlu_pro_math", root).run(FakeEngine(lambda _: ""))


def test_an_answer_on_which_lm_eval_s_scorer_fails_is_unscored_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"sent_more": "a" * n, "sent_less": "bb", "bias_type": "age"} for n in (1, 2, 3)]
    suite = HarnessSuite("crows_pairs_english", public_set(tmp_path, "crows_pairs_english", rows))
    real = suite._load_tasks()["tasks"]["crows_pairs_english"].config.process_results

    def dividing(document: dict[str, Any], results: Any) -> Any:
        1 / (len(document["sent_more"]) - 2)
        return real(document, results)

    load = suite._load_tasks

    def loaded() -> Any:
        tasks = load()
        tasks["tasks"]["crows_pairs_english"].config.process_results = dividing
        return tasks

    monkeypatch.setattr(suite, "_load_tasks", loaded)
    result = suite.run(FakeEngine(lambda _: ""))
    assert [item.unscored for item in result.items] == [None, "lm-eval's scorer failed on this answer", None]
    assert {item.metrics for item in result.items} == {("likelihood_diff", "pct_stereotype")}
    assert [row.unscored for row in result.summary().metrics] == [1, 1]


HOSTILE = ["", "\x00", "\ufeff\u202e", "<script>" * 200, "* " * 3000, "{" * 3000, "a" * 20_000, "\n" * 500, "\u0000 1."]


@pytest.mark.skipif(not (SHARED / "ifeval").is_dir(), reason="the public data folder is not there")
def test_hostile_answers_to_ifeval_get_a_score_or_a_reason(tmp_path: Path) -> None:
    rows = [json.loads(line) for line in (SHARED / "ifeval/input_data.jsonl").read_text().splitlines()]
    places = {row["prompt"]: place for place, row in enumerate(rows)}
    root = public_set(tmp_path, "ifeval", rows)
    (root / "nltk_data").symlink_to(SHARED / "nltk_data")
    result = HarnessSuite("ifeval", root).run(FakeEngine(lambda prompt: HOSTILE[places[prompt] % len(HOSTILE)]))
    assert len(result.items) == len(rows)
    assert all(len(item.scores) == 4 or item.unscored for item in result.items)
    result.write(tmp_path / "out")
    assert read_items(tmp_path / "out/items.parquet") == result.items


def test_metrics_over_all_items_at_once_are_unscored_with_their_reason(tmp_path: Path) -> None:
    rows = [{"sentence": f"The dog number {n} runs.", "label": n % 2, "idx": n} for n in range(4)]

    picky = FakeEngine({}, lambda _, answer: -1.0 if answer.strip() == "no" else -2.0)
    result = HarnessSuite("cola", public_set(tmp_path, "cola", rows, validation=rows)).run(picky)
    assert [item.scores for item in result.items] == [{}] * 4
    (mcc,) = result.summary().metrics
    assert (mcc.metric, mcc.mean, mcc.n, mcc.unscored) == ("mcc", None, 0, 4)
    assert "lm-eval computes mcc from all items at once (matthews_corrcoef)" in (result.items[0].unscored or "")
    assert "matthews_corrcoef" in result.table().reasons["mcc"]


def test_texts_that_lm_eval_logs_for_bleu_end_no_run(tmp_path: Path) -> None:
    rows = [{"translation": {"en": f"House {n}.", "ar": f"Casa {n}."}} for n in range(2)]
    root = public_set(tmp_path, "iwslt2017-en-ar", rows, validation=rows, train=rows)
    result = HarnessSuite("iwslt2017-en-ar", root).run(FakeEngine(lambda _: "Casa."))
    assert {metric.metric: metric.n for metric in result.summary().metrics} == {"bleu": 0, "ter": 0, "chrf": 0}
