"""A run up to the gate, made by hand: base and two methods, which the gate promotes."""

from pathlib import Path
from typing import Any

from evalsuite.core.files import write_json
from evalsuite.core.identity import write_manifest
from evalsuite.gate.decision import Verdict
from evalsuite.gate.policy import GatePolicy
from evalsuite.testing import make_item, make_result
from tasks.config.compare import CompareParams
from tasks.config.hardware import HardwareParams
from tasks.paths import ArtifactPaths
from tasks.stages import compare, gate
from tests.tasks.clean import write_clean

METHODS = ("full", "qlora")
POLICY = GatePolicy.model_validate(
    {"rules": [{"suite": "golden", "metric": "json_fields", "kind": "guard", "margin": 0.1}], "alpha": 0.1}
)


def _evaluate(paths: ArtifactPaths, model: str, right: int) -> str:
    """Export, evaluate and log one model; returns its identity."""
    folder = paths.export(model)
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(model.encode())
    identity = write_manifest(folder, "test").identity
    output = f"<b>{model}</b>"
    items = [make_item(f"i{i}", {"json_fields": float(i < right)}, output=output) for i in range(200)]
    make_result(items, model_identity=identity).write(paths.evals(model) / "golden")
    return identity


def _train_log(model: str, identity: str) -> dict[str, Any]:
    epoch = {
        "epoch": 1, "step": 4, "checkpoint": "epoch-1", "train_loss": 1.5, "eval_loss": 1.6, "seconds": 2.0,
        "golden": {"json_fields": 0.5}, "golden_n": {"json_fields": 40}, "golden_stderr": {"json_fields": 0.1},
    }  # fmt: skip
    return {
        "schema_version": 1, "method": model, "kind": model, "config": {}, "epochs": [epoch],
        "steps": [{"step": 4, "epoch": 1.0, "loss": 1.5, "learning_rate": 0.1}],
        "selected_epoch": 1, "selected_because": "the only epoch", "num_examples": 9, "num_tokens": 99,
        "trainable_parameters": 1, "total_parameters": 10, "train_seconds": 59.0, "peak_memory_bytes": 7,
        "adapter_bytes": None, "effective": {"device": "cpu"}, "merge_max_abs_difference": None, "identity": identity,
    }  # fmt: skip


def make_run(root: Path) -> ArtifactPaths:
    """The files of a run that stops before its report."""
    paths = ArtifactPaths(root)
    for model, right in (("base", 100), ("full", 160), ("qlora", 160)):
        identity = _evaluate(paths, model, right)
        if model != "base":
            write_json(paths.evals(model) / "train_log.json", _train_log(model, identity))
            costs = {"eval_seconds": 1.0, "train_seconds": 9.0 if model == "qlora" else 59.0, "num_bytes": 5}
            write_json(paths.evals(model) / "costs.json", {"schema_version": 1, **costs})
            settings = {"golden": {"path": "golden_sets/support"}, "long_prompts": "unscored"}
            write_json(paths.eval_settings(model), {"schema_version": 1, "evaluation": settings})
    write_json(paths.evals("champion") / "absent.json", {"schema_version": 1, "reason": "no champion yet"})
    write_json(paths.baseline_pin, {"schema_version": 1, "inputs_sha256": "f" * 64, "champion": None})
    write_json(paths.plan("qlora"), {"memory": {"weights_bytes": 2048}, "warnings": ["the disk is slow"]})
    write_clean(paths, "golden")
    compare.run(CompareParams(), HardwareParams(), METHODS, paths)
    assert gate.run(POLICY, paths).verdict is Verdict.PROMOTE
    return paths
