"""A stage that fails in real DVC leaves what it made before."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tasks.dvc_command import dvc_command, stage_environment
from tasks.pipeline.earlier_outputs import earlier_outputs_kept
from tests.waiting import wait_until

ROOT = Path(__file__).parents[3]
STAGE = """
import sys, time
from pathlib import Path
sys.path.insert(0, {root!r})
from tasks.pipeline.earlier_outputs import earlier_outputs_kept

with earlier_outputs_kept():
    wish = Path("wish").read_text().strip()
    Path("folder").mkdir()
    Path("folder/half.txt").write_text(wish)
    if wish == "wait":
        Path("waiting").write_text("")
        time.sleep(600)
    if wish == "break":
        raise RuntimeError("broken")
    if wish == "refuse":
        sys.exit(2)
    Path("folder/whole.txt").write_text(wish)
    Path("one.txt").write_text(wish)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for command in (["git", "init", "-q"], dvc_command("init", "-q")):
        subprocess.run(command, cwd=tmp_path, check=True)
    (tmp_path / "make.py").write_text(STAGE.format(root=str(ROOT)))
    (tmp_path / "dvc.yaml").write_text("stages: {make: {cmd: python make.py, deps: [wish], outs: [folder, one.txt]}}")
    return tmp_path


def repro(root: Path, wish: str) -> "subprocess.CompletedProcess[str]":
    (root / "wish").write_text(wish)
    command = dvc_command("repro", "make")
    return subprocess.run(command, cwd=root, env=stage_environment(), text=True, capture_output=True, check=False)


def files(root: Path) -> dict[str, str]:
    found = [*root.glob("folder/*"), *root.glob("one.txt")]
    return {path.relative_to(root).as_posix(): path.read_text() for path in sorted(found)}


GOOD = {"folder/half.txt": "good", "folder/whole.txt": "good", "one.txt": "good"}


@pytest.mark.parametrize("wish", ["break", "refuse"])
def test_a_stage_that_fails_leaves_what_it_made_before(project: Path, wish: str) -> None:
    assert repro(project, "good").returncode == 0
    assert files(project) == GOOD
    assert repro(project, wish).returncode != 0
    assert files(project) == GOOD
    again = repro(project, "better")
    assert again.returncode == 0, again.stderr
    assert set(files(project).values()) == {"better"}


def test_a_stage_that_is_told_to_end_leaves_what_it_made_before(project: Path) -> None:
    assert repro(project, "good").returncode == 0
    (project / "wish").write_text("wait")
    with subprocess.Popen(
        dvc_command("repro", "make"),
        cwd=project,
        env=stage_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        wait_until((project / "waiting").exists, lambda: "the stage did not start")
        os.killpg(process.pid, signal.SIGTERM)
    wait_until(lambda: files(project) == GOOD, lambda: f"{files(project)}")


def test_a_first_run_that_fails_leaves_no_promise(project: Path) -> None:
    done = repro(project, "break")
    assert "RuntimeError: broken" in done.stderr
    assert "could not be restored" not in done.stderr
    assert files(project) == {"folder/half.txt": "break"}


def test_a_cache_that_lost_the_bytes_does_not_hide_the_stages_own_error(project: Path) -> None:
    assert repro(project, "good").returncode == 0
    subprocess.run(["rm", "-rf", ".dvc/cache"], cwd=project, check=True)
    done = repro(project, "break")
    assert "RuntimeError: broken" in done.stderr


def test_a_folder_that_the_cache_has_lost_keeps_no_other_output_away(project: Path) -> None:
    assert repro(project, "good").returncode == 0
    for listing in project.glob(".dvc/cache/files/md5/*/*.dir"):
        listing.unlink()
    done = repro(project, "refuse")
    assert files(project)["one.txt"] == "good"
    assert "the earlier folder could not be restored" in done.stderr


def test_outside_dvc_nothing_is_touched(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert repro(project, "good").returncode == 0
    (project / "one.txt").unlink()
    monkeypatch.delenv("DVC_STAGE", raising=False)
    monkeypatch.chdir(project)
    with pytest.raises(RuntimeError), earlier_outputs_kept():
        raise RuntimeError("by hand")
    assert "one.txt" not in files(project)
