"""Who works in a project, and what a killed process leaves."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from evalsuite.core.errors import BusyError, ExitCode
from tasks.pipeline.project_lock import Holder, dvc_at_work, only_run, refuse_beside_a_run, running
from tests.waiting import wait_until

ROOT = Path(__file__).parents[3]
HOLD = """
import sys, time
from pathlib import Path
from tasks.pipeline.project_lock import only_run
with only_run(Path(sys.argv[1]), "ratchet run"):
    time.sleep(600)
"""


@contextmanager
def process_of(*command: str) -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen([sys.executable, *command], cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def a_run(root: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with process_of("-c", HOLD, str(root)) as process:
        wait_until((root / ".ratchet/run.json").exists, lambda: "the other run did not start")
        yield process


def test_the_second_run_is_told_who_is_there_since_when(tmp_path: Path) -> None:
    with a_run(tmp_path) as other:
        since = time.strftime("%Y-%m-%d", time.localtime(psutil.Process(other.pid).create_time()))
        with pytest.raises(BusyError) as caught, only_run(tmp_path, "ratchet stage train@full"):
            pytest.fail("two runs at once")
        words = rf"another run works in this project: `ratchet run` \(pid {other.pid} on {socket.gethostname()}, since"
        assert caught.match(rf"^{words} {since} \d\d:\d\d:\d\d\S*\); wait for it to end, then run the command again$")
        assert caught.value.exit_code is ExitCode.BUSY
        assert ExitCode.BUSY == 5


def test_a_stage_that_dvc_started_by_hand_does_not_work_beside_a_run(tmp_path: Path) -> None:
    refuse_beside_a_run(tmp_path)
    with a_run(tmp_path) as other, pytest.raises(BusyError, match=f"pid {other.pid}"):
        refuse_beside_a_run(tmp_path)
    with only_run(tmp_path, "ratchet run"):
        refuse_beside_a_run(tmp_path)
        code = "import sys, pathlib, tasks.pipeline.project_lock as p; p.refuse_beside_a_run(pathlib.Path(sys.argv[1]))"
        subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, check=True)  # started by the run


def test_a_killed_run_is_taken_over(tmp_path: Path) -> None:
    with a_run(tmp_path) as other:
        other.kill()
        other.wait()
    assert (tmp_path / ".ratchet/run.json").exists()
    assert running(tmp_path) is None
    refuse_beside_a_run(tmp_path)
    with only_run(tmp_path, "ratchet run"):
        holder = running(tmp_path)
        assert holder is not None
        assert (holder.pid, holder.command) == (os.getpid(), "ratchet run")
    assert running(tmp_path) is None


def test_a_note_of_a_number_that_another_process_has_now_names_nobody(tmp_path: Path) -> None:
    (tmp_path / ".ratchet").mkdir()
    old = Holder(os.getpid(), "ratchet run", 1.0, socket.gethostname())
    (tmp_path / ".ratchet/run.json").write_text(json.dumps(old._asdict()))
    assert running(tmp_path) is None


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"pid": "x"}', '{"pid": 1e99, "command": 1, "since": [], "host": ""}']
)
def test_a_note_that_cannot_be_read_stops_nobody(tmp_path: Path, text: str) -> None:
    (tmp_path / ".ratchet").mkdir()
    (tmp_path / ".ratchet/run.json").write_text(text)
    refuse_beside_a_run(tmp_path)
    with only_run(tmp_path, "ratchet run"):
        pass


def test_a_part_of_a_run_in_another_thread_goes_on(tmp_path: Path) -> None:
    def part() -> Holder | None:
        with only_run(tmp_path, "scheduled run"):
            return running(tmp_path)

    with only_run(tmp_path, "ratchet run"), ThreadPoolExecutor(1) as thread:
        held = thread.submit(part).result()
        assert held is not None
        assert held.command == "ratchet run"
        assert running(tmp_path) == held


def test_what_is_said_of_a_command_cannot_repaint_a_terminal() -> None:
    assert "\x1b" not in str(Holder(1, "dvc repro \x1b[2J", 0.0, "h"))


def dvc_list(root: Path, pid: int, command: str = "dvc repro") -> Path:
    """DVC's own list with one writer and one reader."""
    path = root / ".dvc/tmp/rwlock"
    path.parent.mkdir(parents=True, exist_ok=True)
    entry = {"pid": pid, "cmd": command}
    path.write_text(json.dumps({"write": {str(root / "models"): entry}, "read": {str(root / "data"): [entry]}}))
    return path


def test_a_dvc_command_that_somebody_started_is_named(tmp_path: Path) -> None:
    with process_of("-c", "import time; time.sleep(600)") as other:
        dvc_list(tmp_path, other.pid)
        told = rf"^DVC works in this project: `dvc repro` \(pid {other.pid} on .*wait for it to end"
        with pytest.raises(BusyError, match=told) as caught, only_run(tmp_path, "ratchet run"):
            pytest.fail("beside DVC")
        assert "remove" not in str(caught.value)
        assert running(tmp_path) is None
    with only_run(tmp_path, "ratchet run"):
        pass


@pytest.mark.parametrize("left", ["ended", "number of another process", "cut in two"])
def test_what_a_killed_dvc_left_is_taken_over(tmp_path: Path, left: str) -> None:
    path = dvc_list(tmp_path, 2**22 + 1)  # Linux gives out no such number
    with process_of("-c", "import time; time.sleep(600)") as other:
        if left == "number of another process":
            dvc_list(tmp_path, other.pid)
            os.utime(path, (1e9, 1e9))
        elif left == "cut in two":
            path.write_text('{"write": {"/a": {"pid"')
        assert dvc_at_work(tmp_path) == []
        with only_run(tmp_path, "ratchet run"):
            assert not path.exists()


def test_a_dvc_command_that_locks_the_whole_project_is_named(tmp_path: Path) -> None:
    (tmp_path / ".dvc/tmp").mkdir(parents=True)
    lock = tmp_path / ".dvc/tmp/lock"
    code = "import sys, time, zc.lockfile; held = zc.lockfile.LockFile(sys.argv[1]); time.sleep(600)"
    with process_of("-c", code, str(lock)) as other:
        wait_until(lambda: lock.exists() and lock.read_text().strip(), lambda: "the lock was not taken")
        with pytest.raises(BusyError, match=rf"pid {other.pid} on"), only_run(tmp_path, "ratchet run"):
            pytest.fail("beside DVC")
