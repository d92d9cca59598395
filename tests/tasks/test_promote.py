"""What may not move the champion (with real DVC in tests/e2e)."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from evalsuite.errors import StageError, UsageError
from evalsuite.files import read_json, write_json
from evalsuite.gate.policy import GatePolicy
from evalsuite.identity import write_manifest
from evalsuite.results import ItemResult, SuiteInfo, SuiteResult, items_sha256
from tasks.gate import run as run_gate
from tasks.params import PromoteParams, load_params
from tasks.paths import ArtifactPaths
from tasks.promote import Override, promote, rollback

ROOT = Path(__file__).parents[2]
POLICY = {"rules": [{"suite": "golden", "metric": "exact", "kind": "guard", "margin": 0.1}]}
PARAMS = PromoteParams()


def write_results(paths: ArtifactPaths, model: str, score: float) -> None:
    folder = paths.export(model)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.safetensors").write_text(model)
    identity = write_manifest(folder, source="test").identity
    items = tuple(
        ItemResult(item_id=f"i{n}", item_hash=f"h{n}", metrics=("exact",), scores={"exact": score}) for n in range(80)
    )
    info = SuiteInfo(suite="golden", suite_version="1", items_sha256=items_sha256(items), model_identity=identity)
    SuiteResult(info, items, 1.0).write(paths.evals(model) / "golden")


def make(root: Path, score: float = 1.0) -> ArtifactPaths:
    paths = ArtifactPaths(root)
    data: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text())
    data["gate"] = POLICY
    paths.root.mkdir(exist_ok=True)
    paths.params.write_text(yaml.safe_dump(data))
    write_results(paths, "base", 1.0)
    write_results(paths, "full", score)
    write_json(paths.comparison, {"candidate": "full", "methods": [{"name": "full"}]})
    write_json(paths.baseline_pin, {"schema_version": 1, "inputs_sha256": "f" * 64, "champion": None})
    run_gate(GatePolicy.model_validate(POLICY), paths)
    return paths


@pytest.fixture
def paths(tmp_path: Path) -> ArtifactPaths:
    return make(tmp_path / "project")


def refuse(paths: ArtifactPaths, match: str, override: Override | None = None) -> None:
    with pytest.raises(UsageError, match=match):
        promote(paths, PARAMS, override)
    assert not (paths.registry / "ledger.jsonl").exists()


def test_a_dry_run_verifies_everything_and_changes_nothing(paths: ArtifactPaths) -> None:
    move = promote(paths, PARAMS, dry_run=True)
    assert move.summary.startswith("would promote full")
    assert not (paths.registry / "ledger.jsonl").exists()


def test_a_reject_is_not_promoted(tmp_path: Path) -> None:
    refuse(make(tmp_path / "p", score=0.0), "the verdict is REJECT, not PROMOTE")


def test_a_verdict_changed_by_hand_is_found_out(tmp_path: Path) -> None:
    paths = make(tmp_path / "p", score=0.0)
    data = read_json(paths.decision, "x")
    write_json(paths.decision, {**data, "verdict": "PROMOTE"})
    refuse(paths, "not what the stored results give .*verdict")


@pytest.mark.parametrize("field", ["candidate_identity", "inputs_sha256", "decision_id", "headline"])
def test_any_field_changed_by_hand_is_found_out(paths: ArtifactPaths, field: str) -> None:
    data = read_json(paths.decision, "x")
    write_json(paths.decision, {**data, field: "0" * 64})
    refuse(paths, f"not what the stored results give .*{field}")


def test_a_reason_left_out_is_found_out(paths: ArtifactPaths) -> None:
    data = read_json(paths.decision, "x")
    write_json(paths.decision, {**data, "reasons": data["reasons"][1:]})
    refuse(paths, "differs in reasons")


def test_results_changed_after_the_decision_are_found_out(tmp_path: Path) -> None:
    paths = make(tmp_path / "p", score=0.0)
    write_results(paths, "full", 1.0)
    data = read_json(paths.decision, "x")
    write_json(paths.decision, {**data, "verdict": "PROMOTE"})
    refuse(paths, "not what the stored results give")


def test_other_weights_than_those_judged_are_refused(paths: ArtifactPaths) -> None:
    (paths.export("full") / "model.safetensors").write_text("other")
    refuse(paths, "model.safetensors has sha256")


def test_weights_with_a_new_manifest_are_refused_too(paths: ArtifactPaths) -> None:
    (paths.export("full") / "model.safetensors").write_text("other")
    write_manifest(paths.export("full"), source="test")
    refuse(paths, "was evaluated on model")


def test_a_policy_changed_after_the_decision_is_refused(paths: ArtifactPaths) -> None:
    data = yaml.safe_load(paths.params.read_text())
    data["gate"]["rules"][0]["margin"] = 0.01
    paths.params.write_text(yaml.safe_dump(data))
    refuse(paths, "run the gate again")


def test_a_looser_policy_inside_the_decision_is_refused(tmp_path: Path) -> None:
    paths = make(tmp_path / "p", score=0.0)
    loose = {"rules": [{**POLICY["rules"][0], "margin": 2.0}]}
    run_gate(GatePolicy.model_validate(loose), paths)
    refuse(paths, "policy in params.yaml is not the decision's")


def test_without_a_decision_the_stage_that_makes_it_is_named(paths: ArtifactPaths) -> None:
    paths.decision.unlink()
    with pytest.raises(StageError, match="ratchet stage gate"):
        promote(paths, PARAMS)


def test_without_a_dvc_project_nothing_moves(paths: ArtifactPaths) -> None:
    refuse(paths, r"dvc\.lock has no models/full/export")


def test_a_rollback_without_a_champion_is_refused(paths: ArtifactPaths) -> None:
    with pytest.raises(UsageError, match="no champion yet"):
        rollback(paths, None, "why")


def test_a_rollback_needs_a_reason(paths: ArtifactPaths) -> None:
    with pytest.raises(UsageError, match="needs a reason"):
        rollback(paths, None, "  ")


def test_the_policy_of_the_shipped_params_is_valid() -> None:
    assert load_params(ROOT / "params.yaml").gate.rules
    assert shutil.which("git")
