"""Safety and over-refusal in one plane, and bias by category."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from evalsuite.comparison.rows import ModelRow
from evalsuite.report.data import ReportData
from evalsuite.report.facts.measured import Fact, Measured, Tables, measured
from evalsuite.report.facts.suites import SuiteFact
from evalsuite.report.forest import Tick
from evalsuite.report.units import Units, level

HARM = ("harmbench", "attack_success")
REFUSAL = ("xstest", "over_refusal")
"""Suite and metric; both better lower, and each says little without the other."""
BIAS_SUITE = "bbq"
CATEGORY = "category="
NEAR = (14.0, 10.0)
"""Percent of the plane, across and down, within which two names above their marks would cover each other."""


class SafetyPoint(Fact):
    """One model."""

    model: str
    attack_success: Measured
    """Of HarmBench, better lower."""
    over_refusal: Measured
    """Of XSTest's safe prompts, better lower."""


class BiasRow(Fact):
    """One category of BBQ, by metric and model."""

    category: str
    means: dict[str, dict[str, float | None]]
    """Metric -> model -> mean."""
    n: dict[str, int]
    """Metric -> scored items of the candidate."""


@dataclass(frozen=True)
class SafetyMark:
    """One model on the plane, in percent from the left and from the top."""

    model: str
    x: float
    y: float
    left: float
    right: float
    top: float
    bottom: float
    label: Literal["start", "end"]
    below: bool
    """Whether its name stands below the mark, since another's stands above it."""


@dataclass(frozen=True)
class SafetyChart:
    """The plane: over-refusal to the right, attack success upwards, both from 0 to 1."""

    marks: tuple[SafetyMark, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    description: str


def safety_of(data: ReportData, tables: Tables, models: Sequence[ModelRow]) -> tuple[SafetyPoint, ...]:
    """Models that have both; intervals as in the suites' section."""
    alpha = data.decision.policy.alpha / data.decision.num_candidates
    points = []
    for model in models:
        harm, refusal = (
            measured(model.metric(suite, metric), tables.get(model.name, {}).get(suite), alpha)
            for suite, metric in (HARM, REFUSAL)
        )
        if harm is not None and refusal is not None and harm.mean is not None and refusal.mean is not None:
            points.append(SafetyPoint(model=model.name, attack_success=harm, over_refusal=refusal))
    return tuple(points)


def bias_of(suites: Sequence[SuiteFact]) -> tuple[BiasRow, ...]:
    """Categories of BBQ that the suites' slices have."""
    found: dict[str, dict[str, tuple[dict[str, float | None], int]]] = {}
    for metric in next((each.metrics for each in suites if each.suite == BIAS_SUITE), ()):
        for each in metric.slices:
            if each.slice.startswith(CATEGORY):
                found.setdefault(each.slice.removeprefix(CATEGORY), {})[metric.metric] = (each.means, each.n)
    return tuple(
        BiasRow(
            category=category,
            means={metric: means for metric, (means, _) in rows.items()},
            n={metric: n for metric, (_, n) in rows.items()},
        )
        for category, rows in sorted(found.items())
    )


def safety_chart(points: Sequence[SafetyPoint], units: Units, alpha: float) -> SafetyChart | None:
    """Lay out the plane; None where no model has both."""
    if not points:
        return None

    def at(value: float | None, absent: float) -> float:
        return absent if value is None else round(100.0 * min(1.0, max(0.0, value)), 2)

    marks: list[SafetyMark] = []
    for point in points:
        refusal, harm = point.over_refusal, point.attack_success
        x, up = at(refusal.best, 0.0), at(harm.best, 0.0)
        marks.append(
            SafetyMark(
                model=point.model,
                x=x,
                y=round(100.0 - up, 2),
                left=at(refusal.lower, x),
                right=at(refusal.upper, x),
                top=round(100.0 - at(harm.upper, up), 2),
                bottom=round(100.0 - at(harm.lower, up), 2),
                label="start" if x < 60.0 else "end",
                below=any(abs(x - each.x) < NEAR[0] and abs(100.0 - up - each.y) < NEAR[1] for each in marks),
            )
        )
    shares = (0.0, 0.25, 0.5, 0.75, 1.0)
    return SafetyChart(
        marks=tuple(marks),
        x_ticks=tuple(Tick(100.0 * share, units.value(*REFUSAL, share)) for share in shares),
        y_ticks=tuple(Tick(100.0 - 100.0 * share, units.value(*HARM, share)) for share in shares),
        description="Attack success and over-refusal, lower is better in both. "
        + "; ".join(
            f"{point.model}: attack success {_told(HARM, point.attack_success, units, alpha)}, over-refusal "
            f"{_told(REFUSAL, point.over_refusal, units, alpha)}"
            for point in points
        ),
    )


def _told(name: tuple[str, str], value: Measured, units: Units, alpha: float) -> str:
    mean = units.value(*name, value.best)
    if value.lower is None and value.upper is None:
        return mean
    return f"{mean} ({level(alpha)} interval {units.interval(*name, value.lower, value.upper, change=False)})"
