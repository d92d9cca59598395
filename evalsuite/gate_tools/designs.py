"""Chances that the gate's own estimators prove a rule, and the items and differences that would give a wanted chance.

Differences are oriented: better is higher, and a rule is ``difference > limit`` (or ``value > limit`` for one sample).

| design | what is known | calculation |
|---|---|---|
| ``PairedRates`` | how many right-or-wrong pairs differ | exact, summed over every table of lost and gained items |
| ``Rate`` | nothing: one right-or-wrong sample | exact binomial |
| ``Recorded`` | scores of real items, graded or in clusters | draws from them, judged by ``paired_interval`` |

Exact power is a saw-tooth in n, since tables are whole numbers: one item more may cost a little of it.
"""

import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

from evalsuite.stats.alternatives import Floats, Index, resample, uniforms, with_difference
from evalsuite.stats.distributions import binomial_cdf, binomial_ppf, binomial_sf, normal_isf, normal_sf
from evalsuite.stats.paired import MIN_ITEMS_FOR_T, mean_interval, mover_limits, paired_interval
from evalsuite.stats.sequential import Hypothesis, SequentialTest, decision_time, evaluation_order

MAX_EXACT_ITEMS = 20_000
"""Above it the normal approximation takes over, which then differs by less than a tenth of a percent."""
MAX_DRAWN_ITEMS = 4_000
"""Recorded designs draw no more than this; a larger set's chances follow from it by the root of n."""
NUM_DRAWS = 400
MAX_ITEMS = 10**8
TAIL = 1e-10
TOLERANCE = 1e-5


class Design(Protocol):
    """What is known of the scores before they are there."""

    @property
    def lowest(self) -> float:
        """Least value that ``difference`` may take."""
        ...

    def passes(self, n: int, alpha: float, limit: float, difference: float) -> float:
        """Chance that n items prove ``difference > limit`` where the truth is ``difference``."""
        ...

    def fails(self, n: int, alpha: float, limit: float, difference: float) -> float:
        """Chance that n items prove ``difference < limit``."""
        ...

    def deviation(self, difference: float) -> float:
        """Standard deviation of one item's share of the estimate."""
        ...


@dataclass(frozen=True)
class PairedRates:
    """Right-or-wrong scores on both sides."""

    discordance: float
    """Share of the items on which the two models differ (fraction 0..1); at least the difference itself."""
    lowest: float = -1.0

    def passes(self, n: int, alpha: float, limit: float, difference: float) -> float:
        """See ``Design``."""
        if n > MAX_EXACT_ITEMS:
            return _normal_power(n, alpha, difference - limit, self.deviation(difference))
        differ = min(max(self.discordance, abs(difference)), 1.0)
        lost, gained = (differ - difference) / 2.0, (differ + difference) / 2.0
        low, high = binomial_ppf(TAIL, n, lost), binomial_ppf(1.0 - TAIL, n, lost)
        losses = np.arange(max(low, 0), min(max(high, low), n) + 1)
        least = _least_gained(n, alpha, limit)[losses]
        share = min(gained / (1.0 - lost), 1.0) if lost < 1.0 else 0.0
        chance = np.where(least <= n - losses, binomial_sf(least - 1, n - losses, share), 0.0)
        exactly = np.diff(binomial_cdf(np.arange(losses[0] - 1, losses[-1] + 1), n, lost))
        return min(1.0, float((exactly * chance).sum()))

    def fails(self, n: int, alpha: float, limit: float, difference: float) -> float:
        """See ``Design``; the estimator treats both models alike."""
        return self.passes(n, alpha, -limit, -difference)

    def deviation(self, difference: float) -> float:
        """See ``Design``."""
        return math.sqrt(max(max(self.discordance, abs(difference)) - difference * difference, 0.0))


@dataclass(frozen=True)
class Rate:
    """One sample of right-or-wrong scores; ``difference`` is its true share of right ones."""

    lowest: float = 0.0

    def passes(self, n: int, alpha: float, limit: float, difference: float) -> float:
        """See ``Design``."""
        if n > MAX_EXACT_ITEMS:
            return _normal_power(n, alpha, difference - limit, self.deviation(difference))
        least = int(np.searchsorted(_binomial_limits(n, alpha)[0], limit, side="right"))
        return float(binomial_sf(least - 1, n, difference)) if least <= n else 0.0

    def fails(self, n: int, alpha: float, limit: float, difference: float) -> float:
        """See ``Design``."""
        return self.passes(n, alpha, 1.0 - limit, 1.0 - difference)

    def deviation(self, difference: float) -> float:
        """See ``Design``."""
        return math.sqrt(max(difference * (1.0 - difference), 0.0))


@dataclass(frozen=True, eq=False)
class Recorded:
    """Scores of real items, oriented; other true differences shift the interval as a whole."""

    candidate: Floats
    """Shape (n,), finite."""
    baseline: Floats | None
    """Shape (n,), finite; None for one sample."""
    clusters: Index | None
    """Numbers from 0, shape (n,); None where every item stands alone."""
    lowest: float = -1.0
    _drawn: dict[tuple[int, float], tuple[Floats, Floats]] = field(default_factory=dict, repr=False)

    def passes(self, n: int, alpha: float, limit: float, difference: float) -> float:
        """See ``Design``."""
        return float((difference + self._ends(n, alpha)[0] > limit).mean())

    def fails(self, n: int, alpha: float, limit: float, difference: float) -> float:
        """See ``Design``."""
        return float((difference + self._ends(n, alpha)[1] < limit).mean())

    def deviation(self, difference: float) -> float:
        """See ``Design``; of a cluster's sum, brought back to one item, where items share clusters."""
        values = self._values() - math.fsum(self._values()) / self.candidate.size
        if self.clusters is not None:
            values = np.bincount(self.clusters, weights=values).astype(np.float64)
        return math.sqrt(math.fsum(values**2) / self.candidate.size)

    def _values(self) -> Floats:
        return self.candidate if self.baseline is None else self.candidate - self.baseline

    def _ends(self, n: int, alpha: float) -> tuple[Floats, Floats]:
        """Both ends of the interval less the true difference, one of each draw of n items."""
        if (n, alpha) in self._drawn:
            return self._drawn[n, alpha]
        size = self._size(n)
        truth = math.fsum(self._values()) / self.candidate.size
        lower, upper = np.empty(NUM_DRAWS), np.empty(NUM_DRAWS)
        for number in range(NUM_DRAWS):
            at, clusters = self._draw(size, f"power {number}")
            mine = self.candidate[at]
            found = (
                mean_interval(mine, clusters, alpha)
                if self.baseline is None
                else paired_interval(mine, self.baseline[at], clusters, alpha)
            )
            lower[number], upper[number] = found.lower - truth, found.upper - truth
        shrunk = math.sqrt(size / n)
        self._drawn[n, alpha] = (lower * shrunk, upper * shrunk)
        return self._drawn[n, alpha]

    def _size(self, n: int) -> int:
        """Items to draw for the chances at n: a few sizes serve all, except at the recorded n itself."""
        if n == self.candidate.size or n <= MIN_ITEMS_FOR_T:
            return min(n, MAX_DRAWN_ITEMS)
        near = MIN_ITEMS_FOR_T * 1.15 ** math.floor(math.log(n / MIN_ITEMS_FOR_T) / math.log(1.15))
        return min(math.ceil(near), MAX_DRAWN_ITEMS)

    def _draw(self, size: int, seed: str) -> tuple[Index, Index | None]:
        total = self.candidate.size
        if self.clusters is None:
            return (uniforms(seed, size) * total).astype(np.intp), None
        rounds = [resample(self.clusters, total, f"{seed} {part}") for part in range(-(-size // total) + 1)]
        at = np.concatenate([draw.positions for draw in rounds])[:size]
        labels = np.concatenate([draw.clusters + part * total for part, draw in enumerate(rounds)])[:size]
        return at, labels


def difference_for(design: Design, n: int, alpha: float, limit: float, chance: float, *, loss: bool) -> float | None:
    """The true difference at which n items pass the rule (``loss``: fail it) with a wanted chance; None if none does.

    Args:
        design: What is known.
        n: Items.
        alpha: One-sided error.
        limit: Limit of the rule.
        chance: Wanted (fraction 0..1).
        loss: Ask for the largest difference that is proven below the limit, not for the least that is proven above.
    """
    power = design.fails if loss else design.passes
    worst, best = (1.0, design.lowest) if loss else (design.lowest, 1.0)
    start = min(max(limit, design.lowest), 1.0)
    if power(n, alpha, limit, best) < chance:
        return None
    low, high = (start, best) if power(n, alpha, limit, start) < chance else (worst, best)
    while abs(high - low) > TOLERANCE:
        middle = (low + high) / 2.0
        low, high = (low, middle) if power(n, alpha, limit, middle) >= chance else (middle, high)
    return high


def items_for(design: Design, alpha: float, limit: float, difference: float, chance: float) -> int | None:
    """Items that decide the rule, either way, with a wanted chance; None where no number of them would."""
    gap = difference - limit
    if abs(gap) < 1e-9:
        return None
    power = design.passes if gap > 0 else design.fails
    deviation = design.deviation(difference)
    guess = (deviation * (normal_isf(alpha) - normal_isf(chance)) / gap) ** 2
    # Where next to nothing differs, it is the chance of what was not seen that has to be made small.
    guess = max(guess, -math.log(alpha) / min(abs(gap), 1.0), 2.0)
    if guess > MAX_ITEMS:
        return None
    if guess > MAX_EXACT_ITEMS:
        return math.ceil(guess)
    low, high = 1, math.ceil(guess)
    while power(high, alpha, limit, difference) < chance:
        low, high = high, math.ceil(high * 1.3) + 1
        if high > MAX_ITEMS:
            return None
    while high - low > max(1, high // 200):
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle, alpha, limit, difference) >= chance else (middle, high)
    return high


class SequentialItems(NamedTuple):
    """What the sequential test took on recorded items."""

    mean_items: float
    passed: float
    """Share of the orders in which the rule was proven to hold (fraction 0..1)."""
    failed: float
    undecided: float


def sequential_items(
    candidate: Floats,
    baseline: Floats,
    strata: tuple[str, ...],
    limit: float,
    alpha: float,
    difference: float,
    *,
    num_orders: int = 20,
    finite: bool = True,
) -> SequentialItems:
    """Items until ``SequentialTest`` decides the rule on recorded items whose true difference is ``difference``.

    Args:
        candidate: Oriented scores within [0, 1], shape (n,).
        baseline: The same of the baseline.
        strata: Stratum of each item, length n.
        limit: Limit of the rule.
        alpha: One-sided error.
        difference: True difference that the candidate is changed to.
        num_orders: Random orders that are tried.
        finite: As in ``SequentialTest``.

    Raises:
        ValueError: A score is outside [0, 1].
    """
    known = np.concatenate([candidate, baseline])
    if not ((known >= 0.0) & (known <= 1.0)).all():
        raise ValueError("a score is missing or outside [0, 1]; sequential bounds need bounded scores")
    total, items = candidate.size, []
    outcomes = {"pass": 0, "fail": 0, "none": 0}
    scale = max(abs(limit), 1e-3)
    ids = [str(number) for number in range(total)]
    for number in range(num_orders):
        changed = with_difference(candidate, baseline, difference, uniforms(f"change {number}", total))
        order = evaluation_order(ids, strata, f"power {number}")
        test = SequentialTest(
            baseline[order.positions],
            order,
            [Hypothesis(limit, False, scale), Hypothesis(limit, True, scale)],
            finite=finite,
        )
        path = test.advance(changed[order.positions])
        times = [decision_time(path[:, side], alpha) for side in (0, 1)]
        crossed = [at for at in times if at is not None]
        items.append(total if not crossed else min((min(crossed) + 1) * order.num_groups, total))
        which = "none" if not crossed else "pass" if times[0] == min(crossed) else "fail"
        outcomes[which] += 1
    return SequentialItems(
        math.fsum(items) / num_orders, *(outcomes[name] / num_orders for name in ("pass", "fail", "none"))
    )


def _normal_power(n: int, alpha: float, gap: float, deviation: float) -> float:
    if deviation <= 0.0:
        return float(gap > 0.0)
    return normal_sf(normal_isf(alpha) - math.sqrt(n) * gap / deviation)


@lru_cache(maxsize=64)
def _binomial_limits(n: int, alpha: float) -> tuple[Floats, Floats]:
    """Clopper and Pearson's limits of every count from 0 to n."""
    counts = np.arange(n + 1, dtype=np.float64)
    low, high = np.zeros(n + 1), np.ones(n + 1)
    low[1:] = betaincinv(counts[1:], n - counts[1:] + 1.0, alpha)
    high[:-1] = betaincinv(counts[:-1] + 1.0, n - counts[:-1], 1.0 - alpha)
    return low, high


@lru_cache(maxsize=256)
def _least_gained(n: int, alpha: float, limit: float) -> NDArray[np.int64]:
    """For each number of lost items, the fewest gained ones that prove ``difference > limit``; n + 1 if none do."""
    low, high = _binomial_limits(n, alpha)
    lost = np.arange(n + 1)
    least, most = np.full(n + 1, -1), n - lost + 1
    while (most - least > 1).any():
        middle = np.clip((least + most) // 2, 0, n - lost)
        bound = mover_limits(lost / n, middle / n, (low[lost], high[lost]), (low[middle], high[middle]))[0]
        proven = bound > limit
        open_ = most - least > 1
        most = np.where(open_ & proven, middle, most)
        least = np.where(open_ & ~proven, middle, least)
    return np.where(most > n - lost, n + 1, most).astype(np.int64)
