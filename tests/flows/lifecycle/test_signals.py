"""What a signal leaves behind: no process, one line, the right exit code."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.flows.hanging import ROOT, STAGE, make_project, started, stopped, wait_for
from tests.waiting import PATIENCE_SECONDS

KEPT = "stopped; finished stages are kept: `ratchet run` goes on"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project")


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGQUIT, 131)],
    ids=lambda value: str(value),
)
def test_a_stopped_stage_ends_with_its_worker_and_lets_go_of_its_locks(
    project: Path, number: signal.Signals, code: int
) -> None:
    with started(project, "stage", "fetch") as process:
        wait_for(project / "worker", process)
        said, left = stopped(process, number)
    assert process.returncode == code
    assert said[-1] == KEPT
    assert not [line for line in said if "Traceback" in line or "rror" in line]
    assert left == []
    held = json.loads((project / ".dvc/tmp/rwlock").read_text())
    assert not any(held.values())


@pytest.mark.slow
@pytest.mark.parametrize("command", [("stage", "fetch"), ("plan",)], ids=lambda command: command[0])
def test_a_stage_that_had_to_be_killed_leaves_the_outputs_that_it_had_before(
    project: Path, command: tuple[str, ...]
) -> None:
    (project / "hang.py").write_text("open('one', 'w').write('good')")
    with started(project, "stage", "fetch") as process:
        assert process.wait(PATIENCE_SECONDS) == 0
    deaf = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    (project / "hang.py").write_text(deaf + STAGE)
    with started(project, *command) as process:
        wait_for(project / "worker", process)
        assert not (project / "one").exists()
        said, left = stopped(process, signal.SIGINT)
    assert process.returncode == 130
    assert said[-1] == KEPT
    assert left == []
    assert (project / "one").read_text() == "good"


def test_a_signal_while_packages_are_imported_prints_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text(
        "import pathlib, time\npathlib.Path('importing').write_text('now')\ntime.sleep(600)\n"
    )
    with started(tmp_path, "status", path=tmp_path) as process:
        wait_for(tmp_path / "importing", process)
        said, left = stopped(process, signal.SIGINT)
    assert process.returncode == 130
    assert said == ["stopped before anything was started"]
    assert left == []


def test_a_stopped_comparison_is_one_line(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.csv")
    (tmp_path / "p.yaml").write_text("rules: [{suite: golden, metric: exact_match, kind: guard, margin: 0.1}]\n")
    options = ("--baseline", "a.csv", "--candidate", "a.csv", "--policy", "p.yaml")
    with started(tmp_path, "gate", "compare", *options) as process, (tmp_path / "a.csv").open("w") as never_written:
        said, left = stopped(process, signal.SIGINT)
        assert never_written.writable()
    assert process.returncode == 130
    assert said == ["stopped"]
    assert left == []


@pytest.mark.prefect
@pytest.mark.slow
def test_a_stopped_run_ends_prefect_too_and_its_record_says_so(project: Path) -> None:
    with started(project, "run") as process:
        wait_for(project / "worker", process)
        said, left = stopped(process, signal.SIGINT)
    assert process.returncode == 130
    assert said[-1] == KEPT
    assert not [line for line in said if "Traceback" in line or "rror" in line or "Crash" in line]
    assert left == []
    with sqlite3.connect(project / ".prefect/prefect.db") as database:
        assert database.execute("select state_type from flow_run").fetchall() == [("CANCELLED",)]
    database.close()


@pytest.mark.prefect
@pytest.mark.slow
def test_a_run_that_fails_says_why_once_and_last(project: Path) -> None:
    (project / "hang.py").write_text("import sys\nprint('error: row 3 has no text; fix it')\nsys.exit(2)\n")
    with started(project, "run") as process:
        assert process.stdout is not None
        said = process.stdout.read().splitlines()
        process.wait()
    assert process.returncode == 2
    assert said[-1] == "error: stage fetch: row 3 has no text; fix it"
    assert sum("row 3" in line for line in said) == 1
    assert said[-3:-1] == ["[1/9] preparing data ...", "log: .ratchet/run.log"]
    assert "Running stage 'fetch'" in (project / ".ratchet/run.log").read_text()
    assert not [line for line in said[:-1] if "rror" in line or "Traceback" in line or "ailed" in line]


def test_an_error_while_all_is_ended_does_not_change_the_exit_code() -> None:
    program = (
        "import os, signal, time\n"
        "from flows.lifecycle import signals\n"
        "signals.install()\n"
        "signals.before_ending(lambda: 1 / 0)\n"
        "os.kill(os.getpid(), signal.SIGQUIT)\n"
        "time.sleep(600)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 128 + signal.SIGQUIT
