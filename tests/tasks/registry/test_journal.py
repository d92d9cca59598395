"""What is kept of each run, the killed ones included."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evalsuite.core.errors import StageError
from evalsuite.core.files import write_json
from tasks.paths import ArtifactPaths
from tasks.registry.champion import write_champion
from tasks.registry.journal import Ending, Run, journal, read_runs
from tasks.registry.ledger import Event
from tests.tasks.registry.ledger_entries import add

ROOT = Path(__file__).parents[3]
KILLED = """
import os, pathlib, signal
from tasks.paths import ArtifactPaths
from tasks.registry.journal import journal
with journal(ArtifactPaths(pathlib.Path()), "scheduled run") as run:
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_run_that_was_killed_stays_unended(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, check=False)
    assert done.returncode == -9
    (run,) = read_runs(ArtifactPaths(tmp_path))
    assert (run.ending, run.seconds, run.started_by) == (Ending.UNENDED, None, "scheduled run")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        *(({"started_at": text}, "started_at") for text in ("", "yesterday", "2026-11-30T10:00:00")),
        ({"ending": "verdict", "verdict": None}, "it ended with a verdict and has none"),
    ],
)
def test_a_run_without_a_moment_or_its_verdict_is_told_and_left_out(
    tmp_path: Path, wrong: dict[str, Any], told: str, caplog: pytest.LogCaptureFixture
) -> None:
    whole = {"schema_version": 1, "started_at": "2026-11-30T10:00:00+00:00", "started_by": "ratchet run"}
    write_json(tmp_path / ".ratchet/journal/a.json", whole | wrong)
    write_json(tmp_path / ".ratchet/journal/b.json", whole)
    assert [run.started_by for run in read_runs(ArtifactPaths(tmp_path))] == ["ratchet run"]
    assert "a.json: " in caplog.text
    assert told in caplog.text


def fail(paths: ArtifactPaths, started_by: str, said: str, before: Callable[[Run], object] = lambda _run: None) -> None:
    """A run that does something and then fails."""
    with journal(paths, started_by) as run:
        before(run)
        raise StageError(said)


def test_a_failure_is_kept_in_one_line_and_rises_on(tmp_path: Path) -> None:
    paths = ArtifactPaths(tmp_path)
    said = "stage train@a: killed by SIGKILL;\n`ratchet run` goes on"
    with pytest.raises(StageError, match="SIGKILL"):
        fail(paths, "ratchet run", said, lambda run: run.ran.append("prepare"))
    (kept,) = read_runs(paths)
    assert (kept.ending, kept.ran) == (Ending.FAILED, ["prepare"])
    assert kept.error == "stage train@a: killed by SIGKILL; `ratchet run` goes on"
    assert kept.seconds is not None


def test_the_champion_is_kept_as_it_was_before_and_after(tmp_path: Path) -> None:
    paths = ArtifactPaths(tmp_path)
    add(tmp_path, Event.PROMOTE, "a")
    write_champion(paths)

    def move(_run: Run) -> None:
        add(tmp_path, Event.PROMOTE, "b", replaced="a")
        write_champion(paths)

    with pytest.raises(StageError):
        fail(paths, "ratchet run", "the mail did not go out", move)
    (run,) = read_runs(paths)
    assert (run.champion_before, run.champion_after) == ("a" * 64, "b" * 64)


def test_runs_come_back_oldest_first_and_a_damaged_one_is_named_and_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    paths = ArtifactPaths(tmp_path)
    for name in ("first", "second"):
        with pytest.raises(StageError):
            fail(paths, name, "x")
    assert [run.started_by for run in read_runs(paths)] == ["first", "second"]
    newest = max((tmp_path / ".ratchet/journal").iterdir())
    newest.write_text("{")
    assert [run.started_by for run in read_runs(paths)] == ["first"]
    assert f"rm {newest}" in caplog.text
