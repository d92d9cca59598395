"""Evaluation as a stage: a tiny model, real suites and files, with and without stopping early."""

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from evalsuite.core.errors import MissingArtifactError, UsageError
from evalsuite.core.files import read_json, write_json
from evalsuite.core.identity import read_manifest, write_manifest
from evalsuite.gate.decision import Verdict
from evalsuite.gate.replay import read_record, replay
from evalsuite.records.evidence import compare_files
from tasks.config.params import Params, parse_params
from tasks.evaluation import model as evaluation
from tasks.paths import ArtifactPaths
from tasks.registry.evidence import judge_again
from tasks.stages import compare, gate, report, stopping
from tasks.stages import evaluate as evaluate_stage
from tests.e2e.project import NUM_TEST, write_golden
from tests.tasks.clean import write_clean

GUARD = {"suite": "golden", "metric": "exact_match", "kind": "guard", "margin": 0.15}


def params_of(**sections: Any) -> Params:
    return parse_params(
        {
            "model": {"id": "tiny"},
            "prepare": {"sources": ["x"]},
            "methods": {name: {"kind": "full", "learning_rate": 1e-5} for name in ("good", "damaged")},
            "evaluation": {"golden": {"path": "golden_sets/own", "max_new_tokens": 6}, "harness": {"tasks": {}}},
            "sequential": {"suites": ["golden"], "batch_items": 8},
            "compare": {"metric": "exact_match"},
            "gate": {"rules": [GUARD]},
            **sections,
        }
    )


def export(paths: ArtifactPaths, name: str, model: Path, *, damage: bool = False) -> None:
    folder = paths.export(name)
    shutil.copytree(model, folder, ignore=shutil.ignore_patterns("manifest.json"))
    if damage:
        weights = load_file(folder / "model.safetensors")
        generator = torch.Generator().manual_seed(0)
        noise = {key: torch.randn(value.shape, generator=generator) for key, value in weights.items()}
        save_file(noise, folder / "model.safetensors", {"format": "pt"})
    identity = write_manifest(folder, "test").identity
    log = {
        "schema_version": 1, "method": name, "kind": "full", "config": {}, "steps": [], "epochs": [],
        "selected_epoch": 1, "selected_because": "best", "num_examples": 9, "num_tokens": 99,
        "trainable_parameters": 1, "total_parameters": 10, "train_seconds": 59.0, "peak_memory_bytes": 7,
        "adapter_bytes": None, "effective": {}, "merge_max_abs_difference": None, "identity": identity,
    }  # fmt: skip
    write_json(paths.train_log(name), log)


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """The base model evaluated in full, and two methods that wait for it."""
    root = tmp_path_factory.mktemp("evals")
    paths = ArtifactPaths(root)
    write_golden(root / "golden_sets/own", tiny_model)
    export(paths, "base", tiny_model)
    export(paths, "good", tiny_model)
    export(paths, "damaged", tiny_model, damage=True)
    write_json(paths.baseline_pin, {"schema_version": 1, "inputs_sha256": "f" * 64, "champion": None})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        evaluation.run("base", params_of().evaluation, paths)
        evaluation.run("champion", params_of().evaluation, paths)
    write_clean(paths, "golden")
    return root


@pytest.fixture
def paths(evaluated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ArtifactPaths:
    root = tmp_path / "project"
    shutil.copytree(evaluated, root)
    monkeypatch.chdir(root)
    return ArtifactPaths(root)


def evaluate(params: Params, paths: ArtifactPaths, *names: str) -> None:
    stopping.run(params, paths)
    for name in names:
        evaluate_stage.run(name, params.evaluation, paths)


def num_run(paths: ArtifactPaths, name: str) -> int:
    return int(read_json(paths.evals(name) / "golden/summary.json", "x")["num_items"])


def test_a_good_candidate_is_promoted_early_and_a_damaged_one_is_stopped_and_left_out(
    paths: ArtifactPaths, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    params = params_of()
    evaluate(params, paths, "good", "damaged")
    assert 0 < num_run(paths, "damaged") < num_run(paths, "good") < NUM_TEST
    assert f"{num_run(paths, 'good')} of {NUM_TEST} items" in caplog.text
    assert "of the evaluation saved" in caplog.text
    assert "damaged: proven broken: golden/exact_match:guard:base" in caplog.text
    comparison = compare.run(params.compare, params.hardware, params.methods, paths)
    assert comparison.candidate == "good"
    decision = gate.run(params.gate, paths)
    assert decision.verdict is Verdict.PROMOTE
    assert decision.num_candidates == 2
    (reason,) = decision.reasons
    assert (reason.n, reason.not_run) == (num_run(paths, "good"), NUM_TEST - num_run(paths, "good"))
    assert judge_again(decision, paths) == decision
    assert replay(read_record(paths.stored_decision(decision.decision_id))) == decision
    report.run(params, paths)
    assert f"{reason.not_run} items were not run, by design" in paths.report.read_text()


def test_a_damaged_candidate_is_rejected_from_the_items_that_proved_it(paths: ArtifactPaths) -> None:
    only = {"damaged": {"kind": "full", "learning_rate": 1e-5}}
    params = params_of(methods=only)
    evaluate(params, paths, "damaged")
    compare.run(params.compare, params.hardware, params.methods, paths)
    decision = gate.run(params.gate, paths)
    assert decision.verdict is Verdict.REJECT
    assert decision.reasons[0].n < NUM_TEST


def test_without_sequential_suites_every_item_is_run_and_a_margin_changes_no_byte(paths: ArtifactPaths) -> None:
    params = params_of(sequential={})
    evaluate(params, paths, "good")
    summary = read_json(paths.evals("good") / "golden/summary.json", "x")
    assert (summary["num_items"], summary["prefix"]) == (NUM_TEST, None)
    before = paths.stopping.read_bytes()
    other = params_of(sequential={}, gate={"rules": [{**GUARD, "margin": 0.01}]})
    stopping.run(other, paths)
    assert paths.stopping.read_bytes() == before


def test_with_sequential_suites_the_policy_and_the_baselines_are_part_of_the_plan(paths: ArtifactPaths) -> None:
    stopping.run(params_of(), paths)
    first = paths.stopping.read_bytes()
    stopping.run(params_of(gate={"rules": [{**GUARD, "margin": 0.01}]}), paths)
    assert paths.stopping.read_bytes() != first
    stopping.run(params_of(), paths)
    assert paths.stopping.read_bytes() == first
    summary = paths.evals("base") / "golden/summary.json"
    summary.write_text(json.dumps({**json.loads(summary.read_text()), "seconds": 9.0}))
    stopping.run(params_of(), paths)
    assert paths.stopping.read_bytes() != first


def test_a_sequential_suite_that_no_baseline_has_is_refused(paths: ArtifactPaths) -> None:
    with pytest.raises(UsageError, match=r"sequential\.suites names 'mmlu_pro', which base was not evaluated on"):
        stopping.run(params_of(sequential={"suites": ["mmlu_pro"]}), paths)


def test_a_method_needs_to_know_when_it_may_stop(paths: ArtifactPaths) -> None:
    with pytest.raises(MissingArtifactError, match="ratchet stage stopping"):
        evaluate_stage.run("good", params_of().evaluation, paths)


def test_a_stopped_result_is_of_the_bytes_that_were_exported(paths: ArtifactPaths) -> None:
    evaluate(params_of(), paths, "damaged")
    summary = read_json(paths.evals("damaged") / "golden/summary.json", "x")
    assert summary["model_identity"] == read_manifest(paths.export("damaged"), "x").identity
    assert summary["prefix"]["num_items"] == NUM_TEST
    assert summary["prefix"]["order_seed"] == summary["items_sha256"]
    assert summary["prefix"]["ended"] == "violation"


def test_a_stopped_result_of_a_suite_that_is_not_declared_sequential_is_refused(paths: ArtifactPaths) -> None:
    only = {"good": {"kind": "full", "learning_rate": 1e-5}}
    params = params_of(methods=only)
    evaluate(params, paths, "good")
    compare.run(params.compare, params.hardware, params.methods, paths)
    stopping.run(params_of(methods=only, sequential={"suites": []}), paths)
    with pytest.raises(UsageError, match=r"'golden' of good says it was evaluated sequentially"):
        gate.run(params.gate, paths)
    policy = params.gate
    with pytest.raises(UsageError, match="was evaluated sequentially; its project judges it"):
        compare_files(paths.evals("base"), paths.evals("good"), policy)
