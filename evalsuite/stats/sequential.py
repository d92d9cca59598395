"""Tests of a mean over a finite set that stay valid when one looks after every item and stops at will.

A set of N items is drawn without replacement, in rounds: one item from each of K groups of nearly equal size, which
are cut from the set sorted by stratum. The baseline's scores are known for every item, the candidate's for those drawn.
For each hypothesis about the mean difference over *all N items* a gambler bets against it. If it is true, the capital
is a supermartingale that starts at 1, so that it ever reaches 1 / alpha with probability at most alpha (Ville's
inequality; betting as in Waudby-Smith and Ramdas, JRSS-B 86, 2024, 1-27, section 5 for sampling without replacement).

Two things make the bets sharper than a test of the paired differences, and neither can make them wrong:

- *Regression.* The candidate's score is predicted for every item from the baseline, from earlier models and from the
  stratum, by a ridge regression on the items already drawn. The gambler bets on what the prediction misses; the mean of
  the prediction over the items that are left is known, so the hypothesis still fixes the expected miss.
- *Strata.* Within a round the draws are independent and the weighted hypothesised misses sum to zero, so the expected
  product of the bets is at most 1 by the inequality of the arithmetic and the geometric mean. Capital therefore counts
  at the end of a round only.

Where the items are a sample of a wider population (``finite=False``) the population's mean of a prediction is not
known, and the bets are placed on the paired differences alone.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Index = NDArray[np.intp]

MAX_GROUPS = 16
MAX_ITEMS_AT_STAKE = 0.75
"""Largest share of the capital that one item may cost."""
RIDGE = 2.0
"""Pseudo-items that pull the regression to its start."""
REFIT_GROWTH = 1.25
FIRST_FIT = 40
"""Items drawn before the first regression, and by how much the sample grows before the next."""
PRIOR_VARIANCE, PRIOR_ITEMS = 0.2, 20.0
"""What the misses' variance is taken to be before there are any, and for how many items this counts."""
ROUNDING = 1e-9
"""What float sums may be off by, in items for each item of the set."""
BETS = ((1.0, 0.5), (2.0, 0.5))
"""(distance from the hypothesis in units of ``scale``, share of the capital): the alternatives that are betted on."""


@dataclass(frozen=True)
class Order:
    """The order in which a set's items are evaluated."""

    positions: Index
    """Positions of the items in the set, shape (N,), in the order of evaluation."""
    num_groups: int
    """Items in a round; only the last round is shorter."""

    @property
    def num_items(self) -> int:
        """N."""
        return int(self.positions.size)


def evaluation_order(item_ids: Sequence[str], strata: Sequence[str], seed: str) -> Order:
    """Order a set's items at random in rounds over its strata; the same set and seed give the same order anywhere.

    Args:
        item_ids: Distinct names, length N.
        strata: Stratum of each item, length N.
        seed: Text that fixes the order, such as the set's hash; names of items and their order in the file do not.

    Raises:
        ValueError: Lengths differ, nothing is there, or a name appears twice.
    """
    if len(item_ids) != len(strata) or not item_ids or len(set(item_ids)) != len(item_ids):
        raise ValueError(f"expected distinct items with one stratum each, got {len(item_ids)} and {len(strata)}")
    # Two keys, since a group may hold the end of one stratum and the start of the next.
    cuts, places = ([_key(seed, purpose, item) for item in item_ids] for purpose in ("cut", "place"))
    ranked = sorted(range(len(cuts)), key=lambda i: (strata[i], cuts[i]))
    groups = [sorted(group.tolist(), key=places.__getitem__) for group in _groups(np.array(ranked), len(set(strata)))]
    return _in_rounds([np.array(group, dtype=np.intp) for group in groups])


def random_order(strata: ArrayLike, rng: np.random.Generator) -> Order:
    """An order of the same distribution as ``evaluation_order``'s, for simulations, which need many.

    Args:
        strata: Number of each item's stratum, shape (N,), N above 0.
        rng: What is drawn from.
    """
    numbers = np.asarray(strata)
    drawn = rng.permutation(numbers.size)
    ranked = drawn[np.argsort(numbers[drawn], kind="stable")]
    return _in_rounds([rng.permutation(group) for group in _groups(ranked, np.unique(numbers).size)])


def _groups(ranked: Index, num_strata: int) -> list[Index]:
    """Cut the items, sorted by stratum, into as many groups as a round has items."""
    return np.array_split(ranked, max(1, min(MAX_GROUPS, num_strata, ranked.size // 4)))


def _in_rounds(groups: Sequence[Index]) -> Order:
    """One item of each group after another; the first groups may be longer by one."""
    table = np.full((groups[0].size, len(groups)), -1, dtype=np.intp)
    for column, group in enumerate(groups):
        table[: group.size, column] = group
    return Order(table[table >= 0], len(groups))


def _key(seed: str, purpose: str, item: str) -> bytes:
    return hashlib.sha256(f"{seed}\n{purpose}\n{item}".encode()).digest()


class Hypothesis(NamedTuple):
    """What is betted against: the mean difference lies on this side of a bound."""

    bound: float
    """In the metric's unit."""
    above: bool
    """Whether the hypothesis is ``difference >= bound``; else ``difference <= bound``."""
    scale: float
    """Distance from the bound at which the hypothesis should be refuted soonest, in the metric's unit, above 0."""


class SequentialTest:
    """Bets against several hypotheses about one candidate's mean difference, fed as the items are scored."""

    def __init__(
        self,
        baseline: ArrayLike,
        order: Order,
        hypotheses: Sequence[Hypothesis],
        earlier: ArrayLike | None = None,
        *,
        finite: bool = True,
    ) -> None:
        """Start with capital 1 against each hypothesis.

        Args:
            baseline: The baseline's scores of all items in the order of evaluation, shape (N,), each within [0, 1].
            order: Order of the set.
            hypotheses: What to bet against.
            earlier: Scores of earlier models on the same items, same order, shape (models, N), within [0, 1].
            finite: Whether the hypotheses are about these N items; else about the population that they stand for.

        Raises:
            ValueError: A score is missing or outside [0, 1], or a shape does not fit.
        """
        self._baseline = _unit_scores(baseline, (order.num_items,))
        others = np.zeros((0, order.num_items)) if earlier is None else np.asarray(earlier, dtype=np.float64)
        others = _unit_scores(others, (others.shape[0], order.num_items))
        self.order, self.hypotheses, self._finite = order, tuple(hypotheses), finite
        self._num_rounds = order.num_items // order.num_groups
        self._baseline_sum = math.fsum(self._baseline)
        self._features = _features(self._baseline, others, order)
        mean = (self._baseline + others.sum(axis=0)) / (1 + others.shape[0])
        self._start = 0.5 * self._baseline + 0.5 * mean
        self._prediction = self._start if finite else self._baseline
        self._remaining: tuple[Floats, Floats, Floats] | None = None
        self._scores = np.zeros(0)
        self._rounds_done = 0
        self._next_fit = FIRST_FIT
        self._variance = PRIOR_VARIANCE
        self._log_capital = np.zeros((len(self.hypotheses), len(BETS)))
        self._log_stakes = np.log([share for _, share in BETS])
        self._best = np.zeros(len(self.hypotheses))

    @property
    def num_scored(self) -> int:
        """Items fed so far."""
        return int(self._scores.size)

    @property
    def log_evidence(self) -> Floats:
        """Largest log capital that each hypothesis has let the gambler reach; it is refuted at log(1 / alpha)."""
        return self._best.copy()

    def advance(self, scores: ArrayLike) -> Floats:
        """Feed the candidate's next scores in the order of evaluation.

        Args:
            scores: Shape (n,), within [0, 1].

        Returns:
            Log capital against each hypothesis after each round that became complete, shape (rounds, hypotheses).

        Raises:
            ValueError: A score is missing or outside [0, 1], or there are more than the set has items.
        """
        new = np.asarray(scores, dtype=np.float64)
        self._scores = np.concatenate([self._scores, _unit_scores(new, (new.size,))])
        if self.num_scored > self.order.num_items:
            raise ValueError(f"{self.num_scored} scores for a set of {self.order.num_items} items")
        paths = []
        complete = min(self.num_scored // self.order.num_groups, self._num_rounds)
        while self._rounds_done < complete:
            paths.append(self._play(min(complete, self._end_of_segment())))
        if not paths:
            return np.zeros((0, len(self.hypotheses)))
        path = np.concatenate(paths)
        self._best = np.maximum(self._best, path.max(axis=0))
        return path

    def _end_of_segment(self) -> int:
        """First round at whose end the regression is fitted again; bets and predictions stay fixed until then."""
        return max(self._rounds_done + 1, math.ceil(self._next_fit / self.order.num_groups))

    def _play(self, until: int) -> Floats:
        """Play the rounds up to ``until``, then learn from them."""
        num_groups, total = self.order.num_groups, self.order.num_items
        first = self._rounds_done
        rounds = np.arange(first, until)
        shape = (rounds.size, num_groups)
        drawn = slice(first * num_groups, until * num_groups)
        misses = (self._scores[drawn] - self._prediction[drawn]).reshape(shape)
        if self._finite:
            left = total - rounds * num_groups
            sizes = np.array([len(range(k, total, num_groups)) for k in range(num_groups)])
            weights = (sizes[None, :] - rounds[:, None]) * num_groups / left[:, None]
            predicted_left, most, least = self._remaining_predictions(first, until)
            seen = np.concatenate([[0.0], np.cumsum(self._scores[: until * num_groups])])[rounds * num_groups]
        else:
            weights = np.ones(shape)
            predicted_left, most, least = np.zeros(shape), np.ones(shape), np.zeros(shape)
        path = np.empty((rounds.size, len(self.hypotheses)))
        for h, hypothesis in enumerate(self.hypotheses):
            if self._finite:
                centre = ((total * hypothesis.bound + self._baseline_sum) - seen) / left
                shift = predicted_left - centre[:, None]
                lows, highs = shift - most, shift + 1.0 - least
            else:
                centre = np.full(rounds.size, hypothesis.bound)
                shift = np.full(shape, -hypothesis.bound)
                lows, highs = shift - 1.0, shift + 1.0
            sign = -1.0 if hypothesis.above else 1.0
            gains = sign * weights * (misses + shift)
            worst = (weights * np.maximum(-lows if not hypothesis.above else highs, 1e-12)).max(axis=1)
            for j, (distance, _) in enumerate(BETS):
                delta = distance * hypothesis.scale
                stake = np.minimum(delta / (self._variance + delta * delta), MAX_ITEMS_AT_STAKE / worst)
                steps = np.log1p(stake[:, None] * gains).sum(axis=1)
                path_j = self._log_capital[h, j] + np.cumsum(steps)
                self._log_capital[h, j] = path_j[-1]
                path[:, h] = (
                    path_j + self._log_stakes[j] if j == 0 else np.logaddexp(path[:, h], path_j + self._log_stakes[j])
                )
            if self._finite:
                # No continuation of the scores agrees with the hypothesis any more, or every one does.
                # Rounding must not refute one that holds exactly, so that what is on the edge counts as possible.
                edge = ROUNDING * total / left
                impossible = centre > 1.0 + edge if hypothesis.above else centre < -edge
                certain = centre <= edge if hypothesis.above else centre >= 1.0 - edge
                path[:, h] = np.where(impossible, math.inf, np.where(certain, -math.inf, path[:, h]))
        self._learn(until)
        return path

    def _remaining_predictions(self, first: int, until: int) -> tuple[Floats, Floats, Floats]:
        """Mean, largest and least prediction among the items that each group has left, shape (rounds, groups)."""
        if self._remaining is None:
            total, num_groups = self.order.num_items, self.order.num_groups
            longest = -(-total // num_groups)
            padded = np.full(longest * num_groups, np.nan)
            padded[:total] = self._prediction
            table = padded.reshape(longest, num_groups)
            count = np.isfinite(table)[::-1].cumsum(axis=0)[::-1]
            sums = np.nan_to_num(table)[::-1].cumsum(axis=0)[::-1]
            most = np.fmax.accumulate(table[::-1], axis=0)[::-1]
            least = np.fmin.accumulate(table[::-1], axis=0)[::-1]
            whole = slice(0, self._num_rounds)
            self._remaining = (sums[whole] / count[whole], most[whole], least[whole])
        mean, most, least = self._remaining
        return mean[first:until], most[first:until], least[first:until]

    def _learn(self, until: int) -> None:
        """At the end of a segment only, so that the capital does not depend on how many scores come at once."""
        self._rounds_done = until
        num_drawn = until * self.order.num_groups
        if num_drawn < self._next_fit:
            return
        self._next_fit = math.ceil(num_drawn * REFIT_GROWTH)
        scores, spent = self._scores[:num_drawn], 0.0
        if self._finite:
            features = self._features[:num_drawn]
            gram = features.T @ features + RIDGE * np.eye(features.shape[1])
            weights = np.linalg.solve(gram, features.T @ (scores - self._start[:num_drawn]))
            self._remaining = None
            self._prediction = np.clip(self._start + self._features @ weights, 0.0, 1.0)
            spent = float(np.trace(np.linalg.solve(gram, features.T @ features)))
        # The fit has seen these items; the degrees of freedom that it spent make up for it.
        misses = scores - self._prediction[:num_drawn]
        inflation = num_drawn / max(num_drawn - spent, num_drawn / 2)
        learnt = math.fsum(misses**2) * inflation
        self._variance = (PRIOR_VARIANCE * PRIOR_ITEMS + learnt) / (PRIOR_ITEMS + num_drawn)


def _unit_scores(values: ArrayLike, shape: tuple[int, ...]) -> Floats:
    scores = np.asarray(values, dtype=np.float64)
    if scores.shape != shape:
        raise ValueError(f"expected scores of shape {shape}, got {scores.shape}")
    if not ((scores >= 0.0) & (scores <= 1.0)).all():
        raise ValueError("a score is missing or outside [0, 1]; sequential bounds need bounded scores")
    return scores


def _features(baseline: Floats, earlier: Floats, order: Order) -> Floats:
    """Columns of the regression, shape (N, p): baseline, earlier models, their mean and group of each item."""
    known = np.vstack([baseline[None, :], earlier])
    mean = known.mean(axis=0)
    groups = np.arange(order.num_items) % order.num_groups
    dummies = (groups[None, :] == np.arange(order.num_groups)[:, None]).astype(np.float64)
    # Built row by row, which is many times faster than column by column.
    return np.vstack([known, mean, mean * baseline, dummies]).T


def decision_time(path: Floats, alpha: float) -> int | None:
    """First round of a path of log capital, shape (rounds,), at which the hypothesis is refuted; None if never."""
    crossed = np.flatnonzero(path >= -math.log(alpha))
    return int(crossed[0]) if crossed.size else None
