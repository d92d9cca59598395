"""Warnings of a decision: what changes no verdict and what a reader must know."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from evalsuite.core.direction import Direction
from evalsuite.gate.decision import Reason
from evalsuite.gate.policy import GatePolicy
from evalsuite.items.results import EvalReport, ScoreTable
from evalsuite.stats.bounds import may_be_bounded
from evalsuite.stats.distributions import normal_isf, normal_pdf, normal_sf

SHED = 0.05
"""Share of a ratio's items that may weigh nothing for the candidate alone before a decision says so."""


def cautions(
    policy: GatePolicy, reasons: Sequence[Reason], suites: Mapping[str, ScoreTable], looks: Mapping[str, int]
) -> tuple[str, ...]:
    """Every warning, in the order of the policy's rules.

    Args:
        policy: With the measured noise floors, and how many verdicts a test set may give.
        reasons: The answers to its rules.
        suites: The candidate's results.
        looks: Suite -> other models that got a verdict on these test items before.
    """
    found = [
        *_below_noise(policy),
        *_blunt_guards(policy, reasons, suites),
        *_outside_slices(policy, suites),
        *_bare_judges(policy, suites),
        *_worn_sets(policy, reasons, looks),
    ]
    return tuple(dict.fromkeys(found))


def lighter_cautions(
    policy: GatePolicy, suites: Mapping[str, ScoreTable], baselines: Mapping[str, EvalReport]
) -> tuple[str, ...]:
    """Ratios to which many items that count for a baseline add nothing for the candidate: it may have shed its errors.

    Args:
        policy: The rules.
        suites: The candidate's results, in the order of item ids.
        baselines: Results by role, in the same order.
    """
    found = []
    for rule in policy.rules:
        own = suites.get(rule.suite)
        for role, report in baselines.items():
            other = report.suites.get(rule.suite)
            if own is None or other is None or own.item_ids != other.item_ids:
                continue
            left, right = own.denominators.get(rule.metric), other.denominators.get(rule.metric)
            if left is None or right is None:
                continue
            shed, counted = int(((left == 0.0) & (right > 0.0)).sum()), int((right > 0.0).sum())
            if shed > SHED * counted:
                found.append(
                    f"{rule.suite}/{rule.metric}: {shed} of {counted} items that count for {role} have the denominator "
                    "0 for the candidate, so that what it did on them is in no average; look at these items"
                )
    return tuple(dict.fromkeys(found))


def expected_maximum(num_models: int) -> float:
    """Expected largest of ``num_models`` independent standard normal estimates, in standard errors.

    k times the integral of z phi(z) Phi(z)^(k - 1): David and Nagaraja, Order Statistics, 3rd ed., 2003, section 3.1.
    """
    if num_models < 2:
        return 0.0

    from scipy.integrate import quad  # half a second, and two models of two files never get here

    def weighted(z: float) -> float:
        return z * num_models * normal_pdf(z) * normal_sf(-z) ** (num_models - 1)

    return float(quad(weighted, -12.0, 12.0, points=[0.0], limit=200)[0])


def _below_noise(policy: GatePolicy) -> list[str]:
    found = []
    for rule in policy.rules:
        floor = policy.noise.get(f"{rule.suite}/{rule.metric}")
        if floor is None or not rule.paired or rule.size() >= floor:
            continue
        found.append(
            f"{rule.suite}/{rule.metric}: {rule.takes} {rule.size():g} is below the noise floor {floor:g}; repeated "
            "evaluations of one model differ by as much"
        )
    return found


def _blunt_guards(policy: GatePolicy, reasons: Sequence[Reason], suites: Mapping[str, ScoreTable]) -> list[str]:
    """Guards that no candidate can fail, since the whole score is not worth more than the margin."""
    found = []
    for rule in policy.rules:
        table, margin = suites.get(rule.suite), rule.allowed_loss
        if margin is None or table is None or not _within_one(table, rule.metric):
            continue
        name = f"{rule.suite}/{rule.metric}"
        if margin >= 1.0:
            found.append(f"{name}: margin {margin:g} is the whole scale, 0 to 1, or more: no loss fails this guard")
            continue
        worst = 0.0 if rule.direction is Direction.HIGHER else 1.0
        for reason in reasons:
            asked = (reason.suite, reason.metric, reason.kind, reason.direction, reason.slice)
            if asked != (rule.suite, rule.metric, rule.kind, rule.direction.value, None):
                continue
            if reason.baseline is None or reason.limit is None or abs(reason.limit) != margin:
                continue
            room = abs(reason.baseline - worst)
            if margin >= room:
                found.append(
                    f"{name}: margin {margin:g} is not below {room:.3g}, all that {reason.against} has to lose: a "
                    f"candidate that scores {worst:g} everywhere does not fail this guard"
                )
    return found


def _outside_slices(policy: GatePolicy, suites: Mapping[str, ScoreTable]) -> list[str]:
    """Items of a rule with slices that lie in none: a loss there shows in the whole alone."""
    found = []
    outside: dict[tuple[str, str], list[int]] = {}
    for rule in policy.rules:
        table, key = suites.get(rule.suite), rule.slices
        if key is None or table is None or key not in table.slices or rule.metric not in table.applies:
            continue
        if (rule.suite, key) not in outside:  # once for all rules: a set may have a million items
            values = table.slices[key]
            outside[rule.suite, key] = [at for at, value in enumerate(values) if not value] if "" in values else []
        applies = table.applies[rule.metric]
        count = int(applies[outside[rule.suite, key]].sum()) if outside[rule.suite, key] else 0
        if count:
            found.append(
                f"{rule.suite}/{rule.metric}: {count} of {int(applies.sum())} items have no {key}, so that its slices "
                "say nothing about them"
            )
    return found


def _within_one(table: ScoreTable, metric: str) -> bool:
    """Whether a metric's value is known to lie within [0, 1]."""
    scores = table.scores.get(metric)
    if scores is None or not may_be_bounded(metric):
        return False
    known = np.isfinite(scores)
    most = table.denominators.get(metric, np.ones(scores.size))[known]
    return bool(((scores[known] >= 0.0) & (scores[known] <= most)).all())


def _bare_judges(policy: GatePolicy, suites: Mapping[str, ScoreTable]) -> list[str]:
    found = []
    for rule in policy.rules:
        judge = suites[rule.suite].info.judges.get(rule.metric) if rule.suite in suites else None
        if judge is not None and judge.calibration is None:
            found.append(
                f"{rule.suite}/{rule.metric} is scored by judge {judge.name} without a human-labelled calibration set: "
                "its errors are not in the intervals"
            )
    return found


def _worn_sets(policy: GatePolicy, reasons: Sequence[Reason], looks: Mapping[str, int]) -> list[str]:
    found = []
    for suite, count in sorted(looks.items()):
        if count + 1 <= policy.max_verdicts_per_set or all(rule.suite != suite for rule in policy.rules):
            continue
        errors = {
            f"{reason.suite}/{reason.metric}": _standard_error(reason)
            for reason in reasons
            if reason.suite == suite and reason.slice is None and reason.alpha is not None
        }
        largest = max(
            (name for name in errors if math.isfinite(errors[name])), key=lambda n: (errors[n], n), default=""
        )
        factor = expected_maximum(count + 1)
        here = f", about {factor * errors[largest]:.3f} in {largest}" if largest else ""
        found.append(
            f"{suite}: {count + 1} models were judged on these test items, max_verdicts_per_set is "
            f"{policy.max_verdicts_per_set}; the best of {count + 1} equal models looks better by {factor:.2f} "
            f"standard errors by chance alone{here}; renew the items"
        )
    return found


def _standard_error(reason: Reason) -> float:
    """About one standard error, from the width of the interval."""
    if reason.lower is None or reason.upper is None or reason.alpha is None:
        return math.inf
    return (reason.upper - reason.lower) / (2.0 * normal_isf(reason.alpha))


def contamination_caution(excluded: Mapping[str, int], on_all_items: str) -> tuple[str, ...]:
    """What was left out because training rows give it away, and what all items would have said."""
    if not excluded:
        return ()
    parts = ", ".join(f"{count} of {suite}" for suite, count in sorted(excluded.items()))
    return (f"left out, because training rows give them away: {parts}; on all items: {on_all_items}",)
