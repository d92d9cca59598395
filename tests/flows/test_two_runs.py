"""Two commands at once in one project: the second says who is there and leaves with code 5."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tasks.dvc_command import dvc_command, stage_environment
from tasks.pipeline.processes import kill
from tests.flows.hanging import make_project, started, wait_for


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project")


def beside(project: Path, *arguments: str) -> tuple[int, str]:
    with started(project, *arguments) as process:
        said = process.stdout.read() if process.stdout is not None else ""
        return process.wait(), said


@pytest.mark.slow
def test_no_command_works_beside_a_stage_and_each_says_who_is_there(project: Path) -> None:
    with started(project, "stage", "fetch") as first:
        wait_for(project / "worker", first)
        for command in (["run"], ["stage", "fetch"], ["promote"]):
            code, said = beside(project, *command)
            assert code == 5, said
            assert f"`ratchet stage fetch` (pid {first.pid} on" in said
            assert "wait for it to end, then run the command again" in said
            assert "remove" not in said
            assert "traceback" not in said.lower()
        code, said = beside(project, "status")
        assert f"running now: `ratchet stage fetch` (pid {first.pid} on" in said
        assert "works on it" in said
        assert "traceback" not in said.lower()
        by_hand = subprocess.run(
            dvc_command("repro"), cwd=project, env=stage_environment(), capture_output=True, text=True, check=False
        )
        assert by_hand.returncode != 0
        left = psutil.Process(first.pid).children(recursive=True)
        first.kill()  # its stage goes on without it, and is what the next command names
        first.wait()
        code, said = beside(project, "stage", "fetch")
        assert code == 5, said
        assert "DVC works in this project: `" in said
        assert "repro --single-item fetch` (pid" in said
        kill(left)
        psutil.wait_procs(left)
    (project / "hang.py").write_text("open('one', 'w').write('good')")
    code, said = beside(project, "stage", "fetch")
    assert code == 0, said


@pytest.mark.slow
def test_a_dvc_repro_that_somebody_started_is_named(project: Path) -> None:
    with subprocess.Popen(dvc_command("repro"), cwd=project, env=stage_environment(), stdout=sys.stderr) as by_hand:
        wait_for(project / "worker", by_hand)  # type: ignore[arg-type]
        try:
            code, said = beside(project, "run")
        finally:
            kill(psutil.Process(by_hand.pid).children(recursive=True))
    assert code == 5, said
    assert f"repro` (pid {by_hand.pid} on" in said
    assert "remove" not in said
