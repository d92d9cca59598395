"""The gate, asked about candidates whose truth is known, on the very items of a decision.

Three questions, none of which needs a model:

1. A baseline against itself, under the guards alone, is never REJECT.
2. A copy of a baseline that lost more than the margin is REJECT, or the items are too few to prove it, which is said.
3. The operating characteristic: candidates are made whose true change is so many margins, items are drawn with
   replacement (whole clusters), and the policy judges each draw. The shares of the verdicts are what a reader wants to
   know of a policy: how often it lets a truly worse model pass, and how often it stops a good one.

All draws come from the hash of the evidence, so that a replay finds the same figures.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from evalsuite.core.errors import SelfTestError
from evalsuite.core.files import sha256_json
from evalsuite.gate.characteristic import DamagedCopy, SelfTest
from evalsuite.gate.decide import decision_id, judge
from evalsuite.gate.decision import NOT_EVALUATED, Decision, Reason, Verdict
from evalsuite.gate.operating import (
    changed_by,
    difference_of,
    operating_characteristic,
    turns,
    value_of,
)
from evalsuite.gate.pairing import labels_of, sort_by_id
from evalsuite.gate.policy import GatePolicy
from evalsuite.gate.rules import Against, Rule
from evalsuite.gate.sequential.prefixes import as_fixed
from evalsuite.items.results import EvalReport, ScoreTable
from evalsuite.stats.alternatives import uniforms

DAMAGES = (1.25, 1.5, 2.0, 3.0, 4.0, 6.0, 10.0, math.inf)
"""Losses of a damaged copy, in margins."""
MAX_ITEMS = 2_000
"""Items of a suite that are used; more are left out at random."""
KNOWN_METHODS = ("exact binomial", "t", "cluster-robust t", "Gaffke")
"""Estimators of which the second question knows what they must be able to prove."""
DIGITS = 4

Reports = Mapping[str, EvalReport]


def with_self_test(decision: Decision, candidate: EvalReport, baselines: Reports) -> Decision:
    """The decision with its self-test, and the id that follows; the same evidence gives the same bytes.

    Raises:
        SelfTestError: The gate failed.
    """
    test = self_test(
        candidate,
        baselines,
        decision.policy,
        num_candidates=decision.num_candidates,
        seed=sha256_json(decision.evidence),
    )
    unsigned = decision.model_copy(update={"self_test": test})
    return unsigned.model_copy(update={"decision_id": decision_id(unsigned)})


def self_test(
    candidate: EvalReport, baselines: Reports, policy: GatePolicy, *, num_candidates: int, seed: str
) -> SelfTest:
    """Ask the three questions.

    Args:
        candidate: Results of the candidate.
        baselines: Results by role.
        policy: The rules.
        num_candidates: Candidates that were compared on these items.
        seed: Fixes every draw.

    Raises:
        SelfTestError: A baseline is rejected against itself, a copy whose loss must be provable is not rejected, or
            candidates exactly at the margin are promoted far more often than alpha allows.
    """
    candidate, baselines, told = as_fixed(candidate, baselines)
    judged = {rule.suite for rule in policy.rules}
    mine = _bounded(sort_by_id(candidate), judged, seed)
    theirs = {role: _bounded(sort_by_id(baselines[role]), judged, seed) for role in sorted(baselines)}
    sizes = {name: len(candidate.suites[name].item_ids) for name in sorted(judged & set(candidate.suites))}
    used = {name: len(mine.suites[name].item_ids) for name in sizes}
    notes = [
        f"{name}: {used[name]:,} of {sizes[name]:,} items, drawn at random; with all of them errors are rarer"
        for name in sizes
        if used[name] < sizes[name]
    ]
    unchanged = tuple(_against_itself(role, theirs, policy, num_candidates) for role in theirs)
    damaged = tuple(
        _damaged(rule, rule.allowed_loss, role, theirs[role], policy, num_candidates, seed)
        for rule in policy.rules
        if rule.allowed_loss is not None
        for role in rule.baselines(theirs)
        if role in theirs
        and rule.suite in theirs[role].suites
        and rule.metric in theirs[role].suites[rule.suite].scores
    )
    found = operating_characteristic(mine, theirs, policy, num_candidates, seed)
    return SelfTest(
        unchanged=unchanged,
        damaged=damaged,
        points=found.points,
        rules=found.rules,
        num_draws=found.num_draws,
        num_items=used,
        notes=(*told, *notes, *found.notes),
    )


def _bounded(report: EvalReport, suites: set[str], seed: str) -> EvalReport:
    """The judged suites without must-pass marks, at most ``MAX_ITEMS`` items each; the same items of every model."""
    kept = {}
    for name in sorted(suites & set(report.suites)):
        table = replace(report.suites[name], must_pass={})
        if table.applies:
            # Contaminated must-pass items are in no average.
            table = table.take(np.flatnonzero(np.logical_or.reduce(list(table.applies.values()))))
        if len(table.item_ids) > MAX_ITEMS:
            labels = labels_of(table.clusters)
            turn = uniforms(f"{seed} subset {name}", len(labels.names))[labels.codes]
            table = table.take(np.sort(np.argsort(turn, kind="stable")[:MAX_ITEMS]))
        kept[name] = table
    return replace(report, suites=kept)


def _against_itself(role: str, baselines: Reports, policy: GatePolicy, num_candidates: int) -> str:
    guards = tuple(rule for rule in policy.rules if rule.allowed_loss is not None)
    if not guards:
        return f"{role}: the policy has no guard"
    same = dict.fromkeys(baselines, baselines[role])
    verdict, reasons = judge(
        baselines[role], same, policy.model_copy(update={"rules": guards}), num_candidates=num_candidates
    )
    if verdict is Verdict.REJECT:
        raise SelfTestError(
            f"the gate rejects {role} against itself, under the guards alone: {reasons[0].text}; "
            "this gate's verdicts are not to be trusted, check out a commit whose tests pass"
        )
    return f"{role} against itself under {len(guards)} guard{'s' if len(guards) > 1 else ''}: not rejected"


def _damaged(
    rule: Rule, margin: float, role: str, baseline: EvalReport, policy: GatePolicy, num_candidates: int, seed: str
) -> DamagedCopy:
    """Damage a copy more and more until the guard rejects it."""
    alone = rule.whole().model_copy(update={"against": Against(role)})
    only = policy.model_copy(update={"rules": (alone,)})
    table = baseline.suites[rule.suite]
    scores = table.scores[rule.metric]
    turn = turns(table, f"{seed} damage")
    name = rule.name(role)
    before = math.inf
    for margins in DAMAGES:
        if before <= margin * 1.000001 and margins > DAMAGES[0]:
            break
        wanted = margins * margin if math.isfinite(margins) else 1.0
        changed = changed_by(table, table, rule.metric, -wanted, rule.direction, turn)
        loss = abs(difference_of(changed, table, table, rule.metric))
        if margins > DAMAGES[0] and loss <= before:
            break
        before = loss
        copy = replace(
            baseline,
            suites={
                **baseline.suites,
                rule.suite: replace(table, scores={**table.scores, rule.metric: changed}),
            },
        )
        verdict, reasons = judge(copy, {role: baseline}, only, num_candidates=num_candidates)
        if verdict is Verdict.REJECT:
            text = (
                f"a copy of {role} that lost {loss:.3f} in {rule.suite}/{rule.metric} is rejected (margin {margin:g})"
            )
            return DamagedCopy(rule=name, margins=round(loss / margin, DIGITS), loss=round(loss, DIGITS), text=text)
        if rule.cluster is None and rule.metric not in table.denominators and rule.metric not in table.info.judges:
            _must_not_be_provable(reasons[0], table, loss, margin)
    subject = f"{rule.suite}/{rule.metric} of {role} is {value_of(scores, table, rule.metric):.3f}"
    if reasons[0].method == NOT_EVALUATED:
        text = reasons[0].text
    elif before <= margin:
        text = f"{subject}: no copy can lose more than {before:.3f}, and the margin is {margin:g}"
    else:
        text = (
            f"{subject}: even a copy that lost {before:.3f} is not proven worse than the margin of {margin:g}; "
            f"{reasons[0].n} items are too few for this guard to reject anything"
        )
    return DamagedCopy(rule=name, margins=None, loss=round(before, DIGITS), text=text)


def _must_not_be_provable(reason: Reason, table: ScoreTable, loss: float, margin: float) -> None:
    """Hold the estimator against Hoeffding's inequality (JASA 58, 1963, 13-30), which needs far more items than it.

    Raises:
        SelfTestError: The inequality proves the loss, at a twentieth of alpha, and the gate did not reject.
    """
    if not reason.method.startswith(KNOWN_METHODS) or reason.unscored or reason.alpha is None:
        return
    sizes = np.bincount(labels_of(table.clusters).codes)
    reach = math.sqrt(2.0 * math.log(20.0 / reason.alpha) * float((sizes**2).sum())) / max(reason.n, 1)
    if loss - reach > margin:
        raise SelfTestError(
            f"the gate does not reject a copy that lost {loss:.3f}, though {reason.n} items prove it worse than the "
            f"margin of {margin:g}: {reason.text}; check out a commit whose tests pass"
        )
