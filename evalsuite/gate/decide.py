"""The promotion gate: evidence and policy in, a decision out, and nothing else read.

Only positive evidence passes. A rule is asked of the whole suite and, where it names a slice key, of each slice:

- PROMOTE: every whole-suite rule and every must-pass item is proven.
- REJECT: something is proven not to hold: a margin, floor, ceiling or must-pass item, or a gain is proven absent.
- INCONCLUSIVE: neither. What cannot be compared, is unscored or too small is undecided; it never passes or fails.

Slices may only reject. A slice fails when it is proven worse at Holm's level over all slices of its rule: the chance
that any of fifty equal slices fails is at most alpha, however they depend on each other. A slice that is merely
undecided does not block, since with fifty small slices some always are: the whole-suite rule is what must be proven.

Alpha is divided by the number of candidates that were compared on these items, which pays for the choice among them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from evalsuite.core.errors import UsageError
from evalsuite.core.files import sha256_json
from evalsuite.gate.cautions import cautions, contamination_caution, lighter_cautions
from evalsuite.gate.costs import cost_reason, relative_cost_reason
from evalsuite.gate.decision import NOT_EVALUATED, Decision, Reason, Verdict
from evalsuite.gate.judging import Check, holm, strength
from evalsuite.gate.must_pass import must_pass_reasons
from evalsuite.gate.pairing import (
    Hashed,
    Sortings,
    clustered_by,
    columns_of,
    difference_between,
    sort_by_id,
    table_sha256,
)
from evalsuite.gate.policy import GatePolicy, named
from evalsuite.gate.rules import COSTS, ROLES, Outcome, Rule
from evalsuite.gate.sequential.betting import sequential_check
from evalsuite.items.results import EvalReport, ScoreTable


def decide(
    candidate: EvalReport,
    baselines: Mapping[str, EvalReport],
    policy: GatePolicy,
    *,
    num_candidates: int = 1,
    inputs_sha256: str = "",
    code_sha256: str = "",
    looks: Mapping[str, int] | None = None,
    excluded: Mapping[str, int] | None = None,
    on_all_items: str = "",
) -> Decision:
    """Judge a candidate; a pure function of its arguments.

    Args:
        candidate: Results of the candidate.
        baselines: Results by role, ``base`` and ``champion``.
        policy: The rules.
        num_candidates: Candidates that were compared on these items; alpha is divided by it.
        inputs_sha256: Hash of the run's inputs, carried into the decision.
        code_sha256: Hash of the gate's sources, carried into the decision.
        looks: Suite -> other models that got a verdict on these test items before.
        excluded: Suite -> items that are in no average, because training rows give them away.
        on_all_items: Headline of the decision with those items; carried into the decision.

    Raises:
        UsageError: An unknown role, or ``num_candidates`` below 1.
    """
    for role in baselines:
        if role not in ROLES:
            raise UsageError(f"baseline {role!r} is unknown, expected {' or '.join(ROLES)}")
    if num_candidates < 1:
        raise UsageError(f"num_candidates is {num_candidates}, expected 1 or more")
    known: Sortings = []
    sorted_baselines = {role: sort_by_id(baselines[role], known) for role in sorted(baselines)}
    bench = _Bench(sort_by_id(candidate, known), sorted_baselines, policy)
    verdict, reasons = _judge(bench, num_candidates)
    fields = {
        "schema_version": 1,
        "verdict": verdict,
        "headline": _headline(verdict, reasons),
        "candidate": candidate.model,
        "candidate_identity": candidate.identity,
        "baselines": {role: report.identity for role, report in bench.baselines.items()},
        "num_candidates": num_candidates,
        "policy": policy,
        "policy_sha256": sha256_json(policy.model_dump(mode="json")),
        "evidence": bench.evidence(),
        "inputs_sha256": inputs_sha256,
        "code_sha256": code_sha256,
        "reasons": reasons,
        "warnings": (
            *cautions(policy, reasons, bench.candidate.suites, looks or {}),
            *lighter_cautions(policy, bench.candidate.suites, bench.baselines),
            *contamination_caution(excluded or {}, on_all_items),
        ),
        "looks": dict(sorted((looks or {}).items())),
        "excluded": dict(sorted((excluded or {}).items())),
        "on_all_items": on_all_items,
    }
    unsigned = Decision.model_validate({"decision_id": "", **fields})
    return unsigned.model_copy(update={"decision_id": decision_id(unsigned)})


def judge(
    candidate: EvalReport, baselines: Mapping[str, EvalReport], policy: GatePolicy, num_candidates: int = 1
) -> tuple[Verdict, tuple[Reason, ...]]:
    """Verdict and reasons as ``decide`` gives them, of reports in the order of item ids; nothing is hashed."""
    return _judge(_Bench(candidate, baselines, policy), num_candidates)


def _judge(bench: "_Bench", num_candidates: int) -> tuple[Verdict, tuple[Reason, ...]]:
    whole, slices, targets = bench.answers(num_candidates)
    others = [*bench.not_comparable(), *must_pass_reasons(bench.candidate, bench.baselines)]
    verdict = _verdict(whole, slices, targets, others)
    return verdict, _ordered(
        [*whole, *slices, *others, *(reason for group in targets for reason in group)], verdict, bench.policy
    )


def decision_id(decision: Decision) -> str:
    """sha256 of every field of a decision but its id."""
    return sha256_json(decision.model_dump(mode="json", exclude={"decision_id"}))


class _Bench:
    """The sorted reports, and the checks that the policy makes of them."""

    def __init__(self, candidate: EvalReport, baselines: Mapping[str, EvalReport], policy: GatePolicy) -> None:
        self.candidate = candidate
        self.baselines = baselines
        self.policy = policy
        self.problems: dict[tuple[str, str], str] = {}
        self.sets: dict[str, dict[str, ScoreTable]] = {}
        for suite in sorted({rule.suite for rule in policy.rules}):
            for role in {role for rule in policy.rules if rule.suite == suite for role in self._compared(rule)}:
                problem = self._comparison_problem(suite, role)
                if problem is not None:
                    self.problems[suite, role] = problem

    def _comparison_problem(self, suite: str, role: str) -> str | None:
        if role not in self.baselines:
            return f"there is no {role} report"
        for name, report in (("candidate", self.candidate), (role, self.baselines[role])):
            if suite not in report.suites:
                known = ", ".join(sorted(report.suites)) or "none"
                return f"suite {suite!r} is missing from the {name} report, which has {known}"
        return difference_between(self.candidate.suites[suite], self.baselines[role].suites[suite], role)

    def _compared(self, rule: Rule) -> list[str]:
        """Baselines whose items a rule's must be: those that it is measured against, for absolute rules all there are.

        A floor over items that the candidate's results chose would be no floor.
        """
        if rule.paired:
            return [role for role in rule.baselines(self.baselines) if role is not None]
        return [role for role, report in self.baselines.items() if rule.suite in report.suites]

    def answers(self, num_candidates: int) -> tuple[list[Reason], list[Reason], list[list[Reason]]]:
        """Whole-suite reasons, slice reasons, and one group a target where one target is enough."""
        whole: list[Reason] = []
        slices: list[Reason] = []
        groups: list[list[Check]] = []
        group_alphas: list[float] = []
        for rule in self.policy.rules:
            alpha = self.policy.alpha_of(rule, num_candidates)
            if rule.suite == COSTS:
                with named(rule.kind):
                    whole.extend(self._cost_reasons(rule))
                continue
            checks = [self._check(rule, role) for role in rule.baselines(self.baselines)]
            if self.policy.pools(rule):
                if checks:
                    groups.append(checks)
                    group_alphas.append(alpha)
                continue
            whole.extend(check.answer(alpha) for check in checks)
            if rule.slices is not None:
                parts = [part for check in checks for part in self._slices(check, rule.slices)]
                unknown = [part for part in parts if part.columns is None]
                known = [part for part in parts if part.columns is not None]
                whole.extend(part.answer(alpha) for part in unknown)
                for answered in holm([[part] for part in known], _any_fails, [alpha] * len(known), "slices"):
                    slices.extend(answered)
        proven = holm(groups, _all_pass, group_alphas, "targets")
        return (
            whole,
            slices,
            [
                reasons if _all_pass(reasons) else _absent_or(reasons, group, alpha)
                for reasons, group, alpha in zip(proven, groups, group_alphas, strict=True)
            ],
        )

    def _cost_reasons(self, rule: Rule) -> list[Reason]:
        if rule.relative_to is None:
            return [cost_reason(rule, self.candidate.costs)]
        prefixes = (table.info.prefix for table in self.candidate.suites.values())
        whole = all(prefix is None or prefix.num_ordered == prefix.num_items for prefix in prefixes)
        return [
            relative_cost_reason(rule, self.candidate.costs, role, self.baselines.get(role), whole)
            for role in rule.relative_to.roles(self.baselines)
        ]

    def _check(self, rule: Rule, role: str | None) -> Check:
        problems = (self.problems.get((rule.suite, each)) for each in ((role,) if role else self._compared(rule)))
        problem = next((each for each in problems if each is not None), None)
        if role is None and rule.suite not in self.candidate.suites:
            known = ", ".join(sorted(self.candidate.suites)) or "none"
            problem = f"suite {rule.suite!r} is missing from the candidate report, which has {known}"
        if problem is not None:
            return Check(rule, role, None, problem)
        if self.candidate.suites[rule.suite].info.prefix is not None:
            run, sets = self.candidate.suites[rule.suite], self._comparable(rule.suite)
            sequential = sequential_check(rule, role, run, sets, self.policy.max_unscored_fraction)
            if sequential is not None:
                return sequential
        tables = {"candidate": self.candidate.suites[rule.suite]}
        if role is not None:
            tables[role] = self.baselines[role].suites[rule.suite]
        for name, table in tables.items():
            if rule.metric not in table.scores:
                known = ", ".join(sorted(table.scores)) or "none"
                return Check(rule, role, None, f"metric {rule.metric!r} is missing for {name}, which has {known}")
        asked = [self.baselines[each].suites[rule.suite] for each in (() if role else self._compared(rule))]
        columns = columns_of(tables["candidate"], tables[role] if role else None, rule.metric, asked)
        if rule.cluster is not None:
            if rule.cluster not in columns.slices:
                known = ", ".join(sorted(columns.slices)) or "none"
                return Check(rule, role, None, f"no item has slice key {rule.cluster!r} to cluster by; keys: {known}")
            columns = clustered_by(columns, rule.cluster)
        return Check(
            rule,
            role,
            columns,
            max_unscored_fraction=self.policy.max_unscored_fraction,
            judge=tables["candidate"].info.judges.get(rule.metric),
        )

    def _comparable(self, suite: str) -> dict[str, ScoreTable]:
        """The suite's results by role, those alone that are comparable."""
        if suite not in self.sets:
            self.sets[suite] = {
                role: report.suites[suite]
                for role, report in self.baselines.items()
                if self._comparison_problem(suite, role) is None
            }
        return self.sets[suite]

    def _slices(self, check: Check, key: str) -> list[Check]:
        if check.slices_wait:
            problem = f"slices have no sequential test, so that {check.slices_wait}"
            return [Check(check.rule, check.against, None, problem, part="*")]
        check = check.fixed()
        if check.columns is None:
            return []
        if key not in check.columns.slices:
            known = ", ".join(sorted(check.columns.slices)) or "none"
            return [Check(check.rule, check.against, None, f"no item has slice key {key!r}; keys: {known}")]
        parts = check.columns.parts(key)
        absent = sorted(set(check.rule.slice_margins) - set(parts))
        if absent:
            problem = (
                f"slice_margins names {absent[0]!r}, which no item has; values of {key}: {', '.join(parts) or 'none'}"
            )
            return [Check(check.rule, check.against, None, problem)]
        if not parts:
            return [Check(check.rule, check.against, None, f"no item has a value of slice key {key!r}")]
        return [
            replace(check, columns=part, part=name)
            for name, part in parts.items()
            if part.candidate.size >= check.rule.slice_min_items
        ]

    def not_comparable(self) -> list[Reason]:
        """One reason for every suite that cannot be compared with a baseline that some rule asks for."""
        return [
            Reason(
                rule=f"{suite}:comparable:{role}",
                suite=suite,
                metric="*",
                kind="comparable",
                against=role,
                outcome=Outcome.UNDECIDED,
                method=NOT_EVALUATED,
                text=f"{suite} cannot be compared with {role}: {problem}",
            )
            for (suite, role), problem in sorted(self.problems.items())
        ]

    def evidence(self) -> dict[str, str]:
        """Hash of every table that was read, by ROLE/SUITE."""
        reports = {"candidate": self.candidate, **self.baselines}
        known: Hashed = []
        return {
            f"{role}/{suite}": table_sha256(table, known)
            for role, report in reports.items()
            for suite, table in report.suites.items()
        }


def _all_pass(reasons: Sequence[Reason]) -> bool:
    return bool(reasons) and all(reason.outcome is Outcome.PASS for reason in reasons)


def _any_fails(reasons: Sequence[Reason]) -> bool:
    return any(reason.outcome is Outcome.FAIL for reason in reasons)


def _absent_or(reasons: list[Reason], group: Sequence[Check], alpha: float) -> list[Reason]:
    """A target that is not proven: the uncorrected answers where they prove the gain absent.

    All targets must be proven absent to reject, and a conjunction needs no correction.
    """
    plain = [check.answer(alpha) for check in group]
    return [second if second.outcome is Outcome.FAIL else first for first, second in zip(reasons, plain, strict=True)]


def _verdict(
    whole: Sequence[Reason],
    slices: Sequence[Reason],
    targets: Sequence[Sequence[Reason]],
    others: Sequence[Reason],
) -> Verdict:
    absent = bool(targets) and all(_any_fails(group) for group in targets)
    if _any_fails([*whole, *slices, *others]) or absent:
        return Verdict.REJECT
    some_rule = bool(whole) or bool(targets)
    met = not targets or any(_all_pass(group) for group in targets)
    if some_rule and met and all(reason.outcome is Outcome.PASS for reason in [*whole, *others]):
        return Verdict.PROMOTE
    return Verdict.INCONCLUSIVE


def _ordered(reasons: Sequence[Reason], verdict: Verdict, policy: GatePolicy) -> tuple[Reason, ...]:
    """What decided the verdict first, then by strength; must-pass failures and what cannot be compared lead."""
    leading = {Verdict.REJECT: Outcome.FAIL, Verdict.PROMOTE: Outcome.PASS}.get(verdict, Outcome.UNDECIDED)
    rest = [outcome for outcome in (Outcome.FAIL, Outcome.UNDECIDED, Outcome.PASS) if outcome is not leading]
    gains = {rule.kind for rule in policy.rules if rule.asks_gain}
    kinds = gains if verdict is Verdict.PROMOTE else {"must_pass", "comparable"}

    def key(reason: Reason) -> tuple[int, bool, bool, float, str, str]:
        outcome = [leading, *rest].index(reason.outcome)
        aside = reason.slice is not None and verdict is not Verdict.REJECT
        return outcome, aside, reason.kind not in kinds, -strength(reason), reason.rule, reason.text

    return tuple(sorted(reasons, key=key))


def _headline(verdict: Verdict, reasons: Sequence[Reason]) -> str:
    if not reasons:
        return f"{verdict}: no rule of the policy applies to these baselines"
    if verdict is Verdict.PROMOTE:
        proven = sum(reason.slice is None and reason.outcome is Outcome.PASS for reason in reasons)
        checks = "1 whole-suite check is" if proven == 1 else f"{proven} whole-suite checks are"
        return f"{verdict}: {checks} proven; {reasons[0].text}"
    deciding = {Verdict.REJECT: Outcome.FAIL}.get(verdict, Outcome.UNDECIDED)
    more = sum(reason.outcome is deciding and reason.slice is None for reason in reasons[1:])
    if reasons[0].outcome is not deciding:
        return f"{verdict}: no rule of the policy applies to these baselines"
    return f"{verdict}: {reasons[0].text}" + (f" (and {more} more)" if more else "")
