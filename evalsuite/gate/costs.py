"""Floors and ceilings on what a model costs: its size, training and evaluation time, memory."""

import math
import sys
from collections.abc import Mapping
from fractions import Fraction

from evalsuite.gate.decision import Reason
from evalsuite.gate.judging import Check
from evalsuite.gate.rules import Outcome, Rule
from evalsuite.items.results import EvalReport

RECORDED_COSTS = (
    "adapter_bytes",
    "eval_seconds",
    "num_bytes",
    "num_tokens",
    "peak_memory_bytes",
    "seconds_per_item",
    "train_seconds",
)
"""What an evaluation writes into costs.json."""


TIMES = ("eval_seconds", "seconds_per_item")
"""Costs that depend on which items were run."""


def cost_reason(rule: Rule, costs: Mapping[str, float]) -> Reason:
    """Judge one cost against an absolute limit, without an interval; a cost that was not recorded is undecided."""
    value = _recorded(rule, costs)
    check = Check(rule, None, None)
    if value is None:
        return Check(rule, None, None, _absent(rule, costs)).answer(0.25)
    limit = check.limit
    outcome = Outcome.PASS if (value > limit if rule.holds_above(rule.direction) else value < limit) else Outcome.FAIL
    return check.reason(outcome, "exact", _found(rule, value, limit), candidate=value, lower=value, upper=value, n=1)


def relative_cost_reason(
    rule: Rule, costs: Mapping[str, float], role: str, baseline: EvalReport | None, run: bool
) -> Reason:
    """Judge one cost against a multiple of a baseline's; what was recorded for one of them alone is undecided.

    Args:
        rule: Has ``relative_to``.
        costs: The candidate's.
        role: The baseline's name.
        baseline: Its report; undecided without one.
        run: Whether the candidate's suites were run in full, as the baseline's were.
    """
    value, other = _recorded(rule, costs), None if baseline is None else _recorded(rule, baseline.costs)
    check = Check(rule, role, None)
    # In decimals as they are written: 1.15 times 100 is 115, which floats make 114.99999999999999.
    limit = None if other is None else Fraction(repr(check.limit)) * Fraction(repr(other))
    problem = ""
    if baseline is None:
        problem = f"there is no {role} report"
    elif value is None:
        problem = _absent(rule, costs)
    elif other is None:
        problem = f"{_absent(rule, baseline.costs)} of {role}"
    elif limit is not None and limit > sys.float_info.max:
        problem = f"{check.limit:g} times the {other:g} of {role} is more than a number holds"
    elif rule.metric in TIMES and not run:
        problem = (
            f"{rule.metric} of an evaluation that stopped early is not that of the same items; give an absolute limit"
        )
    if problem or value is None or other is None or limit is None:
        return Check(rule, role, None, problem).answer(0.25).model_copy(update={"limit": None})
    own = Fraction(repr(value))
    outcome = Outcome.PASS if (own >= limit if rule.holds_above(rule.direction) else own <= limit) else Outcome.FAIL
    text = f"{_found(rule, value, float(limit))}, {check.limit:g} times the {other:g} of {role}"
    found = check.reason(outcome, "exact", text, candidate=value, baseline=other, lower=value, upper=value, n=1)
    return found.model_copy(update={"limit": float(limit)})


def _recorded(rule: Rule, costs: Mapping[str, float]) -> float | None:
    value = costs.get(rule.metric)
    return value + 0.0 if value is not None and 0.0 <= value < math.inf else None


def _absent(rule: Rule, costs: Mapping[str, float]) -> str:
    return f"cost {rule.metric!r} is {costs.get(rule.metric)}, known costs: {', '.join(sorted(costs)) or 'none'}"


def _found(rule: Rule, value: float, limit: float) -> str:
    side = "above" if value > limit else "below" if value < limit else "at"
    own, bound = f"{value:g}", f"{limit:g}"
    if own == bound and side != "at":
        own, bound = f"{value:.17g}", f"{limit:.17g}"
    return f"{rule.suite}/{rule.metric} is {own}, {side} the {rule.kind} of {bound}"
