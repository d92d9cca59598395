"""Reading and scoring a golden set."""

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pytest

from evalsuite.core.errors import UsageError
from evalsuite.core.files import sha256_file, sha256_json, write_json
from evalsuite.engines.base import Generation, GenerationRequest
from evalsuite.items.results import read_result
from evalsuite.judges.base import JudgeCase, Refusal, Verdict
from evalsuite.suites.golden_set.bertscore import BertScorer
from evalsuite.suites.golden_set.items import GoldenItem, read_golden_items
from evalsuite.suites.golden_set.suite import GoldenSuite
from evalsuite.testing import FakeEngine


def item(number: int, **fields: Any) -> dict[str, Any]:
    base = {
        "id": f"t{number}",
        "messages": [{"role": "user", "content": f"ask {number}"}],
        "references": ['{"q": "a"}'],
        "metrics": ["json_exact"],
    }
    return {**base, **fields}


def write_set(folder: Path, items: list[dict[str, Any]]) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "test.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in items))
    entry = {"sha256": sha256_file(path), "n": len(items)}
    about = {"schema_version": 1, "name": "g", "version": "1", "licence": "x", "source": "x"}
    write_json(folder / "manifest.json", {**about, "files": {"test.jsonl": entry}})
    return folder


def suite(folder: Path, tiny_model: Path) -> GoldenSuite:
    return GoldenSuite(folder, "test", 8, BertScorer(str(tiny_model), 1))


def test_each_item_is_scored_by_its_own_metrics(tmp_path: Path, tiny_model: Path) -> None:
    items = [item(0), item(1), item(2, metrics=["exact_match"], references=["no"], must_pass=["json_schema"])]
    engine = FakeEngine(lambda prompt: '{"q": "a"}' if prompt == "ask 0" else "no")
    result = suite(write_set(tmp_path / "g", items), tiny_model).run(engine)
    assert [entry.scores for entry in result.items] == [
        {"json_exact": 1.0},
        {"json_exact": 0.0},
        {"exact_match": 1.0, "json_schema": 0.0},
    ]
    assert result.items[2].must_pass == ("json_schema",)
    assert engine.prompts == ["ask 0", "ask 1", "ask 2"]


def test_some_items_give_the_results_that_they_have_in_a_run_of_all(tmp_path: Path, tiny_model: Path) -> None:
    items = [item(0), item(1), item(2, metrics=["exact_match"], references=["no"], must_pass=["json_schema"])]
    golden = suite(write_set(tmp_path / "g", items), tiny_model)
    whole = golden.run(FakeEngine(lambda prompt: '{"q": "a"}' if prompt == "ask 0" else "no"))
    engine = FakeEngine(lambda _: "no")
    part = golden.run(engine, only={"t2", "t1"})
    assert part.items == whole.items[1:]
    assert engine.prompts == ["ask 1", "ask 2"]
    fields = ("suite_version", "decoding", "scorers", "prompt_sha256", "chat_template_sha256")
    assert all(getattr(part.info, name) == getattr(whole.info, name) for name in fields)


@pytest.mark.parametrize(("only", "message"), [({"t0", "x"}, "has no item 'x'"), ((), "asked for no item")])
def test_items_that_the_set_lacks_are_refused(
    tmp_path: Path, tiny_model: Path, only: Collection[str], message: str
) -> None:
    golden = suite(write_set(tmp_path / "g", [item(0)]), tiny_model)
    with pytest.raises(UsageError, match=message):
        golden.run(FakeEngine(lambda _: ""), only)


def test_another_reference_makes_another_item(tmp_path: Path, tiny_model: Path) -> None:
    engine = FakeEngine(lambda _: "x")
    one = suite(write_set(tmp_path / "a", [item(0)]), tiny_model).run(engine)
    two = suite(write_set(tmp_path / "b", [item(0, references=['{"q": "b"}'])]), tiny_model).run(engine)
    assert one.info.items_sha256 != two.info.items_sha256
    assert one.info.source == "a/test.jsonl"  # of an absolute path, no folder of this machine


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        pytest.param(item(0), r"test\.jsonl:2: id 't0' is already that of line 1", id="duplicate-id"),
        pytest.param(
            item(1, metrics=["json_exac"]), "unknown metric 'json_exac'; did you mean 'json_exact'", id="metric"
        ),
        pytest.param(item(1, references=[" "]), "a reference is empty", id="empty-reference"),
        pytest.param(
            item(1, references=[]), r"test\.jsonl:2: references = \[\]: expected at least 1 entry", id="no-reference"
        ),
        pytest.param(item(1, colour="red"), r"test\.jsonl:2: unknown key colour", id="unknown-key"),
        pytest.param(
            item(1, metrics=["regex"]), "metric 'regex': pattern is required; parameters: pattern", id="no-pattern"
        ),
        pytest.param(
            item(1, metrics=[{"name": "numeric", "params": {"tolerence": 1}}]),
            "metric 'numeric': unknown key tolerence; did you mean 'tolerance'.*Known here: relative_tolerance",
            id="parameter",
        ),
        pytest.param(item(1, metrics=[{"name": "regex", "params": {"pattern": "("}}]), "not a pattern", id="pattern"),
        pytest.param(item(1, metrics=["json_exact"] * 2), "metric 'json_exact' twice", id="metric-twice"),
        pytest.param(item(1, repeats=3), "repeats: 3 without a temperature", id="greedy-repeats"),
        pytest.param(item(1, repeats=0), r"test\.jsonl:2: repeats", id="no-repeats"),
        pytest.param(item(1, weight=0), r"test\.jsonl:2: weight", id="weight"),
        pytest.param(
            item(1, messages=[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]),
            "the last turn is assistant's",
            id="answered",
        ),
    ],
)
def test_a_bad_item_names_file_and_line(tmp_path: Path, bad: dict[str, Any], message: str) -> None:
    folder = write_set(tmp_path / "g", [item(0), bad])
    with pytest.raises(UsageError, match=message):
        read_golden_items(folder / "test.jsonl")


def test_a_line_that_is_not_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "test.jsonl").write_text(json.dumps(item(0)) + "\n{\n")
    with pytest.raises(UsageError, match=r"test\.jsonl:2: not JSON"):
        read_golden_items(tmp_path / "test.jsonl")


def test_an_empty_set_is_refused(tmp_path: Path) -> None:
    (tmp_path / "test.jsonl").write_text("\n")
    with pytest.raises(UsageError, match="has no items"):
        read_golden_items(tmp_path / "test.jsonl")


def test_bytes_that_are_not_the_manifest_s_are_refused(tmp_path: Path, tiny_model: Path) -> None:
    folder = write_set(tmp_path / "g", [item(0)])
    (folder / "test.jsonl").write_text(json.dumps(item(9)) + "\n")
    with pytest.raises(UsageError, match=r"test\.jsonl has sha256 .* says"):
        suite(folder, tiny_model)


def test_a_set_without_a_manifest_is_refused(tmp_path: Path, tiny_model: Path) -> None:
    folder = write_set(tmp_path / "g", [item(0)])
    (folder / "manifest.json").unlink()
    with pytest.raises(UsageError, match=r"manifest\.json; `ratchet golden new"):
        suite(folder, tiny_model)


def test_earlier_turns_are_given_and_tools_are_text(tmp_path: Path, tiny_model: Path) -> None:
    turns = [
        {"role": "user", "content": "Where is 7?"},
        {"role": "assistant", "content": '<tool_call>{"name": "track", "arguments": {"id": 7}}</tool_call>'},
        {"role": "tool", "content": '{"at": "Bonn"}'},
    ]
    tool = {"name": "track", "parameters": {"id": "integer"}}
    row = item(0, messages=turns, tools=[tool], references=["It is in Bonn."], metrics=["normalized_exact"])
    engine = FakeEngine(lambda _: "it is in Bonn")
    result = suite(write_set(tmp_path / "g", [row]), tiny_model).run(engine)
    assert result.items[0].scores == {"normalized_exact": 1.0}
    system, user, assistant, answer = engine.prompts[0].split("\nWhere")[0], *engine.prompts[0].split("\n")[-5:-2]
    assert '{"name": "track", "parameters": {"id": "integer"}}' in system
    assert (user, assistant) == ("Where is 7?", turns[1]["content"])
    assert answer == "<tool_response>"


class Strict:
    """A judge that knows what it wants, for tests."""

    name = "strict"
    version = "strict 1"

    def judge(self, cases: Sequence[JudgeCase], label: str) -> list[Verdict]:
        kinds: dict[str, bool | None] = {"good": True, "bad": False}
        return [Verdict(kinds.get(case.completion), None, f"read {case.context}") for case in cases]

    def refusals(self, cases: Sequence[JudgeCase], label: str) -> list[Refusal | None]:
        kinds = {"no": Refusal.FULL, "hardly": Refusal.PARTIAL, "yes": Refusal.NONE}
        return [kinds.get(case.completion) for case in cases]


def judged(folder: Path, tiny_model: Path) -> GoldenSuite:
    return GoldenSuite(folder, "test", 8, BertScorer(str(tiny_model), 1), Strict(), Strict())


def test_a_rubric_is_judged_and_no_verdict_is_unscored(tmp_path: Path, tiny_model: Path) -> None:
    rubric = {"name": "judge", "params": {"rubric": "polite"}}
    folder = write_set(tmp_path / "g", [item(n, metrics=[rubric, "exact_match"]) for n in range(3)])
    answers = {"ask 0": "good", "ask 1": "bad", "ask 2": "?"}
    result = judged(folder, tiny_model).run(FakeEngine(answers.__getitem__))
    assert [entry.scores.get("judge") for entry in result.items] == [1.0, 0.0, None]
    assert result.items[2].unscored == "judge: read polite"
    assert result.items[2].scores == {"exact_match": 0.0}
    assert result.info.scorers["judge"] == "strict 1, reasoning 1"
    assert {row.metric: row.unscored for row in result.summary().metrics}["judge"] == 1


def test_a_partial_refusal_passes_neither_way(tmp_path: Path, tiny_model: Path) -> None:
    rows = [item(n, metrics=["refusal_expected", "refusal_not_expected"]) for n in range(4)]
    answers = {"ask 0": "no", "ask 1": "hardly", "ask 2": "yes", "ask 3": "?"}
    result = judged(write_set(tmp_path / "g", rows), tiny_model).run(FakeEngine(answers.__getitem__))
    assert [tuple(entry.scores.values()) for entry in result.items] == [(1.0, 0.0), (0.0, 0.0), (0.0, 1.0), ()]


@pytest.mark.parametrize("metric", ["refusal_expected", {"name": "judge", "params": {"rubric": "polite"}}])
def test_a_set_that_needs_a_judge_is_refused_without_one(tmp_path: Path, tiny_model: Path, metric: Any) -> None:
    folder = write_set(tmp_path / "g", [item(0, metrics=[metric])])
    with pytest.raises(UsageError, match=r"item .t0. is scored by .* judge is configured"):
        suite(folder, tiny_model)


def test_bertscore_passes_at_its_item_s_threshold(tmp_path: Path, tiny_model: Path) -> None:
    rows = [
        item(n, references=["same"], metrics=["bertscore_f1", {"name": "bertscore_pass", "params": {"threshold": t}}])
        for n, t in enumerate([0.9, 0.9, 1e-9])
    ]
    answers = {"ask 0": "same", "ask 1": "", "ask 2": ""}
    result = judged(write_set(tmp_path / "g", rows), tiny_model).run(FakeEngine(answers.__getitem__))
    assert [entry.scores["bertscore_pass"] for entry in result.items] == [1.0, 0.0, 0.0]


def test_an_item_without_parameters_keeps_the_hash_it_had() -> None:
    # results of earlier versions stay comparable: the hash is over messages, references, metrics and must_pass
    row = item(0, must_pass=["json_schema"], slices={"a": "b"})
    wanted = {name: row[name] for name in ("messages", "references", "metrics", "must_pass")}
    assert GoldenItem.model_validate(row).digest() == sha256_json(wanted)


def test_weights_make_a_metric_a_ratio_of_sums(tmp_path: Path, tiny_model: Path) -> None:
    rows = [item(0, weight=3.0, must_pass=["json_exact"]), item(1), item(2, metrics=["exact_match"])]
    engine = FakeEngine(lambda prompt: '{"q": "a"}' if prompt == "ask 0" else "no")
    result = suite(write_set(tmp_path / "g", rows), tiny_model).run(engine)
    means = {row.metric: row.mean for row in result.summary().metrics}
    assert means == {"json_exact": 0.75, "exact_match": 0.0}
    assert result.items[0].value("json_exact") == 1.0
    assert result.items[1].denominators == {"json_exact": 1.0}
    assert result.items[2].denominators == {}


class Sampler(FakeEngine):
    """Answers each sampled request by its place, and keeps what was asked."""

    def __init__(self, texts: Sequence[str]) -> None:
        super().__init__(lambda _: "no")
        self.texts = texts
        self.requests: list[GenerationRequest] = []

    def generate(self, requests: Sequence[GenerationRequest], label: str, on_answer: Any = None) -> list[Generation]:
        self.requests += requests
        return [
            Generation("", 1, 0, False, "too long") if text == "refused" else Generation(text, 1, 2, True)
            for text in self.texts
        ]


REPEATED = item(0, metrics=["exact_match"], references=["yes"], repeats=4, temperature=0.7, must_pass=["exact_match"])


def test_an_item_s_score_is_the_mean_of_its_repeats_and_counts_once(tmp_path: Path, tiny_model: Path) -> None:
    other = item(1, metrics=["exact_match"], references=["yes"])
    engine = Sampler(["yes", "no", "yes", "yes", "no"])
    result = suite(write_set(tmp_path / "g", [REPEATED, other]), tiny_model).run(engine)
    result.write(tmp_path / "out")
    assert read_result(tmp_path / "out").items == result.items
    first, second = result.items
    assert (first.scores, first.num_output_tokens) == ({"exact_match": 0.75}, 8)
    assert [repeat.scores["exact_match"] for repeat in first.repeats] == [1.0, 0.0, 1.0, 1.0]
    assert [repeat.output for repeat in first.repeats] == ["yes", "no", "yes", "yes"]
    assert second.repeats == ()
    (metric,) = result.summary().metrics
    assert (metric.n, metric.mean) == (2, 0.375)
    assert result.info.decoding == {"greedy": False, "max_new_tokens": 8, "sampled_items": 1}


def test_every_repeat_has_its_own_seed_that_more_repeats_do_not_change(tmp_path: Path, tiny_model: Path) -> None:
    asked = []
    for repeats in (4, 6):
        engine = Sampler(["yes"] * 2 * repeats)
        rows = [{**REPEATED, "id": name, "repeats": repeats} for name in ("a", "b")]
        suite(write_set(tmp_path / "g", rows), tiny_model).run(engine)
        asked.append(engine.requests)
    assert len({request.seed for request in asked[0]}) == 8
    assert {request.temperature for request in asked[0]} == {0.7}
    assert asked[1][:4] == asked[0][:4]


def test_an_item_with_a_repeat_that_was_not_answered_is_unscored(tmp_path: Path, tiny_model: Path) -> None:
    engine = Sampler(["yes", "refused", "yes", "yes"])
    (scored,) = suite(write_set(tmp_path / "g", [REPEATED]), tiny_model).run(engine).items
    assert scored.scores == {}
    assert scored.unscored == "1 of 4 repeats: too long"
