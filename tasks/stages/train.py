"""Fine-tune by one method: a checkpoint and a golden dev run an epoch, then the best epoch's standalone weights.

A run that was killed goes on from its last complete checkpoint to the same weights. The checkpoints of a finished run
keep their weights and lose the optimizer's state; `ratchet stage train@METHOD --force` keeps them until it has trained
again. Of several learning rates each trains by itself, one after another.
"""

import gc
import logging
import os
import shutil
from pathlib import Path
from typing import Any

from evalsuite.core.errors import StageError, UsageError
from evalsuite.core.files import read_json, read_model, write_json
from evalsuite.core.identity import verify_manifest
from tasks.config.training import TrainingSections
from tasks.dvc_command import FORCED
from tasks.paths import ArtifactPaths
from tasks.planning.choice import USABLE
from tasks.planning.hardware import launch_machines
from tasks.training.export import export
from tasks.training.job import Job
from tasks.training.parallel.launch import LaunchPlan, check_plan, check_settings
from tasks.training.parallel.processes import run_workers
from tasks.training.rows.inputs import Inputs, fingerprint, read_inputs
from tasks.training.state.checkpoints import (
    complete_checkpoints,
    drop_resume_state,
    forget_aside,
    is_resumable,
    open_root,
    set_aside,
    start_anew,
)
from tasks.training.state.log import EpochRecord, TrainLog
from tasks.training.state.outcome import OUTCOME, read_outcome
from tasks.training.state.selection import select_epoch
from tasks.training.sweep import (
    Trial,
    best_trial,
    finished,
    give_up,
    given_up,
    open_sweep,
    prune_trials,
    why_best,
)
from tasks.training.watch.failures import DivergedError
from tasks.training.watch.live import write_curves
from tasks.training.watch.signals import peak_memory_bytes
from tasks.training.worker import train

logger = logging.getLogger(__name__)


def run(name: str, params: TrainingSections, paths: ArtifactPaths) -> TrainLog:
    """Train, select, export; models/NAME/train_log.json is written last.

    Raises:
        UsageError: A row, a target module or the golden set is not as it must be.
        StageError: The loss is not a number, the disk is full, the merge went wrong, or what runs is not the plan.
        MissingArtifactError: An earlier stage's output is absent.
    """
    plan = read_model(paths.plans / f"{name}.launch.json", LaunchPlan, f"ratchet stage plan@{name}")
    job = Job(name, params.seeded(name), plan, paths)
    check_plan(name, plan, params.methods[name], params.launch)
    check_settings(name, plan, paths.root)
    _check_memory(job)
    verify_manifest(job.base, "ratchet stage fetch")
    inputs = read_inputs(job)
    # Whatever can be wrong with the inputs is found by now: from here on earlier checkpoints may be removed.
    paths.train_log(name).unlink(missing_ok=True)
    if os.environ.get(FORCED):
        _set_finished_aside(job)
    trials = _sweep(job, inputs) if job.method.params.is_sweep else [_trial(job, inputs)]
    best, outcome = best_trial(trials)
    method, root = best.job.method, best.job.root
    selection = select_epoch(outcome.epochs, job.params.select_metric, job.params.select_direction)
    checkpoint = _checkpoint(root, next(record for record in outcome.epochs if record.epoch == selection.epoch))
    manifest, differences = export(best.job, checkpoint, inputs)
    adapter = checkpoint / "adapter_model.safetensors"
    log = TrainLog(
        method=name,
        kind=method.params.kind,
        config=_flat(
            {
                "method": method.params.model_dump(mode="json"),
                "train": job.params.model_dump(mode="json", exclude={"report_to"}),
            }
        ),
        steps=outcome.steps,
        epochs=outcome.epochs,
        selected_epoch=selection.epoch,
        selected_because=f"{why_best(trials, best)}; {selection.because}" if len(trials) > 1 else selection.because,
        rates=tuple(trial.record for trial in trials) if len(trials) > 1 else (),
        stopped_early=outcome.stopped_early,
        resumed_from_steps=outcome.resumed_from_steps,
        resume_checks=outcome.resume_checks,
        num_examples=len(inputs.train),
        num_tokens=sum(len(example.input_ids) for example in inputs.train)
        * sum(trial.record.epochs for trial in trials),
        trainable_parameters=outcome.trainable_parameters,
        total_parameters=outcome.total_parameters,
        train_seconds=sum(trial.record.train_seconds for trial in trials),
        peak_memory_bytes=max(peak_memory_bytes(), *(t.outcome.peak_memory_bytes for t in trials if t.outcome)),
        adapter_bytes=adapter.stat().st_size if method.frozen else None,
        effective=outcome.effective,
        **differences._asdict(),
        identity=manifest.identity,
    )
    write_curves(paths.live(name), log.steps, log.epochs)
    write_json(paths.train_log(name), log)
    drop_resume_state(root)
    forget_aside(paths.checkpoints(name))
    return log


def _check_memory(job: Job) -> None:
    """Refuse a machine with less memory than the plan needs, which may have been made on another.

    Raises:
        UsageError: Names the method, what it needs and what is there.
    """
    path = job.paths.plan(job.name)
    if not path.is_file():
        return
    plan = read_json(path, f"ratchet stage plan@{job.name}")
    device = launch_machines(job.sections.hardware, job.sections.launch).device
    needed, there = plan["memory_bytes_per_device"]["total"], device.memory_bytes
    if needed > USABLE * there:
        raise UsageError(
            f"method {job.name!r} needs about {needed / 2**30:.1f} GiB and the device here, {device.name}, has "
            f"{there / 2**30:.1f} GiB; `ratchet stage plan@{job.name} --force` says what would fit"
        )


def _set_finished_aside(job: Job) -> None:
    """Keep a finished training until the one that was asked for is finished too; an unfinished one goes on."""
    rates = job.method.params.rates
    jobs = [job] if len(rates) == 1 else [job.at(rate) for rate in rates]
    if all((each.root / OUTCOME).is_file() or given_up(each) for each in jobs):
        aside = set_aside(job.root)
        logger.info("%s: training again, as asked; the finished training is kept in %s until then", job.name, aside)


def _sweep(job: Job, inputs: Inputs) -> list[Trial]:
    """Train at every learning rate; only the best one's checkpoints are left."""
    jobs = [job.at(rate) for rate in job.method.params.rates]
    open_sweep(job.root, [each.root for each in jobs])
    trials: list[Trial] = []
    for number, each in enumerate(jobs, 1):
        logger.info("%s: learning rate %g, %d of %d", job.name, each.rate, number, len(jobs))
        trials.append(_trial(each, inputs))
        if any(trial.outcome for trial in trials):
            prune_trials(trials, best_trial(trials).trial)
        drop_resume_state(each.root)
    best, outcome = best_trial(trials)
    if outcome.pruned:
        logger.info(
            "%s: learning rate %g is the best of these rates, and trains again for its weights", job.name, best.rate
        )
        shutil.rmtree(best.job.root)
        trials[trials.index(best)] = _trial(best.job, inputs)
    return trials


def _trial(job: Job, inputs: Inputs) -> Trial:
    """Train at one learning rate, unless that was done; of several, one that is too high is given up."""
    depends_on = fingerprint(job)
    open_root(job.root, depends_on)
    before, outcome = given_up(job), read_outcome(job.root)
    if before is not None:
        return before
    if outcome is not None:
        logger.info("%s: all epochs were done before", job.name)
        return finished(job, outcome)
    if not is_resumable(job.root):
        logger.warning("%s: training starts anew: a file of the finished one in %s is gone", job.name, job.root)
        start_anew(job.root, depends_on)
    try:
        if job.plan.in_stage:
            outcome = train(job, inputs)
        else:
            run_workers(job.name, job.plan, job.sections.launch, job.paths.root, job.root, job.rate)
            outcome = read_outcome(job.root)
        if outcome is None:
            raise StageError(
                f"{job.name}: the processes ended and left no outcome in {job.root}; run the stage again to go on"
            )
        trial = finished(job, outcome)
    except DivergedError as error:
        if job.rate is None:
            raise
        logger.warning("%s: learning rate %g is given up: %s", job.name, job.rate, error)
        trial = give_up(job, error)
    gc.collect()  # the trainer refers to itself; what follows needs its memory
    return trial


def _checkpoint(root: Path, record: EpochRecord) -> Path:
    """The selected epoch's folder."""
    folder = root / record.checkpoint
    if folder not in [path for path, _ in complete_checkpoints(root)]:
        raise StageError(f"the selected checkpoint {folder} is gone; remove {root} and run the stage again")
    return folder


def _flat(value: dict[str, Any], prefix: str = "") -> dict[str, str | int | float | bool | None]:
    flat: dict[str, str | int | float | bool | None] = {}
    for key, entry in value.items():
        if isinstance(entry, dict):
            flat |= _flat(entry, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = ", ".join(entry) if isinstance(entry, list | tuple) else entry
    return flat


Sections = TrainingSections


def keys(params: TrainingSections) -> tuple[str, ...]:
    """The methods."""
    return tuple(params.methods)


def stage(params: TrainingSections, paths: ArtifactPaths, name: str) -> str:
    """Do the work; returns its summary."""
    log = run(name, params, paths)
    return (
        f"{log.method}: epoch {log.selected_epoch} of {len(log.epochs)} selected ({log.selected_because}); "
        f"{log.num_tokens:,} tokens in {log.train_seconds:.0f} s, identity {log.identity[:16]}"
    )
