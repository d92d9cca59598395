"""Where the forest plot puts each interval, point and limit, in percent of its panel's width."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from evalsuite.gate.decision import Outcome, Reason
from evalsuite.report.text import MINUS, interval, named_value, number, signed

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
    limit_text: str
    description: str
    """The row in words, for readers who do not see it."""


@dataclass(frozen=True)
class Panel:
    """Rows that share an axis."""

    title: str
    rows: tuple[ForestRow, ...]
    """Whole suites, and slices that failed."""
    slices: tuple[ForestRow, ...]
    """Slices that are proven or undecided, which block nothing."""
    ticks: tuple[Tick, ...]


def has_interval(reason: Reason) -> bool:
    """Whether a reason was estimated against a limit, so that it can be drawn."""
    return _estimate(reason) is not None and reason.limit is not None and reason.kind in _ASKS_FOR


_ASKS_FOR = {
    "guard": "may not be worse by more than",
    "target": "must be better by more than",
    "floor": "must lie above",
    "ceiling": "must lie below",
}


def forest(reasons: Sequence[Reason]) -> tuple[Panel, ...]:
    """Lay out every reason that has an interval, grouped by axis, whole suites before their slices."""
    groups: dict[str, list[Reason]] = {}
    for reason in sorted((each for each in reasons if has_interval(each)), key=_place):
        groups.setdefault(_title(reason), []).append(reason)
    return tuple(_panel(title, members) for title, members in groups.items())


def needs_more_than(reason: Reason) -> bool:
    """Whether the rule holds above its limit (else below it)."""
    if reason.kind in ("guard", "target"):
        return reason.direction == "higher"
    return reason.kind == "floor"


def _place(reason: Reason) -> tuple[bool, bool, str, str, str, str]:
    absolute = reason.difference is None
    return (absolute, reason.kind != "target", reason.suite, reason.metric, reason.against or "", reason.slice or "")


def _estimate(reason: Reason) -> float | None:
    return reason.candidate if reason.difference is None else reason.difference


def blocks_nothing(reason: Reason) -> bool:
    """Whether this is a slice that did not fail: slices may only reject."""
    return reason.slice is not None and reason.outcome is not Outcome.FAIL


def _known(reason: Reason) -> list[float]:
    values = (_estimate(reason), reason.lower, reason.upper, reason.limit)
    return [value for value in values if value is not None]


def _title(reason: Reason) -> str:
    is_share = all(abs(value) <= 1.0 for value in _known(reason))
    if reason.difference is None:
        return "Value of the candidate" if is_share else f"Value of {reason.suite}/{reason.metric}"
    if is_share:
        return f"Difference: candidate {MINUS} baseline"
    return f"Difference in {reason.suite}/{reason.metric}: candidate {MINUS} baseline"


def _panel(title: str, reasons: Sequence[Reason]) -> Panel:
    differences = reasons[0].difference is not None
    values = [value for reason in reasons for value in _known(reason)] + ([0.0] if differences else [])
    low, high = min(values), max(values)
    room = (high - low) * PADDING or abs(high) * PADDING or 1.0
    low, high = low - room, high + room

    def at(value: float) -> float:
        return round(100.0 * (value - low) / (high - low), 3)

    return Panel(
        title=title,
        rows=tuple(_row(reason, at, differences) for reason in reasons if not blocks_nothing(reason)),
        slices=tuple(_row(reason, at, differences) for reason in reasons if blocks_nothing(reason)),
        ticks=tuple(Tick(at(value), _tick_text(value, reasons[0], differences)) for value in round_values(low, high)),
    )


def _row(reason: Reason, at: Callable[[float], float], differences: bool) -> ForestRow:
    estimate, limit = _estimate(reason), reason.limit
    if estimate is None or limit is None:
        raise ValueError(f"{reason.rule} has no interval to draw")
    above = needs_more_than(reason)
    left = 0.0 if reason.lower is None else at(reason.lower)
    right = 100.0 if reason.upper is None else at(reason.upper)
    shown = signed if differences else number
    estimate_text = _value_text(estimate, reason) if not differences else shown(estimate)
    interval_text = interval(reason.lower, reason.upper, differences) if reason.lower != reason.upper else "exact"
    limit_text = shown(limit) if differences else _value_text(limit, reason)
    return ForestRow(
        reason=reason,
        point=at(estimate),
        left=left,
        right=right,
        left_open=reason.lower is None,
        right_open=reason.upper is None,
        limit=at(limit),
        bad_left=0.0 if above else at(limit),
        bad_width=at(limit) if above else round(100.0 - at(limit), 3),
        zero=at(0.0) if differences else None,
        estimate_text=estimate_text,
        interval_text=interval_text,
        limit_text=f"{'>' if above else '<'} {limit_text}",
        description=f"estimate {estimate_text}, interval {interval_text}, {_ASKS_FOR[reason.kind]} {limit_text}",
    )


def _value_text(value: float, reason: Reason) -> str:
    return named_value(reason.metric, value) if reason.metric.endswith(("_bytes", "_seconds")) else number(value)


def _tick_text(value: float, reason: Reason, differences: bool) -> str:
    if not differences and reason.metric.endswith(("_bytes", "_seconds")):
        return _value_text(value, reason)
    text = f"{abs(value):.10g}"
    if not differences or value == 0.0:
        return f"{value:.10g}"
    return f"{'+' if value > 0 else MINUS}{text}"


def round_values(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round values within an axis: a step of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1.0, 2.0, 5.0, 10.0) if power * factor >= rough * 0.999)
    first = math.ceil(low / step)
    return [round(index * step, 12) + 0.0 for index in range(first, math.floor(high / step) + 1)]
