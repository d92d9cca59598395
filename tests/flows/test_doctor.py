"""What the doctor sees, here and in an empty folder."""

import shutil
from pathlib import Path

from flows.doctor import _configuration, examine

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


def test_the_example_for_a_gpu_machine_needs_a_commit_before_the_doctor_is_content(tmp_path: Path) -> None:
    shutil.copy(ROOT / "examples/gpu/params.yaml", tmp_path / "params.yaml")
    bad = [finding.state for finding in _configuration(tmp_path) if not finding.good]
    assert any("'PUT-THE-COMMIT-HERE' is no commit" in state for state in bad)
