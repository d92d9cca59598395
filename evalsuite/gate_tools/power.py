"""What a policy can prove on the items that there are, before anything is run.

A rule is weak when a candidate that did not change (a guard) or that gained twice what is asked (a target) passes it
less than four times in five.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict

from evalsuite.gate.feasibility import KnownSet
from evalsuite.gate.policy import GatePolicy, named
from evalsuite.gate.rules import COSTS, Rule, rounded_up
from evalsuite.gate_tools.designs import (
    Design,
    PairedRates,
    Rate,
    Recorded,
    difference_for,
    items_for,
    sequential_items,
)
from evalsuite.stats.alternatives import Floats, Index

LIKELY, SURE = 0.8, 0.95
"""The chances of a proof for which differences are given (fraction 0..1)."""
ASSUMED_DISCORDANCE = 0.25
"""Share of items on which two near models differ, where nothing is recorded (fraction 0..1).

The mean over the 48 ordered pairs, within 6 points, of 13 models whose answers to MMLU-Pro are recorded is 0.257. A
graded score moves no further than a right-or-wrong one, so that it is a safe guess there too.
"""

_NO_ITEMS = "no item of the set has this metric"
_UNKNOWN_SIZE = "n is unknown: the set is not here and was never evaluated"


@dataclass(frozen=True)
class Pairs:
    """Recorded scores of two models on the same items, as the metric counts them."""

    candidate: Floats
    """Finite, shape (n,)."""
    baseline: Floats
    clusters: Index | None
    strata: tuple[str, ...]
    source: str
    """Whose they are, in words."""
    slices: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


class Scenario(BaseModel):
    """What to expect if the truth is this."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str
    difference: float
    """True difference, candidate - baseline, in the metric's unit."""
    passes: float
    """Chance that the n items prove the rule (fraction 0..1)."""
    fails: float
    """Chance that they prove it broken."""
    items: int | None
    """Items that decide it four times in five; None where no number does."""
    hours: float | None
    """Evaluating one model on them; None where no speed is recorded."""
    sequential_items: float | None = None
    """Mean items of the sequential test; None where it was not asked for or the scores do not allow it."""
    sequential_hours: float | None = None


class RulePower(BaseModel):
    """What one rule can prove against one baseline."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    rule: str
    n: int | None
    alpha: float
    limit: float
    """The bound on candidate - baseline, or on the value."""
    basis: str
    """Where the spread comes from."""
    passes_at: dict[str, float | None]
    """Chance ("0.8", "0.95") -> the least true difference (value) that passes so often; None where none does."""
    fails_at: dict[str, float | None]
    """Chance -> the least detectable loss: the true difference that is proven to break the rule so often."""
    scenarios: tuple[Scenario, ...]
    slices: str | None
    """The slices' sizes and what the smallest can show, in words."""
    weak: bool
    remedy: str | None
    """What would do, in words."""


def plan_power(
    policy: GatePolicy,
    sets: Mapping[str, KnownSet],
    pairs: Mapping[tuple[str, str, str], Pairs],
    roles: Sequence[str],
    *,
    num_candidates: int = 1,
    discordance: float = ASSUMED_DISCORDANCE,
    sequential: bool = False,
) -> tuple[RulePower, ...]:
    """Work out every rule but the cost limits, which are exact.

    Args:
        policy: The rules.
        sets: Suite -> what is known of its items.
        pairs: (suite, metric, role) -> recorded scores; the baseline's own for a floor or ceiling count as well.
        roles: Baselines that there will be: base, champion.
        num_candidates: Candidates that will be compared; alpha is divided by it.
        discordance: Share of the items that differ, where nothing is recorded (fraction 0..1).
        sequential: Estimate the sequential test too; needs recorded scores within [0, 1].
    """
    found = []
    for rule in policy.rules:
        if rule.suite == COSTS:
            continue
        known = sets.get(rule.suite, KnownSet(None))
        with named(rule.kind):
            for role in rule.baselines(roles):
                recorded = pairs.get((rule.suite, rule.metric, role or "base"))
                alpha = policy.first_alpha(rule, num_candidates)
                found.append(_Plan(rule, role, known, recorded, alpha, discordance, sequential).result())
    return tuple(found)


class _Plan:
    """One rule, oriented so that better is higher."""

    def __init__(
        self,
        rule: Rule,
        role: str | None,
        known: KnownSet,
        recorded: Pairs | None,
        alpha: float,
        discordance: float,
        sequential: bool,
    ) -> None:
        self.rule, self.role, self.known, self.recorded, self.alpha = rule, role, known, recorded, alpha
        self.sequential = sequential
        self.one_sample = not rule.paired
        self.flip = not rule.holds_above(rule.direction)
        self.limit = rule.oriented()
        self.design, self.basis = self._design(discordance)
        size = known.size(rule.metric)
        self.n = size if size is not None or recorded is None else recorded.candidate.size

    def _design(self, discordance: float) -> tuple[Design, str]:
        pairs = self.recorded
        if pairs is None:
            if self.one_sample:
                return Rate(), "exact, as right-or-wrong scores"
            return PairedRates(discordance), f"assumed: {100 * discordance:g}% of the items differ"
        mine, theirs = self._oriented(pairs)
        binary = bool((((mine == 0) | (mine == 1)) & ((theirs == 0) | (theirs == 1))).all())
        if binary and pairs.clusters is None:
            if self.one_sample:
                return Rate(), "exact, as right-or-wrong scores"
            differ = float((mine != theirs).mean())
            return PairedRates(differ), f"{pairs.source}: {100 * differ:.1f}% of {mine.size} items differ"
        lowest = 0.0 if self.one_sample else -1.0
        design = Recorded(mine, None if self.one_sample else theirs, pairs.clusters, lowest)
        return design, f"{pairs.source}: {mine.size} items, one item's deviation {design.deviation(0.0):.3f}"

    def _oriented(self, pairs: Pairs) -> tuple[Floats, Floats]:
        return (1.0 - pairs.candidate, 1.0 - pairs.baseline) if self.flip else (pairs.candidate, pairs.baseline)

    def _shown(self, difference: float | None) -> float | None:
        """An oriented difference or value in the metric's own direction."""
        if difference is None or not self.flip:
            return None if difference is None else round(difference, 6)
        return round((1.0 - difference if self.one_sample else -difference) + 0.0, 6)

    def result(self) -> RulePower:
        n = self.n
        scenarios = self._scenarios() if n else ()
        weak, remedy = self._verdict(scenarios) if n else (False, None)
        chances = {str(chance): chance for chance in (LIKELY, SURE)}

        def at(loss: bool) -> dict[str, float | None]:
            return {
                name: self._shown(difference_for(self.design, n, self.alpha, self.limit, chance, loss=loss))
                if n
                else None
                for name, chance in chances.items()
            }

        return RulePower(
            rule=self.rule.name(self.role),
            n=n,
            alpha=self.alpha,
            limit=self._shown(self.limit) or 0.0,
            basis=self.basis if n else _NO_ITEMS if n == 0 else _UNKNOWN_SIZE,
            passes_at=at(loss=False),
            fails_at=at(loss=True),
            scenarios=scenarios,
            slices=self._slices(),
            weak=weak,
            remedy=remedy,
        )

    def _scenarios(self) -> tuple[Scenario, ...]:
        return tuple(self._scenario(name, difference) for name, difference in self._truths().items())

    def _truths(self) -> dict[str, float]:
        if self.rule.likely_at is None:
            return {"no change": 0.0} if self.rule.paired else {}
        what, size = ("gain", self.rule.size()) if self.rule.asks_gain else ("margin lost", -self.rule.size())
        return {"no change": 0.0, f"half the {what}": size / 2.0, f"twice the {what}": 2.0 * size}

    def _scenario(self, name: str, difference: float) -> Scenario:
        n = self.n or 0
        items = items_for(self.design, self.alpha, self.limit, difference, LIKELY)
        stopped = self._sequential(difference) if self.sequential else None
        return Scenario(
            name=name,
            difference=self._shown(difference) or 0.0,
            passes=round(self.design.passes(n, self.alpha, self.limit, difference), 4),
            fails=round(self.design.fails(n, self.alpha, self.limit, difference), 4),
            items=items,
            hours=self._hours(items),
            sequential_items=stopped,
            sequential_hours=self._hours(stopped),
        )

    def _sequential(self, difference: float) -> float | None:
        if self.recorded is None:
            return None
        mine, theirs = self._oriented(self.recorded)
        if not (((mine >= 0) & (mine <= 1)) & ((theirs >= 0) & (theirs <= 1))).all():
            return None
        found = sequential_items(mine, theirs, self.recorded.strata, self.limit, self.alpha, difference)
        return round(found.mean_items, 1)

    def _hours(self, items: float | None) -> float | None:
        speed = self.known.seconds_per_item
        return None if items is None or speed is None else round(items * speed / 3600.0, 4)

    def _verdict(self, scenarios: Sequence[Scenario]) -> tuple[bool, str | None]:
        """Whether the rule is too weak for what it asks, and what would do."""
        if self.rule.likely_at is None or self.n is None:
            return False, None
        wanted = scenarios[list(self._truths().values()).index(self.rule.likely_at)]
        if wanted.passes >= LIKELY:
            return False, None
        ways = [f"{wanted.items:,} items"] if wanted.items is not None and wanted.items > self.n else []
        size = self._enough(self.n)
        if size is not None:
            ways.append(f"a {self.rule.words.size} of {size:.3g}")
        chance = f"{wanted.name} passes only {100 * wanted.passes:.0f} times in 100"
        return True, f"{chance} at n={self.n:,}" + (f"; enough would be {' or '.join(ways)}" if ways else "")

    def _enough(self, n: int) -> float | None:
        """The least margin (least gain) at which no change (twice the gain) passes four times in five."""

        def passes(size: float) -> bool:
            rule = self.rule.model_copy(update={self.rule.takes: size})
            return self.design.passes(n, self.alpha, rule.oriented(), rule.likely_at or 0.0) >= LIKELY

        low, high = 0.0, 0.5 if self.rule.asks_gain else 1.0
        if not passes(high):
            return None
        while high - low > 5e-4 * high:
            middle = (low + high) / 2.0
            low, high = (low, middle) if passes(middle) else (middle, high)
        return rounded_up(high)

    def _slices(self) -> str | None:
        key = self.rule.slices
        if key is None:
            return None
        sizes = (self.known.slices or (self.recorded.slices if self.recorded else {})).get(key, {})
        if not sizes:
            return f"{key}: sizes unknown"
        name, n = min(sizes.items(), key=lambda pair: (pair[1], pair[0]))
        limit = self.rule.oriented(name)
        loss = difference_for(self.design, n, self.alpha / len(sizes), limit, LIKELY, loss=True)
        can = "no loss can be proven" if loss is None else f"a change of {self._shown(loss):+.3f} is found 4 times in 5"
        return f"{len(sizes)} slices of {key}, {n} to {max(sizes.values())} items; in the smallest ({name}) {can}"
