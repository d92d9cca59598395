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
from tasks.config.methods import MethodKind, MethodParams
from tasks.config.training import TrainingSections
from tasks.dvc_command import FORCED
from tasks.paths import ArtifactPaths
from tasks.planning.choice import USABLE
from tasks.planning.hardware import launch_machines
from tasks.training.export import export
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
from tasks.training.state.outcome import OUTCOME, Outcome, read_outcome
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
    params = params.seeded(name)
    method, base = params.methods[name], paths.export("base")
    plan = read_model(paths.plans / f"{name}.launch.json", LaunchPlan, f"ratchet stage plan@{name}")
    check_plan(name, plan, method, params.launch)
    check_settings(name, plan, paths.root)
    _check_memory(name, params, paths)
    verify_manifest(base, "ratchet stage fetch")
    inputs = read_inputs(name, params, paths)
    # Whatever can be wrong with the inputs is found by now: from here on earlier checkpoints may be removed.
    paths.train_log(name).unlink(missing_ok=True)
    if os.environ.get(FORCED):
        _set_finished_aside(name, method, paths)
    if method.is_sweep:
        trials = _sweep(name, params, paths, plan, inputs)
    else:
        root = paths.checkpoints(name)
        trials = [finished(method.rates[0], root, _outcome(name, params, paths, plan, inputs), params.train)]
    best, outcome = best_trial(name, trials, params.train.select_direction)
    root, method = best.root, method.at_rate(best.rate)
    selection = select_epoch(outcome.epochs, params.train.select_metric, params.train.select_direction)
    checkpoint = _checkpoint(root, next(record for record in outcome.epochs if record.epoch == selection.epoch))
    exported = export(name, method, checkpoint, base, paths.export(name), inputs.tokenizer, inputs.dev)
    adapter = checkpoint / "adapter_model.safetensors"
    log = TrainLog(
        method=name,
        kind=method.kind,
        config=_flat(
            {
                "method": method.model_dump(mode="json"),
                "train": params.train.model_dump(mode="json", exclude={"report_to"}),
            }
        ),
        steps=outcome.steps,
        epochs=outcome.epochs,
        selected_epoch=selection.epoch,
        selected_because=f"{why_best(trials, best, params.train)}; {selection.because}"
        if len(trials) > 1
        else selection.because,
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
        adapter_bytes=adapter.stat().st_size if method.kind is not MethodKind.FULL else None,
        effective=outcome.effective,
        merge_max_abs_difference=exported.merge_max_abs_difference,
        quantisation_max_abs_difference=exported.quantisation_max_abs_difference,
        identity=exported.manifest.identity,
    )
    write_curves(paths.live(name), log.steps, log.epochs)
    write_json(paths.train_log(name), log)
    drop_resume_state(root)
    forget_aside(paths.checkpoints(name))
    return log


def _check_memory(name: str, params: TrainingSections, paths: ArtifactPaths) -> None:
    """Refuse a machine with less memory than the plan needs, which may have been made on another.

    Raises:
        UsageError: Names the method, what it needs and what is there.
    """
    if not paths.plan(name).is_file():
        return
    plan = read_json(paths.plan(name), f"ratchet stage plan@{name}")
    device = launch_machines(params.hardware, params.launch).device
    needed, there = plan["memory_bytes_per_device"]["total"], device.memory_bytes
    if needed > USABLE * there:
        raise UsageError(
            f"method {name!r} needs about {needed / 2**30:.1f} GiB and the device here, {device.name}, has "
            f"{there / 2**30:.1f} GiB; `ratchet stage plan@{name} --force` says what would fit"
        )


def _set_finished_aside(name: str, method: MethodParams, paths: ArtifactPaths) -> None:
    """Keep a finished training until the one that was asked for is finished too; an unfinished one goes on."""
    roots = {rate: paths.checkpoints(name, rate if method.is_sweep else None) for rate in method.rates}
    if all((root / OUTCOME).is_file() or (method.is_sweep and given_up(rate, root)) for rate, root in roots.items()):
        aside = set_aside(paths.checkpoints(name))
        logger.info("%s: training again, as asked; the finished training is kept in %s until then", name, aside)


def _sweep(name: str, params: TrainingSections, paths: ArtifactPaths, plan: LaunchPlan, inputs: Inputs) -> list[Trial]:
    """Train at every learning rate; only the best one's checkpoints are left."""
    rates = params.methods[name].rates
    roots = {rate: paths.checkpoints(name, rate) for rate in rates}
    open_sweep(paths.checkpoints(name), list(roots.values()))
    trials: list[Trial] = []
    for number, (rate, root) in enumerate(roots.items(), 1):
        logger.info("%s: learning rate %g, %d of %d", name, rate, number, len(rates))
        trials.append(_trial(name, params, paths, plan, inputs, rate))
        if any(trial.outcome for trial in trials):
            prune_trials(trials, best_trial(name, trials, params.train.select_direction).trial)
        drop_resume_state(root)
    best, outcome = best_trial(name, trials, params.train.select_direction)
    if outcome.pruned:
        logger.info(
            "%s: learning rate %g is the best of these rates, and trains again for its weights", name, best.rate
        )
        shutil.rmtree(best.root)
        trials[trials.index(best)] = _trial(name, params, paths, plan, inputs, best.rate)
    return trials


def _trial(
    name: str, params: TrainingSections, paths: ArtifactPaths, plan: LaunchPlan, inputs: Inputs, rate: float
) -> Trial:
    """Train at one of several learning rates, unless that was done; one that is too high is given up."""
    root = paths.checkpoints(name, rate)
    open_root(root, fingerprint(name, params.at_rate(name, rate), paths, plan))
    found = given_up(rate, root)
    if found is not None:
        return found
    try:
        return finished(rate, root, _outcome(name, params, paths, plan, inputs, rate), params.train)
    except DivergedError as error:
        logger.warning("%s: learning rate %g is given up: %s", name, rate, error)
        found = give_up(rate, root, error)
    gc.collect()
    return found


def _outcome(
    name: str,
    params: TrainingSections,
    paths: ArtifactPaths,
    plan: LaunchPlan,
    inputs: Inputs,
    rate: float | None = None,
) -> Outcome:
    """What the finished training in the checkpoints left, or one that is finished now."""
    root = paths.checkpoints(name, rate)
    depends_on = fingerprint(name, params.at_rate(name, rate), paths, plan)
    open_root(root, depends_on)
    outcome = read_outcome(root)
    if outcome is not None:
        logger.info("%s: all epochs were done before", name)
        return outcome
    if not is_resumable(root):
        logger.warning("%s: training starts anew: a file of the finished one in %s is gone", name, root)
        start_anew(root, depends_on)
    outcome = _train(name, params, paths, plan, inputs, rate)
    gc.collect()  # the trainer refers to itself; the export needs its memory
    return outcome


def _train(
    name: str, params: TrainingSections, paths: ArtifactPaths, plan: LaunchPlan, inputs: Inputs, rate: float | None
) -> Outcome:
    """Train to the end; model, gradients and optimizer are freed on return, before the export needs memory."""
    if plan.in_stage:
        return train(name, params, paths, plan, inputs, rate=rate)
    root = paths.checkpoints(name, rate)
    run_workers(name, plan, params.launch, paths.root, root, rate)
    outcome = read_outcome(root)
    if outcome is None:
        raise StageError(f"{name}: the processes ended and left no outcome in {root}; run the stage again to go on")
    return outcome


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
