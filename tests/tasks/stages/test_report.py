import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from evalsuite.core.errors import MissingArtifactError, UsageError
from evalsuite.core.files import write_json
from evalsuite.gate.decision import Verdict, read_decision
from evalsuite.gate.replay import RunInputs, read_record, reports_of, write_record
from evalsuite.items.results import read_result
from evalsuite.testing import make_item, make_result
from tasks.config.compare import CompareParams
from tasks.config.hardware import HardwareParams
from tasks.config.params import Params, load_params
from tasks.paths import ArtifactPaths
from tasks.registry.ledger import Event, append, new_entry
from tasks.stage import main as stage_main
from tasks.stages import compare, gate, report
from tests.tasks.stages.a_run import METHODS, POLICY, make_run


@pytest.fixture
def params() -> Params:
    return load_params(Path(__file__).parents[3] / "params.yaml")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("run")).root


@pytest.fixture
def project(made: Path, tmp_path: Path) -> ArtifactPaths:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return ArtifactPaths(tmp_path)


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


def test_what_the_run_left_is_gathered_for_every_section(project: ArtifactPaths, params: Params) -> None:
    splits = {"train": {"rows": 7, "tokens": 70, "longest": 12}, "dev": {"rows": 1, "tokens": 9, "longest": 9}}
    write_json(project.data_report, {"schema_version": 1, "rows_read": 8, "splits": splits})
    pin = {"schema_version": 1, "inputs_sha256": "f" * 64, "champion": None, "params": {"train": {"seed": 7}}}
    write_json(project.baseline_pin, pin)
    data = report.gather(params, project)
    assert data.data_counts is not None
    assert data.data_counts.rows_read == 8
    assert data.run_inputs is not None
    assert data.run_inputs.params == {"train": {"seed": 7}}
    assert data.contamination is not None
    assert data.champion_inputs is None
    assert set(data.method_tables) == {"full"}, "the candidate's own results are there anyway"
    assert set(data.method_tables["full"]) == {"golden"}
    assert data.datasets == params.prepare.datasets


def test_the_champions_settings_come_from_the_decision_that_promoted_it(project: ArtifactPaths, params: Params) -> None:
    first = read_decision(project.decision)
    stored = project.stored_decision(first.decision_id)
    write_record(stored, first, *reports_of(read_record(stored)), RunInputs(params={"train": {"seed": 1}}))
    append(project, new_entry(Event.PROMOTE, first, "qlora", first.candidate_identity))
    assert report.gather(params, project).past.num_lines == 0, "a report leaves its own decision's promotion out"
    (project.evals("champion") / "absent.json").unlink()
    shutil.copytree(project.evals("qlora") / "golden", project.evals("champion") / "golden")
    pin = {"champion": {"identity": first.candidate_identity}, "params": {"train": {"seed": 2}}}
    write_json(project.baseline_pin, {"schema_version": 1, "inputs_sha256": "f" * 64, **pin})
    compare.run(CompareParams(), HardwareParams(), METHODS, project)
    gate.run(POLICY, project)
    data = report.gather(params, project)
    assert data.past.num_lines == 1
    assert data.champion_inputs is not None
    assert data.champion_inputs.params == {"train": {"seed": 1}}
    report.run(params, project)
    page = project.report.read_text(encoding="utf-8")
    assert "train.seed" in page.partition("Settings that differ from the champion")[2]
    assert f"dvc pull registry/models/{first.candidate_identity[:16]}.dvc" in page


def test_a_report_without_contamination_or_data_report_is_written(project: ArtifactPaths, params: Params) -> None:
    project.contamination.unlink()
    assert report.run(params, project).verdict is Verdict.PROMOTE
    page = project.report.read_text(encoding="utf-8")
    assert "Nobody looked" in page
    assert "Preparation left no report" in page


def test_results_that_changed_since_the_decision_are_told(project: ArtifactPaths, params: Params) -> None:
    _evaluate_again(project, "base", 101)
    report.run(params, project)
    assert "The results in evals/base/golden changed since the decision" in project.report.read_text(encoding="utf-8")


def _evaluate_again(paths: ArtifactPaths, model: str, right: int) -> None:
    folder = paths.evals(model) / "golden"
    result = read_result(folder)
    items = [make_item(f"i{i}", {"json_fields": float(i < right)}) for i in range(200)]
    make_result(items, model_identity=result.info.model_identity).write(folder)


@pytest.mark.parametrize(
    ("verdict", "champion", "expected"),
    [
        (Verdict.PROMOTE, None, {"ratchet promote", "ratchet rollback --to none --reason TEXT"}),
        (Verdict.PROMOTE, "c" * 64, {"ratchet promote", "ratchet rollback --reason TEXT"}),
        (Verdict.REJECT, "c" * 64, {"ratchet rollback --reason TEXT"}),
        (Verdict.INCONCLUSIVE, None, set()),
    ],
)
def test_only_what_can_be_done_is_told(
    project: ArtifactPaths, verdict: Verdict, champion: str | None, expected: set[str]
) -> None:
    decision = read_decision(project.decision).model_copy(update={"verdict": verdict})
    found = {each.command for each in report.commands(decision, champion, "c0ffee-dirty")}
    moves = {each for each in found if each.startswith(("ratchet promote", "ratchet rollback"))}
    assert moves == expected
    assert not any("git checkout" in each or "None" in each for each in found), "changed files have no commit"
    assert "git checkout c0ffee" in {each.command for each in report.commands(decision, None, "c0ffee")}


def test_every_command_that_the_report_names_exists(project: ArtifactPaths) -> None:
    import typer

    from flows.cli.app import app

    commands = report.commands(read_decision(project.decision), "c" * 64, "c0ffee")
    for each in commands:
        words = each.command.split()
        if words[0] != "ratchet":
            assert words[:2] in (["dvc", "pull"], ["dvc", "checkout"], ["git", "checkout"])
            continue
        command: Any = typer.main.get_command(app)
        rest = words[1:]
        while rest and rest[0] in getattr(command, "commands", {}):
            command, rest = command.commands[rest[0]], rest[1:]
        command.make_context("ratchet", rest)
