"""The contamination stage, and what the gate makes of its report."""

import json
from pathlib import Path

import pytest

from evalsuite.core.errors import MissingArtifactError, UsageError
from evalsuite.core.identity import write_manifest
from evalsuite.gate.decision import Verdict, read_decision
from evalsuite.gate.policy import GatePolicy
from evalsuite.gate.replay import read_record, replay
from evalsuite.testing import make_item, make_result
from tasks.config.contamination import ContaminationParams
from tasks.paths import ArtifactPaths
from tasks.registry.evidence import judge_again
from tasks.stages import contamination, gate

POLICY = GatePolicy.model_validate(
    {"rules": [{"suite": "golden", "metric": "exact", "kind": "target", "min_gain": 0.02, "against": "base"}]}
)
KNOWN = 30
"""Items that the training rows hold, all of which the candidate answers right."""


@pytest.fixture
def paths(tmp_path: Path) -> ArtifactPaths:
    """A candidate that gained on the 30 items that it was trained on, and on nothing else."""
    paths = ArtifactPaths(tmp_path)
    for model in ("base", "full"):
        folder = paths.export(model)
        folder.mkdir(parents=True)
        (folder / "model.safetensors").write_bytes(model.encode())
        identity = write_manifest(folder, "test").identity
        scores = [float(n % 2 or (model == "full" and n < KNOWN)) for n in range(300)]
        items = [make_item(f"i{n}", {"exact": score}, prompt=f"question number {n}") for n, score in enumerate(scores)]
        make_result(items, model_identity=identity).write(paths.evals(model) / "golden")
    paths.prepared.mkdir(parents=True)
    rows = [{"id": f"r{n}", "messages": [{"role": "user", "content": f"Question number {n}!"}]} for n in range(KNOWN)]
    (paths.prepared / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    paths.reports.mkdir()
    comparison = {"schema_version": 1, "candidate": "full", "methods": [{"name": "full"}]}
    paths.comparison.write_text(json.dumps(comparison))
    paths.plans.mkdir()
    paths.baseline_pin.write_text(json.dumps({"schema_version": 1, "inputs_sha256": "f" * 64, "champion": None}))
    return paths


def test_a_gain_on_trained_items_alone_does_not_promote_and_both_verdicts_are_told(paths: ArtifactPaths) -> None:
    found = contamination.run(ContaminationParams(max_fraction=0.2), paths)
    assert found.excluded == {"golden": KNOWN}
    assert found.line == "contamination: golden 30 of 300 items are in the 30 training rows"
    decision = gate.run(POLICY, paths)
    assert decision.verdict is not Verdict.PROMOTE
    assert decision.reasons[0].n == 270
    assert decision.on_all_items.startswith("PROMOTE: ")
    assert decision.excluded == {"golden": KNOWN}
    assert any("left out, because training rows give them away: 30 of golden" in line for line in decision.warnings)
    assert "PROMOTE: " in gate.describe(decision).splitlines()[1]
    assert read_decision(paths.decision) == decision
    assert judge_again(decision, paths) == decision


def test_a_decision_on_the_clean_items_is_replayed(paths: ArtifactPaths) -> None:
    contamination.run(ContaminationParams(max_fraction=0.2), paths)
    decision = gate.run(POLICY, paths)
    assert replay(read_record(paths.stored_decision(decision.decision_id))) == decision


def test_over_the_share_in_params_the_gate_refuses(paths: ArtifactPaths) -> None:
    contamination.run(ContaminationParams(max_fraction=0.05), paths)
    with pytest.raises(UsageError, match=r"30 of 300 golden items are in the training rows \(10\.0%"):
        gate.run(POLICY, paths)
    assert not paths.decision.exists()


def test_nothing_is_gated_before_it_was_checked(paths: ArtifactPaths) -> None:
    with pytest.raises(MissingArtifactError, match="ratchet stage contamination"):
        gate.run(POLICY, paths)


def test_the_report_names_item_way_and_row_and_holds_no_text(paths: ArtifactPaths) -> None:
    contamination.run(ContaminationParams(), paths)
    text = paths.contamination.read_text()
    first = json.loads(text)["suites"][0]["items"][0]
    assert (first["item_id"], first["how"], first["row"]) == ("i0", ["same text"], "r0")
    assert "uestion number" not in text


def test_without_training_rows_the_stage_that_makes_them_is_named(paths: ArtifactPaths) -> None:
    (paths.prepared / "train.jsonl").unlink()
    with pytest.raises(MissingArtifactError, match="ratchet stage prepare"):
        contamination.run(ContaminationParams(), paths)


def test_an_item_in_a_field_that_the_objective_learns_from_is_found(paths: ArtifactPaths) -> None:
    turns = [{"role": "user", "content": "What is red?"}, {"role": "assistant", "content": "A colour."}]
    fields = [
        {"rejected": [{"role": "assistant", "content": "Question number 250!"}]},
        {"rejected": "question number 251", "whole": True},
        {"notes": {"first": ["x", "question number 252"]}},
        {"rejected": [{"role": "question number 253", "content": "no"}]},
    ]
    rows = [{"id": f"p{n}", "messages": turns, "num_tokens": 9, **own} for n, own in enumerate(fields)]
    (paths.prepared / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    [suite] = contamination.run(ContaminationParams(max_fraction=0.2), paths).suites
    assert {(item.item_id, item.row) for item in suite.items} == {("i250", "p0"), ("i251", "p1"), ("i252", "p2")}
