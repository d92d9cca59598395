"""Floors and ceilings on what a model costs: its size, training and evaluation time, memory."""

import math
from collections.abc import Mapping

from evalsuite.gate.decision import Outcome, Reason
from evalsuite.gate.judging import Question
from evalsuite.gate.policy import Kind, Rule

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


def cost_reason(rule: Rule, costs: Mapping[str, float]) -> Reason:
    """Judge one cost, without an interval; a cost that was not recorded is undecided."""
    value = costs.get(rule.metric)
    if value is None or not math.isfinite(value):
        known = ", ".join(sorted(costs)) or "none"
        return Question(rule, None, None, f"cost {rule.metric!r} is {value}, known costs: {known}").answer(0.25)
    question = Question(rule, None, None)
    limit = question.limit
    outcome = Outcome.PASS if (value > limit if rule.kind is Kind.FLOOR else value < limit) else Outcome.FAIL
    side = "above" if value > limit else "below" if value < limit else "at"
    text = f"{rule.suite}/{rule.metric} is {value:g}, {side} the {rule.kind.value} of {limit:g}"
    return question.reason(outcome, "exact", text, candidate=value, lower=value, upper=value, n=1)
