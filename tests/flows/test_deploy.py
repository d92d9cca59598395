"""The schedule."""

import signal
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from evalsuite.core.errors import UsageError
from flows.deploy import next_runs
from tasks.config.operations import ScheduleParams
from tests.flows.hanging import make_project, started, stopped, wait_for


def test_a_nightly_schedule_fires_once_a_night_in_its_own_timezone() -> None:
    first, second = next_runs(ScheduleParams(cron="0 2 * * *", timezone="Europe/Berlin"), 2)
    assert (first.hour, first.minute, str(first.tzinfo)) == (2, 0, "Europe/Berlin")
    assert timedelta(hours=22) < second - first < timedelta(hours=26)


def test_a_wrong_cron_line_is_named() -> None:
    with pytest.raises(UsageError, match=r"schedule\.cron = 'every night'"):
        next_runs(ScheduleParams(cron="every night"), 1)


@pytest.mark.parametrize("timezone", ["Mars/Olympus", "../etc/passwd", ""])
def test_a_wrong_timezone_is_named(timezone: str) -> None:
    with pytest.raises(UsageError, match=r"schedule\.timezone = "):
        next_runs(ScheduleParams(timezone=timezone), 1)


@pytest.mark.prefect
@pytest.mark.slow
def test_the_printed_command_starts_a_run_and_a_signal_ends_all_of_it(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    with started(project, "serve") as process:
        assert process.stdout is not None
        command = next(line for line in process.stdout if line.startswith("a run now: ")).removeprefix("a run now: ")
        elsewhere = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
        done = subprocess.run(
            ["sh", "-c", command], cwd="/", env=elsewhere, text=True, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        wait_for(project / "worker", process)
        said, left = stopped(process, signal.SIGTERM)
    assert process.returncode == 143
    assert said[-1].startswith("stopped; the schedule is kept")
    assert not [line for line in said if "Warning" in line or "Traceback" in line]
    assert left == []
