"""Several learning rates of one method on the tiny model."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

import tasks.stages.plan
from evalsuite.core.errors import StageError, UsageError
from evalsuite.core.files import read_json
from tasks.config.params import load_params
from tasks.paths import ArtifactPaths
from tasks.stages.train import run
from tasks.training.epoch_eval import DevRunner
from tasks.training.state.checkpoints import complete_checkpoints
from tasks.training.state.log import TrainLog
from tests.tasks.stages.test_train import make_project

ROOT = Path(__file__).parents[3]
RATES = [1e-3, 0.9, 3e-3]
"""The second one explodes."""
METHODS = {"full": {"kind": "full", "learning_rate": RATES, "epochs": 2}}


class Sweep(NamedTuple):
    """A sweep that was killed in its last rate, and what one rate alone gives."""

    paths: ArtifactPaths
    done_before: list[str]
    log: TrainLog
    alone: dict[float, TrainLog]


def at(root: Path, model: Path, rate: Any) -> ArtifactPaths:
    return make_project(root, model, {"full": METHODS["full"] | {"learning_rate": rate}})


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Sweep:
    paths = at(tmp_path_factory.mktemp("sweep"), tiny_model, RATES)
    last = paths.checkpoints("full", RATES[2])
    process = subprocess.Popen(
        [sys.executable, "-m", "tasks.stage", "train", "full"],
        cwd=paths.root,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
        stderr=subprocess.PIPE,
    )
    while not list(last.glob("checkpoint-*/complete.json")):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    done = sorted(path.parent.name for path in paths.checkpoints("full").glob("*/outcome.json"))
    log = run("full", load_params(paths.params), paths)
    alone = {}
    for rate in (RATES[0], RATES[2]):
        other = at(tmp_path_factory.mktemp("alone"), tiny_model, rate)
        alone[rate] = run("full", load_params(other.params), other)
    return Sweep(paths, done, log, alone)


@pytest.mark.slow
def test_the_best_rate_on_the_golden_dev_set_is_exported_as_if_it_had_been_alone(sweep: Sweep) -> None:
    dev = {rate: max(epoch.golden["exact_match"] for epoch in log.epochs) for rate, log in sweep.alone.items()}
    loss = {
        rate: next(e.eval_loss for e in log.epochs if e.epoch == log.selected_epoch)
        for rate, log in sweep.alone.items()
    }
    expected = min(dev, key=lambda rate: (-dev[rate], loss[rate], rate))
    assert sweep.log.identity == sweep.alone[expected].identity
    assert [step.loss for step in sweep.log.steps] == [step.loss for step in sweep.alone[expected].steps]
    assert sweep.log.config["method.learning_rate"] == expected
    assert {record.learning_rate: record.dev for record in sweep.log.rates if record.dev is not None} == dev
    assert sweep.log.selected_because.startswith(f"learning rate {expected:g}: best golden dev exact_match")


@pytest.mark.slow
def test_a_sweep_killed_in_a_later_rate_trains_no_earlier_one_again(sweep: Sweep) -> None:
    assert sweep.done_before == ["rate-0.001"]
    last = sweep.paths.checkpoints("full", RATES[2])
    assert read_json(last / "clock.json", "x")["resumed"][0] in (4, 8)
    first = sweep.paths.checkpoints("full", RATES[0])
    assert read_json(first / "clock.json", "x")["resumed"] == []


@pytest.mark.slow
def test_a_rate_that_explodes_is_recorded_and_the_others_go_on(sweep: Sweep) -> None:
    exploded = sweep.log.rates[1]
    assert exploded.learning_rate == 0.9
    assert exploded.diverged is not None
    assert "full: the loss exploded: " in exploded.diverged
    assert (exploded.dev, exploded.selected_epoch) == (None, None)
    assert exploded.train_seconds > 0


@pytest.mark.slow
def test_time_and_tokens_are_of_all_rates(sweep: Sweep) -> None:
    assert sweep.log.train_seconds == sum(record.train_seconds for record in sweep.log.rates)
    assert all(record.train_seconds > 0 for record in sweep.log.rates)
    assert sweep.log.num_tokens == sum(log.num_tokens for log in sweep.alone.values())


@pytest.mark.slow
def test_the_other_rates_keep_their_records_and_no_weights(sweep: Sweep) -> None:
    best = sweep.log.config["method.learning_rate"]
    for rate in RATES:
        root = sweep.paths.checkpoints("full", rate)
        assert bool(complete_checkpoints(root)) == (rate == best)
        if rate not in (best, 0.9):
            kept = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
            assert kept - {"README.md", "run.json"} == {
                "clock.json", "fingerprint.json", "outcome.json", "records/epoch-0001.json", "records/epoch-0002.json",
            }  # fmt: skip


@pytest.mark.slow
def test_a_finished_sweep_is_exported_again_without_training_and_another_rate_trains_alone(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    assert run("full", load_params(sweep.paths.params), sweep.paths).identity == sweep.log.identity
    assert " step " not in caplog.text
    data = yaml.safe_load(sweep.paths.params.read_text())
    # Of the earlier rates the loser alone, whose weights are gone, and one that learns nothing.
    loser = next(rate for rate in (RATES[0], RATES[2]) if rate != sweep.log.config["method.learning_rate"])
    data["methods"]["full"]["learning_rate"] = [loser, 1e-9]
    sweep.paths.params.write_text(yaml.safe_dump(data))
    judged = DevRunner.run

    def nothing_learnt(self: DevRunner, checkpoint: Path) -> Any:
        found = judged(self, checkpoint)
        if checkpoint.parent.name != "rate-1e-09":
            return found
        worse = [metric.model_copy(update={"mean": -1.0}) for metric in found.metrics]
        return found.model_copy(update={"metrics": tuple(worse)})

    monkeypatch.setattr(DevRunner, "run", nothing_learnt)
    again = run("full", load_params(sweep.paths.params), sweep.paths)
    assert f"learning rate {loser:g} is the best of these rates, and trains again" in caplog.text
    assert again.identity == sweep.alone[loser].identity
    assert not sweep.paths.checkpoints("full", 0.9).exists()


@pytest.mark.slow
def test_two_processes_give_the_rates_of_one(
    sweep: Sweep, tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    paths = at(tmp_path, tiny_model, [RATES[0], 0.9])
    data = yaml.safe_load(paths.params.read_text())
    data["launch"] = {"processes_per_node": 2}
    paths.params.write_text(yaml.safe_dump(data))
    tasks.stages.plan.run("full", load_params(paths.params), paths)
    log = run("full", load_params(paths.params), paths)
    assert log.effective["num_processes"] == 2
    assert [step.loss for step in log.steps] == pytest.approx([s.loss for s in sweep.alone[RATES[0]].steps], abs=1e-5)
    assert log.rates[1].diverged is not None
    assert "full: the loss exploded: " in log.rates[1].diverged


def test_when_every_rate_diverges_the_stage_says_so(tmp_path: Path, tiny_model: Path) -> None:
    paths = at(tmp_path, tiny_model, [0.9, 0.95])
    with pytest.raises(
        StageError, match=r"diverged at each of methods\.full\.learning_rate = \[0\.9, 0\.95\]; name lo"
    ):
        run("full", load_params(paths.params), paths)
    assert not paths.train_log("full").exists()


def test_a_plan_counts_every_rate_and_several_machines_are_refused(tmp_path: Path, tiny_model: Path) -> None:
    paths = at(tmp_path, tiny_model, [1e-3, 3e-3])
    plan = json.loads(paths.plan("full").read_text())
    assert (plan["steps"], plan["tokens"]) == (4 * 2 * 2, 320 * 2 * 2)
    data = yaml.safe_load(paths.params.read_text())
    data["launch"] = {"nodes": 2, "rendezvous": "a:1"}
    paths.params.write_text(yaml.safe_dump(data))
    with pytest.raises(UsageError, match=r"launch\.nodes = 2: 2 learning rates are tried on one machine"):
        tasks.stages.plan.run("full", load_params(paths.params), paths)


@pytest.mark.parametrize(
    ("rates", "text"),
    [
        ([], "at least one"),
        (["1e-4", 1e-4], "without repeats"),
        ([1e-4, 2.0], "2.0: expected"),
        (["x"], "'x': expected"),
    ],
)
def test_rates_that_cannot_be_tried_are_refused(tmp_path: Path, rates: list[Any], text: str) -> None:
    data = yaml.safe_load((ROOT / "params.yaml").read_text())
    data["methods"]["full"]["learning_rate"] = rates
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(data))
    with pytest.raises(UsageError, match=rf"methods\.full\.learning_rate.*{text}"):
        load_params(tmp_path / "params.yaml")
