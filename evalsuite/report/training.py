"""How each method was trained, as the report and the model card tell it."""

import math
import statistics
from dataclasses import dataclass

from evalsuite.report.curves import LossChart, SignalChart, loss_chart, signal_charts
from evalsuite.report.data import TrainingRun
from evalsuite.report.text import ABSENT, count, duration, signed, size

DEV_SUITE = "golden"
"""The suite whose dev set every epoch answers."""
NOT_KNOWN = "not known"


@dataclass(frozen=True)
class Training:
    """A method's log and its charts."""

    run: TrainingRun
    chart: LossChart | None
    signals: tuple[SignalChart, ...]
    facts: tuple[tuple[str, str], ...]
    """What the signals come to."""
    continuity: str | None
    """How it went on where it was interrupted."""
    metrics: tuple[str, ...]
    counts: dict[str, int | None]
    """Metric -> scored dev items; None where epochs differ."""
    suite: str = DEV_SUITE


def training_of(run: TrainingRun) -> Training:
    """Lay out one method's training."""
    metrics = sorted({metric for epoch in run.epochs for metric in epoch.golden})
    found = {metric: {epoch.golden_n.get(metric) for epoch in run.epochs} for metric in metrics}
    counts = {metric: next(iter(ns)) if len(ns) == 1 else None for metric, ns in found.items()}
    return Training(
        run=run,
        chart=loss_chart(run),
        signals=signal_charts(run),
        facts=signal_facts(run),
        continuity=continuity_sentence(run),
        metrics=tuple(metrics),
        counts=counts,
    )


def signal_facts(run: TrainingRun) -> tuple[tuple[str, str], ...]:
    """Name and value of what to watch; ``not known`` where the log or the device does not tell."""
    norms = [point.grad_norm for point in run.steps if point.grad_norm is not None]
    rates = [point.learning_rate for point in run.steps if point.learning_rate is not None]
    used = [point.model_flops_utilisation for point in run.steps if point.model_flops_utilisation is not None]
    speed = _tokens_per_second(run)
    gap = next((epoch.eval_loss - epoch.train_loss for epoch in run.epochs if epoch.epoch == run.selected_epoch), None)
    return (
        ("tokens a second", NOT_KNOWN if speed is None else count(round(speed))),
        ("model-FLOPs utilisation", f"{100 * statistics.median(used):.1f}% of the peak" if used else NOT_KNOWN),
        ("peak memory", size(run.peak_memory_bytes)),
        ("training time, dev runs included", duration(run.train_seconds)),
        ("gradient norm", f"median {statistics.median(norms):.3g}, largest {max(norms):.3g}" if norms else NOT_KNOWN),
        ("learning rate", f"at most {max(rates):.3g}, {rates[-1]:.3g} at last" if rates else NOT_KNOWN),
        ("eval loss above training loss", ABSENT if gap is None else f"{signed(gap)} nats in the selected epoch"),
    )


def continuity_sentence(run: TrainingRun) -> str | None:
    """Whether a training that was interrupted went on with what it had saved; None where it never was."""
    steps = [str(step) for step in run.resumed_from_steps]
    if not steps:
        return None
    where = f"step {steps[0]}" if len(steps) == 1 else f"steps {', '.join(steps[:-1])} and {steps[-1]}"
    told = f"{run.method} was interrupted and went on from {where}"
    if not run.resume_checks:
        return f"{told}; its log compares no losses there."
    largest = max(abs(check.saved_loss - check.resumed_loss) for check in run.resume_checks)
    same = "the same loss" if largest == 0.0 else f"the same loss to {largest:.1g} nats"
    number = len(run.resume_checks)
    times = "" if number == len(steps) else f", compared {number} of {len(steps)} times"
    return f"{told}: the weights that were read give {same} on dev rows as when they were saved{times}."


def _tokens_per_second(run: TrainingRun) -> float | None:
    """Over all steps: tokens over the time that they took."""
    points = [(point.tokens, point.tokens_per_second) for point in run.steps]
    timed = [(tokens, speed) for tokens, speed in points if tokens and speed]
    seconds = math.fsum(tokens / speed for tokens, speed in timed)
    return sum(tokens for tokens, _ in timed) / seconds if timed else None
