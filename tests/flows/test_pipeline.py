"""Two schedules that fire at once."""

import subprocess
import sys
from pathlib import Path

import pytest
from prefect.client.schemas.objects import State
from prefect.logging import disable_run_logger

from evalsuite.core.errors import UsageError
from flows.pipeline import finetune_and_gate
from tasks.paths import ArtifactPaths
from tasks.registry.journal import Ending, read_runs
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
HOLD = """
import sys, time, pathlib, tasks.pipeline.project_lock as p
with p.only_run(pathlib.Path(sys.argv[1]), "ratchet run"):
    time.sleep(600)
"""


def test_a_scheduled_run_beside_another_ends_as_skipped_and_touches_nothing(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], cwd=ROOT) as other:
        try:
            wait_until((tmp_path / ".ratchet/run.json").exists, lambda: "the other run did not start")
            with disable_run_logger():
                state = finetune_and_gate.fn(str(tmp_path))
        finally:
            other.kill()
    assert isinstance(state, State)
    assert (state.name, state.is_completed()) == ("Skipped", True)
    assert f"pid {other.pid}" in (state.message or "")
    assert [path.name for path in tmp_path.iterdir()] == [".ratchet"]


def test_a_run_that_is_alone_is_not_skipped(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("model: {id: package:x}\n")
    with disable_run_logger(), pytest.raises(UsageError, match="quote the value"):
        finetune_and_gate.fn(str(tmp_path))
    (run,) = read_runs(ArtifactPaths(tmp_path))
    assert (run.ending, run.started_by) == (Ending.FAILED, "scheduled run")
    assert "quote the value" in (run.error or "")
