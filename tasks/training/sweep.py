"""Several learning rates of one method: each trains by itself, and the golden dev set says which one is exported.

Each rate has a checkpoint folder of its own and is a whole training there, so that a killed sweep goes on where it was.
Of the finished ones only the best so far keeps its checkpoints; the others keep their records.
"""

import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from evalsuite.core.errors import StageError, UsageError
from evalsuite.core.files import read_json, write_json
from tasks.training.job import Job
from tasks.training.state.checkpoints import FINGERPRINT, anew, read_records
from tasks.training.state.clock import Clock
from tasks.training.state.log import RateRecord
from tasks.training.state.outcome import Outcome
from tasks.training.state.selection import select_epoch
from tasks.training.watch.failures import DivergedError

logger = logging.getLogger(__name__)

DIVERGED = "diverged.json"


class Trial(NamedTuple):
    """One rate's training, finished or given up."""

    job: Job
    outcome: Outcome | None
    """None where it diverged."""
    record: RateRecord

    @property
    def rate(self) -> float:
        """The learning rate."""
        return self.record.learning_rate


def open_sweep(folder: Path, roots: Sequence[Path]) -> None:
    """Remove what a training at one rate left in ``folder``, and rates that are tried no more."""
    if (folder / FINGERPRINT).is_file():
        logger.info("the checkpoints of one learning rate in %s are removed: several are tried now", folder)
        shutil.rmtree(folder)
    for left in set(folder.glob("rate-*")) - set(roots):
        logger.info("%s is removed: this learning rate is tried no more", left)
        shutil.rmtree(left)


def finished(job: Job, outcome: Outcome) -> Trial:
    """What a rate's training gave."""
    metric = job.params.select_metric
    selection = select_epoch(outcome.epochs, metric, job.params.select_direction)
    epoch = next(each for each in outcome.epochs if each.epoch == selection.epoch)
    record = RateRecord(
        learning_rate=job.method.params.rates[0],
        epochs=len(outcome.epochs),
        selected_epoch=epoch.epoch,
        dev=epoch.golden[metric],
        dev_n=epoch.golden_n[metric],
        dev_stderr=epoch.golden_stderr.get(metric),
        eval_loss=epoch.eval_loss,
        train_seconds=outcome.train_seconds,
    )
    return Trial(job, outcome, record)


def give_up(job: Job, error: DivergedError) -> Trial:
    """Note that a rate is too high, so that it is not tried again."""
    found = {"schema_version": 1, "message": str(error), "epochs": len(read_records(job.root))}
    write_json(job.root / DIVERGED, found)
    return _diverged(job, found)


def given_up(job: Job) -> Trial | None:
    """The rate's training, where it diverged before."""
    path = job.root / DIVERGED
    if not path.is_file():
        return None
    found = read_json(path, anew(path))
    if not isinstance(found, dict) or not {"message", "epochs"} <= found.keys():
        raise UsageError(f"{path} has no message and epochs; make it again with `{anew(path)}`")
    return _diverged(job, found)


def _diverged(job: Job, found: Mapping[str, Any]) -> Trial:
    record = RateRecord(
        learning_rate=job.method.params.rates[0],
        epochs=int(found["epochs"]),
        train_seconds=Clock(job.root / "clock.json").saved_seconds,
        diverged=str(found["message"]),
    )
    return Trial(job, None, record)


class Best(NamedTuple):
    """The rate that is exported."""

    trial: Trial
    outcome: Outcome


def best_trial(trials: Sequence[Trial]) -> Best:
    """The rate with the best golden dev metric; of equal ones the lower eval loss, then the lower rate.

    Raises:
        StageError: Every rate diverged.
    """
    job = trials[0].job
    alive = [Best(trial, trial.outcome) for trial in trials if trial.outcome is not None]
    if not alive:
        raise StageError(
            f"{job.name}: training diverged at each of methods.{job.name}.learning_rate = "
            f"{[trial.rate for trial in trials]}; name lower ones. {trials[-1].record.diverged}"
        )
    sign = -1.0 if job.params.select_direction == "higher" else 1.0
    return min(alive, key=lambda best: _rank(best.trial, sign))


def _rank(trial: Trial, sign: float) -> tuple[float, float, float]:
    return sign * (trial.record.dev or 0.0), trial.record.eval_loss or 0.0, trial.rate


def prune_trials(trials: Sequence[Trial], best: Trial) -> None:
    """Leave of all rates but the best their records alone."""
    for trial in trials:
        if trial.rate == best.rate:
            continue
        if trial.outcome is not None and not trial.outcome.pruned:
            # Said before they go, so that a kill in between leaves a rate that is finished.
            trial.outcome.model_copy(update={"pruned": True}).write(trial.job.root)
        for folder in trial.job.root.glob("checkpoint-*"):
            shutil.rmtree(folder)
        shutil.rmtree(trial.job.root / "pissa_init", ignore_errors=True)


def why_best(trials: Sequence[Trial], best: Trial) -> str:
    """The choice of the rate, in words."""
    told = ", ".join(
        f"{trial.rate:g} diverged" if trial.record.dev is None else f"{trial.rate:g} {trial.record.dev:.3f}"
        for trial in trials
    )
    settings = best.job.params
    equal = sum(trial.record.dev == best.record.dev for trial in trials) > 1
    tie = "; of equal rates the one with the lower eval loss" if equal else ""
    return (
        f"learning rate {best.rate:g}: best golden dev {settings.select_metric} ({settings.select_direction} is "
        f"better, n={best.record.dev_n}): {told}{tie}"
    )
