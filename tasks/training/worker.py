"""Fine-tuning in this process, alone or as one of several, with a complete checkpoint and a golden dev run an epoch.

Run:  python -m tasks.training.worker METHOD [RATE]   (under torchrun; one process alone is the stage itself)
"""

import logging
import math
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from evalsuite.core.errors import PreemptedError, StageError, UsageError
from evalsuite.core.files import read_model
from tasks.allocator import keep_freed_memory
from tasks.config.launch import Strategy
from tasks.config.numerics import Numerics
from tasks.config.reading import read_params
from tasks.config.training import TrainingSections
from tasks.logs import start_logging
from tasks.objectives.find import blamed
from tasks.paths import ArtifactPaths
from tasks.training.effective import Effective, count_all, count_trained, read_effective
from tasks.training.job import Job
from tasks.training.parallel.launch import LaunchPlan, check_settings
from tasks.training.parallel.preemption import StopRequest, die_with_parent
from tasks.training.parallel.strategies import Ranks, leave_processes, split_again, start_processes, whole_models
from tasks.training.rows.inputs import Inputs, check_same_inputs, read_inputs
from tasks.training.rows.packing import check_packing, rows_loss
from tasks.training.state.checkpoints import (
    Checkpoint,
    check_disk,
    complete_checkpoints,
    last_good,
    mark_complete,
    most_checkpoints,
    prune,
    read_records,
    resumable_checkpoints,
    write_record,
)
from tasks.training.state.clock import Clock
from tasks.training.state.continuity import check_probe, deterministic, has_another_cause, unreadable, write_probe
from tasks.training.state.log import EpochRecord, StepRecord
from tasks.training.state.outcome import Outcome
from tasks.training.state.selection import divergence, select_epoch
from tasks.training.trainer import build_trainer
from tasks.training.watch.callbacks import training_callback
from tasks.training.watch.failures import DivergedError, reporting
from tasks.training.watch.live import live_callback
from tasks.training.watch.reporting import reporting_callback
from tasks.training.watch.signals import peak_memory_bytes, read_peak, read_steps, signals_callback

logger = logging.getLogger(__name__)


class Training:
    """A job at work: the trainer, and what it writes after each epoch."""

    def __init__(self, job: Job, inputs: Inputs, stop: StopRequest) -> None:
        """Build model and trainer.

        Raises:
            UsageError: The adapter's target modules match nothing, or examples in one row see each other.
        """
        from transformers import set_seed

        plan, paths = job.plan, job.paths
        self.job, self.inputs, self.clock = job, inputs, Clock(job.root / "clock.json")
        self.name, self.params, self.plan, self.root = job.name, job.params, plan, job.root
        self.num_epochs = job.method.params.epochs
        self.ranks = Ranks()
        self.watchers = (live_callback(self, paths.live(job.name)), reporting_callback(self, paths.tracked_runs))
        self.stop, self.stepping = stop, False
        self.started_from = self._newest()
        resume = self.started_from.folder if self.started_from else None
        set_seed(job.params.seed)
        with self._reading(resume if plan.strategy is Strategy.FSDP2 else None):
            self.trainer = build_trainer(job, inputs, resume)
        self.peak = read_peak(job.base, job.method.params.kind, inputs.train, plan.num_processes)
        self.trainer.add_callback(signals_callback(self, peak_memory_bytes))
        self.trainer.add_callback(training_callback(self))
        for watcher in self.watchers:
            self.trainer.add_callback(watcher)
        model = self.trainer.model
        self.trained_parameters = count_trained(model)
        split_by_deepspeed = plan.strategy.zero_stage == 3
        self.total_parameters = count_all(model) if split_by_deepspeed else int(model.num_parameters())
        self.checkpoint_bytes = plan.checkpoint_bytes(job.method.saves_twice)
        self._effective: Effective = {}
        if not split_by_deepspeed:
            self.check_packing()

    def run(self) -> Outcome:
        """Train to the end, from the last complete checkpoint where there is one.

        Raises:
            StageError: The loss is not a number, the disk is full, a checkpoint cannot be read, or what runs is not
                what was planned.
            PreemptedError: SIGTERM came, and a checkpoint was written.
        """
        with self.stop.listening():
            with self._reading(self.started_from.folder if self.started_from else None):
                self._finish_pending()
            missing = most_checkpoints(self.num_epochs, self.params.keep_checkpoints)
            missing -= len(complete_checkpoints(self.root))
            check_disk(self.root, max(0, missing) * self.checkpoint_bytes, f"{max(0, missing)} checkpoints need")
            resume = None
            if self.started_from is not None:
                resume = self.started_from.folder
                logger.info("%s: going on from %s", self.name, resume)
                self.clock.add_resume(self.started_from.step)
            # A run that was killed after an early stop must not go on past it.
            if self.stopped_early is None:
                with deterministic(), self._reading(resume):
                    self.trainer.train(resume_from_checkpoint=None if resume is None else str(resume))
        self.save_clock()
        return Outcome(
            epochs=self.epochs,
            steps=self.steps(),
            stopped_early=self.stopped_early,
            resumed_from_steps=self.clock.resumed,
            resume_checks=self.clock.checks,
            trainable_parameters=self.trained_parameters,
            total_parameters=self.total_parameters,
            train_seconds=self.clock.seconds,
            peak_memory_bytes=max(self.ranks.gather(peak_memory_bytes())),
            effective=self.effective(),
        )

    @contextmanager
    def _reading(self, folder: Path | None) -> Iterator[None]:
        """Name the checkpoint that cannot be read; once steps are done, an error has another cause."""
        try:
            yield
        except (StageError, UsageError):
            raise
        except Exception as error:  # what libraries say of a broken file has no common type
            if folder is None or self.stepping or has_another_cause(error, folder):
                raise
            raise StageError(unreadable(self.root, folder, error)) from error

    def _newest(self) -> Checkpoint | None:
        done = resumable_checkpoints(self.root)
        return done[-1] if done else None

    def _finish_pending(self) -> None:
        """Run the golden dev set on an epoch's checkpoint that a killed run had saved and not yet judged."""
        from transformers import TrainerState

        newest = self.started_from
        if newest is None or newest.record is not None:
            return
        state = TrainerState.load_from_json(str(newest.folder / "trainer_state.json"))
        if _at_epoch_end(state):
            self.judge(state, time.perf_counter())

    @property
    def epochs(self) -> tuple[EpochRecord, ...]:
        """Records of the epochs that are complete, oldest first, those whose checkpoint was pruned included."""
        return tuple(sorted(read_records(self.root).values(), key=lambda record: record.epoch))

    @property
    def stopped_early(self) -> str | None:
        """Why training ends before its last epoch, as far as the complete epochs tell."""
        if len(self.epochs) >= self.num_epochs:
            return None
        return divergence(self.epochs, self.params.divergence_gap, self.params.divergence_patience)

    @property
    def compute(self) -> str:
        """Type that the forward pass computes in."""
        return "fp32" if self.plan.numerics is Numerics.FP32 else "bf16"

    @property
    def rows_a_step(self) -> int:
        """Rows of one optimizer step over all processes, as they run."""
        arguments = self.trainer.args
        rows = arguments.per_device_train_batch_size * arguments.gradient_accumulation_steps
        return int(rows * self.trainer.accelerator.num_processes)

    def steps(self) -> tuple[StepRecord, ...]:
        """Every logged optimizer step up to the last complete checkpoint, those before a resume included."""
        from transformers import TrainerState

        last = complete_checkpoints(self.root)[-1][0]
        return read_steps(TrainerState.load_from_json(str(last / "trainer_state.json")).log_history)

    def effective(self) -> Effective:
        """What really runs; read once, before the first step."""
        if not self._effective:
            self._effective = read_effective(self.trainer, self.ranks)
        return self._effective

    def check_packing(self) -> None:
        """Prove that examples in one row do not see each other, where they share rows."""
        if self.params.packing:
            check_packing(self.trainer, self.inputs.train, self.compute)
            if self.plan.strategy is Strategy.FSDP2:
                split_again(self.trainer.model)

    def probe_loss(self) -> float:
        """Loss on the first dev rows, nats a supervised token; all processes must call it."""
        loss = rows_loss(self.trainer, self.inputs.dev[: self.params.micro_batch_size])
        if self.plan.strategy is Strategy.FSDP2:
            split_again(self.trainer.model)
        if not math.isfinite(loss):
            raise DivergedError(f"{self.name}: the loss on the dev rows is {loss}; last good: {last_good(self.root)}")
        return loss

    def check_resume(self) -> None:
        """Compare the loss with the one that was measured when the checkpoint was written.

        Raises:
            StageError: They differ: what was read is not what was saved.
        """
        if self.started_from is None:
            return
        folder, step, *_ = self.started_from
        self.clock.add_check(check_probe(folder, step, self.probe_loss(), self.compute))

    def wants_to_stop(self) -> bool:
        """Whether any process was asked to stop; all give the same answer."""
        return max(self.ranks.gather(int(self.stop.asked))) > 0

    def saved(self, state: Any, started: float) -> str | None:
        """Complete the checkpoint just saved, then judge it where an epoch ends; says why to stop, if so.

        Raises:
            PreemptedError: SIGTERM came.
        """
        folder = self.root / f"checkpoint-{state.global_step}"
        loss = self.probe_loss()
        self.ranks.wait()  # until every process has written its part
        if self.ranks.first:
            write_probe(folder, loss)
            mark_complete(folder, None)
        self.ranks.wait()
        self.save_clock()
        if self.wants_to_stop():
            raise PreemptedError(
                f"{self.name}: SIGTERM at step {state.global_step} of {state.max_steps}; {folder} is saved, the same "
                "command goes on from it"
            )
        self.judge(state, started)
        return self.stopped_early

    def judge(self, state: Any, started: float) -> None:
        """Run the golden dev set on an epoch's checkpoint, in the first process, and give it its record; prune."""
        if self.ranks.first:
            with whole_models():
                self._judge(state, started)
        self.ranks.wait()

    def _judge(self, state: Any, started: float) -> None:
        folder = self.root / f"checkpoint-{state.global_step}"
        epoch = round(state.epoch)
        golden = self.inputs.dev_runner.run(folder)
        begin = max((record.step for record in self.epochs), default=0)
        losses = [entry["loss"] for entry in state.log_history if "loss" in entry and entry["step"] > begin]
        record = EpochRecord(
            epoch=epoch,
            step=state.global_step,
            checkpoint=folder.name,
            train_loss=math.fsum(losses) / len(losses),
            eval_loss=next(entry["eval_loss"] for entry in reversed(state.log_history) if "eval_loss" in entry),
            golden={metric.metric: metric.mean for metric in golden.metrics if metric.mean is not None},
            golden_n={metric.metric: metric.n for metric in golden.metrics},
            golden_stderr={metric.metric: metric.stderr for metric in golden.metrics},
            seconds=time.perf_counter() - started,
        )
        write_record(self.root, record)
        mark_complete(folder, record)
        for watcher in self.watchers:
            watcher.on_epoch_judged(record)
        best = select_epoch(self.epochs, self.params.select_metric, self.params.select_direction).epoch
        prune(self.root, self.params.keep_checkpoints, [best])
        scores = ", ".join(f"{name} {value:.3f}" for name, value in record.golden.items())
        logger.info(
            "%s: epoch %d of %d: training loss %.3f, eval loss %.3f, golden dev %s",
            self.name,
            epoch,
            self.num_epochs,
            record.train_loss,
            record.eval_loss,
            scores,
        )
        self.save_clock()

    def save_clock(self) -> None:
        """Keep the wall time so far."""
        if self.ranks.first:
            self.clock.save()


def train(job: Job, inputs: Inputs, stop: StopRequest | None = None) -> Outcome:
    """Train in this process; the first process writes the outcome, last.

    Raises:
        UsageError: An input is not as it must be.
        StageError: Training stopped; the message names the step and the last good checkpoint.
    """
    with blamed(inputs.objective):
        training = Training(job, inputs, stop or StopRequest())
        try:
            outcome = training.run()
        except DivergedError:
            training.save_clock()
            for watcher in training.watchers:
                watcher.on_train_end(None, None, None)
            raise
    if training.ranks.first:
        outcome.write(job.root)
    training.ranks.wait()  # torchrun ends the others as soon as one has ended badly
    return outcome


def _at_epoch_end(state: Any) -> bool:
    return bool(abs(state.epoch - round(state.epoch)) < 1e-9)


def main(arguments: list[str] | None = None) -> int:
    """Work as one of several processes, as torchrun's variables say."""
    die_with_parent()
    start_logging()
    name, *rates = sys.argv[1:] if arguments is None else arguments
    rate = float(rates[0]) if rates else None
    paths, rank = ArtifactPaths(), int(os.environ.get("RANK", "0"))
    root = paths.checkpoints(name, rate)
    logging.getLogger("accelerate").setLevel(logging.WARNING)
    if rank:
        logging.getLogger().setLevel(logging.WARNING)
    stop = StopRequest()
    # A SIGTERM before the first step must wait for it: one process that it ends takes the others with it.
    with stop.listening(), reporting(root, rank) as result:
        params = read_params(paths.params, TrainingSections).seeded(name)
        plan = read_model(paths.plans / f"{name}.launch.json", LaunchPlan, f"ratchet stage plan@{name}")
        world = int(os.environ.get("WORLD_SIZE", "1"))
        if world != plan.num_processes:
            raise UsageError(
                f"{world} processes were started, plans/{name}.launch.json has {plan.num_processes}; start them by "
                f"`ratchet launch {name}`"
            )
        check_settings(name, plan, paths.root)
        start_processes(plan)
        job = Job(name, params, plan, paths, rate)
        inputs = read_inputs(job)
        check_same_inputs(job)
        train(job, inputs, stop)
    if result.exit_code == 0:
        leave_processes()
    return result.exit_code


if __name__ == "__main__":
    keep_freed_memory()
    raise SystemExit(main())
