"""Power before a run: sizes from the sets' files, spread from earlier results."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from evalsuite.core.errors import UsageError
from evalsuite.stats.alternatives import uniforms
from evalsuite.testing import make_item, make_result
from tasks.config.params import Params, load_params, parse_params
from tasks.paths import ArtifactPaths
from tasks.preflight.checks import check_evaluation
from tasks.preflight.power import known_sets, plan, recorded_pairs
from tasks.registry import evidence as gate
from tasks.stage import main as stage_main
from tests.tasks.registry.test_evidence import POLICY, project

ROOT = Path(__file__).parents[3]
__all__ = ["project"]


def params_with(*rules: dict[str, Any]) -> Params:
    data = yaml.safe_load((ROOT / "tests/support_params.yaml").read_text(encoding="utf-8"))
    data["evaluation"]["golden"].update(
        bertscore_model="microsoft/deberta-xlarge-mnli", bertscore_revision="0" * 40, bertscore_layer=None
    )
    data["gate"]["rules"] = list(rules)
    return parse_params(data)


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ArtifactPaths:
    """A project with the shipped sets and no results."""
    shutil.copytree(ROOT / "golden_sets", tmp_path / "golden_sets")
    monkeypatch.chdir(tmp_path)
    return ArtifactPaths(tmp_path)


GUARD = {"suite": "golden", "metric": "json_exact", "kind": "guard", "margin": 0.05}


def test_a_sequential_suite_that_some_rule_runs_to_its_end_is_told(paths: ArtifactPaths) -> None:
    sliced = {**GUARD, "slices": "queue"}
    params = params_with(sliced, {**GUARD, "suite": "ifeval", "metric": "prompt_level_strict_acc", "slices": "queue"})
    assert plan(params.gate, params, paths).waits == ()
    params = params.model_copy(update={"sequential": params.sequential.model_copy(update={"suites": ("golden",)})})
    (told,) = plan(params.gate, params, paths).waits
    assert told.startswith(
        "golden/json_exact:guard: its slices by queue have no sequential test, so that golden is run"
    )


def test_a_rule_that_no_bet_can_be_made_on_is_told_with_why(paths: ArtifactPaths) -> None:
    items = [make_item(f"i{n}", {"json_exact": 1.0}, cluster=f"c{n // 2}") for n in range(20)]
    make_result(items).write(paths.evals("base") / "golden")
    params = params_with(GUARD, {**GUARD, "slices": "queue"})
    params = params.model_copy(update={"sequential": params.sequential.model_copy(update={"suites": ("golden",)})})
    assert {told.split(": ")[1].split(",")[0] for told in plan(params.gate, params, paths).waits} == {
        "items of golden/json_exact share clusters"
    }


def test_a_rule_against_a_champion_that_is_not_there_yet_is_told(paths: ArtifactPaths) -> None:
    params = params_with(GUARD, {**GUARD, "against": "champion"})
    found = plan(params.gate, params, paths)
    assert [each.rule for each in found.rules] == ["golden/json_exact:guard:base"]
    assert found.cautions == (
        "golden/json_exact:guard:champion is asked once there is a champion; before the first promotion it holds "
        "nobody back",
    )


def test_sizes_come_from_the_sets_files(paths: ArtifactPaths) -> None:
    sets = known_sets(params_with(GUARD).evaluation, paths)
    lines = {
        name: len((paths.root / "golden_sets" / path).read_text().splitlines())
        for name, path in {
            "golden": "support/test.jsonl",
            "mmlu_pro": "retention/mmlu_pro/test.jsonl",
            "ifeval": "retention/ifeval/test.jsonl",
        }.items()
    }
    assert {name: known.num_items for name, known in sets.items()} == lines
    golden = sets["golden"]
    assert golden.metrics is not None
    assert golden.slices is not None
    assert golden.size("json_exact") == golden.metrics["json_exact"] <= lines["golden"]
    assert sum(golden.slices["queue"].values()) <= lines["golden"]
    assert all(known.seconds_per_item is None for known in sets.values())


def test_a_limit_counts_for_each_category(paths: ArtifactPaths) -> None:
    params = params_with(GUARD)
    task = params.evaluation.harness.tasks["mmlu_pro"].model_copy(update={"limit": 2})
    harness = params.evaluation.harness.model_copy(update={"tasks": {"mmlu_pro": task}})
    limited = params.evaluation.model_copy(update={"harness": harness})
    rows = (paths.root / "golden_sets/retention/mmlu_pro/test.jsonl").read_text().splitlines()
    categories = {json.loads(row)["category"] for row in rows}
    assert known_sets(limited, paths)["mmlu_pro"].num_items == 2 * len(categories)


def test_the_shipped_policies_can_promote(paths: ArtifactPaths) -> None:
    check_evaluation(load_params(ROOT / "params.yaml"), paths)


def test_an_impossible_policy_is_refused_by_the_stage_that_comes_first(
    paths: ArtifactPaths, capsys: pytest.CaptureFixture[str]
) -> None:
    data = params_with({**GUARD, "margin": 0.005}).model_dump(mode="json", exclude_unset=True)
    paths.params.write_text(yaml.safe_dump(data), encoding="utf-8")
    assert stage_main(["inputs"]) == 2
    error = capsys.readouterr().err
    assert "this policy can never say PROMOTE: golden/json_exact:guard cannot pass: even with no item lost, n=" in error
    assert "enough would be" in error
    assert not paths.plans.exists()


def test_the_refusal_names_every_rule(paths: ArtifactPaths) -> None:
    params = params_with({**GUARD, "margin": 0.005}, {**GUARD, "metric": "json_fields", "margin": 0.004})
    with pytest.raises(UsageError, match=r"(?s)json_exact:guard cannot pass.*json_fields:guard cannot pass"):
        check_evaluation(params, paths)


def _record(paths: ArtifactPaths, model: str, share: float) -> None:
    right = uniforms("right", 200) < 0.5
    flips = uniforms(f"flips {model}", 200) < share
    items = [make_item(f"i{k}", {"json_exact": float(score)}) for k, score in enumerate(right ^ flips)]
    result = make_result(items, model_identity=model)
    replace(result, seconds=100.0).write(paths.evals(model) / "golden")


def test_spread_and_speed_come_from_the_method_that_moved_most(paths: ArtifactPaths) -> None:
    for model, share in (("base", 0.0), ("full", 0.05), ("qlora", 0.3)):
        _record(paths, model, share)
    params = params_with(GUARD)
    (rule,) = plan(params.gate, params, paths).rules
    assert rule.basis.startswith("qlora against base: ")
    scenario = rule.scenarios[0]
    assert scenario.items is not None
    assert scenario.hours == pytest.approx(scenario.items * 0.5 / 3600, abs=1e-4)


def test_damaged_results_are_said_and_left_out(paths: ArtifactPaths, caplog: pytest.LogCaptureFixture) -> None:
    for model in ("base", "full"):
        _record(paths, model, 0.1)
    (paths.evals("full") / "golden/items.parquet").write_bytes(b"no parquet")
    params = params_with(GUARD)
    (rule,) = plan(params.gate, params, paths).rules
    assert rule.basis.startswith("assumed")
    assert "not used for planning" in caplog.text


def test_a_stored_decision_gives_the_spread_where_no_results_lie(project: ArtifactPaths) -> None:
    decision = gate.run(POLICY, project)
    shutil.rmtree(project.evals(""))
    params = params_with({"suite": "golden", "metric": "exact", "kind": "guard", "margin": 0.1})
    found = recorded_pairs(params.gate, params, project)
    pairs = found["golden", "exact", "base"]
    assert pairs.source == f"decision {decision.decision_id[:8]}"
    assert (pairs.candidate.sum(), pairs.baseline.sum()) == (120.0, 100.0)
