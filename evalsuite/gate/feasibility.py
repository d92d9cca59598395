"""Rules that no candidate can pass on the items that there are: refused before anything is spent.

Impossible is what not even the best imaginable outcome passes: no item lost for a guard, every item won for a target
or floor, every item lost for a ceiling. A guard whose metric also has a target may count on gains.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from evalsuite.core.extensions import did_you_mean
from evalsuite.gate.costs import RECORDED_COSTS
from evalsuite.gate.policy import GatePolicy, named
from evalsuite.gate.rules import COSTS, Rule
from evalsuite.stats.bounds import may_be_bounded
from evalsuite.stats.paired import mean_interval, paired_interval

MAX_LEAST_ITEMS = 10**6


@dataclass(frozen=True)
class KnownSet:
    """A suite's items, as far as they are known before it is run."""

    num_items: int | None
    """None where the set is not on this machine and was never evaluated."""
    metrics: Mapping[str, int] | None = None
    """Metric -> items that it applies to; None where only an evaluation would tell."""
    slices: Mapping[str, Mapping[str, int]] | None = None
    """Slice key -> value -> items; None where only an evaluation would tell."""
    is_recorded: bool = False
    """The sizes are those of an earlier evaluation, which params may have changed since."""
    seconds_per_item: float | None = None
    """Of earlier evaluations of one model."""

    def size(self, metric: str) -> int | None:
        """Items of one metric."""
        return self.num_items if self.metrics is None else self.metrics.get(metric, 0)


class Impossible(NamedTuple):
    """A rule that nothing can pass."""

    rule: str
    text: str
    """Rule, n, and the n or limit that would do."""


def impossible_rules(
    policy: GatePolicy, sets: Mapping[str, KnownSet], *, num_candidates: int = 1
) -> tuple[Impossible, ...]:
    """The whole-suite rules that no candidate can pass on these sets; what is not known is not held against a rule.

    Args:
        policy: The rules.
        sets: Suite -> what is known of its items; every suite that will be evaluated.
        num_candidates: Candidates that will be compared; alpha is divided by it.
    """
    targets = {(rule.suite, rule.metric) for rule in policy.rules if rule.asks_gain}
    found = []
    for rule in policy.rules:
        with named(rule.kind):
            if rule.suite == COSTS:
                text = _why_impossible_cost(rule)
            else:
                gains = rule.allowed_loss is None or (rule.suite, rule.metric) in targets
                text = _why_impossible(rule, sets, policy.first_alpha(rule, num_candidates), gains)
        if text is not None:
            found.append(Impossible(rule.name(None), text))
    return tuple(found)


def whole_scale_rules(policy: GatePolicy) -> list[str]:
    """Rules whose size is the whole scale of a score from 0 to 1, or more: a percentage in the place of a fraction.

    Whether a metric's scores lie within 0 and 1 is told from its name alone, so that this is no more than a warning.
    """
    found = []
    for rule in policy.rules:
        if rule.paired and may_be_bounded(rule.metric) and rule.size() >= 1.0:
            never = "no candidate passes it" if rule.asks_gain else "no candidate fails it"
            found.append(
                f"{rule.name(None)}: {rule.takes} {rule.size():g} is the whole scale of a score from 0 to 1, or more: "
                f"where {rule.metric} is such a score, {never} (2% is 0.02)"
            )
    return found


def unknown_name(suite: str, metric: str | None, known: Mapping[str, Collection[str] | None]) -> str | None:
    """Why no such suite or metric is evaluated, with the nearest one and all that there are; None where it is.

    Args:
        suite: The suite's name.
        metric: A metric of it; None asks for the suite alone.
        known: Suite -> its metrics, None where only an evaluation would tell.
    """
    if suite not in known:
        hint, there = did_you_mean(suite, known), ", ".join(sorted(known)) or "none"
        return f"suite {suite!r} is not evaluated; {hint}suites: {there}"
    metrics = known[suite]
    if metric is None or metrics is None or metric in metrics:
        return None
    there = ", ".join(sorted(metrics)) or "none"
    return f"no item of {suite} has metric {metric!r}; {did_you_mean(metric, metrics)}metrics: {there}"


def unknown_rules(policy: GatePolicy, known: Mapping[str, Collection[str] | None]) -> list[str]:
    """Every rule whose suite or metric is not evaluated, as ``unknown_name`` says it; costs are a suite too."""
    with_costs = {**known, COSTS: RECORDED_COSTS}
    found = []
    for rule in policy.rules:
        problem = unknown_name(rule.suite, rule.metric, known if rule.paired else with_costs)
        if problem is not None:
            found.append(f"{rule.name(None)}: {problem}")
    return found


def _why_impossible_cost(rule: Rule) -> str | None:
    problem = unknown_name(COSTS, rule.metric, {COSTS: RECORDED_COSTS})
    if problem is None and not rule.holds_above(rule.direction) and rule.size() <= 0.0:
        problem = f"limit is {rule.size():g}, and no cost is below 0"
    return None if problem is None else f"{rule.name(None)}: {problem}"


def _why_impossible(rule: Rule, sets: Mapping[str, KnownSet], alpha: float, gains: bool) -> str | None:
    name = rule.name(None)
    unknown = unknown_name(rule.suite, rule.metric, {suite: each.metrics for suite, each in sets.items()})
    if unknown is not None:
        return f"{name}: {unknown}"
    known = sets[rule.suite]
    if rule.slices is not None and known.slices is not None and rule.slices not in known.slices:
        keys = ", ".join(sorted(known.slices)) or "none"
        return f"{name}: no item of {rule.suite} has slice key {rule.slices!r}; keys: {keys}"
    n = known.size(rule.metric)
    if n is None or known.is_recorded:
        return None
    if n < rule.min_items:
        return f"{name}: n={n} items, min_items asks for {rule.min_items}"
    limit = rule.oriented()
    best = _best_bound(rule, n, alpha, gains)
    if best > limit or abs(limit) >= 1.0:
        return None  # a limit of 1 or more is on a scale of its own, whose best is not known
    outcome = "every item at its best" if rule.allowed_loss is None else "no item lost"
    needed = _least_items(rule, n, alpha, gains, limit)
    ways = [] if needed is None else [f"{needed:,} items"]
    what = rule.words.size
    ways.append(f"a {what} of {rule.size_proven(best):g}")
    return (
        f"{name} cannot pass: even with {outcome}, n={n} items at alpha {alpha:g} prove no {what} of {rule.size():g}; "
        f"enough would be {' or '.join(ways)}"
    )


def _best_bound(rule: Rule, n: int, alpha: float, gains: bool) -> float:
    """The oriented lower bound of the best imaginable outcome on n items; the better one of both kinds of scores."""
    won = np.ones(n)
    if not rule.paired:
        return mean_interval(won, None, alpha).lower
    if gains:
        return paired_interval(won, np.zeros(n), None, alpha).lower
    half = np.full(n, 0.5)
    return max(paired_interval(won, won, None, alpha).lower, paired_interval(half, half, None, alpha).lower)


def _least_items(rule: Rule, n: int, alpha: float, gains: bool, limit: float) -> int | None:
    low, high = n, 2 * n
    while _best_bound(rule, high, alpha, gains) <= limit:
        low, high = high, 2 * high
        if high > MAX_LEAST_ITEMS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _best_bound(rule, middle, alpha, gains) > limit else (middle, high)
    return high
