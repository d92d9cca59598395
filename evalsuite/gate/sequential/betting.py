"""Rules on a finite set whose items are scored one after another: the bets, and the sentence that tells their result.

A rule passes when betting against "it does not hold" has multiplied the stake by 1 / alpha, and fails when betting
against "it holds" has. Both are claims about the mean over all items of the set, each wrong with probability at most
alpha whenever one stops. When all items have been run nothing is estimated: the mean over the set against the limit.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evalsuite.gate.decision import Reason
from evalsuite.gate.judging import Check, rounded
from evalsuite.gate.pairing import columns_of
from evalsuite.gate.rules import KINDS, Outcome, Rule
from evalsuite.gate.sequential.prefixes import order_of
from evalsuite.items.results import ScoreTable
from evalsuite.stats.bounds import may_be_bounded
from evalsuite.stats.sequential import Hypothesis, Order, SequentialTest

Floats = NDArray[np.float64]
Side = Literal["pass", "fail"]

METHOD = "sequential betting, finite set"
LEAST_SCALE = 0.02
"""Distance at which a target without a least gain is to be decided soonest, and the least one of a floor."""
TIE = 1e-12
EVIDENCE_DIGITS = 6
"""Decimals of the log capital that count, fewer than the last bits in which machines differ."""


class Bet:
    """One rule against one baseline on one set."""

    def __init__(
        self,
        baseline: ArrayLike,
        num_groups: int,
        limit: float,
        must_exceed: bool,
        scale: float,
        earlier: ArrayLike | None = None,
        *,
        absolute: bool = False,
    ) -> None:
        """Nothing is scored yet.

        Args:
            baseline: Scores of all items in the order of evaluation, shape (N,), within [0, 1] or NaN for unscored.
            num_groups: Of the order.
            limit: On candidate - baseline, or on the candidate's mean where ``absolute``.
            must_exceed: Whether the rule holds above the limit.
            scale: Distance from the limit at which the rule should be decided soonest.
            earlier: Scores of other models on the same items, shape (models, N), without NaN.
            absolute: The baseline serves for prediction only.
        """
        self._baseline = np.asarray(baseline, dtype=np.float64)
        self._order = Order(np.arange(self._baseline.size), num_groups)
        self._limit, self._must_exceed, self._scale, self._absolute = limit, must_exceed, scale, absolute
        self._earlier = earlier
        self._scores = np.zeros(0)
        self._joint = not np.isnan(self._baseline).any()
        self._tests = self._new_tests()

    def _new_tests(self) -> dict[tuple[Side, ...], SequentialTest]:
        groups: tuple[tuple[Side, ...], ...] = (("pass", "fail"),) if self._joint else (("pass",), ("fail",))
        return {
            sides: SequentialTest(
                self._filled_baseline(sides[0]), self._order, [self._hypothesis(side) for side in sides], self._earlier
            )
            for sides in groups
        }

    def _hypothesis(self, side: Side) -> Hypothesis:
        bound = self._limit
        if self._absolute:
            bound -= math.fsum(self._filled_baseline(side)) / self._baseline.size
        return Hypothesis(bound, (side == "pass") != self._must_exceed, self._scale)

    def _worst(self, side: Side) -> float:
        """The candidate's unscored items, as they are hardest for what is to be proven."""
        return 0.0 if (side == "pass") == self._must_exceed else 1.0

    def _filled(self, scores: Floats, side: Side) -> Floats:
        return np.where(np.isnan(scores), self._worst(side), scores)

    def _filled_baseline(self, side: Side) -> Floats:
        return np.where(np.isnan(self._baseline), 1.0 - self._worst(side), self._baseline)

    @property
    def num_items(self) -> int:
        """N."""
        return int(self._baseline.size)

    @property
    def num_run(self) -> int:
        """Items fed so far, unscored ones included."""
        return int(self._scores.size)

    @property
    def scored(self) -> NDArray[np.bool_]:
        """Whether both models have a score, for the items fed so far."""
        known = ~np.isnan(self._scores)
        return known if self._absolute else known & ~np.isnan(self._baseline[: self.num_run])

    def advance(self, scores: ArrayLike) -> None:
        """Feed the candidate's next scores in the order of evaluation, NaN for unscored.

        Raises:
            ValueError: A score lies outside [0, 1], or there are more than the set has items.
        """
        new = np.asarray(scores, dtype=np.float64)
        self._scores = np.concatenate([self._scores, new])
        if self._joint and np.isnan(new).any():
            self._joint = False
            self._tests, new = self._new_tests(), self._scores
        for sides, test in self._tests.items():
            test.advance(self._filled(new, sides[0]))

    def log_evidence(self, side: Side) -> float:
        """Log of what a stake of 1 against the opposite of ``side`` has grown to at best."""
        sides, test = next((sides, test) for sides, test in self._tests.items() if side in sides)
        return round(float(test.log_evidence[sides.index(side)]), EVIDENCE_DIGITS)

    def means(self) -> tuple[float, float | None]:
        """Candidate's and baseline's mean over the items that both have a score for; at least one."""
        scored = self.scored
        n = int(scored.sum())
        baseline = None if self._absolute else math.fsum(self._baseline[: self.num_run][scored]) / n
        return math.fsum(self._scores[scored]) / n, baseline

    def outcome(self, alpha: float) -> Outcome:
        """What is proven at a one-sided error of ``alpha``; exact when all items have been run."""
        if self.num_run == self.num_items:
            sign = 1.0 if self._must_exceed else -1.0
            passing, failing = (sign * (self.exact(side) - self._limit) for side in ("pass", "fail"))
            return Outcome.PASS if passing > TIE else Outcome.FAIL if failing < -TIE else Outcome.UNDECIDED
        needed = round(-math.log(alpha), EVIDENCE_DIGITS)
        passed, failed = self.log_evidence("pass") >= needed, self.log_evidence("fail") >= needed
        if passed == failed:
            return Outcome.UNDECIDED
        return Outcome.PASS if passed else Outcome.FAIL

    def exact(self, side: Side) -> float:
        """Difference, or value, over the whole set, with unscored items at their worst for ``side``."""
        candidate = math.fsum(self._filled(self._scores, side))
        baseline = 0.0 if self._absolute else math.fsum(self._filled_baseline(side))
        return (candidate - baseline) / self.num_items


@dataclass(frozen=True)
class SequentialCheck(Check):
    """A rule of a suite that may stop early; ``columns`` is there when all items have been run."""

    bet: Bet | None = None

    def fixed(self) -> Check:
        """The same rule without its bet."""
        return Check(**{field.name: getattr(self, field.name) for field in fields(Check)})

    def _answer(self, alpha: float) -> Reason:
        if self.bet is None:
            return super()._answer(alpha)
        bet, rule = self.bet, self.rule
        scored = bet.scored
        n, unscored = int(scored.sum()), int((~scored).sum())
        of = f"{bet.num_run:,} of {bet.num_items:,} items"
        if self._too_many_unscored(n, unscored):
            allowed = f"max_unscored_fraction allows {self.max_unscored_fraction:g}"
            return self._undecided(f"{unscored} of the {scored.size} items run are unscored, {allowed}", n, unscored)
        if n < rule.min_items:
            problem = f"{n} scored items after {of}, min_items asks for {rule.min_items}"
            return self._undecided(problem, n, unscored, more_items=rule.min_items - n)
        outcome = bet.outcome(alpha)
        complete = bet.num_run == bet.num_items
        candidate, baseline = bet.means()
        difference = None if baseline is None else candidate - baseline
        ends = sorted((bet.exact("pass"), bet.exact("fail"))) if complete else [None, None]
        lower, upper = (None if end is None else rounded(end) for end in ends)
        return self.reason(
            outcome,
            METHOD,
            self._told(bet, candidate, baseline, outcome, of, unscored, alpha),
            candidate=rounded(candidate),
            baseline=None if baseline is None else rounded(baseline),
            difference=None if difference is None else rounded(difference),
            lower=lower,
            upper=upper,
            alpha=alpha,
            n=n,
            unscored=unscored,
            not_run=bet.num_items - bet.num_run,
        )

    def outcome(self, alpha: float) -> Outcome:
        """Outcome of ``answer`` without the sentence."""
        if self.bet is None:
            return super().answer(alpha).outcome
        n = int(self.bet.scored.sum())
        if self._too_many_unscored(n, self.bet.num_run - n) or n < self.rule.min_items:
            return Outcome.UNDECIDED
        return self.bet.outcome(alpha)

    def _too_many_unscored(self, n: int, unscored: int) -> bool:
        return unscored > self.max_unscored_fraction * (n + unscored)

    def _told(
        self,
        bet: Bet,
        candidate: float,
        baseline: float | None,
        outcome: Outcome,
        of: str,
        unscored: int,
        alpha: float,
    ) -> str:
        subject = f"{self.rule.suite}/{self.rule.metric}"
        if baseline is None:
            change = f"is {candidate:.3f} over {of}"
        else:
            gap = candidate - baseline
            verb = f"rose {gap:.3f}" if gap > 0 else f"fell {-gap:.3f}" if gap < 0 else "did not move"
            change = f"{verb} ({baseline:.3f} -> {candidate:.3f}) over {of} against {self.against}"
        counted = f", {unscored} unscored counted as worst case" if unscored else ""
        lead = f"{subject} {change}, limit {self.limit:.3f}, {METHOD}{counted}"
        if bet.num_run == bet.num_items:
            exact = {Outcome.PASS: "it holds", Outcome.FAIL: "it does not hold", Outcome.UNDECIDED: "exactly there"}
            tie = outcome is Outcome.UNDECIDED and unscored
            said = "undecided, since it depends on the unscored items" if tie else exact[outcome]
            return f"{lead}, exact since all items were run: {said}"
        needed = 1.0 / alpha
        odds = {side: _odds(bet.log_evidence(side)) for side in ("pass", "fail")}
        rest = f"{bet.num_items - bet.num_run:,} items were not run, by design"
        if outcome is Outcome.UNDECIDED:
            return f"{lead}: undecided, evidence {odds['pass']} for and {odds['fail']} against, {needed:g} decides"
        side = "pass" if outcome is Outcome.PASS else "fail"
        return f"{lead}, evidence {odds[side]} where {needed:g} decides: {self._conclusion(outcome, None)}; {rest}"


def _odds(log_evidence: float) -> str:
    return f"{math.exp(log_evidence):.3g}" if log_evidence < math.log(1e6) else "above 1e+06"


def sequential_check(
    rule: Rule,
    role: str | None,
    candidate: ScoreTable,
    baselines: Mapping[str, ScoreTable],
    max_unscored_fraction: float,
) -> Check | None:
    """A rule, asked of what a sequential evaluation left; None where the fixed-n method is to judge it.

    What cannot be betted on (see ``no_bet_because``) waits until all items have been run, and is then judged so.

    Args:
        rule: Of the candidate's suite.
        role: Baseline that it is measured against; None for floors and ceilings.
        candidate: The suite's items that were run, sorted by id.
        baselines: Comparable full results of the suite by role, sorted by id.
        max_unscored_fraction: Of the policy.
    """
    reference = baselines[role] if role else next(iter(baselines.values()), None)
    if reference is None:
        return Check(rule, role, None, "no comparable baseline names the items of the set")
    if rule.metric not in reference.scores:
        known = ", ".join(sorted(reference.scores)) or "none"
        return Check(rule, role, None, f"metric {rule.metric!r} is missing for the baseline, which has {known}")
    prefix = candidate.info.prefix
    num_run = prefix.num_ordered if prefix else len(candidate.item_ids)
    complete = num_run == len(reference.item_ids)
    waits = f"it is judged when all {len(reference.item_ids):,} items have been run, {num_run:,} were"
    why = no_bet_because(rule, reference, candidate)
    if complete and (why is not None or rule.metric not in candidate.scores):
        return None
    if why is not None:
        return Check(rule, role, None, f"{why}, so that {waits}", slices_wait=waits)
    columns = columns_of(candidate, reference if role else None, rule.metric) if complete else None
    bet = new_bet(rule, role, baselines)
    order = order_of(reference)
    applying = reference.applies[rule.metric]
    at = {item: i for i, item in enumerate(candidate.item_ids)}
    run = [at[reference.item_ids[i]] for i in order.positions[:num_run] if applying[i]]
    column = candidate.scores.get(rule.metric, np.full(len(candidate.item_ids), np.nan))
    bet.advance(column[np.array(run, dtype=np.intp)])
    return SequentialCheck(
        rule,
        role,
        columns,
        max_unscored_fraction=max_unscored_fraction,
        slices_wait="" if complete else waits,
        bet=bet,
    )


def no_bet_because(rule: Rule, reference: ScoreTable, candidate: ScoreTable | None = None) -> str | None:
    """Why a rule has to wait for the whole set; None where it can be betted on."""
    tables = [reference, *([candidate] if candidate is not None and rule.metric in candidate.scores else [])]
    name = f"{rule.suite}/{rule.metric}"
    if rule.kind not in KINDS:
        return f"kind {rule.kind} has no sequential test"
    if any(rule.metric in table.denominators for table in tables):
        return f"{name} is a ratio of sums"
    if rule.metric in reference.info.judges:
        return f"{name} is scored by a judge, whose errors widen the interval"
    if rule.cluster is not None:
        return f"{name} is judged by clusters"
    for table in tables:
        scores = table.scores[rule.metric]
        if not may_be_bounded(rule.metric) or bool(((scores < 0.0) | (scores > 1.0)).any()):
            return f"{name} is not known to lie within [0, 1]"
    applying = reference.applies[rule.metric]
    clusters = [reference.clusters[i] for i in np.flatnonzero(applying)]
    if len(set(clusters)) < len(clusters):
        return f"items of {name} share clusters"
    if candidate is not None:
        at = {item: i for i, item in enumerate(reference.item_ids)}
        same = applying[np.array([at[item] for item in candidate.item_ids], dtype=np.intp)]
        if not np.array_equal(candidate.applies.get(rule.metric, np.zeros(len(same), dtype=np.bool_)), same):
            return f"{name} does not apply to the same items for the candidate"
    return None


def new_bet(rule: Rule, role: str | None, baselines: Mapping[str, ScoreTable]) -> Bet:
    """The bet on a rule before anything is scored; the other baselines help to predict the candidate.

    Args:
        rule: One that can be betted on.
        role: Baseline that it is measured against; None for floors and ceilings.
        baselines: Comparable full results of the suite by role, sorted by id; for absolute rules the first predicts.
    """
    own = role or next(iter(baselines))
    reference = baselines[own]
    order = order_of(reference)
    applying = reference.applies[rule.metric]
    positions = order.positions[applying[order.positions]]
    num_groups = order.num_groups if positions.size == order.num_items else 1
    others = [
        table.scores[rule.metric][positions]
        for name, table in sorted(baselines.items())
        if name != own and rule.metric in table.scores
    ]
    earlier = [column for column in others if bool(((column >= 0.0) & (column <= 1.0)).all())]
    baseline = reference.scores[rule.metric][positions]
    return Bet(
        baseline,
        num_groups,
        rule.threshold(),
        rule.holds_above(rule.direction),
        _scale(rule, baseline),
        np.array(earlier) if earlier else None,
        absolute=role is None,
    )


def _scale(rule: Rule, baseline: Floats) -> float:
    """A guard is to be decided soonest where nothing changed, a target where the gain is absent or twice the least."""
    if rule.paired:
        return rule.allowed_loss or max(rule.size(), LEAST_SCALE)
    known = baseline[~np.isnan(baseline)]
    mean = float(known.mean()) if known.size else 0.5
    return max(abs(mean - rule.size()), LEAST_SCALE)
