"""Who kills the training, when, and what is printed of a run's log."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from demo.nights import PHASE, Killer
from tests.waiting import wait_until

SLEEP = "import time; time.sleep(600)"


@pytest.fixture
def scheduler(tmp_path: Path) -> "subprocess.Popen[bytes]":
    """A process with two stages below it, ``train`` and ``plan``, which tell their numbers."""
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks/__init__.py").touch()
    (tmp_path / "tasks/stage.py").write_text(
        f"import os, sys, pathlib\npathlib.Path(sys.argv[1]).write_text(str(os.getpid()))\n{SLEEP}\n"
    )
    start = "import subprocess, sys, time\n" + "".join(
        f"subprocess.Popen([sys.executable, '-m', 'tasks.stage', '{name}', 'tickets'])\n" for name in ("train", "plan")
    )
    return subprocess.Popen([sys.executable, "-c", f"{start}{SLEEP}"], cwd=tmp_path)


def write_checkpoint(folder: Path, step: int) -> None:
    (folder / f"checkpoint-{step}").mkdir(parents=True, exist_ok=True)
    (folder / f"checkpoint-{step}/complete.json").write_text("{}")


def test_the_training_alone_is_killed_and_not_before_a_new_checkpoint_is_complete(
    scheduler: "subprocess.Popen[bytes]", tmp_path: Path
) -> None:
    import psutil

    checkpoints = tmp_path / "checkpoints"
    write_checkpoint(checkpoints, 45)
    try:
        wait_until(
            lambda: all((tmp_path / name).exists() and (tmp_path / name).read_text() for name in ("train", "plan")),
            lambda: "the stages did not start",
        )
        train, plan = (psutil.Process(int((tmp_path / name).read_text())) for name in ("train", "plan"))
        killer = Killer(checkpoints)
        killer(scheduler.pid)
        assert not killer.killed
        assert train.is_running()
        time.sleep(0.01)
        write_checkpoint(checkpoints, 45)  # of this night, in the place of the last one's
        killer(scheduler.pid)
        assert killer.killed
        wait_until(
            lambda: not train.is_running() or train.status() == psutil.STATUS_ZOMBIE, lambda: "the training lives"
        )
        assert plan.status() != psutil.STATUS_ZOMBIE
    finally:
        for process in [*psutil.Process(scheduler.pid).children(recursive=True), psutil.Process(scheduler.pid)]:
            process.kill()
        scheduler.wait()


def test_the_log_of_a_served_run_has_its_phases_at_the_end_of_lines() -> None:
    line = "15:55:10.012 | INFO    | Flow run 'audacious-mink' - [2/7] planning memory, time and cost ..."
    found = PHASE.search(line)
    assert found is not None
    assert found[0] == "[2/7] planning memory, time and cost ..."
    assert PHASE.search("INFO tickets: epoch 1 of 4, step 18 of 180") is None
