"""Trackers that are told what the trainer logs, and change nothing."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

import tasks.training.worker
from evalsuite.core.errors import StageError, UsageError
from evalsuite.core.files import read_json
from tasks.config.params import Params, load_params
from tasks.paths import ArtifactPaths
from tasks.preflight.checks import check_evaluation
from tasks.stages.train import run
from tasks.training.state.checkpoints import FINGERPRINT
from tasks.training.state.log import TrainLog
from tasks.training.watch import reporting
from tasks.training.watch.reporting import OPEN, PACKAGES, Run, Sink, check_reporters, read_run
from tests.tasks.stages.test_train import make_project

METHODS = {"full": {"kind": "full", "learning_rate": 1e-3, "epochs": 2}}
STATE = SimpleNamespace(global_step=1, is_world_process_zero=True)


class Recorder:
    """Stands in for a tracker: what it was told, step by step."""

    def __init__(self) -> None:
        self.runs: list[Run] = []
        self.told: list[tuple[int, dict[str, Any]]] = []
        self.closed = 0

    def open(self, run: Run) -> Sink:
        self.runs.append(run)
        return Sink(self, self.close)

    def close(self) -> None:
        self.closed += 1

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        assert state.is_world_process_zero

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any], **_: Any) -> None:
        self.told.append((state.global_step, logs))


class Failing(Recorder):
    """Fails where it is told to."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self.where = where

    def open(self, run: Run) -> Sink:
        self._fail("open")
        return super().open(run)

    def on_log(self, *arguments: Any, **named: Any) -> None:
        super().on_log(*arguments, **named)
        self._fail("log")

    def close(self) -> None:
        super().close()
        self._fail("close")

    def _fail(self, where: str) -> None:
        if where == self.where:
            raise ConnectionError("no server\nat all")


class Lives(NamedTuple):
    told: Recorder
    interrupted: TrainLog
    alone: TrainLog
    left: list[int]
    fingerprints: list[Any]


def with_trackers(paths: ArtifactPaths, *names: str) -> Params:
    params = load_params(paths.params)
    return params.model_copy(update={"train": params.train.model_copy(update={"report_to": names})})


@pytest.fixture(scope="module")
def lives(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Lives:
    recorder = Recorder()
    alone = make_project(tmp_path_factory.mktemp("alone"), tiny_model, METHODS)
    paths = make_project(tmp_path_factory.mktemp("tracked"), tiny_model, METHODS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(OPEN, "mlflow", recorder.open)
        patch.setattr(tasks.training.worker, "prune", _full_disk)
        with pytest.raises(StageError):
            run("full", with_trackers(paths, "mlflow"), paths)
    left = [step for step, _ in recorder.told]
    fingerprints = [read_json(paths.checkpoints("full") / FINGERPRINT, "x")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(OPEN, "mlflow", recorder.open)
        patch.setitem(OPEN, "wandb", recorder.open)
        # Another list of trackers is no other training.
        log = run("full", with_trackers(paths, "wandb"), paths)
    fingerprints.append(read_json(paths.checkpoints("full") / FINGERPRINT, "x"))
    return Lives(recorder, log, run("full", load_params(alone.params), alone), left, fingerprints)


def _full_disk(*_: object) -> None:
    raise StageError("the disk is full")


@pytest.mark.slow
def test_a_tracker_gets_losses_signals_and_golden_metrics_by_step(lives: Lives) -> None:
    steps = {step: logs for step, logs in lives.told.told if "loss" in logs}
    assert list(steps) == list(range(1, 9))
    for record in lives.interrupted.steps:
        assert steps[record.step]["loss"] == record.loss
        assert steps[record.step]["tokens_per_second"] == record.tokens_per_second
    golden = {step: logs for step, logs in lives.told.told if "eval_golden_exact_match" in logs}
    assert golden == {
        record.step: {"eval_golden_exact_match": record.golden["exact_match"]} for record in lives.interrupted.epochs
    }


@pytest.mark.slow
def test_trackers_change_neither_the_weights_nor_what_checkpoints_depend_on(lives: Lives) -> None:
    assert lives.interrupted.identity == lives.alone.identity
    assert lives.fingerprints[0] == lives.fingerprints[1]
    assert lives.interrupted.resumed_from_steps == (4,)
    assert lives.interrupted.config == lives.alone.config


@pytest.mark.slow
def test_a_training_that_goes_on_goes_on_in_its_run(lives: Lives) -> None:
    first, second = lives.told.runs
    assert (first.name, first.method, first.folder) == (second.name, second.method, second.folder)
    assert (first.step, second.step) == (0, 4)
    assert lives.told.closed == 1
    assert max(lives.left) == 4


def test_a_training_that_starts_anew_is_another_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    first = read_run("full", tmp_path / "a", 0, tmp_path)
    assert read_run("full", tmp_path / "a", 7, tmp_path) == first._replace(step=7)
    assert read_run("full", tmp_path / "b", 0, tmp_path).name != first.name


def test_a_tracker_that_is_not_installed_is_named_with_the_command_before_any_work(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    expected = r"train\.report_to: wandb, mlflow is not installed; `.*pip install wandb mlflow-skinny`, or take it out"
    with pytest.raises(UsageError, match=expected):
        check_reporters(["wandb", "mlflow"])
    monkeypatch.undo()
    paths = make_project(tmp_path, tiny_model, METHODS)
    monkeypatch.setattr(reporting.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"train\.report_to: tensorboard is not installed"):
        check_evaluation(with_trackers(paths, "tensorboard"), paths)


def test_a_tracker_that_nobody_knows_is_refused_with_those_that_there_are(tmp_path: Path, tiny_model: Path) -> None:
    paths = make_project(tmp_path, tiny_model, METHODS)
    text = paths.params.read_text()
    paths.params.write_text(text.replace("packing: true", "packing: true\n  report_to: [tensorbored]"))
    with pytest.raises(UsageError) as caught:
        load_params(paths.params)
    assert "train.report_to.0 = 'tensorbored'" in str(caught.value)
    assert all(name in str(caught.value) for name in PACKAGES)
    assert set(OPEN) == set(PACKAGES)


def test_tensorboard_reads_the_curves_and_hides_what_a_killed_attempt_wrote(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from transformers import TrainerControl, TrainerState

    for begin, losses in ((0, {1: 3.0, 2: 2.0, 3: 9.0}), (2, {3: 1.0})):
        sink = OPEN["tensorboard"](Run("full", "r", begin, tmp_path))
        for step, loss in losses.items():
            state = TrainerState(global_step=step, is_world_process_zero=True)
            sink.callback.on_log(None, state, TrainerControl(), logs={"loss": loss})
        sink.close()
    events = EventAccumulator(str(tmp_path / "tensorboard" / "full" / "r")).Reload()
    assert [(event.step, event.value) for event in events.Scalars("train/loss")] == [(1, 3.0), (2, 2.0), (3, 1.0)]


def told(tmp_path: Path, *names: str) -> Any:
    """The callback of a training that has just begun."""
    params = SimpleNamespace(report_to=names)
    training = SimpleNamespace(name="full", root=tmp_path, params=params, ranks=SimpleNamespace(first=True))
    callback = reporting.reporting_callback(training, tmp_path)
    callback.on_train_begin(None, STATE, None)
    return callback


@pytest.mark.parametrize("where", ["log", "close"])
def test_a_tracker_that_fails_while_training_is_left_behind_and_the_others_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, where: str
) -> None:
    failing, other = Failing(where), Recorder()
    monkeypatch.setitem(OPEN, "wandb", failing.open)
    monkeypatch.setitem(OPEN, "mlflow", other.open)
    callback = told(tmp_path, "wandb", "mlflow")
    for loss in (2.0, 1.0):
        callback.on_log(None, STATE, None, logs={"loss": loss})
    callback.on_train_end(None, None, None)
    assert len(failing.told) == (1 if where == "log" else 2)
    assert [logs["loss"] for _, logs in other.told] == [2.0, 1.0]
    assert other.closed == 1
    assert caplog.text.count("train.report_to: wandb failed and gets no more of this training: ConnectionError") == 1


def test_a_tracker_that_cannot_be_opened_is_named_before_the_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(OPEN, "mlflow", Failing("open").open)
    expected = r"train\.report_to: mlflow cannot be opened \(ConnectionError: no server\); fix .*, or take it out"
    with pytest.raises(UsageError, match=expected):
        told(tmp_path, "mlflow")


def test_a_tracker_named_twice_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    monkeypatch.setitem(OPEN, "mlflow", recorder.open)
    callback = told(tmp_path, "mlflow", "mlflow")
    callback.on_log(None, STATE, None, logs={"loss": 1.0})
    assert (len(recorder.runs), len(recorder.told)) == (1, 1)
