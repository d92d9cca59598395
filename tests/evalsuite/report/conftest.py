"""Report data made of result types, one set for every verdict."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from evalsuite.comparison.methods import MethodEvidence, ModelEvidence, compare_methods
from evalsuite.comparison.rows import MethodChoice
from evalsuite.gate.decide import decide
from evalsuite.gate.policy import GatePolicy
from evalsuite.items.results import EvalReport, ItemResult, SuiteResult
from evalsuite.report.data import ReportData, TrainingRun
from evalsuite.testing import make_result

POLICY = {
    "alpha": 0.1,
    "rules": [
        {"suite": "golden", "metric": "exact", "kind": "target", "min_gain": 0.05, "against": "base"},
        {"suite": "golden", "metric": "exact", "kind": "guard", "margin": 0.05, "slices": "queue"},
        {"suite": "golden", "metric": "exact", "kind": "floor", "limit": 0.3},
        {"suite": "costs", "metric": "num_bytes", "kind": "ceiling", "limit": 1000.0},
    ],
}

Make = Callable[..., ReportData]


def suite(name: str, right: int, n: int, item: Mapping[str, Any]) -> SuiteResult:
    items = tuple(
        ItemResult.model_validate(
            {
                "item_id": f"i{i:04d}",
                "item_hash": f"h{i}",
                "metrics": ("exact",),
                "must_pass": ("exact",) if i < 2 else (),
                "slices": {"queue": "billing" if i % 2 else "safety"},
                "scores": {"exact": float(i < right)},
                "prompt": f"Question {i}",
                "references": ("yes",),
                "output": f"{name} says {i}",
                **item,
            }
        )
        for i in range(n)
    )
    return make_result(items, model_identity=f"identity-{name}")


def training(method: str) -> TrainingRun:
    epochs = [
        {
            "epoch": epoch,
            "train_loss": 2.0 / epoch,
            "eval_loss": 2.1 / epoch,
            "golden": {"exact": 0.4 + epoch / 10},
            "golden_n": {"exact": 37},
            "golden_stderr": {"exact": None},
            "seconds": 3.0,
        }
        for epoch in (1, 2)
    ]
    return TrainingRun.model_validate(
        {
            "method": method,
            "kind": method,
            "steps": [
                {
                    "epoch": step / 500,
                    "loss": 3.0 - step / 500,
                    "learning_rate": 1e-5 * (1 - step / 1000),
                    "grad_norm": 1.0 + (step == 7),
                    "tokens": 100 + 100 * (step % 2),
                    "tokens_per_second": 50.0 + 50.0 * (step % 2),
                }
                for step in range(1, 1001)
            ],
            "epochs": epochs,
            "selected_epoch": 2,
            "selected_because": "exact is the best of 2 epochs",
            "num_examples": 640,
            "num_tokens": 4321,
            "trainable_parameters": 10,
            "total_parameters": 1000,
            "config": {"learning_rate": 0.001},
            "effective": {"device": "cpu"},
        }
    )


@pytest.fixture
def make() -> Make:
    """Build report data.

    ``right`` is how many of ``n`` items the candidate gets right, where the base model gets half; ``item`` replaces
    fields of the candidate's items, ``everywhere`` of every model's.
    """

    def build(
        right: int = 360,
        n: int = 400,
        champion: int | None = None,
        item: Mapping[str, Any] | None = None,
        everywhere: Mapping[str, Any] | None = None,
        policy: Mapping[str, Any] = POLICY,
        **fields: Any,
    ) -> ReportData:
        numbers = {"base": n // 2, "full": right, "qlora": right}
        if champion is not None:
            numbers["champion"] = champion
        results = {
            name: {"golden": suite(name, count, n, {**(everywhere or {}), **((item or {}) if name == "qlora" else {})})}
            for name, count in numbers.items()
        }
        costs = {
            "qlora": {"train_seconds": 9.0, "eval_seconds": 1.0, "num_bytes": 900.0, "adapter_bytes": 90.0},
            "full": {"train_seconds": 59.0, "eval_seconds": 1.0, "num_bytes": 900.0},
        }
        comparison = compare_methods(
            [MethodEvidence(name, results[name], costs[name], name, 2) for name in ("full", "qlora")],
            [ModelEvidence(name, results[name], {}) for name in ("base", "champion") if name in results],
            MethodChoice(suite="golden", metric="exact", margin=0.05, alpha=0.05),
        )

        def report(name: str) -> EvalReport:
            tables = {key: result.table() for key, result in results[name].items()}
            return EvalReport(name, f"identity-{name}", tables, costs.get(name, {}))

        decision = decide(
            report(comparison.candidate),
            {name: report(name) for name in ("base", "champion") if name in results},
            GatePolicy.model_validate(policy),
            num_candidates=2,
            inputs_sha256="ab" * 32,
        )
        gathered = {
            "training": {name: training(name) for name in ("full", "qlora")},
            "plans": {"qlora": {"memory": {"weights_bytes": 2048}, "warnings": ["slow disk"]}},
            "params": {"compare": {"margin": 0.05}},
            "base_model": "org/model@abc",
            "git_commit": "c0ffee",
            "versions": {"torch": "2.13.0"},
            **fields,
        }
        return ReportData(decision=decision, comparison=comparison, results=results, **gathered)

    return build
