"""Two processes of one training, killed for real, twice in a row in the middle of a save.

First one of them, then the parent: the kernel passes its death on as SIGKILL to all.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
import yaml

import tasks.stages.plan
from evalsuite.core.errors import PreemptedError
from evalsuite.core.files import read_json, read_model
from tasks.config.launch import LaunchParams, Strategy
from tasks.config.numerics import Numerics
from tasks.config.params import load_params
from tasks.paths import ArtifactPaths
from tasks.stages.train import run
from tasks.training.parallel import launch
from tasks.training.parallel.launch import LaunchPlan
from tasks.training.parallel.processes import run_workers
from tasks.training.state.checkpoints import resumable_checkpoints
from tasks.training.state.log import TrainLog
from tests.tasks.stages.test_train import make_project
from tests.waiting import PATIENCE_SECONDS, wait_until

ROOT = Path(__file__).parents[4]
METHODS = {"full": {"kind": "full", "learning_rate": 1e-3, "epochs": 3}}


class Attempt(NamedTuple):
    """How one start of the stage ended."""

    code: int
    text: str
    left: list[str]
    """Complete checkpoints."""
    orphans: int
    """Processes of it that outlived it."""


class Stage:
    """The stage with its processes."""

    def __init__(self, paths: ArtifactPaths) -> None:
        self.paths = paths
        self.root = paths.checkpoints("full")
        self.log = paths.root / "stage.log"
        with self.log.open("w") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tasks.stage", "train", "full"],
                cwd=paths.root,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdout=stream,
                stderr=stream,
            )
        self.seen: dict[int, psutil.Process] = {}

    def wait_for(self, event: Callable[[], bool]) -> None:
        def happened() -> bool:
            self.look()
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            return event()

        wait_until(happened, lambda: self.log.read_text()[-3000:], every_seconds=0.005)
        self.look()

    def look(self) -> None:
        children = psutil.Process(self.process.pid).children(recursive=True) if self.process.poll() is None else []
        self.seen |= {child.pid: child for child in children}

    def workers(self) -> list[psutil.Process]:
        found = [child for child in self.seen.values() if child.is_running() and "RANK" in child.environ()]
        return sorted(found, key=lambda child: int(child.environ()["RANK"]))

    def hold_save(self, step: int) -> None:
        """Let the second process wait in the middle of the save of ``step``: its file is a pipe that nobody reads."""
        folder = self.root / f"checkpoint-{step}"
        folder.mkdir()
        os.mkfifo(folder / "rng_state_1.pth")

    def saving(self, step: int) -> bool:
        """Whether all but the second process's file is written."""
        return (self.root / f"checkpoint-{step}" / "trainer_state.json").is_file()

    def says(self, text: str) -> bool:
        return text in self.log.read_text()

    def end(self) -> Attempt:
        code = self.process.wait(PATIENCE_SECONDS)
        _, alive = psutil.wait_procs(list(self.seen.values()), timeout=PATIENCE_SECONDS)
        left = [entry.folder.name for entry in resumable_checkpoints(self.root)]
        return Attempt(code, self.log.read_text(), left, len(alive))


@pytest.fixture(scope="module")
def attempts(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> dict[str, Attempt]:
    paths = make_project(tmp_path_factory.mktemp("two"), tiny_model, METHODS)
    data = yaml.safe_load(paths.params.read_text())
    data["launch"] = {"processes_per_node": 2, "grace_seconds": 30}
    paths.params.write_text(yaml.safe_dump(data))
    tasks.stages.plan.run("full", load_params(paths.params), paths)
    found = {}

    one_rank = Stage(paths)
    one_rank.wait_for(lambda: one_rank.says("torch.distributed.run"))
    one_rank.hold_save(4)
    one_rank.wait_for(lambda: one_rank.saving(4))
    one_rank.workers()[1].kill()
    found["one rank"] = one_rank.end()

    parent = Stage(paths)
    parent.wait_for(lambda: parent.says("torch.distributed.run"))
    parent.hold_save(8)
    parent.wait_for(lambda: parent.saving(8))
    parent.process.kill()
    found["parent"] = parent.end()

    found["last"] = Stage(paths).end()
    found["folder"] = Attempt(0, str(paths.root), [], 0)
    return found


@pytest.mark.slow
def test_one_killed_process_ends_all_with_the_code_of_a_broken_stage(attempts: dict[str, Attempt]) -> None:
    assert attempts["one rank"].code == 4
    assert attempts["one rank"].left == []
    assert "last good checkpoint: none; " in attempts["one rank"].text


@pytest.mark.slow
def test_no_process_survives_its_parent(attempts: dict[str, Attempt]) -> None:
    assert attempts["parent"].code == -signal.SIGKILL
    assert {name: attempt.orphans for name, attempt in attempts.items() if attempt.orphans} == {}


@pytest.mark.slow
def test_a_kill_of_all_during_a_save_leaves_the_checkpoint_before(attempts: dict[str, Attempt]) -> None:
    assert attempts["parent"].left == ["checkpoint-4"]


def test_sigterm_to_the_stage_reaches_every_process_and_asks_to_start_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What a worker then does is in test_worker (one process) and test_strategies (two, by every strategy).
    monkeypatch.setattr(launch, "WORKER", "tests.tasks.training.waiting_worker")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    plan = LaunchPlan(
        strategy=Strategy.DATA_PARALLEL, num_processes=2, device="cpu", numerics=Numerics.FP32, trained_parameters=1
    )

    def terminate() -> None:
        wait_until(lambda: len(list(tmp_path.glob("ready-*"))) == 2, lambda: "the workers did not start")
        os.kill(os.getpid(), signal.SIGTERM)

    terminator = threading.Thread(target=terminate)
    terminator.start()
    with pytest.raises(PreemptedError, match="saved"):
        run_workers("full", plan, LaunchParams(grace_seconds=30), tmp_path, tmp_path / "checkpoints")
    terminator.join()
    codes = {path.stem: read_json(path, "x")["exit_code"] for path in (tmp_path / "checkpoints/failures").iterdir()}
    assert codes == {"0": 75, "1": 75}


@pytest.mark.slow
def test_after_two_kills_in_a_row_the_loss_curve_is_that_of_an_unbroken_training(
    attempts: dict[str, Attempt], tmp_path: Path, tiny_model: Path
) -> None:
    assert attempts["last"].code == 0, attempts["last"].text[-3000:]
    paths = make_project(tmp_path, tiny_model, METHODS)
    unbroken = run("full", load_params(paths.params), paths)
    broken = read_model(ArtifactPaths(Path(attempts["folder"].text)).train_log("full"), TrainLog, "x")
    assert [step.loss for step in broken.steps] == pytest.approx([step.loss for step in unbroken.steps], abs=1e-6)
    assert broken.resumed_from_steps == (4,)
    assert [check.step for check in broken.resume_checks] == list(broken.resumed_from_steps)
    assert all(check.resumed_loss == pytest.approx(check.saved_loss, abs=1e-6) for check in broken.resume_checks)
