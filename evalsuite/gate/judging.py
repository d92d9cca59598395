"""One rule on one set of items: an interval, an outcome and the sentence that says so."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from evalsuite.gate.decision import Outcome, Reason
from evalsuite.gate.pairing import Columns
from evalsuite.gate.policy import Direction, Kind, Rule
from evalsuite.stats.extrapolate import more_items
from evalsuite.stats.paired import Interval, mean_interval, paired_interval

DIGITS = 10
"""Decimals that a reason keeps: more than any reader needs, fewer than the last bits in which machines differ."""


@dataclass(frozen=True)
class Question:
    """A rule, asked of the whole suite or of one slice, against one baseline or of the candidate alone."""

    rule: Rule
    against: str | None
    columns: Columns | None
    """None where the rule cannot be evaluated."""
    problem: str = ""
    """Why not."""
    slice: str | None = None
    max_unscored_fraction: float = 0.0

    @property
    def name(self) -> str:
        """Stable id of the reason."""
        parts = [
            f"{self.rule.suite}/{self.rule.metric}",
            self.rule.kind.value,
            *([self.against] if self.against else []),
        ]
        return ":".join(parts) + (f"[{self.slice}]" if self.slice else "")

    @property
    def limit(self) -> float:
        """The bound on candidate - baseline, or on the value for floor and ceiling."""
        rule = self.rule
        # A Rule has exactly one of the three.
        bound = next(value for value in (rule.margin, rule.min_gain, rule.limit) if value is not None)
        if rule.kind is Kind.GUARD and self.slice is not None:
            bound = rule.slice_margin or 2.0 * bound
        is_loss = rule.kind is Kind.GUARD and rule.direction is Direction.HIGHER
        is_drop = rule.kind is Kind.TARGET and rule.direction is Direction.LOWER
        return -bound + 0.0 if is_loss or is_drop else bound

    @property
    def must_exceed(self) -> bool:
        """Whether passing means to lie above the limit."""
        if self.rule.kind in (Kind.GUARD, Kind.TARGET):
            return self.rule.direction is Direction.HIGHER
        return self.rule.kind is Kind.FLOOR

    def answer(self, alpha: float) -> Reason:
        """Judge at a one-sided error of ``alpha``.

        An unscored item counts as the worst score in the bound that could pass the rule and as the best in the bound
        that could fail it, so that leaving items unscored never helps and never harms beyond what is possible.
        """
        if self.columns is None:
            return self._undecided(self.problem)
        columns = self.columns
        scored = np.isfinite(columns.candidate)
        if columns.baseline is not None:
            scored &= np.isfinite(columns.baseline)
        n, unscored = int(scored.sum()), int((~scored).sum())
        allowed = self.max_unscored_fraction
        if unscored > allowed * scored.size:
            problem = f"{unscored} of {scored.size} items are unscored, max_unscored_fraction allows {allowed:g}"
            return self._undecided(problem, n, unscored)
        if n < self.rule.min_items:
            problem = f"{n} scored items, min_items asks for {self.rule.min_items}"
            return self._undecided(problem, n, unscored, more_items=self.rule.min_items - n)
        kept = columns.where(scored)
        candidate = math.fsum(kept.candidate) / n
        baseline = None if kept.baseline is None else math.fsum(kept.baseline) / n
        interval = _interval(columns, unscored, alpha)
        outcome = self._outcome(interval)
        lower, upper = _rounded(interval.lower), _rounded(interval.upper)
        more = None
        if outcome is Outcome.UNDECIDED:
            # The worst case of unscored items is no count that could be multiplied.
            measured = interval._replace(method="") if unscored else interval
            more = more_items(measured, kept.candidate, kept.baseline, kept.clusters, self.limit, alpha)
        return Reason(
            rule=self.name,
            suite=self.rule.suite,
            metric=self.rule.metric,
            kind=self.rule.kind.value,
            direction=self.rule.direction.value,
            against=self.against,
            slice=self.slice,
            outcome=outcome,
            candidate=_rounded(candidate),
            baseline=None if baseline is None else _rounded(baseline),
            difference=None if baseline is None else _rounded(interval.difference),
            lower=lower,
            upper=upper,
            limit=self.limit,
            alpha=alpha,
            n=n,
            unscored=unscored,
            method=interval.method,
            more_items=more,
            text=self._text(candidate, baseline, interval, outcome, n, unscored, alpha, more),
        )

    def _outcome(self, interval: Interval) -> Outcome:
        above, below = interval.lower > self.limit, interval.upper < self.limit
        if above if self.must_exceed else below:
            return Outcome.PASS
        if below if self.must_exceed else above:
            return Outcome.FAIL
        return Outcome.UNDECIDED

    def _undecided(self, problem: str, n: int = 0, unscored: int = 0, more_items: int | None = None) -> Reason:
        against = f" against {self.against}" if self.against else ""
        place = f" [{self.slice}]" if self.slice else ""
        return Reason(
            rule=self.name,
            suite=self.rule.suite,
            metric=self.rule.metric,
            kind=self.rule.kind.value,
            direction=self.rule.direction.value,
            against=self.against,
            slice=self.slice,
            outcome=Outcome.UNDECIDED,
            candidate=None,
            baseline=None,
            difference=None,
            lower=None,
            upper=None,
            limit=self.limit,
            alpha=None,
            n=n,
            unscored=unscored,
            method="not evaluated",
            more_items=more_items,
            text=f"{self.rule.suite}/{self.rule.metric}{place} cannot be judged{against}: {problem}",
        )

    def _text(
        self,
        candidate: float,
        baseline: float | None,
        interval: Interval,
        outcome: Outcome,
        n: int,
        unscored: int,
        alpha: float,
        more_items: int | None,
    ) -> str:
        subject = f"{self.rule.suite}/{self.rule.metric}" + (f" [{self.slice}]" if self.slice else "")
        if baseline is None:
            change = f"is {_number(candidate)} (n={n})"
        else:
            verb = "rose" if interval.difference > 0 else "fell" if interval.difference < 0 else "did not move,"
            moved = f" {_number(abs(interval.difference))}" if interval.difference else ""
            change = f"{verb}{moved} ({_number(baseline)} -> {_number(candidate)}, n={n}) against {self.against}"
        counted = f", {unscored} unscored counted as worst case" if unscored else ""
        level = f"{100 * (1 - 2 * alpha):.4g}% interval [{_number(interval.lower)}, {_number(interval.upper)}]"
        return (
            f"{subject} {change}, limit {_number(self.limit)}, {level}, {interval.method}{counted}: "
            f"{self._conclusion(outcome, more_items)}"
        )

    def _conclusion(self, outcome: Outcome, more_items: int | None) -> str:
        side = {Kind.FLOOR: ("above", "below"), Kind.CEILING: ("below", "above")}
        if outcome is Outcome.UNDECIDED:
            more = f"undecided, about {more_items} more items would decide it" if more_items else "undecided"
            return more + (", a slice does not block unless it is proven worse" if self.slice else "")
        if self.rule.kind is Kind.GUARD:
            return "proven not worse than the margin" if outcome is Outcome.PASS else "proven worse than the margin"
        if self.rule.kind is Kind.TARGET:
            return "the gain is proven" if outcome is Outcome.PASS else "the gain is proven absent"
        passed, failed = side[self.rule.kind]
        return f"proven {passed if outcome is Outcome.PASS else failed} the limit"


def strength(reason: Reason) -> float:
    """Distance of the estimate from the limit, in half-widths of its interval; 0 where nothing was estimated."""
    estimate = reason.candidate if reason.difference is None else reason.difference
    if estimate is None or reason.limit is None or reason.lower is None or reason.upper is None:
        return 0.0
    half = (reason.upper - reason.lower) / 2.0
    return round(abs(estimate - reason.limit) / half, 6) if half > 0.0 else math.inf


def holm(
    groups: Sequence[Sequence[Question]], proves: Callable[[Sequence[Reason]], bool], alphas: Sequence[float]
) -> list[list[Reason]]:
    """Answer groups of questions at Holm's step-down levels (Scandinavian Journal of Statistics 6, 1979, 65-70).

    Args:
        groups: Each is one hypothesis; all its questions are answered at the same level.
        proves: Whether a group's reasons prove what is looked for.
        alphas: One-sided error of each group before the correction.

    Returns:
        The reasons of each group at the level at which it was proven, or at the last level that was tried.
    """
    proven: dict[int, list[Reason]] = {}
    while True:
        left = len(groups) - len(proven)
        tried = {
            i: [question.answer(alphas[i] / left) for question in group]
            for i, group in enumerate(groups)
            if i not in proven
        }
        found = {i: reasons for i, reasons in tried.items() if proves(reasons)}
        proven |= found
        if not found or len(proven) == len(groups):
            return [proven[i] if i in proven else tried[i] for i in range(len(groups))]


def _interval(columns: Columns, unscored: int, alpha: float) -> Interval:
    if not unscored:
        return _estimate(columns, alpha)
    scores = [columns.candidate, *([columns.baseline] if columns.baseline is not None else [])]
    known = np.concatenate([column[np.isfinite(column)] for column in scores])
    complete = columns.where(np.isfinite(columns.candidate) & np.isfinite(scores[-1]))
    estimate = _estimate(complete, alpha)
    if ((known < 0.0) | (known > 1.0)).any():
        method = "none: unscored items, and the scores have no known bounds"
        return estimate._replace(lower=-math.inf, upper=math.inf, method=method)
    low, high = _estimate(_filled(columns, 0.0, 1.0), alpha), _estimate(_filled(columns, 1.0, 0.0), alpha)
    return estimate._replace(lower=low.lower, upper=high.upper, method=low.method)


def _filled(columns: Columns, candidate: float, baseline: float) -> Columns:
    return Columns(
        candidate=np.where(np.isfinite(columns.candidate), columns.candidate, candidate),
        baseline=None
        if columns.baseline is None
        else np.where(np.isfinite(columns.baseline), columns.baseline, baseline),
        clusters=columns.clusters,
        slices=columns.slices,
    )


def _estimate(columns: Columns, alpha: float) -> Interval:
    if columns.baseline is None:
        return mean_interval(columns.candidate, columns.clusters, alpha)
    return paired_interval(columns.candidate, columns.baseline, columns.clusters, alpha)


def _rounded(value: float) -> float | None:
    return round(value, DIGITS) + 0.0 if math.isfinite(value) else None


def _number(value: float) -> str:
    """Three decimals, or two digits of something smaller."""
    if value == 0.0 or abs(value) >= 0.0005:
        return f"{value:.3f}"
    return f"{value:.2g}"
