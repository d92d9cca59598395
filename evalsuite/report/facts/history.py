"""The champions' metrics over time, and where the points of their plots lie."""

from collections.abc import Sequence
from dataclasses import dataclass

from evalsuite.report.data import PastMetric, ReportData
from evalsuite.report.facts.measured import Fact, Measured, Tables, measured
from evalsuite.report.flips import judged_metrics
from evalsuite.report.forest import Tick, round_values
from evalsuite.report.units import Units

MAX_CHARTS = 12
MAX_DATES = 4
"""Points that all have their date below them."""
NOW = "this run"


class TimePoint(Fact):
    """One champion, or this candidate."""

    when: str
    """UTC day; ``this run`` for the candidate."""
    model: str
    identity: str
    mean: float
    lower: float | None
    upper: float | None
    n: int
    same_items: bool
    """Whether it was measured on the items of the point before; a line joins only such points."""


class Timeline(Fact):
    """One judged metric over the champions that were promoted, oldest first, and the candidate."""

    suite: str
    metric: str
    points: tuple[TimePoint, ...]


@dataclass(frozen=True)
class TimeMark:
    """One point on a plot, in percent from the left and from the top."""

    x: float
    y: float
    top: float
    bottom: float
    is_candidate: bool


@dataclass(frozen=True)
class TimeChart:
    """One metric's plot."""

    title: str
    marks: tuple[TimeMark, ...]
    lines: tuple[str, ...]
    """``points`` of polylines in a box of 100 by 100; each joins points on the same items."""
    x_ticks: tuple[Tick, ...]
    """When, below the first, the last and, where there is room, the others."""
    y_ticks: tuple[Tick, ...]
    description: str


def timelines_of(data: ReportData, tables: Tables) -> tuple[Timeline, ...]:
    """Metrics that a rule judges and some earlier champion has."""
    decision = data.decision
    row = data.comparison.method(decision.candidate)
    alpha = decision.policy.alpha / decision.num_candidates
    found = []
    for suite, metrics in judged_metrics(decision.policy).items():
        for metric in metrics:
            past = [
                (champion.when[:10], champion.model, champion.identity, each)
                for champion in data.past.champions
                for each in champion.metrics
                if (each.suite, each.metric) == (suite, metric) and champion.identity != decision.candidate_identity
            ]
            table = tables.get(decision.candidate, {}).get(suite)
            now = measured(row.metric(suite, metric), table, alpha)
            if now is not None and table is not None:
                own = PastMetric(suite=suite, metric=metric, items_sha256=table.info.items_sha256, **_values(now))
                past.append((NOW, decision.candidate, decision.candidate_identity, own))
            points = _joined(past)
            if len(points) > 1:
                found.append(Timeline(suite=suite, metric=metric, points=points))
    return tuple(found)


def _values(now: Measured) -> dict[str, float | int | None]:
    return {"mean": now.best, "lower": now.lower, "upper": now.upper, "n": now.n}


def _joined(past: Sequence[tuple[str, str, str, PastMetric]]) -> tuple[TimePoint, ...]:
    points = []
    before = ""
    for when, model, identity, each in past:
        if each.mean is None:
            continue
        points.append(
            TimePoint(
                when=when,
                model=model,
                identity=identity,
                mean=each.mean,
                lower=each.lower,
                upper=each.upper,
                n=each.n,
                same_items=bool(before) and each.items_sha256 == before,
            )
        )
        before = each.items_sha256
    return tuple(points)


def time_charts(timelines: Sequence[Timeline], units: Units) -> tuple[TimeChart, ...]:
    """Lay out the first plots, at most ``MAX_CHARTS``."""
    return tuple(_chart(timeline, units) for timeline in timelines[:MAX_CHARTS])


def _chart(timeline: Timeline, units: Units) -> TimeChart:
    suite, metric, points = timeline.suite, timeline.metric, timeline.points
    ends = [value for point in points for value in (point.mean, point.lower, point.upper) if value is not None]
    low, high = min(ends), max(ends)
    room = (high - low) * 0.1 or abs(high) * 0.1 or 1.0
    low, high = low - room, high + room

    def down(value: float | None, absent: float) -> float:
        return absent if value is None else round(100.0 * (high - value) / (high - low), 2)

    marks = []
    lines: list[list[str]] = []
    for place, point in enumerate(points):
        x, y = round(100.0 * (place + 0.5) / len(points), 2), down(point.mean, 0.0)
        marks.append(TimeMark(x, y, down(point.upper, y), down(point.lower, y), point.when == NOW))
        if not point.same_items:
            lines.append([])
        lines[-1].append(f"{x},{y}")
    told = "; ".join(
        f"{point.when} {point.model} {point.identity[:8]}: {units.value(suite, metric, point.mean)} (n = {point.n:,})"
        + ("" if point.same_items or place == 0 else ", on other items")
        for place, point in enumerate(points)
    )
    return TimeChart(
        title=f"{suite}/{metric}",
        marks=tuple(marks),
        x_ticks=tuple(
            Tick(mark.x, point.when)
            for mark, point in zip(marks, points, strict=True)
            if len(points) <= MAX_DATES or mark in (marks[0], marks[-1])
        ),
        lines=tuple(" ".join(line) for line in lines if len(line) > 1),
        y_ticks=tuple(
            Tick(down(value, 0.0), units.value(suite, metric, value)) for value in round_values(low, high, 3)
        ),
        description=f"{suite}/{metric} of each champion and of this candidate. {told}",
    )
