"""Floors and ceilings on what a model costs: its size, training and evaluation time, memory."""

import math
from collections.abc import Mapping

from evalsuite.gate.decision import Outcome, Reason
from evalsuite.gate.judging import Question
from evalsuite.gate.policy import Kind, Rule

COSTS = "costs"
"""Suite name of floors and ceilings on ``EvalReport.costs``, which are exact."""
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
    limit = Question(rule, None, None).limit
    outcome = Outcome.PASS if (value > limit if rule.kind is Kind.FLOOR else value < limit) else Outcome.FAIL
    side = "above" if value > limit else "below" if value < limit else "at"
    return Reason(
        rule=f"{COSTS}/{rule.metric}:{rule.kind.value}",
        suite=COSTS,
        metric=rule.metric,
        kind=rule.kind.value,
        direction=rule.direction.value,
        against=None,
        outcome=outcome,
        candidate=value,
        baseline=None,
        difference=None,
        lower=value,
        upper=value,
        limit=limit,
        alpha=None,
        n=1,
        unscored=0,
        method="exact",
        text=f"{COSTS}/{rule.metric} is {value:g}, {side} the {rule.kind.value} of {limit:g}",
    )
