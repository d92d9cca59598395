"""``ratchet gate``."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from evalsuite.core.errors import UsageError
from evalsuite.core.files import write_json
from evalsuite.gate.decide import decide
from evalsuite.gate.policy import GatePolicy
from evalsuite.gate.replay import RunInputs, gate_code_sha256, write_record
from evalsuite.records.evidence import load_evidence
from evalsuite.testing import make_item, make_result
from flows.cli.app import app
from flows.cli.views.history import show_history
from tasks.config.params import load_params
from tasks.paths import ArtifactPaths
from tasks.registry.decisions import find_decision
from tasks.registry.ledger import Event, append, new_entry, registry_lock
from tests.evalsuite.gate_tools.test_simulate import write_answers

ROOT = Path(__file__).parents[3]


def test_simulate_writes_the_figures_of_every_rule(tmp_path: Path) -> None:
    answers = write_answers(tmp_path / "answers.csv", {"a": 0.50, "b": 0.53}, 600)
    out = tmp_path / "out.json"
    command = ["gate", "simulate", "--answers", str(answers), "--margin", "0.05", "--repetitions", "2"]
    result = CliRunner().invoke(app, [*command, "--json", str(out)], catch_exceptions=False)
    assert result.exit_code == 0
    assert "worse promoted" in result.stdout
    rules = json.loads(out.read_text())["rules"]
    assert list(rules) == [
        "ratchet_sequential",
        "ratchet_fixed",
        "point_above_margin",
        "not_below",
        "significantly_better",
    ]
    wanted = {
        "false_promotion",
        "false_promotion_upper95",
        "blocked_not_worse",
        "mean_items_clear",
        "mean_items_middle",
    }
    assert all(wanted | {"mean_items_middle", "mean_items"} <= set(rule) for rule in rules.values())


@pytest.mark.parametrize("pairs", ["0.06", "within:", "within:two", "near:0.06", "within:-1", "within:nan"])
def test_simulate_names_pairs_that_it_does_not_know(tmp_path: Path, pairs: str) -> None:
    command = ["gate", "simulate", "--answers", str(tmp_path / "none.csv"), "--pairs", pairs]
    with pytest.raises(UsageError, match="expected within:X"):
        CliRunner().invoke(app, command, catch_exceptions=False, standalone_mode=False)


def test_an_inconclusive_comparison_says_for_each_undecided_rule_how_many_more_items_would_decide(
    tmp_path: Path,
) -> None:
    baseline, candidate = _scores(tmp_path / "a.csv", 0), _scores(tmp_path / "b.csv", 9)
    rules = ["{suite: golden, metric: exact, kind: guard, margin: 0.02}"]
    rules += ["{suite: golden, metric: exact, kind: target, min_gain: 0.0}"]
    rules += ["{suite: golden, metric: exact, kind: guard, margin: 0.3}"]
    (tmp_path / "p.yaml").write_text("rules:\n" + "".join(f"  - {rule}\n" for rule in rules))
    out = tmp_path / "d.json"
    command = ["gate", "compare", "--baseline", str(baseline), "--candidate", str(candidate)]
    result = CliRunner().invoke(
        app, [*command, "--policy", str(tmp_path / "p.yaml"), "--json", str(out)], catch_exceptions=False
    )
    assert result.exit_code == 3
    told = result.stdout[result.stdout.index("more items that would decide it") :].splitlines()[1:]
    undecided = [each for each in json.loads(out.read_text())["reasons"] if each["outcome"] == "undecided"]
    assert len(told) == len(undecided) == 2
    for line, reason in zip(told, undecided, strict=True):
        assert line.split() == [reason["rule"], "300", "about", f"{reason['more_items']:,}"]


def _scores(path: Path, flipped: int) -> Path:
    rows = [f"i{i},{int((i % 3 > 0) != (i < flipped))}\n" for i in range(300)]
    path.write_text("item_id,exact\n" + "".join(rows), encoding="utf-8")
    return path


def _evals(folder: Path, flipped: int) -> Path:
    items = [make_item(f"i{i}", {"exact": float((i % 3 > 0) != (i < flipped))}) for i in range(300)]
    make_result(items, model_identity="m" * 64).write(folder / "golden")
    return folder


def test_noise_of_repeats_becomes_a_warning_of_compare(tmp_path: Path) -> None:
    first, second, third = (_evals(tmp_path / name, flipped) for name, flipped in (("a", 0), ("b", 6), ("c", 3)))
    out = tmp_path / "noise.json"
    command = ["gate", "noise", "--a", str(first), "--b", str(second), "--b", str(third), "--json", str(out)]
    result = CliRunner().invoke(app, command, catch_exceptions=False)
    assert result.exit_code == 0
    assert "3 evaluations of model mmmmmmmmmmmm" in result.stdout
    floor = json.loads(out.read_text())["metrics"][0]["floor"]
    assert f"golden/exact: {floor:.6g}" in result.stdout
    policy = tmp_path / "policy.yaml"
    policy.write_text("rules: [{suite: golden, metric: exact, kind: guard, margin: 0.01}]\n", encoding="utf-8")
    sides = ["--baseline", str(first), "--candidate", str(second), "--policy", str(policy)]
    told = CliRunner().invoke(app, ["gate", "compare", *sides, "--noise", str(out)], catch_exceptions=False)
    assert f"margin 0.01 is below the noise floor {floor:g}" in " ".join(told.stdout.split())


def test_noise_of_one_folder_with_itself_is_refused(tmp_path: Path) -> None:
    command = ["gate", "noise", "--a", str(tmp_path), "--b", str(tmp_path / "x" / "..")]
    with pytest.raises(UsageError, match="the same folder appears twice"):
        CliRunner().invoke(app, command, catch_exceptions=False)


def test_noise_of_two_models_is_refused(tmp_path: Path) -> None:
    first, second = _scores(tmp_path / "a.csv", 0), _scores(tmp_path / "b.csv", 5)
    command = ["gate", "noise", "--a", str(first), "--b", str(second)]
    with pytest.raises(UsageError, match="noise is measured on repeated evaluations of the same model"):
        CliRunner().invoke(app, command, catch_exceptions=False, standalone_mode=False)


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The shipped settings and sets, where nothing was run or promoted, and the process in it."""
    project = tmp_path / "project"
    shutil.copytree(ROOT / "golden_sets", project / "golden_sets")
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, project / name)
    monkeypatch.chdir(project)
    return project


@pytest.mark.usefixtures("fresh")
def test_power_shows_every_rule_and_writes_the_table(tmp_path: Path) -> None:
    out = tmp_path / "power.json"
    policy = tmp_path / "policy.yaml"
    policy.write_text("rules: [{suite: golden, metric: normalized_exact, kind: guard, margin: 0.03, slices: queue}]\n")
    command = ["gate", "power", "--policy", str(policy), "--json", str(out)]
    result = CliRunner().invoke(app, command, catch_exceptions=False)
    assert result.exit_code == 0
    assert "golden/normalized_exact:guard:base" in result.stdout
    assert "golden/normalized_exact:guard:base is weak: no change passes only" in result.stdout
    assert "holds from: the least true difference" in result.stdout
    assert "hours: evaluating one model" in result.stdout
    (rule,) = json.loads(out.read_text())["rules"]
    assert rule["weak"]
    assert [scenario["name"] for scenario in rule["scenarios"]] == [
        "no change",
        "half the margin lost",
        "twice the margin lost",
    ]


@pytest.mark.usefixtures("fresh")
def test_power_ends_with_a_usage_error_where_nothing_can_pass(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("rules: [{suite: golden, metric: normalized_exact, kind: guard, margin: 0.001}]\n")
    command = ["gate", "power", "--policy", str(policy)]
    with pytest.raises(UsageError, match=r"can never say PROMOTE.*enough would be [\d,]+ items or a margin of"):
        CliRunner().invoke(app, command, catch_exceptions=False, standalone_mode=False)


def test_history_shows_the_id_that_gate_replay_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths, decision_id = ArtifactPaths(tmp_path), "0123456789abcdef" * 4
    line = new_entry(Event.VERDICT, None, "full", "a" * 64).model_copy(update={"decision_id": decision_id})
    with registry_lock(paths):
        append(paths, line)
    show_history(paths, as_json=False)
    heads, cells = (text.split() for text in capsys.readouterr().out.splitlines()[:2])
    shown = next(cell for cell in cells if decision_id.startswith(cell))
    assert "decision" in heads
    stored = paths.stored_decision(decision_id)
    stored.parent.mkdir(parents=True)
    stored.touch()
    assert find_decision(paths, shown) == stored


def test_replay_says_where_a_file_holds_another_decision_than_the_one_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = load_evidence(_scores(tmp_path / "a.csv", 0), "a", "golden")
    rules = GatePolicy.model_validate(
        {"rules": [{"suite": "golden", "metric": "exact", "kind": "guard", "margin": 0.2}]}
    )
    decision = decide(results, {"base": results}, rules, code_sha256=gate_code_sha256())
    paths = ArtifactPaths(tmp_path)
    write_record(paths.stored_decision(decision.decision_id), decision, results, {"base": results})
    monkeypatch.setattr("flows.cli.gate.project_root", lambda: tmp_path)

    def replayed(wanted: str) -> str:
        command = ["gate", "replay", wanted]
        return CliRunner().invoke(app, command, catch_exceptions=False, standalone_mode=False).output

    assert f"replayed {decision.decision_id[:16]}" in replayed(decision.decision_id)
    another = decision.decision_id[:-1] + ("0" if decision.decision_id[-1] != "0" else "1")
    with pytest.raises(UsageError, match=f"holds decision {decision.decision_id}, not {another}"):
        replayed(another)
    paths.stored_decision(decision.decision_id).rename(paths.stored_decision("0" * 64))
    with pytest.raises(UsageError, match=f"holds decision {decision.decision_id}, not 0000"):
        replayed("0000")


@pytest.mark.parametrize(("lost", "code"), [(0, 0), (300, 1), (90, 3)])
def test_a_clone_where_no_stage_ran_replays_the_ledger_s_last_verdict_and_ends_with_its_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: int, code: int
) -> None:
    base, new = (load_evidence(_scores(tmp_path / f"{n}.csv", n), "a", "golden") for n in (0, lost))
    gate = {"rules": [{"suite": "golden", "metric": "exact", "kind": "guard", "margin": 0.1}]}
    decision = decide(new, {"base": base}, GatePolicy.model_validate(gate), code_sha256=gate_code_sha256())
    paths = ArtifactPaths(tmp_path)
    _write_params(paths, gate=gate)
    write_record(paths.stored_decision(decision.decision_id), decision, new, {"base": base})
    with registry_lock(paths):
        for decision_id in ("f" * 64, decision.decision_id):
            line = new_entry(Event.VERDICT, None, "full", "a" * 64)
            append(paths, line.model_copy(update={"decision_id": decision_id}))
        append(paths, new_entry(Event.PROMOTE, None, "full", "a" * 64))
    monkeypatch.setattr("flows.cli.gate.project_root", lambda: tmp_path)
    done = CliRunner().invoke(app, ["gate", "replay", "--verdict"], catch_exceptions=False)
    assert f"replayed {decision.decision_id[:16]}" in done.output
    assert done.exit_code == code == int(decision.verdict.exit_code)
    assert CliRunner().invoke(app, ["gate", "replay"], catch_exceptions=False).exit_code == 0
    # A decision that is there and not the ledger's last one gives no verdict, unless it is named.
    write_json(paths.decision, decision)
    with registry_lock(paths):
        append(paths, new_entry(Event.VERDICT, None, "lora", "b" * 64).model_copy(update={"decision_id": "e" * 64}))
    with pytest.raises(UsageError, match="the ledger's last verdict is on eeeeeeeeeeeeeeee"):
        CliRunner().invoke(app, ["gate", "replay", "--verdict"], catch_exceptions=False, standalone_mode=False)
    named = ["gate", "replay", "--verdict", decision.decision_id]
    assert CliRunner().invoke(app, named, catch_exceptions=False).exit_code == code


@pytest.mark.parametrize("kept", [True, False])
def test_a_verdict_on_other_settings_than_those_of_params_yaml_lets_nothing_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    base = load_evidence(_scores(tmp_path / "scores.csv", 0), "a", "golden")
    gate = {"rules": [{"suite": "golden", "metric": "exact", "kind": "guard", "margin": 0.1}]}
    decision = decide(base, {"base": base}, GatePolicy.model_validate(gate), code_sha256=gate_code_sha256())
    paths = ArtifactPaths(tmp_path)
    _write_params(paths, gate=gate)
    made_with = RunInputs(params=load_params(paths.params).deciding()) if kept else None  # None: an earlier version
    write_record(paths.stored_decision(decision.decision_id), decision, base, {"base": base}, made_with)
    with registry_lock(paths):
        line = new_entry(Event.VERDICT, None, "full", "a" * 64)
        append(paths, line.model_copy(update={"decision_id": decision.decision_id}))
    monkeypatch.setattr("flows.cli.gate.project_root", lambda: tmp_path)
    replayed = ["gate", "replay", "--verdict"]
    assert CliRunner().invoke(app, replayed, catch_exceptions=False).exit_code == 0

    _write_params(paths, gate={"rules": [gate["rules"][0] | {"margin": 0.5}]})
    with pytest.raises(UsageError, match=r"now: gate\.rules differs; make a new one with `ratchet run`"):
        CliRunner().invoke(app, replayed, catch_exceptions=False, standalone_mode=False)
    # Named, it is the replay of an old decision and says nothing about the present settings.
    assert CliRunner().invoke(app, [*replayed, decision.decision_id], catch_exceptions=False).exit_code == 0

    if kept:
        _write_params(paths, gate=gate, train={"seed": 8})
        with pytest.raises(UsageError, match=r"train\.seed was \d+ and is 8"):
            CliRunner().invoke(app, replayed, catch_exceptions=False, standalone_mode=False)


def _write_params(paths: ArtifactPaths, **sections: Any) -> None:
    shipped = yaml.safe_load((ROOT / "params.yaml").read_text())
    merged = {**shipped, **{name: shipped.get(name, {}) | own for name, own in sections.items()}}
    paths.params.write_text(yaml.safe_dump(merged | {"gate": sections["gate"]}))
