"""Words of a comparison."""

from collections.abc import Sequence

from evalsuite.gate.decision import Reason


def joined(lead: str, notes: Sequence[str]) -> str:
    """A sentence and its notes."""
    return "; ".join([lead, *notes])


def figure(value: float | None) -> str:
    """Three decimals, or that it is unknown."""
    return "unknown" if value is None else f"{value:.3f}"


def difference(answer: Reason) -> str:
    """The paired difference with its interval and n."""
    if answer.difference is None:
        return f"no interval from {answer.n} scored pairs"
    lower = "-inf" if answer.lower is None else f"{answer.lower:+.3f}"
    upper = "+inf" if answer.upper is None else f"{answer.upper:+.3f}"
    counted = f", {answer.unscored} unscored as worst case" if answer.unscored else ""
    return f"difference {answer.difference:+.3f} [{lower}, {upper}] (n={answer.n}{counted})"
