"""Where the points of a training's curves lie, in percent of their plot's width and height."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from evalsuite.report.data import TrainingRun
from evalsuite.report.forest import Tick, round_values

MAX_POINTS = 160


@dataclass(frozen=True)
class Point:
    """A mark on the chart, in percent from the left and from the top."""

    x: float
    y: float


@dataclass(frozen=True)
class LossChart:
    """Training loss by step and by epoch, and eval loss by epoch."""

    steps: str
    """``points`` of a polyline in a box of 100 by 100."""
    train: tuple[Point, ...]
    evaluation: tuple[Point, ...]
    train_line: str
    evaluation_line: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    selected: float | None
    """Where the selected epoch lies, in percent from the left."""
    description: str


def loss_chart(run: TrainingRun) -> LossChart | None:
    """Lay out one method's losses; None where the log holds no epoch."""
    if not run.epochs:
        return None
    steps = _thinned([(point.epoch, point.loss) for point in run.steps])
    train = [(float(point.epoch), point.train_loss) for point in run.epochs]
    evaluation = [(float(point.epoch), point.eval_loss) for point in run.epochs]
    losses = [loss for _, loss in (*steps, *train, *evaluation)]
    low, high = min(losses), max(losses)
    room = (high - low) * 0.08 or abs(high) * 0.08 or 1.0
    low, high = low - room, high + room
    last = max(x for x, _ in (*steps, *train))

    def at(pair: tuple[float, float]) -> Point:
        return Point(round(100.0 * pair[0] / last, 2), round(100.0 * (high - pair[1]) / (high - low), 2))

    def line(pairs: Sequence[tuple[float, float]]) -> str:
        return " ".join(f"{point.x},{point.y}" for point in map(at, pairs))

    whole = range(1, math.floor(last) + 1, max(1, math.ceil(last / 10)))
    selected = next((float(point.epoch) for point in run.epochs if point.epoch == run.selected_epoch), None)
    told = "; ".join(
        f"epoch {point.epoch}: train {point.train_loss:.3f}, eval {point.eval_loss:.3f}" for point in run.epochs
    )
    return LossChart(
        steps=line(steps),
        train=tuple(map(at, train)),
        evaluation=tuple(map(at, evaluation)),
        train_line=line(train),
        evaluation_line=line(evaluation),
        x_ticks=tuple(Tick(at((float(epoch), low)).x, str(epoch)) for epoch in whole),
        y_ticks=tuple(Tick(at((0.0, value)).y, f"{value:g}") for value in round_values(low, high, 4)),
        selected=None if selected is None else at((selected, low)).x,
        description=f"Loss of {run.method} by epoch, in nats. {told}",
    )


@dataclass(frozen=True)
class SignalChart:
    """One signal by step."""

    title: str
    line: str
    """``points`` of a polyline in a box of 100 by 100."""
    y_ticks: tuple[Tick, ...]
    description: str


def signal_charts(run: TrainingRun) -> tuple[SignalChart, ...]:
    """Lay out one method's gradient norm, learning rate and speed, those that its log has."""
    signals = {
        "Gradient norm": [(point.epoch, point.grad_norm) for point in run.steps],
        "Learning rate": [(point.epoch, point.learning_rate) for point in run.steps],
        "Tokens a second": [(point.epoch, point.tokens_per_second) for point in run.steps],
    }
    known = {title: [(x, y) for x, y in points if y is not None] for title, points in signals.items()}
    return tuple(_signal_chart(run.method, title, points) for title, points in known.items() if points)


def _signal_chart(method: str, title: str, points: Sequence[tuple[float, float]]) -> SignalChart:
    values = [y for _, y in points]
    # From 0, so that a wave looks as large as it is.
    low, high = 0.0, max(values) * 1.08 or 1.0
    last = max(x for x, _ in points)
    line = " ".join(f"{100.0 * x / last:.2f},{100.0 * (high - y) / (high - low):.2f}" for x, y in _thinned(points))
    return SignalChart(
        title=title,
        line=line,
        y_ticks=tuple(Tick(round(100.0 * (high - y) / (high - low), 2), f"{y:g}") for y in round_values(low, high, 2)),
        description=(
            f"{title} of {method} by step: {values[0]:.3g} at first, {values[-1]:.3g} at last, "
            f"from {min(values):.3g} to {max(values):.3g}"
        ),
    )


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most ``MAX_POINTS``: means of equal runs of steps."""
    width = math.ceil(len(points) / MAX_POINTS) or 1
    runs = [points[start : start + width] for start in range(0, len(points), width)]
    return [
        (math.fsum(x for x, _ in part) / len(part), math.fsum(loss for _, loss in part) / len(part)) for part in runs
    ]
