"""The main job from end to end with a tiny model: one project, moved on test by test in file order."""

import json
import re
import shutil
from pathlib import Path

import pytest

from evalsuite.core.files import read_json
from evalsuite.gate.decision import Verdict, read_decision
from tasks.pipeline.runner import pending_stages
from tests.e2e.project import NUM_TEST, dvc, make_project, ratchet, write_params

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    root = make_project(tmp_path_factory.mktemp("e2e") / "project", tiny_model)
    dvc(root, "repro")
    return root


def test_dvc_repro_alone_makes_decision_and_report(project: Path) -> None:
    decision = read_decision(project / "reports/decision.json")
    assert decision.verdict is Verdict.PROMOTE
    assert decision.reasons[0].n == NUM_TEST
    assert decision.reasons[0].baseline == 1.0
    assert (decision.reasons[0].candidate or 0.0) > 0.9
    assert "PROMOTE" in (project / "reports/promotion.html").read_text()
    assert not (project / "registry/ledger.jsonl").exists()


def test_a_second_dvc_repro_does_nothing(project: Path) -> None:
    before = (project / "dvc.lock").read_bytes()
    output = dvc(project, "repro").stdout
    assert ran(output) == {"inputs"}
    assert (project / "dvc.lock").read_bytes() == before
    assert pending_stages(project) == []


def test_dvc_shows_how_the_training_went(project: Path) -> None:
    log = read_json(project / "models/full/train_log.json", "x")
    (metrics,) = json.loads(dvc(project, "metrics", "show", "--json").stdout)[""]["data"].values()
    assert metrics["data"]["train"]["loss"] == log["steps"][-1]["loss"]
    assert metrics["data"]["golden"] == log["epochs"][-1]["golden"]
    plots = json.loads(dvc(project, "plots", "diff", "HEAD", "--json").stdout)["data"]
    losses = next(shown for path, shown in plots.items() if path.endswith("train/loss.tsv"))
    assert losses[0]["revisions"] == ["workspace"]


def test_another_tracker_trains_and_evaluates_nothing_again(project: Path) -> None:
    params = project / "params.yaml"
    params.write_text(params.read_text().replace("train:\n", "train:\n  report_to: [tensorboard]\n"))
    log = (project / "models/full/train_log.json").read_bytes()
    output = dvc(project, "repro", "evaluate@full").stdout
    assert "train@full" in ran(output)
    assert "evaluate@full" not in ran(output)
    assert (project / "models/full/train_log.json").read_bytes() == log
    write_params(project, learning_rate=1e-7)
    assert "train@full" not in ran(dvc(project, "repro").stdout)


def test_a_changed_byte_of_the_model_s_folder_is_fetched_again(project: Path) -> None:
    weights = project / "tiny/model.safetensors"
    good, exported = weights.read_bytes(), read_json(project / "models/base/export/manifest.json", "x")["identity"]
    weights.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    assert "model.id has another content" in ratchet(project, "status").stdout
    assert "fetch: done" in ratchet(project, "stage", "fetch").stdout
    assert read_json(project / "models/base/export/manifest.json", "x")["identity"] != exported
    weights.write_bytes(good)
    assert ran(dvc(project, "repro").stdout) == {"inputs"}
    assert read_json(project / "models/base/export/manifest.json", "x")["identity"] == exported
    assert pending_stages(project) == []


def test_one_changed_parameter_touches_only_the_stages_that_read_it(project: Path) -> None:
    write_params(project, learning_rate=1e-7, price=0.2)
    pending = {item.name for item in pending_stages(project)}
    assert {"plan@full", "compare"} <= pending
    assert not pending & {"fetch", "prepare", "baseline", "evaluate_baseline@base", "evaluate_baseline@champion"}
    write_params(project, learning_rate=1e-7)
    assert pending_stages(project) == []


def test_a_changed_margin_leaves_training_alone(project: Path) -> None:
    write_params(project, learning_rate=1e-7, margin=0.2)
    pending = {item.name for item in pending_stages(project)}
    assert "gate" in pending
    assert not pending & {"prepare", "plan@full", "train@full", "evaluate_baseline@base"}
    # What the stopping policy might change is listed; since it is off, its bytes stay and nothing is evaluated again.
    output = dvc(project, "repro", "evaluate@full").stdout
    assert "Running stage 'stopping'" in output
    assert "Running stage 'evaluate@full'" not in output
    write_params(project, learning_rate=1e-7)
    dvc(project, "repro", "evaluate@full")
    assert pending_stages(project) == []


def test_a_policy_that_can_never_promote_is_refused_before_training(project: Path) -> None:
    write_params(project, learning_rate=1e-6, margin=0.01)
    for command in (["plan"], ["run"], ["stage", "train@full"]):
        done = ratchet(project, *command)
        assert done.returncode == 2, done.stderr[-2000:]
        assert f"even with no item lost, n={NUM_TEST} items at alpha 0.05 prove no margin of 0.01" in done.stderr
        assert "enough would be 299 items or a margin of" in done.stderr
    write_params(project, learning_rate=1e-7)
    assert pending_stages(project) == []


def test_a_malformed_data_file_is_one_clear_error_and_leaves_the_good_data(project: Path) -> None:
    rows = project / "data/raw/rows.jsonl"
    good, prepared = rows.read_text(), (project / "data/prepared/train.jsonl").read_bytes()
    rows.write_text(good + "{not json\n" * 3)
    done = ratchet(project, "stage", "prepare")
    assert done.returncode == 2
    assert "data/raw/rows.jsonl:41: not JSON" in done.stderr
    assert "Traceback" not in done.stderr
    assert (project / "data/prepared/train.jsonl").read_bytes() == prepared
    rows.write_text(good)
    assert ratchet(project, "stage", "prepare").returncode == 0
    assert (project / "data/prepared/train.jsonl").read_bytes() == prepared


def test_a_golden_set_that_is_not_its_manifest_is_refused(project: Path) -> None:
    path = project / "golden_sets/own/test.jsonl"
    good, evaluated = path.read_text(), outputs(project)
    path.write_text(good.replace('"test-0"', '"test-X"'))
    done = ratchet(project, "stage", "evaluate_baseline@base")
    assert done.returncode == 2
    assert "golden_sets/own/test.jsonl has sha256" in done.stderr
    assert outputs(project) == evaluated
    path.write_text(good)
    assert ratchet(project, "stage", "evaluate_baseline@base").returncode == 0


@pytest.mark.prefect
def test_the_flow_promotes_what_the_gate_lets_pass(project: Path) -> None:
    done = ratchet(project, "run")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "PROMOTE" in done.stdout
    assert done.stdout.splitlines()[-1].endswith("reports/promotion.html")
    assert "server" not in done.stdout + done.stderr
    champion = read_json(project / "registry/champion.json", "x")["champion"]
    assert champion["identity"] == read_decision(project / "reports/decision.json").candidate_identity
    history = [json.loads(line) for line in ratchet(project, "history", "--json").stdout.splitlines()]
    assert [entry["event"] for entry in history] == ["verdict", "promote"]


def test_after_the_promotion_nothing_is_left_to_do(project: Path) -> None:
    assert pending_stages(project) == []
    done = ratchet(project, "run")
    assert done.returncode == 0
    assert "nothing to do" in done.stdout
    assert len(ratchet(project, "history", "--json").stdout.splitlines()) == 2


def test_weights_changed_after_the_gate_are_not_promoted(project: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(project, copy, symlinks=True)
    config = copy / "models/full/export/config.json"
    config.chmod(0o644)
    config.write_text(config.read_text() + " ")
    done = ratchet(copy, "promote")
    assert done.returncode == 2
    assert "config.json has sha256" in done.stderr


@pytest.mark.prefect
def test_a_candidate_that_lost_what_the_champion_could_is_rejected(project: Path) -> None:
    before = (project / "registry/champion.json").read_bytes()
    write_params(project, learning_rate=0.5)
    done = ratchet(project, "run")
    assert done.returncode == 1, done.stderr[-3000:]
    decision = read_decision(project / "reports/decision.json")
    assert decision.verdict is Verdict.REJECT
    assert set(decision.baselines) == {"base", "champion"}
    assert (project / "registry/champion.json").read_bytes() == before
    refused = ratchet(project, "promote")
    assert refused.returncode == 2
    assert "the verdict is REJECT, not PROMOTE" in refused.stderr


def test_going_back_to_earlier_settings_trains_and_evaluates_nothing_again(project: Path) -> None:
    rejected = outputs(project)
    write_params(project, learning_rate=1e-7)
    # The gate runs: how many models its items have judged is in the ledger, and the ledger went on.
    assert ran(dvc(project, "repro").stdout) <= {"inputs", "baseline", "gate", "report"}
    decision = read_decision(project / "reports/decision.json")
    assert (decision.verdict, set(decision.baselines), decision.looks) == (Verdict.PROMOTE, {"base"}, {"golden": 1})
    write_params(project, learning_rate=0.5)
    assert ran(dvc(project, "repro").stdout) <= {"inputs", "baseline", "gate", "report"}
    assert outputs(project) == rejected
    assert read_decision(project / "reports/decision.json").verdict is Verdict.REJECT


def outputs(project: Path) -> dict[str, bytes]:
    """Every file that training and evaluation made."""
    files = [path for folder in ("models", "evals") for path in (project / folder).rglob("*") if path.is_file()]
    return {path.relative_to(project).as_posix(): path.read_bytes() for path in files}


def ran(output: str) -> set[str]:
    """Stages whose command DVC ran."""
    return set(re.findall(r"Running stage '(.+?)'", output))


def test_an_override_stays_visible_and_a_rollback_brings_the_bytes_back(project: Path) -> None:
    first = read_json(project / "registry/champion.json", "x")["champion"]["identity"]
    done = ratchet(project, "promote", "--override", "ada", "--reason", "trial")
    assert done.returncode == 0, done.stderr
    assert "OVERRIDE by ada: trial" in ratchet(project, "history").stdout
    shutil.rmtree(project / ".dvc/cache")
    back = ratchet(project, "rollback", "--reason", "trial over")
    assert back.returncode == 0, back.stderr
    assert read_json(project / "registry/champion.json", "x")["champion"]["identity"] == first


def test_a_decision_made_against_another_champion_is_stale(project: Path) -> None:
    ratchet(project, "promote", "--override", "ada", "--reason", "champion X")
    write_params(project, learning_rate=1e-6)
    dvc(project, "repro")
    assert read_decision(project / "reports/decision.json").baselines["champion"] != "none"
    assert ratchet(project, "rollback", "--reason", "the champion moves meanwhile").returncode == 0
    before = (project / "registry/ledger.jsonl").read_bytes()
    done = ratchet(project, "promote", "--override", "ada", "--reason", "in a hurry")
    assert done.returncode == 2
    assert "the decision was made against champion" in done.stderr
    assert "run the gate again" in done.stderr
    assert (project / "registry/ledger.jsonl").read_bytes() == before
