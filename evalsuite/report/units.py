"""One unit per metric: points out of 100 for scores from 0 to 1, the metric's own unit for all else."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from evalsuite.gate.rules import COSTS
from evalsuite.items.results import SuiteResult
from evalsuite.report.text import ABSENT, MINUS, named_value, number, signed
from evalsuite.stats.bounds import may_be_bounded

POINTS = "points"
ZERO = "0.0"


def point_metrics(results: Mapping[str, Mapping[str, SuiteResult]]) -> frozenset[tuple[str, str]]:
    """Suite and metric of every score that lies from 0 to 1 (a bias score from -1) on every item of every model."""
    found: dict[tuple[str, str], bool] = {}
    for suites in results.values():
        for suite, result in suites.items():
            for item in result.items:
                for metric in item.scores:
                    value = item.value(metric)
                    fits = value is None or (abs(value) <= 1.0 and may_be_bounded(metric))
                    found[suite, metric] = found.get((suite, metric), True) and fits
    return frozenset(name for name, fits in found.items() if fits)


@dataclass(frozen=True)
class Units:
    """How each metric's values, changes and intervals are written."""

    points: frozenset[tuple[str, str]] = field(default_factory=frozenset)
    """Suite and metric of what is shown in points."""

    def in_points(self, suite: str, metric: str) -> bool:
        """Whether a metric is shown in points out of 100."""
        return suite != COSTS and (suite, metric) in self.points

    def name(self, suite: str, metric: str) -> str:
        """The unit's name; empty where the figures carry their own or there is none."""
        return POINTS if self.in_points(suite, metric) else ""

    def value(self, suite: str, metric: str, value: float | None) -> str:
        """A mean, a score or a limit on one, without the unit's name."""
        if value is None:
            return ABSENT
        if self.in_points(suite, metric):
            return points(value)
        return named_value(metric, value) if metric.endswith(("_bytes", "_seconds")) else number(value)

    def change(self, suite: str, metric: str, value: float | None) -> str:
        """A difference with its sign, without the unit's name."""
        if value is None or not self.in_points(suite, metric):
            return signed(value)
        text = points(abs(value))
        return text if text == ZERO else f"{'+' if value > 0 else MINUS}{text}"

    def interval(self, suite: str, metric: str, lower: float | None, upper: float | None, change: bool = True) -> str:
        """``LOWER to UPPER``; an end that is None is infinite."""
        show = self.change if change else self.value
        low = f"{MINUS}∞" if lower is None else show(suite, metric, lower)
        high = "∞" if upper is None else show(suite, metric, upper)
        return f"{low} to {high}"

    def amount(self, suite: str, metric: str, value: float) -> str:
        """A size without a sign, with the unit's name."""
        return f"{self.value(suite, metric, abs(value))} {self.name(suite, metric)}".rstrip()


def points(share: float) -> str:
    """A score from 0 to 1 as points out of 100: one decimal, two digits of something smaller."""
    value = round(100.0 * share, 6)
    if value == 0.0:
        return ZERO
    return (f"{value:.2g}" if abs(value) < 0.05 else f"{value:.1f}").replace("-", MINUS)


def level(alpha: float | None) -> str:
    """Confidence level of a two-sided interval whose ends err with a chance of ``alpha`` each."""
    return "" if alpha is None else f"{100.0 * (1.0 - 2.0 * alpha):.4g}%"
