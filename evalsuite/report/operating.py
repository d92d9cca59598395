"""Where the curves of the operating characteristic lie, in percent of the plot, and what they say in words."""

from dataclasses import dataclass

from evalsuite.gate.characteristic import OperatingPoint, SelfTest
from evalsuite.gate.policy import GatePolicy
from evalsuite.report.forest import Tick
from evalsuite.report.text import MINUS

VERDICTS = ("promote", "reject", "inconclusive")


@dataclass(frozen=True)
class OperatingChart:
    """Share of each verdict by true change."""

    lines: dict[str, str]
    """Verdict -> ``points`` of a polyline in a box of 100 by 100."""
    marks: dict[str, tuple[tuple[float, float], ...]]
    """Verdict -> (percent from the left, percent from the top) of each point."""
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    margin: float
    """Where the limit of the guards lies, in percent from the left."""
    sentence: str
    """The curves for a reader who knows no statistics."""
    description: str


def operating_chart(test: SelfTest | None, policy: GatePolicy) -> OperatingChart | None:
    """Lay out the curves; None where nothing was simulated."""
    if test is None or not test.points:
        return None
    first, last = test.points[0].change, test.points[-1].change

    def across(change: float) -> float:
        return round(100.0 * (change - first) / (last - first), 2)

    marks = {
        name: tuple((across(point.change), round(100.0 - 100.0 * _share(point, name), 2)) for point in test.points)
        for name in VERDICTS
    }
    whole = [point.change for point in test.points if point.change == int(point.change)]
    return OperatingChart(
        lines={name: " ".join(f"{x},{y}" for x, y in places) for name, places in marks.items()},
        marks=marks,
        x_ticks=tuple(Tick(across(change), _signed(change)) for change in whole),
        y_ticks=tuple(Tick(100.0 - share, f"{share}%") for share in (0, 50, 100)),
        margin=across(-1.0),
        sentence=_sentence(test, policy),
        description="; ".join(
            f"true change {_signed(point.change)}: PROMOTE {_percent(point.promote)}, REJECT {_percent(point.reject)}, "
            f"INCONCLUSIVE {_percent(point.inconclusive)}"
            for point in test.points
        ),
    )


def _sentence(test: SelfTest, policy: GatePolicy) -> str:
    parts = []
    at_margin, unchanged, worse = test.at(-1.0), test.at(0.0), test.at(-2.0)
    if at_margin is not None:
        parts.append(
            f"Of 100 candidates that had truly lost exactly one margin everywhere, about {100 * at_margin.promote:.0f} "
            "would be promoted"
        )
    if worse is not None:
        parts.append(f"of 100 that had lost two margins, about {100 * worse.reject:.0f} would be rejected")
    if unchanged is not None:
        parts.append(
            f"of 100 that had not changed at all, about {100 * unchanged.promote:.0f} would be promoted, "
            f"{100 * unchanged.reject:.0f} rejected and {100 * unchanged.inconclusive:.0f} left undecided"
        )
    text = "; ".join(parts) + "."
    if any(rule.asks_gain for rule in policy.rules):
        text += " This policy asks for a gain, so that a candidate that did not change is not what it looks for."
    return text


def _share(point: OperatingPoint, verdict: str) -> float:
    return {"promote": point.promote, "reject": point.reject, "inconclusive": point.inconclusive}[verdict]


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%"


def _signed(change: float) -> str:
    return "0" if change == 0.0 else f"{'+' if change > 0 else MINUS}{abs(change):g}"
