import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from evalsuite.core.errors import MissingArtifactError, UsageError
from evalsuite.core.files import write_json
from evalsuite.core.identity import write_manifest
from evalsuite.gate.decision import Verdict
from evalsuite.gate.policy import GatePolicy
from evalsuite.testing import make_item, make_result
from tasks.config.compare import CompareParams
from tasks.config.hardware import HardwareParams
from tasks.config.params import Params, load_params
from tasks.paths import ArtifactPaths
from tasks.stage import main as stage_main
from tasks.stages import compare, gate, report
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


@pytest.fixture
def params() -> Params:
    return load_params(Path(__file__).parents[3] / "params.yaml")


@pytest.fixture
def project(tmp_path: Path) -> ArtifactPaths:
    """A run up to the gate, which promotes."""
    paths = ArtifactPaths(tmp_path)
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


def test_the_report_and_the_card_are_written(project: ArtifactPaths, params: Params) -> None:
    decision = report.run(params, project)
    page = project.report.read_text(encoding="utf-8")
    card = project.model_card.read_text(encoding="utf-8")
    assert "PROMOTE" in page
    assert decision.decision_id in page
    assert "the disk is slow" in page
    assert "&lt;b&gt;qlora&lt;/b&gt;" in page
    assert "<b>qlora</b>" not in page.split("<main")[1]
    assert decision.decision_id in card
    assert params.model.id in page
    assert "long_prompts: unscored" in page


def test_the_decision_and_the_comparison_must_be_of_one_candidate(project: ArtifactPaths, params: Params) -> None:
    data = json.loads(project.comparison.read_text(encoding="utf-8"))
    write_json(project.comparison, {**data, "candidate": "full"})
    with pytest.raises(UsageError, match=r"judges 'qlora'.*chose 'full'.*ratchet stage gate"):
        report.run(params, project)
    assert not project.report.exists()


def test_a_decision_on_other_bytes_is_refused(project: ArtifactPaths, params: Params) -> None:
    data = json.loads(project.decision.read_text(encoding="utf-8"))
    write_json(project.decision, {**data, "candidate_identity": "0" * 64})
    with pytest.raises(UsageError, match="judges model 000000000000"):
        report.run(params, project)


def test_a_missing_decision_names_its_stage(project: ArtifactPaths, params: Params) -> None:
    project.decision.unlink()
    with pytest.raises(MissingArtifactError, match="ratchet stage gate"):
        report.run(params, project)


def test_the_commit_is_named_and_the_runs_own_files_do_not_make_it_dirty(tmp_path: Path) -> None:
    assert report.git_commit(tmp_path) == "unknown"

    def git(*arguments: str) -> str:
        command = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", *arguments]
        return subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    for name in ("code.py", "dvc.lock"):
        (tmp_path / name).write_text("1")
    git("add", ".")
    git("commit", "-qm", "first")
    commit = git("rev-parse", "HEAD")
    (tmp_path / "dvc.lock").write_text("2")
    assert report.git_commit(tmp_path) == commit
    (tmp_path / "code.py").write_text("2")
    assert report.git_commit(tmp_path) == f"{commit}-dirty"


def test_versions_name_python_and_the_training_stack() -> None:
    found = report.versions()
    assert found["python"].startswith("3.")
    assert {"torch", "transformers", "trl", "peft"} <= set(found)


def test_every_declared_dependency_of_the_stage_is_a_section_it_shows() -> None:
    import yaml

    stages = yaml.safe_load((Path(__file__).parents[3] / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    assert stages["report"]["params"] == list(report.PARAMS_SHOWN)


def test_the_stage_ends_with_one_line(
    project: ArtifactPaths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    params = (Path(__file__).parents[3] / "params.yaml").read_text(encoding="utf-8")
    monkeypatch.chdir(project.root)
    Path("params.yaml").write_text(params, encoding="utf-8")
    assert stage_main(["report"]) == 0
    assert capsys.readouterr().out == "PROMOTE: reports/promotion.html and reports/model_card.md written\n"
