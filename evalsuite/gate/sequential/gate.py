"""The gate while a candidate is being evaluated: which rules are decided, and whether one is proven broken.

It computes what ``decide`` computes from the stored items afterwards, with the same bets in the same order, so that a
suite that was stopped is judged again from its files. Stopping is never what proves something: the chance that a bet
ever reaches 1 / alpha while its rule's opposite is true is at most alpha over the whole order, wherever one stops.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from evalsuite.core.errors import UsageError
from evalsuite.gate.decide import decide
from evalsuite.gate.pairing import difference_between, sort_by_id
from evalsuite.gate.policy import GatePolicy
from evalsuite.gate.rules import Outcome, Rule
from evalsuite.gate.sequential.betting import SequentialCheck, new_bet, no_bet_because
from evalsuite.gate.sequential.prefixes import must_pass_ids, order_of
from evalsuite.items.results import EvalReport, ItemResult, ScoreTable, SuiteResult


class Status(StrEnum):
    """What a rule says of the candidate so far."""

    PROMOTABLE = "promotable"
    REJECTABLE = "rejectable"
    CONTINUE = "continue"
    OPEN = "open"
    """All items have been run, and neither is proven."""


STATUS = {Outcome.PASS: Status.PROMOTABLE, Outcome.FAIL: Status.REJECTABLE, Outcome.UNDECIDED: Status.CONTINUE}


class RuleState(NamedTuple):
    """One rule against one baseline."""

    rule: str
    """Id of the reason, such as ``golden/json_exact:guard:base``."""
    status: Status
    waits_because: str = ""
    """Why it can only be judged when all items have been run; empty where it is betted on."""


@dataclass
class _Suite:
    tables: dict[str, ScoreTable]
    """Comparable full results by role."""
    ids: tuple[str, ...]
    """In the order of evaluation."""
    must_pass: dict[str, tuple[str, ...]]
    """Metrics that an item must score 1.0 on."""
    rules: list[Rule]
    bets: list[SequentialCheck] = field(default_factory=list)
    waiting: list[RuleState] = field(default_factory=list)
    applies: dict[str, frozenset[str]] = field(default_factory=dict)
    """Metric of a bet -> ids of the items that it applies to."""
    num_run: int = 0
    settled: list[RuleState] | None = None
    """What the rules say when all items have been run."""


class SequentialGate:
    """Takes a candidate's items as they are scored, suite by suite, in the order of each set."""

    def __init__(self, baselines: Mapping[str, EvalReport], policy: GatePolicy, num_candidates: int = 1) -> None:
        """Nothing is scored yet.

        Args:
            baselines: Full results by role, ``base`` and ``champion``.
            policy: The rules.
            num_candidates: Candidates that are compared on these items; alpha is divided by it.
        """
        self._baselines = {role: sort_by_id(baselines[role]) for role in sorted(baselines)}
        self._policy, self._num_candidates = policy, num_candidates
        self._suites: dict[str, _Suite] = {}
        self.violations: list[str] = []
        """Ids of what is proven broken, in the order of the proofs."""

    def order(self, suite: str) -> tuple[str, ...]:
        """Item ids in the order of evaluation."""
        return self._suite(suite).ids

    def must_pass(self, suite: str) -> frozenset[str]:
        """Ids of the items that must score 1.0 on some metric."""
        return frozenset(self._suite(suite).must_pass)

    def reference(self, suite: str) -> ScoreTable:
        """A baseline's full results, which name the items of the set.

        Raises:
            UsageError: No baseline has the suite.
        """
        return next(iter(self._suite(suite).tables.values()))

    def check_must_pass(self, suite: str, items: Sequence[ItemResult]) -> None:
        """Look at items that must pass before their turn in the order."""
        required = self._suite(suite).must_pass
        for item in items:
            for metric in required.get(item.item_id, ()):
                value = item.value(metric)
                if value is not None and value < 1.0:
                    self._violated(f"{suite}/{metric}:must_pass")

    def advance(self, suite: str, items: Sequence[ItemResult]) -> list[RuleState]:
        """Feed the next items of a suite in the order of evaluation.

        Returns:
            ``states`` after them.

        Raises:
            UsageError: They are not the next items.
        """
        state = self._suite(suite)
        expected = state.ids[state.num_run : state.num_run + len(items)]
        if tuple(item.item_id for item in items) != expected:
            raise UsageError(f"suite {suite!r}: these are not the next items after {state.num_run} in the set's order")
        state.num_run += len(items)
        self.check_must_pass(suite, items)
        asked = [frozenset(item.metrics) for item in items]
        for check in list(state.bets):
            name, metric = check.name, check.rule.metric
            applying = state.applies[metric]
            turns = [item.item_id in applying for item in items]
            alike = all((metric in own) == turn for own, turn in zip(asked, turns, strict=True))
            scores = np.array([i.scores.get(metric, np.nan) for i, turn in zip(items, turns, strict=True) if turn])
            if not alike or bool(((scores < 0.0) | (scores > 1.0)).any()):
                why = "a score is outside [0, 1], or the metric does not apply to the same items"
                state.waiting.append(RuleState(name, Status.CONTINUE, why))
                state.bets.remove(check)
            elif check.bet is not None:
                check.bet.advance(scores)
                if state.num_run < len(state.ids) and self._status(check) is Status.REJECTABLE:
                    self._absent(name) if self._policy.pools(check.rule) else self._violated(name)
        return self.states(suite)

    def settle(self, result: SuiteResult) -> list[RuleState]:
        """Judge a suite of which all items have been run; ``decide`` does it, slices and all.

        Returns:
            ``states`` after it.
        """
        suite = result.info.suite
        rules = [self._strict(rule) for rule in self._policy.rules if rule.suite == suite]
        state = self._suites.setdefault(suite, _Suite({}, (), {}, rules))
        state.settled = []
        pooled = {rule.kind for rule in rules if self._policy.pools(rule)}
        if rules:
            decision = decide(
                EvalReport("candidate", result.info.model_identity, {suite: result.table()}, {}),
                self._baselines,
                self._policy.model_copy(update={"rules": tuple(rules)}),
                num_candidates=self._num_candidates,
            )
            for reason in decision.reasons:
                if reason.suite != suite:
                    continue
                status = STATUS[reason.outcome]
                final = Status.OPEN if status is Status.CONTINUE else status
                state.settled.append(RuleState(reason.rule, final))
                if status is Status.REJECTABLE:
                    self._absent(reason.rule) if reason.kind in pooled else self._violated(reason.rule)
        return self.states(suite)

    def states(self, suite: str) -> list[RuleState]:
        """What each rule of a suite says now."""
        state = self._suite(suite)
        if state.settled is not None:
            return list(state.settled)
        return [*(RuleState(bet.name, self._status(bet)) for bet in state.bets), *state.waiting]

    def waits(self, suite: str) -> list[str]:
        """Rules that can only be judged when all items of the suite have been run, each with why."""
        return [f"{each.rule}: {each.waits_because}" for each in self._suite(suite).waiting]

    def decided(self, suite: str) -> bool:
        """Whether no rule of the suite needs another item; never where it has none: its items are for the report."""
        states = self.states(suite)
        rules = self._suite(suite).rules
        if self._policy.targets == "any" and self._target_met():
            targets = {name for rule in rules if self._policy.pools(rule) for name in self._names(rule)}
            states = [each for each in states if each.rule not in targets]
        return bool(rules) and all(each.status is not Status.CONTINUE for each in states)

    def _suite(self, suite: str) -> _Suite:
        if suite not in self._suites:
            self._suites[suite] = self._new_suite(suite)
        return self._suites[suite]

    def _new_suite(self, suite: str) -> _Suite:
        tables: dict[str, ScoreTable] = {}
        for name, report in self._baselines.items():
            if suite in report.suites and (
                not tables or difference_between(report.suites[suite], next(iter(tables.values())), "base") is None
            ):
                tables[name] = report.suites[suite]
        if not tables:
            raise UsageError(f"no baseline was evaluated on {suite!r}; run `ratchet stage evaluate_baseline@base`")
        reference = next(iter(tables.values()))
        ids = tuple(reference.item_ids[i] for i in order_of(reference).positions)
        required: dict[str, tuple[str, ...]] = {
            item: tuple(sorted({m for table in tables.values() for m in _must_pass_metrics(table, item)}))
            for item in sorted(frozenset().union(*(must_pass_ids(table) for table in tables.values())))
        }
        rules = [rule for rule in self._policy.rules if rule.suite == suite]
        state = _Suite(tables, ids, required, rules)
        for rule in rules:
            for role in rule.baselines(self._baselines):
                name = rule.name(role)
                why = self._waits(rule, role, tables)
                if why is not None:
                    state.waiting.append(RuleState(name, Status.CONTINUE, why))
                    continue
                bet = new_bet(rule, role, tables)
                allowed = self._policy.max_unscored_fraction
                state.bets.append(SequentialCheck(rule, role, None, max_unscored_fraction=allowed, bet=bet))
                mask = tables[role or next(iter(tables))].applies[rule.metric]
                state.applies[rule.metric] = frozenset(reference.item_ids[i] for i in np.flatnonzero(mask))
                if rule.slices is not None:
                    part = f"{name}[{rule.slices}=*]"
                    state.waiting.append(RuleState(part, Status.CONTINUE, "slices have no sequential test"))
        return state

    def _waits(self, rule: Rule, role: str | None, tables: Mapping[str, ScoreTable]) -> str | None:
        if role is not None and role not in tables:
            return f"the results of {role} are not comparable"
        reference = tables[role] if role else next(iter(tables.values()))
        if rule.metric not in reference.scores:
            return f"metric {rule.metric!r} is missing"
        return no_bet_because(rule, reference)

    def _names(self, rule: Rule) -> list[str]:
        return [rule.name(role) for role in rule.baselines(self._baselines)]

    def _strict(self, rule: Rule) -> Rule:
        """One of several targets counts as met when Holm's first step proves it."""
        if not self._policy.pools(rule):
            return rule
        return rule.model_copy(update={"alpha": self._policy.first_alpha(rule, 1, self._baselines)})

    def _status(self, check: SequentialCheck) -> Status:
        rule = check.rule
        strict = STATUS[check.outcome(self._policy.first_alpha(rule, self._num_candidates, self._baselines))]
        if strict is Status.PROMOTABLE or not self._policy.pools(rule):
            return strict
        loose = STATUS[check.outcome(self._policy.alpha_of(rule, self._num_candidates))]
        return loose if loose is Status.REJECTABLE else Status.CONTINUE

    def _target_met(self) -> bool:
        """Whether one of several targets is proven against each of its baselines."""
        found = {each.rule: each.status for suite in self._suites for each in self.states(suite)}
        return any(
            all(found.get(name) is Status.PROMOTABLE for name in names)
            for rule in self._policy.rules
            if self._policy.pools(rule) and (names := self._names(rule))
        )

    def _absent(self, name: str) -> None:
        """A target of several is proven absent; all of them must be to reject."""
        found = {each.rule: each.status for suite in self._suites for each in self.states(suite)} | {
            name: Status.REJECTABLE
        }
        if all(
            any(found.get(name) is Status.REJECTABLE for name in names)
            for rule in self._policy.rules
            if self._policy.pools(rule) and (names := self._names(rule))
        ):
            self._violated(name)

    def _violated(self, name: str) -> None:
        if name not in self.violations:
            self.violations.append(name)


def _must_pass_metrics(table: ScoreTable, item_id: str) -> list[str]:
    at = table.item_ids.index(item_id) if item_id in table.item_ids else -1
    return [metric for metric, mask in table.must_pass.items() if at >= 0 and mask[at]]
