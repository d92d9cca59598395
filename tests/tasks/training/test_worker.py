"""One training that meets every misfortune in turn, and ends in the weights of one that met none."""

import logging
import os
import resource
import shutil
import signal
from collections import namedtuple
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from evalsuite.core.errors import ExitCode, PreemptedError, RatchetError, StageError
from tasks.config.params import load_params
from tasks.paths import ArtifactPaths
from tasks.stages.train import run
from tasks.training.epoch_eval import DevRunner
from tasks.training.state.checkpoints import complete_checkpoints, resumable_checkpoints
from tasks.training.state.log import StepRecord, TrainLog
from tasks.training.worker import Training
from tests.tasks.stages.test_train import make_project

METHODS = {
    "full": {"kind": "full", "learning_rate": 1e-3, "epochs": 3},
    "wild": {"kind": "full", "learning_rate": 0.9, "epochs": 3},
}


class Life(NamedTuple):
    """What happened to the training, attempt by attempt."""

    full_disk: RatchetError
    preempted: RatchetError
    left_by_preemption: list[str]
    epochs_by_preemption: list[int]
    unreadable: RatchetError
    left_by_unreadable: list[str]
    judged_late: list[int]
    log: TrainLog
    unbroken: TrainLog


@contextmanager
def signalled(text: str, number: signal.Signals) -> Iterator[None]:
    """Send this process a signal when it logs ``text``."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if text in record.getMessage():
                os.kill(os.getpid(), number)

    logger, handler = logging.getLogger("tasks.training.watch.callbacks"), Handler()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


@contextmanager
def small_files(limit: int) -> Iterator[None]:
    """Let no file grow beyond ``limit`` bytes: a disk that fills up while a checkpoint is written."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def failure(paths: ArtifactPaths, method: str = "full") -> RatchetError:
    with pytest.raises(RatchetError) as caught:
        run(method, load_params(paths.params), paths)
    return caught.value


def curves(log: TrainLog) -> list[StepRecord]:
    """The steps without what a clock or another load of the machine decides."""
    timed = {"tokens_per_second": None, "model_flops_utilisation": None, "peak_memory_bytes": None}
    return [step.model_copy(update=timed) for step in log.steps]


def checkpoints(paths: ArtifactPaths) -> list[str]:
    return [entry.folder.name for entry in resumable_checkpoints(paths.checkpoints("full"))]


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Life:
    unbroken = make_project(tmp_path_factory.mktemp("unbroken"), tiny_model, METHODS)
    paths = make_project(tmp_path_factory.mktemp("broken"), tiny_model, METHODS)
    root = paths.checkpoints("full")
    with small_files(200_000):
        full_disk = failure(paths)
    with signalled("step 6 of 12", signal.SIGTERM):
        preempted = failure(paths)
    left_by_preemption = checkpoints(paths)
    epochs_by_preemption = [record.epoch for _, record in complete_checkpoints(root)]
    optimizer = root / "checkpoint-7" / "optimizer.pt"
    optimizer.write_bytes(b"\0" * optimizer.stat().st_size)
    unreadable = failure(paths)
    left_by_unreadable = checkpoints(paths)
    shutil.rmtree(root / "checkpoint-7")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DevRunner, "run", _killed)
        with pytest.raises(KeyboardInterrupt):
            run("full", load_params(paths.params), paths)
    judged_late = [entry.step for entry in resumable_checkpoints(root) if entry.record is None]
    return Life(
        full_disk,
        preempted,
        left_by_preemption,
        epochs_by_preemption,
        unreadable,
        left_by_unreadable,
        judged_late,
        run("full", load_params(paths.params), paths),
        run("full", load_params(unbroken.params), unbroken),
    )


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.slow
def test_whatever_happened_the_weights_and_losses_are_those_of_an_unbroken_training(life: Life) -> None:
    assert life.log.identity == life.unbroken.identity
    assert curves(life.log) == curves(life.unbroken)
    assert [(e.train_loss, e.eval_loss) for e in life.log.epochs] == [
        (e.train_loss, e.eval_loss) for e in life.unbroken.epochs
    ]
    assert life.unbroken.resumed_from_steps == ()


@pytest.mark.slow
def test_each_resume_gives_the_very_loss_that_the_checkpoint_gave_when_it_was_written(life: Life) -> None:
    assert [check.step for check in life.log.resume_checks] == [4, 8]
    assert all(check.resumed_loss == check.saved_loss for check in life.log.resume_checks)
    assert life.unbroken.resume_checks == ()


@pytest.mark.slow
def test_a_disk_that_fills_up_during_a_save_names_the_step_and_leaves_no_half_checkpoint(life: Life) -> None:
    assert type(life.full_disk) is StageError
    assert "the checkpoint of step 4 could not be written (" in str(life.full_disk)
    assert "last good checkpoint: none; free some space" in str(life.full_disk)


@pytest.mark.slow
def test_sigterm_saves_within_the_epoch_and_ends_with_a_code_that_asks_to_start_again(life: Life) -> None:
    assert type(life.preempted) is PreemptedError
    assert life.preempted.exit_code is ExitCode.PREEMPTED == 75
    assert "full: SIGTERM at step 7 of 12; " in str(life.preempted)
    assert life.left_by_preemption == ["checkpoint-4", "checkpoint-7"]
    assert life.epochs_by_preemption == [1]


@pytest.mark.slow
def test_a_checkpoint_that_cannot_be_read_is_named_with_the_last_good_one_and_both_are_kept(life: Life) -> None:
    assert type(life.unreadable) is StageError
    text = str(life.unreadable)
    assert "checkpoint-7 cannot be read (" in text
    assert "checkpoint-4; remove " in text
    assert life.left_by_unreadable == life.left_by_preemption


@pytest.mark.slow
def test_an_epoch_whose_dev_run_was_killed_is_judged_and_not_trained_again(life: Life) -> None:
    assert life.judged_late == [8]
    assert life.log.resumed_from_steps[-1] == 8
    assert set(life.log.epochs[1].golden) == {"exact_match"}


@pytest.mark.slow
def test_a_loss_that_explodes_stops_and_names_the_step(tmp_path: Path, tiny_model: Path) -> None:
    paths = make_project(tmp_path, tiny_model, METHODS)
    error = failure(paths, "wild")
    assert isinstance(error, StageError)
    assert "wild: the loss exploded: " in str(error)
    assert "last good checkpoint: none; lower methods.wild.learning_rate" in str(error)


@pytest.mark.slow
def test_a_loss_that_is_no_number_leaves_the_last_good_checkpoint_and_names_it(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = make_project(tmp_path, tiny_model, METHODS)
    saved = Training.saved

    def poisoned(training: Training, *arguments: Any) -> str | None:
        reason = saved(training, *arguments)
        for parameter in training.trainer.model.parameters():
            parameter.data.fill_(float("nan"))
        return reason

    monkeypatch.setattr(Training, "saved", poisoned)
    error = failure(paths)
    assert isinstance(error, StageError)
    good = paths.checkpoints("full") / "checkpoint-4"
    assert f"full: the loss is nan at step 5; last good checkpoint: {good}; lower methods.full.learning_rate" in str(
        error
    )
    assert checkpoints(paths) == ["checkpoint-4"]


@pytest.mark.slow
def test_space_for_the_next_checkpoint_is_checked_before_it_is_written(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = make_project(tmp_path, tiny_model, METHODS)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(2**50, 0, 0 if checkpoints(paths) else 2**50))
    error = failure(paths)
    assert type(error) is StageError
    assert "a checkpoint needs 0.0 GiB and " in str(error)
    assert "it goes on from the last complete checkpoint" in str(error)
    assert [folder.name for folder in paths.checkpoints("full").glob("checkpoint-*")] == ["checkpoint-4"]
