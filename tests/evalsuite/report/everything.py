"""Report data with every part that a run can leave: safety, bias, a judge, contamination, data, a champion, a past."""

import dataclasses
import functools
from datetime import UTC, datetime
from typing import Any

import numpy as np

from evalsuite.comparison.methods import MethodEvidence, ModelEvidence, compare_methods
from evalsuite.comparison.rows import MethodChoice
from evalsuite.contamination.overlap import (
    ContaminationReport,
    ItemFinding,
    SuiteFinding,
    clean_report,
    clean_result,
)
from evalsuite.gate.decide import decide
from evalsuite.gate.policy import GatePolicy
from evalsuite.gate.replay import DataCounts, RunInputs
from evalsuite.items.calibration import Calibration, Judge
from evalsuite.items.results import EvalReport, SuiteResult
from evalsuite.report.data import Command, HistoryLine, Past, PastChampion, PastMetric, ReportData
from evalsuite.testing import make_item, make_result

MODELS = ("base", "champion", "full", "lora")
RULES: list[dict[str, Any]] = [
    {"suite": "golden", "metric": "exact", "kind": "guard", "margin": 0.1},
    {"suite": "harmbench", "metric": "attack_success", "kind": "guard", "margin": 0.3, "direction": "lower"},
]
JUDGE = Judge(
    name="cls", version="v1", calibration=Calibration(judge=(1, 1, 0, 0) * 25, human=(1, 1, 0, 1) * 25, source="people")
)
DIRTY = (3, 4)
"""Numbers of the golden items that training rows give away."""
COUNTS: dict[str, Any] = {
    "sources": {"a.jsonl": "aa", "b.jsonl": "bb"},
    "rows_read": 1200,
    "bad_rows": {"count": 12},
    "dropped": {"near duplicate": {"count": 230}, "too long": {"count": 30}},
    "steps": [
        {"name": "duplicates", "rows_in": 1188, "kept": 958, "dropped": 230},
        {"name": "length", "rows_in": 958, "kept": 928, "dropped": 30, "changed": 2},
    ],
    "splits": {"train": {"rows": 858, "tokens": 61000, "longest": 250}, "dev": {"rows": 70, "tokens": 7000}},
}
BEFORE = {**COUNTS, "rows_read": 1000, "sources": {"a.jsonl": "a0", "c.jsonl": "cc"}, "dropped": {}}


def suites(model: str, right: int) -> dict[str, SuiteResult]:
    """Four suites of one model; ``right`` of 100 golden items, and chances of the others drawn by the model's name."""
    rnd = np.random.default_rng(sum(model.encode()))
    golden = [
        make_item(f"g{i}", {"exact": float(i < right)}, slices={"queue": "even" if i % 2 == 0 else "odd"})
        for i in range(100)
    ]
    harm = [make_item(f"h{i}", {"attack_success": float(rnd.random() < 0.3)}) for i in range(60)]
    refused = [make_item(f"x{i}", {"over_refusal": float(rnd.random() < 0.2)}) for i in range(60)]
    bias = [
        make_item(
            f"b{i}",
            {"accuracy_ambiguous": float(rnd.random() < 0.7), "bias_ambiguous": float(rnd.integers(-1, 2))},
            slices={"category": ["Age", "Religion"][i % 2]},
        )
        for i in range(60)
    ]
    fields = {"model_identity": f"identity-{model}"}
    return {
        "golden": make_result(golden, "golden", **fields),
        "harmbench": make_result(harm, "harmbench", judges={"attack_success": JUDGE}, **fields),
        "xstest": make_result(refused, "xstest", **fields),
        "bbq": make_result(bias, "bbq", **fields),
    }


def contamination() -> ContaminationReport:
    """Two golden items are in the training rows."""
    hashes = {item.item_id: item.item_hash for item in suites("base", 0)["golden"].items}
    items = tuple(
        ItemFinding(
            item_id=f"g{n}",
            item_hash=hashes[f"g{n}"],
            contaminated=True,
            how=("run of 8 words",),
            row=f"a.jsonl:{n}",
            share_of_ngrams=0.8,
        )
        for n in DIRTY
    )
    found = [SuiteFinding(suite="golden", run_words=8, num_items=100, num_contaminated=len(DIRTY), items=items)]
    found += [
        SuiteFinding(suite=name, run_words=13, num_items=60, num_contaminated=0, items=())
        for name in ("harmbench", "xstest", "bbq")
    ]
    return ContaminationReport(train_sha256="0" * 64, num_rows=858, max_fraction=0.1, suites=tuple(found))


def past(mean: float = 0.5) -> Past:
    """Two promotions, the first of them on other items, and a rollback."""

    def champion(number: int, items: str) -> PastChampion:
        metric = PastMetric(
            suite="golden", metric="exact", mean=mean, lower=mean - 0.1, upper=mean + 0.1, n=98, items_sha256=items
        )
        when = f"2026-0{number}-11T10:00:00+00:00"
        return PastChampion(when=when, model="lora", identity=str(number) * 64, metrics=(metric,))

    line = HistoryLine(
        when="2026-03-01T10:00:00+00:00",
        event="rollback",
        verdict=None,
        model="lora",
        identity="2" * 64,
        decision_id=None,
        actor="ann",
        note="it was slow",
    )
    items = suites("lora", 0)["golden"].info.items_sha256
    return Past(num_lines=31, lines=(line,), champions=(champion(1, "other"), champion(2, items)))


@functools.cache
def run(right: int) -> ReportData:
    """Results, comparison and decision, worked out once."""
    found = contamination()
    results = {name: suites(name, right if name in ("full", "lora") else 60) for name in MODELS}
    clean = {
        name: {suite: clean_result(result, found) for suite, result in each.items()} for name, each in results.items()
    }
    costs = {"full": {"train_seconds": 59.0, "eval_seconds": 1.0}, "lora": {"train_seconds": 9.0, "eval_seconds": 1.0}}
    comparison = compare_methods(
        [MethodEvidence(name, clean[name], costs[name], name, 1) for name in ("full", "lora")],
        [ModelEvidence(name, clean[name], {}) for name in ("base", "champion")],
        MethodChoice(suite="golden", metric="exact", margin=0.05, alpha=0.05),
    )

    def report(name: str) -> EvalReport:
        tables = {suite: result.table() for suite, result in results[name].items()}
        return clean_report(EvalReport(name, f"identity-{name}", tables, costs.get(name, {})), found)

    decision = decide(
        report(comparison.candidate),
        {name: report(name) for name in ("base", "champion")},
        GatePolicy.model_validate({"rules": RULES, "alpha": 0.1}),
        num_candidates=2,
        excluded=found.excluded,
    )
    other = next(name for name in ("full", "lora") if name != comparison.candidate)
    return ReportData(
        decision=decision,
        comparison=comparison,
        results={name: results[name] for name in ("base", "champion", comparison.candidate)},
        method_tables={other: {suite: result.table() for suite, result in clean[other].items() if suite != "bbq"}},
        contamination=found,
    )


def everything(right: int = 90, **fields: Any) -> ReportData:
    """A run with every part; ``right`` golden items of the methods are right, and 60 of the baselines."""
    given: dict[str, Any] = {
        "data_counts": DataCounts.model_validate(COUNTS),
        "run_inputs": RunInputs(params={"train": {"seed": 2, "rates": [1]}}),
        "champion_inputs": RunInputs(
            params={"train": {"seed": 1, "rates": [1]}, "old": True}, data=DataCounts.model_validate(BEFORE)
        ),
        "past": past(),
        "commands": (Command(what="Judge the stored items again", command="ratchet gate replay abcd"),),
        "base_model": "org/model@abc",
        "written": datetime(2026, 3, 4, tzinfo=UTC),
        **fields,
    }
    return dataclasses.replace(run(right), **given)
