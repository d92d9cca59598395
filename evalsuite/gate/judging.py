"""One rule on one set of items: an interval, an outcome and the sentence that says so."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from evalsuite.gate.decision import NOT_EVALUATED, Reason
from evalsuite.gate.pairing import Columns, columns_of
from evalsuite.gate.policy import named
from evalsuite.gate.rules import Outcome, Rule
from evalsuite.items.calibration import Judge
from evalsuite.items.results import ScoreTable
from evalsuite.stats.extrapolate import more_items
from evalsuite.stats.judge import with_judge
from evalsuite.stats.paired import Floats, Interval, mean_interval, paired_interval
from evalsuite.stats.ratio import Ratio, paired_ratio_interval, ratio_interval
from evalsuite.stats.sums import exact_sum

DIGITS = 10
"""Decimals that a reason keeps: more than any reader needs, fewer than the last bits in which machines differ."""


@dataclass(frozen=True)
class Check:
    """A rule, asked of the whole suite or of one slice, against one baseline or of the candidate alone."""

    rule: Rule
    against: str | None
    columns: Columns | None
    """None where the rule cannot be evaluated."""
    problem: str = ""
    """Why not."""
    part: str | None = None
    """Value of the rule's slice key; None for the whole suite."""
    max_unscored_fraction: float = 0.0
    slices_wait: str = ""
    """Why the slices of this rule cannot be judged yet; empty where they can."""
    judge: Judge | None = None
    """What scored the metric, where that is a judge."""

    @property
    def slice(self) -> str | None:
        """``key=value``; None for the whole suite."""
        return None if self.part is None else f"{self.rule.slices}={self.part}"

    @property
    def name(self) -> str:
        """Stable id of the reason."""
        return self.rule.name(self.against) + (f"[{self.slice}]" if self.slice else "")

    @property
    def limit(self) -> float:
        """The bound on candidate - baseline, or on the value of an absolute rule."""
        return self.rule.threshold(self.part)

    def fixed(self) -> "Check":
        """The check as the fixed-n method makes it, on whole tables."""
        return self

    def answer(self, alpha: float) -> Reason:
        """Judge at a one-sided error of ``alpha``.

        An unscored item counts as the worst score in the bound that could pass the rule and as the best in the bound
        that could fail it, so that leaving items unscored never helps and never harms beyond what is possible.

        Raises:
            UsageError: The code of another package's kind failed; names its entry point.
        """
        with named(self.rule.kind):
            return self._answer(alpha)

    def _answer(self, alpha: float) -> Reason:
        if self.columns is None:
            return self._undecided(self.problem)
        columns = self.columns
        scored = np.isfinite(columns.candidate)
        if columns.baseline is not None:
            scored = scored & np.isfinite(columns.baseline)
        n, unscored = int(scored.sum()), int((~scored).sum())
        allowed = self.max_unscored_fraction
        if unscored > allowed * scored.size:
            why = f" ({columns.why_unscored})" if columns.why_unscored else ""
            problem = f"{unscored} of {scored.size} items are unscored{why}, max_unscored_fraction allows {allowed:g}"
            return self._undecided(problem, n, unscored)
        if n < self.rule.min_items:
            problem = f"{n} scored items, min_items asks for {self.rule.min_items}"
            return self._undecided(problem, n, unscored, more_items=self.rule.min_items - n)
        kept = columns.where(scored)
        for denominator, whose in (
            (kept.candidate_denominator, "candidate"),
            (kept.baseline_denominator, self.against),
        ):
            if denominator is not None and not denominator.any():
                return self._undecided(f"the denominators of {whose} sum to 0, so that it has no ratio", n, unscored)
        candidate = _value(kept.candidate, kept.candidate_denominator)
        baseline = None if kept.baseline is None else _value(kept.baseline, kept.baseline_denominator)
        interval = _interval(columns, unscored, alpha)
        if self.judge is not None:
            interval = with_judge(interval, self.judge, alpha, paired=baseline is not None)
            candidate = candidate if baseline is not None else interval.difference
        outcome = Outcome(self.rule.outcome(interval.lower, interval.upper, self.part))
        lower, upper = rounded(interval.lower), rounded(interval.upper)
        more = None
        if outcome is Outcome.UNDECIDED:
            # Worst cases of unscored items, ratios and what a judge adds are no counts that could be multiplied.
            counts = not unscored and kept.candidate_denominator is None and self.judge is None
            measured = interval if counts else interval._replace(method="")
            more = more_items(measured, kept.candidate, kept.baseline, kept.clusters, self.limit, alpha)
        return self.reason(
            outcome,
            interval.method,
            self._text(candidate, baseline, interval, outcome, n, unscored, alpha, more),
            candidate=rounded(candidate),
            baseline=None if baseline is None else rounded(baseline),
            difference=None if baseline is None else rounded(interval.difference),
            lower=lower,
            upper=upper,
            alpha=alpha,
            n=n,
            unscored=unscored,
            more_items=more,
        )

    def reason(self, outcome: Outcome, method: str, text: str, **numbers: Any) -> Reason:
        """A reason of this rule; ``numbers`` are the fields of ``Reason`` that were worked out."""
        return Reason(
            rule=self.name,
            suite=self.rule.suite,
            metric=self.rule.metric,
            kind=self.rule.kind,
            direction=self.rule.direction.value,
            against=self.against,
            slice=self.slice,
            outcome=outcome,
            limit=self.limit,
            method=method,
            text=text,
            **numbers,
        )

    def _undecided(self, problem: str, n: int = 0, unscored: int = 0, more_items: int | None = None) -> Reason:
        against = f" against {self.against}" if self.against else ""
        place = f" [{self.slice}]" if self.slice else ""
        text = f"{self.rule.suite}/{self.rule.metric}{place} cannot be judged{against}: {problem}"
        return self.reason(Outcome.UNDECIDED, NOT_EVALUATED, text, n=n, unscored=unscored, more_items=more_items)

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
            verb = "rose" if interval.difference > 0 else "fell" if interval.difference < 0 else "did not move"
            moved = f" {_number(abs(interval.difference))}" if interval.difference else ""
            change = f"{verb}{moved} ({_number(baseline)} -> {_number(candidate)}, n={n}) against {self.against}"
        judged = f", {self.judge.description}" if self.judge else ""
        counted = f", {unscored} unscored counted as worst case" if unscored else ""
        level = f"{100 * (1 - 2 * alpha):.4g}% interval [{_number(interval.lower)}, {_number(interval.upper)}]"
        return (
            f"{subject} {change}, limit {_number(self.limit)}, {level}, {interval.method}{counted}{judged}: "
            f"{self._conclusion(outcome, more_items)}"
        )

    def _conclusion(self, outcome: Outcome, more_items: int | None) -> str:
        if outcome is Outcome.UNDECIDED:
            items = "item" if more_items == 1 else "items"
            more = f"undecided, about {more_items} more {items} would decide it" if more_items else "undecided"
            return more + (", a slice does not block unless it is proven worse" if self.slice else "")
        return self.rule.words.proven if outcome is Outcome.PASS else self.rule.words.broken


def strength(reason: Reason) -> float:
    """Distance of the estimate from the limit, in half-widths of its interval; 0 where nothing was estimated."""
    estimate = reason.candidate if reason.difference is None else reason.difference
    if estimate is None or reason.limit is None or reason.lower is None or reason.upper is None:
        return 0.0
    half = (reason.upper - reason.lower) / 2.0
    return round(abs(estimate - reason.limit) / half, 6) if half > 0.0 else math.inf


def holm(
    groups: Sequence[Sequence[Check]],
    proves: Callable[[Sequence[Reason]], bool],
    alphas: Sequence[float],
    of_what: str,
) -> list[list[Reason]]:
    """Answer groups of checks at Holm's step-down levels (Scandinavian Journal of Statistics 6, 1979, 65-70).

    Args:
        groups: Each is one hypothesis; all its checks are answered at the same level.
        proves: Whether a group's reasons prove what is looked for.
        alphas: One-sided error of each group before the correction.
        of_what: Names the groups in the reasons.

    Returns:
        The reasons of each group at the level at which it was proven, or at the last level that was tried.
    """
    control = f"Holm over {len(groups)} {of_what}" if len(groups) > 1 else ""
    proven: dict[int, list[Reason]] = {}
    while True:
        left = len(groups) - len(proven)
        tried = {
            i: [check.answer(alphas[i] / left) for check in group] for i, group in enumerate(groups) if i not in proven
        }
        found = {i: reasons for i, reasons in tried.items() if proves(reasons)}
        proven |= found
        if not found or len(proven) == len(groups):
            answers = [proven[i] if i in proven else tried[i] for i in range(len(groups))]
            return [[_corrected(reason, control) for reason in reasons] for reasons in answers]


def _corrected(reason: Reason, control: str) -> Reason:
    if not control or reason.alpha is None:
        return reason
    return reason.model_copy(update={"correction": control, "text": f"{reason.text} ({control})"})


def value_interval(table: ScoreTable, metric: str, alpha: float) -> Interval:
    """The gate's interval of one model's own value over its scored items; a ratio and a judge as in its rules."""
    columns = columns_of(table, None, metric)
    scored = np.isfinite(columns.candidate)
    if columns.candidate_denominator is not None:
        scored = scored & np.isfinite(columns.candidate_denominator)
    interval = _estimate(columns.where(scored), alpha)
    judge = table.info.judges.get(metric)
    return with_judge(interval, judge, alpha, paired=False) if judge else interval


def _interval(columns: Columns, unscored: int, alpha: float) -> Interval:
    if not unscored:
        return _estimate(columns, alpha)
    sides = [(columns.candidate, columns.candidate_denominator)]
    if columns.baseline is not None:
        sides.append((columns.baseline, columns.baseline_denominator))
    complete = columns.where(np.isfinite(columns.candidate) & np.isfinite(sides[-1][0]))
    estimate = _estimate(complete, alpha)
    shares = [_known_shares(*side) for side in sides]
    lowest, highest = min(float(known.min()) for known in shares), max(float(known.max()) for known in shares)
    signed = lowest < 0.0 and columns.candidate_denominator is not None
    if not columns.may_be_bounded or highest > 1.0 or lowest < (-1.0 if signed else 0.0):
        method = "none: unscored items, and the scores have no known bounds"
        return estimate._replace(lower=-math.inf, upper=math.inf, method=method)
    least = -1.0 if signed else 0.0
    low, high = _estimate(_filled(columns, least, 1.0), alpha), _estimate(_filled(columns, 1.0, least), alpha)
    return estimate._replace(lower=low.lower, upper=high.upper, method=low.method)


def _known_shares(scores: Floats, denominator: Floats | None) -> Floats:
    """Each scored item's own value; infinite where a ratio's item counts something out of nothing."""
    known = np.isfinite(scores)
    if denominator is None:
        return scores[known]
    weights = denominator[known]
    empty = np.where(scores[known] == 0.0, 0.0, np.inf)
    return np.divide(scores[known], weights, out=empty, where=weights > 0.0)


def _filled(columns: Columns, candidate: float, baseline: float) -> Columns:
    """Unscored items at these scores; of a ratio, with their own denominator, or the largest known one of the side."""
    own, own_denominator = _completed(columns.candidate, columns.candidate_denominator, candidate)
    filled = replace(columns, candidate=own, candidate_denominator=own_denominator)
    if columns.baseline is None:
        return filled
    other, other_denominator = _completed(columns.baseline, columns.baseline_denominator, baseline)
    return replace(filled, baseline=other, baseline_denominator=other_denominator)


def _completed(scores: Floats, denominator: Floats | None, score: float) -> tuple[Floats, Floats | None]:
    if denominator is None:
        return np.where(np.isfinite(scores), scores, score), None
    weights = np.where(np.isfinite(denominator), denominator, np.nanmax(denominator))
    return np.where(np.isfinite(scores), scores, score * weights), weights


def _estimate(columns: Columns, alpha: float) -> Interval:
    bounded = columns.may_be_bounded
    if columns.candidate_denominator is not None:
        own = Ratio(columns.candidate, columns.candidate_denominator)
        if columns.baseline is None or columns.baseline_denominator is None:
            return ratio_interval(own, columns.clusters, alpha, bounded)
        other = Ratio(columns.baseline, columns.baseline_denominator)
        return paired_ratio_interval(own, other, columns.clusters, alpha, bounded)
    if columns.baseline is None:
        return mean_interval(columns.candidate, columns.clusters, alpha, bounded)
    return paired_interval(columns.candidate, columns.baseline, columns.clusters, alpha, bounded)


def _value(scores: Floats, denominator: Floats | None) -> float:
    return exact_sum(scores) / (scores.size if denominator is None else exact_sum(denominator))


def rounded(value: float) -> float | None:
    """To ``DIGITS``, never minus zero; None where it is not finite."""
    return round(value, DIGITS) + 0.0 if math.isfinite(value) else None


def _number(value: float) -> str:
    """Three decimals, or two digits of something smaller."""
    if value == 0.0 or abs(value) >= 0.0005:
        return f"{value:.3f}"
    return f"{value:.2g}"
