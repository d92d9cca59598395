"""Floors and ceilings on what a model costs: its size, training and evaluation time, memory."""

import math
from collections.abc import Mapping

from evalsuite.gate.decision import Outcome, Reason
from evalsuite.gate.judging import Question
from evalsuite.gate.policy import Kind, Rule
from evalsuite.results import EvalReport

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
    question = Question(rule, None, None)
    if value is None:
        return Question(rule, None, None, _absent(rule, costs)).answer(0.25)
    limit = question.limit
    outcome = Outcome.PASS if (value > limit if rule.kind is Kind.FLOOR else value < limit) else Outcome.FAIL
    text = f"{rule.suite}/{rule.metric} is {value:g}, {_side(value, limit)} the {rule.kind.value} of {limit:g}"
    return question.reason(outcome, "exact", text, candidate=value, lower=value, upper=value, n=1)


def relative_cost_reason(rule: Rule, costs: Mapping[str, float], role: str, baseline: EvalReport, run: bool) -> Reason:
    """Judge one cost against a multiple of a baseline's; what was recorded for one of them alone is undecided.

    Args:
        rule: Has ``relative_to``.
        costs: The candidate's.
        role: The baseline's name.
        baseline: Its report.
        run: Whether the candidate's suites were run in full, as the baseline's were.
    """
    value, other = _recorded(rule, costs), _recorded(rule, baseline.costs)
    problem = ""
    if value is None:
        problem = _absent(rule, costs)
    elif other is None:
        problem = f"{_absent(rule, baseline.costs)} of {role}"
    elif rule.metric in TIMES and not run:
        problem = (
            f"{rule.metric} of an evaluation that stopped early is not that of the same items; give an absolute limit"
        )
    if problem or value is None or other is None:
        return Question(rule, role, None, problem).answer(0.25)
    question = Question(rule, role, None)
    limit = question.limit * other
    outcome = Outcome.PASS if (value >= limit if rule.kind is Kind.FLOOR else value <= limit) else Outcome.FAIL
    text = (
        f"{rule.suite}/{rule.metric} is {value:g}, {_side(value, limit)} the {rule.kind.value} of {limit:g}, "
        f"{question.limit:g} times the {other:g} of {role}"
    )
    found = question.reason(outcome, "exact", text, candidate=value, baseline=other, lower=value, upper=value, n=1)
    return found.model_copy(update={"limit": limit})


def _recorded(rule: Rule, costs: Mapping[str, float]) -> float | None:
    value = costs.get(rule.metric)
    return value if value is not None and 0.0 <= value < math.inf else None


def _absent(rule: Rule, costs: Mapping[str, float]) -> str:
    return f"cost {rule.metric!r} is {costs.get(rule.metric)}, known costs: {', '.join(sorted(costs)) or 'none'}"


def _side(value: float, limit: float) -> str:
    return "above" if value > limit else "below" if value < limit else "at"
