"""Quality against cost, method by method, and where the points of that plot lie."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from evalsuite.report.data import ReportData
from evalsuite.report.facts.measured import Fact, Measured, Tables, measured
from evalsuite.report.forest import Tick, round_values
from evalsuite.report.text import duration, money
from evalsuite.report.units import Units, level


class TradeoffPoint(Fact):
    """One method."""

    method: str
    cost: float
    """In the unit of ``Tradeoff.cost_unit``."""
    quality: Measured
    on_front: bool
    """Whether no other method is at least as good and as cheap, and better in one of the two."""


class Tradeoff(Fact):
    """What each method's quality costs."""

    suite: str
    metric: str
    higher_is_better: bool
    cost_unit: str
    """``seconds`` of training and evaluation, or the currency of their price."""
    alpha: float
    """One-sided error of every interval."""
    points: tuple[TradeoffPoint, ...]


@dataclass(frozen=True)
class TradeoffMark:
    """One method on the plot, in percent from the left and from the top."""

    method: str
    x: float
    y: float
    top: float
    bottom: float
    """Ends of the interval; both ``y`` where there is none."""
    label: Literal["start", "end"]
    """Side of the mark on which its name begins or ends, so that it stays inside the plot."""
    on_front: bool


@dataclass(frozen=True)
class TradeoffChart:
    """The plot."""

    marks: tuple[TradeoffMark, ...]
    front: str
    """``points`` of a polyline through the front, in a box of 100 by 100."""
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    description: str


def pareto_front(points: Sequence[tuple[float, float]], higher_is_better: bool = True) -> frozenset[int]:
    """Places of the points (cost, quality) that no other point dominates.

    A point is dominated by one that costs no more and is no worse, and is better in one of the two.
    """
    sign = 1.0 if higher_is_better else -1.0
    order = sorted(range(len(points)), key=lambda place: (points[place][0], -sign * points[place][1]))
    front: list[int] = []
    for place in order:
        cost, quality = points[place]
        if not front or sign * quality > sign * points[front[-1]][1] or points[front[-1]] == (cost, quality):
            front.append(place)
    return frozenset(front)


def tradeoff_of(data: ReportData, tables: Tables) -> Tradeoff | None:
    """Every method whose quality and cost are known; None where there is none."""
    choice, comparison = data.comparison.choice, data.comparison
    rows = [(row, row.metric(choice.suite, choice.metric)) for row in comparison.methods]
    known = [(row, found) for row, found in rows if found is not None and found.mean is not None]
    priced = bool(known) and all(row.cost for row, _ in known)
    costs = [(row.cost if priced else row.seconds, row, found) for row, found in known]
    there = [(cost, row, found) for cost, row, found in costs if cost is not None]
    if not there:
        return None
    higher = choice.direction == "higher"
    measures = [
        (cost, row.name, measured(found, tables.get(row.name, {}).get(choice.suite), choice.alpha))
        for cost, row, found in there
    ]
    known_ones = [(cost, name, quality) for cost, name, quality in measures if quality is not None]
    front = pareto_front([(cost, quality.best or 0.0) for cost, _, quality in known_ones], higher)
    points = [
        TradeoffPoint(method=name, cost=cost, quality=quality, on_front=place in front)
        for place, (cost, name, quality) in enumerate(known_ones)
    ]
    return Tradeoff(
        suite=choice.suite,
        metric=choice.metric,
        higher_is_better=higher,
        cost_unit=comparison.methods[0].currency if priced else "seconds",
        alpha=choice.alpha,
        points=tuple(points),
    )


def cost_text(tradeoff: Tradeoff, cost: float) -> str:
    """A cost with its unit."""
    if cost == 0.0:
        return "0"
    return duration(cost) if tradeoff.cost_unit == "seconds" else money(cost, tradeoff.cost_unit)


def tradeoff_chart(tradeoff: Tradeoff | None, units: Units) -> TradeoffChart | None:
    """Lay out the plot: cost to the right from 0, quality upwards."""
    if tradeoff is None:
        return None
    suite, metric = tradeoff.suite, tradeoff.metric
    ends = [
        value
        for point in tradeoff.points
        for value in (point.quality.best, point.quality.lower, point.quality.upper)
        if value is not None
    ]
    low, high = min(ends), max(ends)
    room = (high - low) * 0.1 or abs(high) * 0.1 or 1.0
    low, high = low - room, high + room
    most = max(point.cost for point in tradeoff.points) * 1.06 or 1.0

    def across(cost: float) -> float:
        return round(100.0 * cost / most, 2)

    def down(value: float | None, absent: float) -> float:
        return absent if value is None else round(100.0 * (high - value) / (high - low), 2)

    marks = []
    for point in tradeoff.points:
        x, y = across(point.cost), down(point.quality.best, 0.0)
        marks.append(
            TradeoffMark(
                method=point.method,
                x=x,
                y=y,
                top=down(point.quality.upper, y),
                bottom=down(point.quality.lower, y),
                label="start" if x < 60.0 else "end",
                on_front=point.on_front,
            )
        )
    front = sorted((mark.x, mark.y) for mark in marks if mark.on_front)
    return TradeoffChart(
        marks=tuple(marks),
        front=" ".join(f"{x},{y}" for x, y in front),
        x_ticks=tuple(Tick(across(cost), cost_text(tradeoff, cost)) for cost in round_values(0.0, most, 4)),
        y_ticks=tuple(
            Tick(down(value, 0.0), units.value(suite, metric, value)) for value in round_values(low, high, 4)
        ),
        description=f"{suite}/{metric} against cost. "
        + "; ".join(_told(point, tradeoff, units) for point in tradeoff.points),
    )


def _told(point: TradeoffPoint, tradeoff: Tradeoff, units: Units) -> str:
    suite, metric, quality = tradeoff.suite, tradeoff.metric, point.quality
    interval = ""
    if quality.lower is not None or quality.upper is not None:
        shown = units.interval(suite, metric, quality.lower, quality.upper, change=False)
        interval = f", {level(tradeoff.alpha)} interval {shown}"
    front = ", on the front" if point.on_front else ""
    mean, cost = units.value(suite, metric, quality.best), cost_text(tradeoff, point.cost)
    return f"{point.method}: {mean}{interval}, {cost}{front}"
