"""What may not move the champion, and what does."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from evalsuite.core.errors import StageError, StaleDecisionError, UsageError
from evalsuite.core.files import read_json, write_json
from evalsuite.core.identity import write_manifest
from evalsuite.gate.policy import GatePolicy
from tasks.config.operations import PromoteParams
from tasks.paths import ArtifactPaths
from tasks.registry import promote as promote_module
from tasks.registry.champion import read_champion, read_stored
from tasks.registry.evidence import run as run_gate
from tasks.registry.ledger import (
    Entry,
    Event,
    append,
    ledger_path,
    looks,
    new_entry,
    read_ledger,
    record_verdict,
    registry_lock,
)
from tasks.registry.promote import Override, promote, rollback
from tasks.registry.store import store
from tests.tasks.clean import write_clean
from tests.tasks.registry.project import POLICY, lose_bytes, make_project, start_promotion, train, write_results

ROOT = Path(__file__).parents[3]
PARAMS = PromoteParams()
ADA = Override(by="ada", reason="trial")


def evaluate(paths: ArtifactPaths, model: str, num_right: int) -> None:
    folder = paths.export(model)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.safetensors").write_text(model)
    write_results(paths, model, write_manifest(folder, source="test").identity, num_right)


def make(root: Path, num_right: int = 80) -> ArtifactPaths:
    """A project without DVC, for what is refused before any byte travels."""
    paths = ArtifactPaths(root)
    data: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text())
    data["gate"] = POLICY
    paths.root.mkdir(exist_ok=True)
    paths.params.write_text(yaml.safe_dump(data))
    evaluate(paths, "base", 80)
    evaluate(paths, "full", num_right)
    write_json(paths.comparison, {"candidate": "full", "methods": [{"name": "full"}]})
    write_json(paths.baseline_pin, {"schema_version": 1, "inputs_sha256": "f" * 64, "champion": None})
    write_clean(paths, "golden")
    run_gate(GatePolicy.model_validate(POLICY), paths)
    return paths


@pytest.fixture
def paths(tmp_path: Path) -> ArtifactPaths:
    return make(tmp_path / "project")


def refuse(paths: ArtifactPaths, match: str, override: Override | None = None) -> None:
    with pytest.raises(UsageError, match=match):
        promote(paths, PARAMS, override)
    assert not (paths.registry / "ledger.jsonl").exists()


def test_a_dry_run_verifies_everything_and_changes_nothing(judged: ArtifactPaths) -> None:
    move = promote(judged, PARAMS, dry_run=True)
    assert move.summary.startswith("would promote full")
    assert not (judged.registry / "ledger.jsonl").exists()
    assert not (judged.registry / "models").exists()
    assert not list((judged.root / ".dvc/tmp").glob("fetch-*"))


def test_a_dry_run_fails_where_the_promotion_would(judged: ArtifactPaths) -> None:
    (judged.root / ".dvc/config").write_text("[core]\n    autostage = false\n")
    for dry_run in (True, False):
        with pytest.raises(StageError, match="no DVC remote"):
            promote(judged, PARAMS, dry_run=dry_run)


@pytest.mark.parametrize("name", ["proj\u00e9ct", "\u9879\u76ee #1 50%(x)s", 'it\'s "so"; $HOME\n'])
@pytest.mark.parametrize("locale", [{}, {"LC_ALL": "C", "PYTHONUTF8": "0"}], ids=["own-locale", "ascii"])
def test_a_project_in_a_folder_of_any_name_is_promoted_in_any_locale(
    judged_template: Path, tmp_path: Path, name: str, locale: dict[str, str]
) -> None:
    shutil.copytree(judged_template, tmp_path / name)
    for dry_run, wanted in ((True, "would promote full"), (False, "promoted full")):
        process = start_promotion(tmp_path / name, locale, dry_run)
        assert process.communicate(timeout=120)[0].startswith(wanted)
    assert events(ArtifactPaths(tmp_path / name)) == ["verdict", "promote"]


def test_verdicts_on_other_models_after_the_decision_do_not_make_it_stale(judged: ArtifactPaths) -> None:
    from evalsuite.gate.decision import read_decision

    decision = read_decision(judged.decision)
    items = read_json(judged.evals("full") / "golden/summary.json", "x")["items_sha256"]
    for letter in "abc":
        entry = new_entry(Event.VERDICT, decision, "other", letter * 64, {"golden": items})
        with registry_lock(judged):
            append(judged, entry)
    assert promote(judged, PARAMS, dry_run=True).summary.startswith("would promote full")


def test_a_reject_is_not_promoted(tmp_path: Path) -> None:
    refuse(
        make(tmp_path / "p", num_right=0),
        r"the verdict is REJECT, not PROMOTE: .*[^.]\. To promote against it, name yourself",
    )


def test_an_undecided_candidate_is_not_promoted(tmp_path: Path) -> None:
    refuse(make(tmp_path / "p", num_right=73), "the verdict is INCONCLUSIVE, not PROMOTE")


@pytest.mark.parametrize(("by", "reason"), [("", "x"), ("ada", ""), ("  ", "x"), ("ada", "\n")])
def test_an_override_needs_a_name_and_a_reason(tmp_path: Path, by: str, reason: str) -> None:
    paths = make(tmp_path / "p", num_right=0)
    refuse(paths, "an override needs a name and a reason", Override(by=by, reason=reason))


def test_a_verdict_changed_by_hand_is_found_out(tmp_path: Path) -> None:
    paths = make(tmp_path / "p", num_right=0)
    data = read_json(paths.decision, "x")
    write_json(paths.decision, {**data, "verdict": "PROMOTE"})
    refuse(paths, "does not follow from the stored results .*verdict")


@pytest.mark.parametrize("field", ["candidate_identity", "inputs_sha256", "decision_id", "headline"])
def test_any_field_changed_by_hand_is_found_out(paths: ArtifactPaths, field: str) -> None:
    data = read_json(paths.decision, "x")
    write_json(paths.decision, {**data, field: "0" * 64})
    refuse(paths, f"does not follow from the stored results .*{field}")


def test_a_self_test_changed_or_left_out_is_found_out(paths: ArtifactPaths) -> None:
    data = read_json(paths.decision, "x")
    for changed in (None, {**data["self_test"], "unchanged": []}):
        write_json(paths.decision, {**data, "self_test": changed})
        refuse(paths, "does not follow from the stored results .*decision_id")


def test_a_reason_left_out_is_found_out(paths: ArtifactPaths) -> None:
    data = read_json(paths.decision, "x")
    write_json(paths.decision, {**data, "reasons": data["reasons"][1:]})
    refuse(paths, "differs in reasons")


def test_results_changed_after_the_decision_are_found_out(tmp_path: Path) -> None:
    paths = make(tmp_path / "p", num_right=0)
    evaluate(paths, "full", 80)
    data = read_json(paths.decision, "x")
    write_json(paths.decision, {**data, "verdict": "PROMOTE"})
    refuse(paths, "does not follow from the stored results")


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
    paths = make(tmp_path / "p", num_right=0)
    loose = {"rules": [{**POLICY["rules"][0], "margin": 2.0}]}
    run_gate(GatePolicy.model_validate(loose), paths)
    refuse(paths, "policy in params.yaml is not the decision's")


def test_without_a_decision_the_command_that_makes_it_is_named(paths: ArtifactPaths) -> None:
    paths.decision.unlink()
    with pytest.raises(StageError, match="ratchet run"):
        promote(paths, PARAMS)


def test_without_a_dvc_project_nothing_moves(paths: ArtifactPaths) -> None:
    refuse(paths, r"dvc\.lock has no models/full/export")


def test_a_rollback_without_a_champion_is_refused(paths: ArtifactPaths) -> None:
    with pytest.raises(UsageError, match="no champion yet"):
        rollback(paths, None, "why")


def test_a_rollback_needs_a_reason(paths: ArtifactPaths) -> None:
    with pytest.raises(UsageError, match="needs a reason"):
        rollback(paths, None, "  ")


# From here on with real git and DVC.


@pytest.fixture(scope="module")
def judged_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("judged") / "project").root


@pytest.fixture(scope="module")
def promoted_template(judged_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``first`` is champion, and ``second`` was judged against it and passed."""
    root = tmp_path_factory.mktemp("promoted") / "project"
    shutil.copytree(judged_template, root)
    paths = ArtifactPaths(root)
    promote(paths, PARAMS)
    train(paths, "second", champion=champion_of(paths))
    return root


@pytest.fixture
def judged(judged_template: Path, tmp_path: Path) -> ArtifactPaths:
    shutil.copytree(judged_template, tmp_path / "project")
    return ArtifactPaths(tmp_path / "project")


@pytest.fixture
def promoted(promoted_template: Path, tmp_path: Path) -> ArtifactPaths:
    shutil.copytree(promoted_template, tmp_path / "project")
    return ArtifactPaths(tmp_path / "project")


def events(paths: ArtifactPaths) -> list[str]:
    return [entry.event for entry in read_ledger(ledger_path(paths))]


def last(paths: ArtifactPaths) -> Entry:
    return read_ledger(ledger_path(paths))[-1]


def champion_of(paths: ArtifactPaths) -> str:
    champion = read_champion(paths)
    assert champion is not None
    return champion.identity


def registry_bytes(paths: ArtifactPaths) -> dict[str, bytes]:
    names = ("ledger.jsonl", "champion.json")
    return {name: (paths.registry / name).read_bytes() for name in names if (paths.registry / name).exists()}


def test_a_promotion_is_recorded_once_however_often_it_is_asked_for(promoted: ArtifactPaths) -> None:
    first = last(promoted).identity
    move = promote(promoted, PARAMS)
    assert move.champion is not None
    assert move.summary.startswith(f"promoted full {move.champion.identity[:16]} over {first[:16]}")
    assert read_champion(promoted) == read_stored(promoted) == move.champion
    assert (move.champion.previous, last(promoted).replaced, last(promoted).override) == (first, first, None)
    assert (promoted.root / move.champion.pointer).is_file()
    assert events(promoted) == ["verdict", "promote"] * 2
    before = registry_bytes(promoted)
    assert promote(promoted, PARAMS, ADA).summary.endswith("is already the champion")
    assert registry_bytes(promoted) == before


def test_every_verdict_counts_as_one_look_at_its_items(promoted: ArtifactPaths) -> None:
    from evalsuite.gate.decision import read_decision

    for _ in range(3):
        record_verdict(read_decision(promoted.decision), promoted)
    promote(promoted, PARAMS)
    items = read_json(promoted.evals("full") / "golden/summary.json", "x")["items_sha256"]
    assert looks(read_ledger(ledger_path(promoted))) == {("golden", items): 2}


def test_a_champion_that_moved_since_the_decision_stays(promoted: ArtifactPaths) -> None:
    train(promoted, "third")
    before = registry_bytes(promoted)
    with pytest.raises(StaleDecisionError, match=r"made against champion none, .* run the gate again: `ratchet run`"):
        promote(promoted, PARAMS, ADA)
    assert registry_bytes(promoted) == before


def test_a_second_training_of_the_same_inputs_is_told_what_to_change(promoted: ArtifactPaths) -> None:
    train(promoted, "third")
    champion = read_champion(promoted)
    assert champion is not None
    pin = {"schema_version": 1, "inputs_sha256": champion.inputs_sha256, "champion": None}
    write_json(promoted.baseline_pin, pin)
    run_gate(GatePolicy.model_validate(POLICY), promoted)
    with pytest.raises(StaleDecisionError, match=r"was trained from these same inputs.*train\.seed"):
        promote(promoted, PARAMS)


def test_a_broken_remote_moves_nothing(judged: ArtifactPaths) -> None:
    (judged.root / ".dvc-remote").write_text("a file where a folder should be")
    with pytest.raises(StageError, match=r"\.dvc-remote is a file; fix that"):
        promote(judged, PARAMS)
    assert registry_bytes(judged) == {}
    (judged.root / ".dvc-remote").unlink()
    assert promote(judged, PARAMS).summary.startswith("promoted full")


def test_a_kill_before_the_ledger_line_leaves_a_promotion_to_do_again(promoted: ArtifactPaths) -> None:
    champion = read_champion(promoted)
    identity = read_json(promoted.export("full") / "manifest.json", "x")["identity"]
    store("full", identity, promoted, None)
    assert read_champion(promoted) == champion
    assert promote(promoted, PARAMS).champion.identity == identity


def test_a_kill_between_ledger_and_champion_is_finished_by_the_next_promotion(promoted: ArtifactPaths) -> None:
    behind = (promoted.registry / "champion.json").read_bytes()
    moved = promote(promoted, PARAMS).champion
    after = registry_bytes(promoted)
    (promoted.registry / "champion.json").write_bytes(behind)
    promote(promoted, PARAMS, dry_run=True)
    assert (promoted.registry / "champion.json").read_bytes() == behind
    assert promote(promoted, PARAMS).champion == moved
    assert registry_bytes(promoted) == after
    (promoted.registry / "champion.json").write_bytes(behind)
    third = train(promoted, "third", champion=moved.identity)
    assert promote(promoted, PARAMS).champion.identity == third
    assert read_stored(promoted) == read_champion(promoted)


def test_two_promotions_at_once_are_one(promoted: ArtifactPaths) -> None:
    both = [start_promotion(promoted.root) for _ in range(2)]
    texts = sorted(process.communicate()[0].strip() for process in both)
    assert [process.returncode for process in both] == [0, 0]
    assert texts[0].endswith("is already the champion")
    assert texts[1].startswith("promoted full")
    assert events(promoted) == ["verdict", "promote"] * 2


def test_a_rollback_brings_the_bytes_back_and_only_a_person_undoes_it(promoted: ArtifactPaths) -> None:
    first, second = last(promoted).identity, promote(promoted, PARAMS).champion.identity
    kept = {
        model: shutil.copytree(promoted.export(model), promoted.root / f"kept-{model}") for model in ("base", "full")
    }
    lose_bytes(promoted)
    move = rollback(promoted, None, "slow\nanswers")
    assert move.champion.identity == first
    assert (promoted.registry / "models" / first[:16] / "model.safetensors").read_text() == "first"
    assert (last(promoted).event, last(promoted).reason, last(promoted).replaced) == (
        "rollback",
        "slow answers",
        second,
    )
    for model, folder in kept.items():
        shutil.copytree(folder, promoted.export(model))
    before = registry_bytes(promoted)
    with pytest.raises(UsageError, match=r"was rolled back by .* \(slow answers\)"):
        promote(promoted, PARAMS)
    assert registry_bytes(promoted) == before
    back = rollback(promoted, second[:8], "it was not the model")
    assert back.champion.identity == second


def test_an_override_of_a_rollback_stays_in_the_ledger(promoted: ArtifactPaths) -> None:
    second = promote(promoted, PARAMS).champion.identity
    rollback(promoted, None, "slow")
    move = promote(promoted, PARAMS, ADA)
    assert move.champion.identity == second
    assert "overriding its rollback (ada: trial)" in move.summary
    assert last(promoted).override == ADA


def test_a_rollback_made_while_the_bytes_travel_holds(promoted: ArtifactPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    real = promote_module.store

    def slow(method: str, identity: str, paths: ArtifactPaths, remote: str | None) -> None:
        monkeypatch.setattr(promote_module, "store", real)
        promote(paths, PARAMS)
        rollback(paths, None, "slow")
        real(method, identity, paths, remote)

    first = last(promoted).identity
    monkeypatch.setattr(promote_module, "store", slow)
    with pytest.raises(UsageError, match="was rolled back by"):
        promote(promoted, PARAMS)
    assert last(promoted).event == "rollback"
    assert last(promoted).identity == first


def test_a_rollback_whose_bytes_are_gone_moves_nothing(promoted: ArtifactPaths) -> None:
    promote(promoted, PARAMS)
    before = registry_bytes(promoted)
    lose_bytes(promoted)
    shutil.rmtree(promoted.root / ".dvc-remote")
    with pytest.raises(StageError, match="cannot be fetched"):
        rollback(promoted, None, "slow")
    assert registry_bytes(promoted) == before


@pytest.mark.parametrize("to", ["", "zz", "ffffffff"])
def test_a_rollback_to_nobody_names_who_there_is(promoted: ArtifactPaths, to: str) -> None:
    with pytest.raises(UsageError, match=r"names 0 earlier champions; earlier champions: none"):
        rollback(promoted, to, "slow")


def test_the_first_champion_has_nobody_to_go_back_to(promoted: ArtifactPaths) -> None:
    with pytest.raises(UsageError, match=r"is the first champion.*`ratchet rollback --to none --reason TEXT`"):
        rollback(promoted, None, "slow")


def test_a_first_champion_is_retired_and_comes_back_only_by_name(promoted: ArtifactPaths) -> None:
    first = champion_of(promoted)
    with pytest.raises(UsageError, match="needs a reason"):
        rollback(promoted, "none", " ")
    move = rollback(promoted, "none", "it leaks")
    assert (move.champion, read_champion(promoted), read_stored(promoted)) == (None, None, None)
    assert move.summary == f"retired {first[:16]}: there is no champion now"
    line = last(promoted)
    assert (line.event, line.identity, line.replaced, line.reason) == ("retire", first, first, "it leaks")
    before = registry_bytes(promoted)
    for to in (None, "none"):
        with pytest.raises(UsageError, match=f"there is no champion now; .* --to IDENTITY: {first[:16]}"):
            rollback(promoted, to, "slow")
    with pytest.raises(StaleDecisionError, match="the champion is now none"):
        promote(promoted, PARAMS)
    assert registry_bytes(promoted) == before
    back = rollback(promoted, first[:8], "it was the prompt")
    assert back.summary == f"rolled back from none to {first[:16]}"
    assert champion_of(promoted) == first


def test_what_was_retired_is_not_promoted_again_without_a_name(judged: ArtifactPaths) -> None:
    promote(judged, PARAMS)
    rollback(judged, "none", "it leaks")
    with pytest.raises(UsageError, match=r"was retired by .* \(it leaks\)"):
        promote(judged, PARAMS)
    promote(judged, PARAMS, ADA)
    assert last(judged).override == ADA
