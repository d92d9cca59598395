"""make passes signals and exit codes on."""

import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]


def installed(folder: Path, ratchet: str) -> Path:
    """A folder in which nothing is left to install, and ``ratchet`` is a script of ours."""
    for name in ("Makefile", "requirements.lock", "requirements-models.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, folder / name)
    (folder / ".venv/bin").mkdir(parents=True)
    for name, does in (("ratchet", ratchet), ("python", '[ "$*" = "-m demo.chapter_two" ]')):
        script = folder / ".venv/bin" / name
        script.write_text(f"#!/bin/sh\n{does}\n")
        script.chmod(0o755)
    (folder / ".venv/.installed").touch()
    return folder


def test_a_signal_to_make_demo_reaches_the_command(tmp_path: Path) -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    folder = installed(tmp_path, "echo $$ > pid.tmp; mv pid.tmp pid; exec sleep 600")
    with subprocess.Popen(["make", "demo"], cwd=folder, stderr=subprocess.DEVNULL) as make:
        while not (folder / "pid").exists():
            assert make.poll() is None
            time.sleep(0.02)
        command = psutil.Process(int((folder / "pid").read_text()))
        make.send_signal(signal.SIGTERM)
        make.wait()
    assert not command.is_running() or command.status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize(("code", "expected"), [(0, 0), (2, 2), (4, 2), (130, 2)])
def test_make_demo_fails_where_the_command_does(tmp_path: Path, code: int, expected: int) -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    folder = installed(tmp_path, f'[ "$*" = "run --any-verdict" ] && exit {code}')
    assert subprocess.run(["make", "demo"], cwd=folder, capture_output=True, check=False).returncode == expected


@pytest.mark.parametrize("code", [0, 1])
def test_make_tour_runs_the_tour_and_fails_where_it_does(tmp_path: Path, code: int) -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    folder = installed(tmp_path, "true")
    (folder / ".venv/bin/python").write_text(f'#!/bin/sh\n[ "$*" = "-m demo.tour" ] && exit {code}; exit 9\n')
    done = subprocess.run(["make", "tour"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == (2 if code else 0), done.stderr
