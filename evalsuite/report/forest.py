"""Where the forest plot puts each interval, point and limit, in percent of its panel's width."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from evalsuite.core.direction import Direction
from evalsuite.gate.decision import Reason
from evalsuite.gate.policy import rule_class
from evalsuite.gate.rules import Outcome
from evalsuite.report.text import MINUS
from evalsuite.report.units import Units, level

PADDING = 0.06


@dataclass(frozen=True)
class Tick:
    """One label of the axis."""

    at: float
    text: str


@dataclass(frozen=True)
class ForestRow:
    """One reason; every position in percent of the plot's width, 0 at the left."""

    reason: Reason
    point: float
    left: float
    right: float
    left_open: bool
    """The interval has no lower end."""
    right_open: bool
    limit: float
    bad_left: float
    """Start of the side of the limit where the rule does not hold."""
    bad_width: float
    zero: float | None
    """Where no difference lies; None for absolute rules."""
    estimate_text: str
    interval_text: str
    """The interval; ``exact`` where there is nothing to estimate."""
    level_text: str
    """Its level, such as ``95%``; empty where it has none."""
    limit_text: str
    description: str
    """The row in words, for readers who do not see it."""


@dataclass(frozen=True)
class Panel:
    """Rows that share an axis."""

    title: str
    """With the unit."""
    better: str
    """Where better values lie, ``left`` or ``right``; empty where the rules differ in that."""
    rows: tuple[ForestRow, ...]
    """Whole suites, and slices that failed."""
    slices: tuple[ForestRow, ...]
    """Slices that are proven or undecided, which block nothing."""
    ticks: tuple[Tick, ...]


def has_interval(reason: Reason) -> bool:
    """Whether a reason was estimated against a limit, so that it can be drawn."""
    return _estimate(reason) is not None and reason.limit is not None and reason.kind != "must_pass"


def forest(reasons: Sequence[Reason], units: Units) -> tuple[Panel, ...]:
    """Lay out every reason that has an interval, grouped by axis, whole suites before their slices."""
    groups: dict[str, list[Reason]] = {}
    for reason in sorted((each for each in reasons if has_interval(each)), key=_place):
        groups.setdefault(_title(reason, units), []).append(reason)
    return tuple(_panel(title, members, units) for title, members in groups.items())


def levels_of(rows: Sequence[ForestRow]) -> str:
    """Level of the rows' intervals, all of them where they differ."""
    return " and ".join(dict.fromkeys(row.level_text for row in rows if row.level_text))


def needs_more_than(reason: Reason) -> bool:
    """Whether the rule holds above its limit (else below it)."""
    return rule_class(reason.kind).holds_above(Direction(reason.direction))


def _place(reason: Reason) -> tuple[bool, bool, str, str, str, str]:
    absolute = reason.difference is None
    gain = rule_class(reason.kind).asks_gain
    return (absolute, not gain, reason.suite, reason.metric, reason.against or "", reason.slice or "")


def _estimate(reason: Reason) -> float | None:
    return reason.candidate if reason.difference is None else reason.difference


def blocks_nothing(reason: Reason) -> bool:
    """Whether this is a slice that did not fail: slices may only reject."""
    return reason.slice is not None and reason.outcome is not Outcome.FAIL


def _known(reason: Reason) -> list[float]:
    values = (_estimate(reason), reason.lower, reason.upper, reason.limit)
    return [value for value in values if value is not None]


def _title(reason: Reason, units: Units) -> str:
    in_points = units.in_points(reason.suite, reason.metric)
    if reason.difference is None:
        return "Candidate's own score, points of 100" if in_points else f"Value of {reason.suite}/{reason.metric}"
    if in_points:
        return f"Change in points: candidate {MINUS} baseline"
    return f"Change in {reason.suite}/{reason.metric}: candidate {MINUS} baseline"


def _panel(title: str, reasons: Sequence[Reason], units: Units) -> Panel:
    differences = reasons[0].difference is not None
    values = [value for reason in reasons for value in _known(reason)] + ([0.0] if differences else [])
    low, high = min(values), max(values)
    room = (high - low) * PADDING or abs(high) * PADDING or 1.0
    low, high = low - room, high + room

    def at(value: float) -> float:
        return round(100.0 * (value - low) / (high - low), 3)

    rows = tuple(_row(reason, at, units) for reason in reasons)
    directions = {reason.direction for reason in reasons}
    better = {"higher": "right", "lower": "left"}.get(directions.pop(), "") if len(directions) == 1 else ""
    return Panel(
        title=title,
        better=better,
        rows=tuple(row for row in rows if not blocks_nothing(row.reason)),
        slices=tuple(row for row in rows if blocks_nothing(row.reason)),
        ticks=tuple(Tick(at(value), _tick_text(value, reasons[0], units)) for value in round_values(low, high)),
    )


def _row(reason: Reason, at: Callable[[float], float], units: Units) -> ForestRow:
    estimate, limit = _estimate(reason), reason.limit
    if estimate is None or limit is None:
        raise ValueError(f"{reason.rule} has no interval to draw")
    suite, metric, differences = reason.suite, reason.metric, reason.difference is not None
    above = needs_more_than(reason)
    shown = units.change if differences else units.value
    exact = reason.lower is not None and reason.lower == reason.upper
    interval_text = "exact" if exact else units.interval(suite, metric, reason.lower, reason.upper, differences)
    level_text = "" if exact else level(reason.alpha)
    estimate_text, limit_text = shown(suite, metric, estimate), shown(suite, metric, limit)
    unit = f" {units.name(suite, metric)}".rstrip()
    return ForestRow(
        reason=reason,
        point=at(estimate),
        left=0.0 if reason.lower is None else at(reason.lower),
        right=100.0 if reason.upper is None else at(reason.upper),
        left_open=reason.lower is None,
        right_open=reason.upper is None,
        limit=at(limit),
        bad_left=0.0 if above else at(limit),
        bad_width=at(limit) if above else round(100.0 - at(limit), 3),
        zero=at(0.0) if differences else None,
        estimate_text=estimate_text,
        interval_text=interval_text,
        level_text=level_text,
        limit_text=f"{'>' if above else '<'} {limit_text}",
        description=(
            f"estimate {estimate_text}{unit}, {level_text} interval {interval_text}, "
            f"must lie {'above' if above else 'below'} {limit_text}"
        ),
    )


def _tick_text(value: float, reason: Reason, units: Units) -> str:
    differences = reason.difference is not None
    if units.in_points(reason.suite, reason.metric):
        value = round(100.0 * value, 10) + 0.0
    elif not differences and reason.metric.endswith(("_bytes", "_seconds")):
        return units.value(reason.suite, reason.metric, value)
    sign = MINUS if value < 0.0 else "+" if differences and value > 0.0 else ""
    return f"{sign}{abs(value):.10g}"


def round_values(low: float, high: float, wanted: int = 6) -> list[float]:
    """Round values within an axis: a step of 1, 2, 2.5 or 5 times a power of ten."""
    rough = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1.0, 2.0, 2.5, 5.0, 10.0) if power * factor >= rough * 0.999)
    first = math.ceil(low / step)
    return [round(index * step, 12) + 0.0 for index in range(first, math.floor(high / step) + 1)]
