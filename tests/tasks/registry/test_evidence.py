import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from evalsuite.contamination.overlap import ContaminationReport, ItemFinding, SuiteFinding
from evalsuite.core.errors import MissingArtifactError, UsageError
from evalsuite.core.files import write_json
from evalsuite.core.identity import write_manifest
from evalsuite.gate.decision import Verdict, read_decision
from evalsuite.gate.policy import GatePolicy
from evalsuite.gate.replay import read_record, replay
from evalsuite.items.results import read_result
from evalsuite.testing import make_item, make_result
from tasks.paths import ArtifactPaths
from tasks.registry import evidence as gate
from tasks.registry.ledger import append, ledger_path, read_ledger, record_verdict
from tasks.stage import main as stage_main
from tests.tasks.clean import write_clean

POLICY = GatePolicy.model_validate(
    {"rules": [{"suite": "golden", "metric": "exact", "kind": "guard", "margin": 0.1}], "alpha": 0.1}
)


def _evaluate(paths: ArtifactPaths, model: str, right: int, identity: str) -> None:
    items = [make_item(f"i{i}", {"exact": float(i < right)}, item_hash=f"h{i}") for i in range(200)]
    make_result(items, model_identity=identity).write(paths.evals(model) / "golden")


def _mark(paths: ArtifactPaths, model: str, number: int, *, right: bool) -> None:
    """Make an item a must-pass item, and give it a score."""
    folder = paths.evals(model) / "golden"
    result = read_result(folder)
    items = list(result.items)
    items[number] = items[number].model_copy(update={"must_pass": ("exact",), "scores": {"exact": float(right)}})
    replace(result, items=tuple(items)).write(folder)


def _contaminate(paths: ArtifactPaths, *numbers: int) -> None:
    items = tuple(
        ItemFinding(item_id=f"i{n}", item_hash=f"h{n}", contaminated=True, how=("same text",), row="r") for n in numbers
    )
    found = SuiteFinding(suite="golden", run_words=13, num_items=200, num_contaminated=len(items), items=items)
    report = ContaminationReport(train_sha256="0" * 64, num_rows=1, max_fraction=0.1, suites=(found,))
    write_json(paths.contamination, report)


def _export(paths: ArtifactPaths, model: str) -> str:
    folder = paths.export(model)
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(model.encode())
    return write_manifest(folder, "test").identity


@pytest.fixture
def project(tmp_path: Path) -> ArtifactPaths:
    """Two methods, of which qlora was chosen, and no champion."""
    paths = ArtifactPaths(tmp_path)
    for model, right in (("base", 100), ("qlora", 120)):
        _evaluate(paths, model, right, _export(paths, model))
    _write(
        paths.comparison, {"schema_version": 1, "candidate": "qlora", "methods": [{"name": "full"}, {"name": "qlora"}]}
    )
    _write(paths.baseline_pin, {"schema_version": 1, "inputs_sha256": "f" * 64, "champion": None})
    write_clean(paths, "golden")
    return paths


def _write(path: Path, data: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data), encoding="utf-8")


def test_the_chosen_method_is_judged_and_the_decision_written(project: ArtifactPaths) -> None:
    decision = gate.run(POLICY, project)
    assert decision.verdict is Verdict.PROMOTE
    assert (decision.candidate, decision.num_candidates, decision.inputs_sha256) == ("qlora", 2, "f" * 64)
    assert decision.reasons[0].alpha == pytest.approx(0.05)
    assert list(decision.baselines) == ["base"]
    assert read_decision(project.decision) == decision


def _judge_others(project: ArtifactPaths, count: int) -> None:
    """Verdicts on other models over the same items."""
    decision = read_decision(project.decision)
    for number in range(count):
        record_verdict(
            decision.model_copy(
                update={"decision_id": f"{number:064d}", "evidence": {"candidate/golden": "x"}},
            ),
            project,
        )
    ledger = ledger_path(project)
    entries = [entry.model_copy(update={"identity": f"{n:064d}"}) for n, entry in enumerate(read_ledger(ledger))]
    ledger.unlink()
    for entry in entries:
        append(project, entry)


def test_a_test_set_that_judged_many_models_is_a_warning_that_later_verdicts_do_not_change(
    project: ArtifactPaths,
) -> None:
    first = gate.run(POLICY, project)
    assert (first.looks, first.warnings) == ({}, ())
    _judge_others(project, 20)
    second = gate.run(POLICY, project)
    assert second.looks == {"golden": 20}
    assert "21 models were judged on these test items" in second.warnings[0]
    assert (second.verdict, second.reasons) == (first.verdict, first.reasons)
    record_verdict(second, project)
    assert gate.run(POLICY, project) == second
    assert gate.judge_again(first, project) == first


@pytest.mark.parametrize(("right", "verdict"), [(False, Verdict.REJECT), (True, Verdict.PROMOTE)])
def test_a_must_pass_item_that_a_training_row_gives_away_must_still_pass(
    project: ArtifactPaths, right: bool, verdict: Verdict
) -> None:
    _mark(project, "base", 3, right=True)
    _mark(project, "qlora", 3, right=right)
    _contaminate(project, 3, 4)
    decision = gate.run(POLICY, project)
    reasons = {reason.kind: reason for reason in decision.reasons}
    assert (decision.verdict, reasons["must_pass"].item_ids) == (verdict, () if right else ("i3",))
    assert (reasons["guard"].n, decision.excluded) == (198, {"golden": 2})
    assert replay(read_record(project.stored_decision(decision.decision_id))) == decision


def test_a_pinned_champion_is_a_second_baseline(project: ArtifactPaths) -> None:
    _evaluate(project, "champion", 195, "c" * 64)
    _write(
        project.baseline_pin,
        {"schema_version": 1, "inputs_sha256": "f", "champion": {"identity": "c" * 64, "other": 1}},
    )
    decision = gate.run(POLICY, project)
    assert decision.verdict is Verdict.REJECT
    assert decision.baselines["champion"] == "c" * 64


def test_results_of_another_champion_are_refused(project: ArtifactPaths) -> None:
    _evaluate(project, "champion", 195, "d" * 64)
    _write(project.baseline_pin, {"schema_version": 1, "inputs_sha256": "f", "champion": {"identity": "c" * 64}})
    with pytest.raises(
        UsageError, match=r"evaluated on model dddddddddddd, not on cccccccccccc.*evaluate_baseline@champion"
    ):
        gate.run(POLICY, project)


def test_costs_reach_the_rules(project: ArtifactPaths) -> None:
    _write(project.evals("qlora") / "costs.json", {"num_bytes": 12})
    rule = {"suite": "costs", "metric": "num_bytes", "kind": "ceiling", "limit": 10}
    decision = gate.run(GatePolicy.model_validate({"rules": [rule]}), project)
    assert decision.verdict is Verdict.REJECT
    assert gate.judge_again(read_decision(project.decision), project) == decision
    assert replay(read_record(project.stored_decision(decision.decision_id))) == decision


@pytest.mark.parametrize(
    "comparison",
    [
        pytest.param({"methods": [1]}, id="no-candidate"),
        pytest.param({"candidate": "../../etc", "methods": [1]}, id="path"),
        pytest.param({"candidate": "qlora", "methods": []}, id="no-methods"),
        pytest.param([], id="list"),
    ],
)
def test_a_broken_comparison_is_refused_with_the_command_that_mends_it(project: ArtifactPaths, comparison: Any) -> None:
    _write(project.comparison, comparison)
    with pytest.raises(UsageError, match="ratchet stage compare"):
        gate.run(POLICY, project)
    assert not project.decision.exists()


@pytest.mark.parametrize(
    "pin",
    [
        {"schema_version": 1, "inputs_sha256": "f"},
        {"champion": None},
        {"schema_version": 1, "inputs_sha256": "f", "champion": {}},
        3,
    ],
)
def test_a_broken_pin_is_refused(project: ArtifactPaths, pin: Any) -> None:
    _write(project.baseline_pin, pin)
    with pytest.raises(UsageError, match="ratchet stage baseline"):
        gate.run(POLICY, project)


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        pytest.param({"metric": "exat"}, "no item of golden has metric 'exat'; did you mean 'exact'? metrics: exact"),
        pytest.param({"suite": "goldn"}, "suite 'goldn' is not evaluated; did you mean 'golden'? suites: golden"),
        pytest.param(
            {"suite": "costs", "metric": "num_byte", "kind": "ceiling", "limit": 1.0},
            "no item of costs has metric 'num_byte'; did you mean 'num_bytes'?",
        ),
    ],
    ids=["metric", "suite", "cost"],
)
def test_a_misspelt_rule_is_refused_and_no_decision_is_kept(
    project: ArtifactPaths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    rule: dict[str, Any], told: str,
) -> None:  # fmt: skip
    data = yaml.safe_load((Path(__file__).parents[3] / "params.yaml").read_text(encoding="utf-8"))
    right = POLICY.model_dump(mode="json", exclude_none=True)["rules"][0]
    data["gate"]["rules"] = [rule if rule.get("suite") == "costs" else {**right, **rule}]
    monkeypatch.chdir(project.root)
    Path("params.yaml").write_text(yaml.safe_dump(data), encoding="utf-8")
    assert stage_main(["gate"]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert not project.decision.exists()
    assert not project.registry.exists()


def test_a_missing_stage_is_named(project: ArtifactPaths) -> None:
    project.comparison.unlink()
    with pytest.raises(MissingArtifactError, match="ratchet stage compare"):
        gate.run(POLICY, project)


def test_any_verdict_is_a_success_of_the_stage(
    project: ArtifactPaths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _evaluate(project, "qlora", 20, json.loads((project.export("qlora") / "manifest.json").read_text())["identity"])
    data = yaml.safe_load((Path(__file__).parents[3] / "params.yaml").read_text(encoding="utf-8"))
    monkeypatch.chdir(project.root)
    Path("params.yaml").write_text(yaml.safe_dump(data | {"gate": POLICY.model_dump(mode="json")}), encoding="utf-8")
    assert stage_main(["gate"]) == 0
    assert capsys.readouterr().out.startswith("REJECT: ")
    Path("reports/comparison.json").unlink()
    assert stage_main(["gate"]) == 4
    assert "ratchet stage compare" in capsys.readouterr().err


def test_other_seeds_of_a_method_are_no_candidates_that_alpha_is_divided_by(project: ArtifactPaths) -> None:
    data = json.loads(project.comparison.read_text())
    seeds = {"name": "m", "members": ["full", "qlora"], "seeds": [1, 2], "representative": "qlora", "because": "b"}
    _write(project.comparison, data | {"seed_sets": [seeds | {"metrics": []}]})
    assert gate.run(POLICY, project).num_candidates == 1
    _write(project.comparison, data | {"seed_sets": [{"members": 3}]})
    with pytest.raises(UsageError, match="seed_sets is not what it should be"):
        gate.run(POLICY, project)


def test_a_decision_keeps_the_params_and_the_data_counts_of_its_run_and_no_row(project: ArtifactPaths) -> None:
    first = gate.run(POLICY, project)
    stored = project.stored_decision(first.decision_id)
    assert read_record(stored).run is None, "the pin of an earlier version names no params"

    pin = json.loads(project.baseline_pin.read_text())
    write_json(project.baseline_pin, pin | {"params": {"train": {"seed": 7}}})
    splits = {"train": {"rows": 7, "tokens": 70, "longest": 12}, "dev": {"rows": 1, "tokens": 9, "longest": 9}}
    dropped = {"duplicate": {"count": 2, "first": ["a.jsonl:3 (SECRET ROW)"]}}
    step = {"name": "duplicates", "rows_in": 10, "kept": 8, "dropped": 2, "changed": 0, "first_dropped": ["SECRET ROW"]}
    counts = {"sources": {"a.jsonl": "ab"}, "rows_read": 10, "bad_rows": {"count": 0, "first": []}}
    report = {"schema_version": 1, **counts, "dropped": dropped, "steps": [step], "splits": splits}
    write_json(project.data_report, report)
    again = gate.run(POLICY, project)
    run = read_record(stored).run
    assert run is not None
    assert run.data is not None
    assert run.params == {"train": {"seed": 7}}
    assert (run.data.rows_read, run.data.dropped["duplicate"].count, run.data.splits["train"].rows) == (10, 2, 7)
    assert "SECRET" not in run.model_dump_json()
    assert again == first == replay(read_record(stored)), "no decision depends on what is kept beside it"


def test_a_damaged_data_report_is_named_with_its_command(project: ArtifactPaths) -> None:
    write_json(project.data_report, {"schema_version": 1, "rows_read": "many", "splits": {}})
    with pytest.raises(UsageError, match=r"report\.json: rows_read.*`ratchet stage prepare`"):
        gate.run(POLICY, project)
