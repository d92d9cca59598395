"""What the doctor sees, here and in an empty folder."""

import os
import shutil
import time
from pathlib import Path

import pytest
import yaml

from evalsuite.suites.lm_eval.settings import PINNED_DATA
from flows.cli.views.project import show_missing
from flows.doctor import _configuration, _left_by_builds, _packages, _remote, _versions, examine
from tasks.config.params import parse_params
from tasks.installed.pipeline import pipeline_text
from tasks.pipeline.runner import Pending
from tasks.starter.create import Wishes, create
from tests.hub import CLOSED, use_hub

ROOT = Path(__file__).parents[2]


def test_this_checkout_has_the_packages_it_asks_for() -> None:
    findings = {finding.subject: finding for finding in examine(ROOT)}
    for subject in ("python", "packages", "package flows", "package tasks", "package evalsuite", "params.yaml", "dvc"):
        assert findings[subject].good, findings[subject]


def test_every_bad_finding_has_a_remedy(tmp_path: Path) -> None:
    bad = [finding for finding in examine(tmp_path) if not finding.good]
    assert {"git", "params.yaml", "pyproject.toml"} <= {finding.subject for finding in bad}
    assert all(finding.remedy for finding in bad)


def test_a_file_that_hides_a_package_is_found(tmp_path: Path) -> None:
    (tmp_path / "evaluate.py").write_text("")
    findings = {finding.subject: finding for finding in examine(tmp_path)}
    assert "shadowed by" in findings["evaluate"].state


def test_what_a_run_would_fetch_is_named_with_its_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use_hub(monkeypatch, tmp_path / "hub")
    data = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    data["evaluation"]["harness"] = {"tasks": {"mmlu_pro": {}}}
    data["gate"]["rules"] = [rule for rule in data["gate"]["rules"] if rule["suite"] != "ifeval"]
    params = parse_params(data)
    (bad,) = [finding for finding in _remote(params) if not finding.good]
    what = f"dataset TIGER-Lab/MMLU-Pro at commit {PINNED_DATA['TIGER-Lab/MMLU-Pro'][:12]}, from {CLOSED}"
    assert bad.state == f"{what}: not here"
    assert "evaluation.harness.data_root" in bad.remedy
    show_missing(params, [Pending("train@full", "x")])
    assert what in " ".join(capsys.readouterr().out.split())
    show_missing(params, [Pending("gate", "x")])
    assert capsys.readouterr().out == ""


def test_the_example_for_a_gpu_machine_needs_a_commit_before_the_doctor_is_content(tmp_path: Path) -> None:
    shutil.copy(ROOT / "examples/gpu/params.yaml", tmp_path / "params.yaml")
    bad = [finding.state for finding in _configuration(tmp_path) if not finding.good]
    assert any("'PUT-THE-COMMIT-HERE' is not a commit" in state for state in bad)


def test_missing_sections_and_wrong_metric_names_are_found_in_one_round(tmp_path: Path) -> None:
    data = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    del data["contamination"]
    data["compare"] = {"suite": "golden", "metric": "no_such_metric"}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(data))
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    for folder in ("golden_sets", "data"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    bad = [finding.state for finding in _configuration(tmp_path) if not finding.good]
    assert any("lacks a section that dvc.yaml reads" in state for state in bad)
    assert any("no_such_metric" in state for state in bad)


def test_in_a_project_without_sources_the_installed_package_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_text(pipeline_text())
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks/__init__.py").write_text("raise SystemExit('imported')\n")
    found = [*_versions(tmp_path), *_packages(tmp_path)]
    assert {finding.subject for finding in found} == {"packages", "package flows", "package tasks", "package evalsuite"}
    assert all(finding.good for finding in found), found
    assert "match ratchet-ft " in found[0].state


def test_a_project_of_another_pipeline_is_told_how_to_go_on(tmp_path: Path) -> None:
    create(tmp_path / "mine", Wishes())
    text = (tmp_path / "mine/dvc.yaml").read_text()
    (tmp_path / "mine/dvc.yaml").write_text(text.replace("pipeline: ", "pipeline: 0"))
    bad = [finding.state for finding in _configuration(tmp_path / "mine") if not finding.good]
    assert any("`ratchet init --upgrade` writes the pipeline anew" in state for state in bad)


def locked(cache: Path, name: str, hours: float) -> Path:
    """A lock as torch makes it, ``hours`` old."""
    lock = cache / "torch_extensions/py311_cpu" / name / "lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    os.utime(lock, (time.time() - hours * 3600,) * 2)
    return lock


def test_a_lock_that_a_killed_build_left_is_named_with_the_command_that_removes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("TORCH_EXTENSIONS_DIR", raising=False)
    left = locked(tmp_path, "cpu_adam", hours=2)
    locked(tmp_path, "fused_adam", hours=0.01)
    (finding,) = _left_by_builds()
    assert not finding.good
    assert f"{left} was left 2.0 h ago" in finding.state
    assert finding.remedy == f"`rm {left}`"


def test_a_lock_of_a_build_that_still_runs_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torch.utils.file_baton import FileBaton

    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path))
    (tmp_path / "cpu_adam").mkdir()
    lock = tmp_path / "cpu_adam/lock"
    baton = FileBaton(str(lock))
    assert baton.try_acquire()
    os.utime(lock, (time.time() - 7200,) * 2)
    assert list(_left_by_builds()) == []
    os.close(baton.fd)  # as at the death of the process, which leaves the file
    assert [finding.good for finding in _left_by_builds()] == [False]
