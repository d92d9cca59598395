"""How often a gate rule errs and how many items it takes, on recorded answers of real models.

Every ordered pair of models whose accuracies are near is a baseline and a candidate; the true difference is the one
over all items. Each rule sees items in a random order and says promoted or not. Ratchet's sequential gate sets the
number of items; the rivals then get the same number on average.
"""

import csv
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evalsuite.core.errors import UsageError
from evalsuite.gate_tools.designs import PairedRates, items_for
from evalsuite.records.rows import NUMBER
from evalsuite.stats.distributions import clopper_pearson, normal_isf
from evalsuite.stats.paired import paired_interval
from evalsuite.stats.sequential import Hypothesis, Order, SequentialTest, decision_time, random_order

logger = logging.getLogger(__name__)

Floats = NDArray[np.float64]
Index = NDArray[np.intp]
RULES = ("ratchet_sequential", "ratchet_fixed", "point_above_margin", "not_below", "significantly_better")
FIXED_COLUMNS = ("question_id", "category", "answer")
FIRST_PART = 512
"""Items that a trial is fed first."""


class Answers(NamedTuple):
    """Recorded scores of several models on one set."""

    item_ids: tuple[str, ...]
    categories: tuple[str, ...]
    models: tuple[str, ...]
    scores: Floats
    """1.0 where the answer is right, shape (models, items); an empty answer is wrong."""


LEAST_ORDERS, MANY_TRIALS = 10, 2000
"""Random orders a pair, at least; fewer where the pairs are so many that fewer make so many trials."""
LEAST_TRIALS = 100
"""Of each group of pairs (worse, not worse)."""
FEW_DIFFER = 100
"""Items that differ below which a fixed n comes from exact chances, not from the normal distribution."""
TRIALS_AT_MARGIN = 2500
"""So many that an error rate of 4.2% is told from 5% (one-sided, 95%); 1,000 where the caller names the orders."""


class Setting(NamedTuple):
    """What is simulated."""

    margin: float
    """Largest loss that is accepted, in accuracy."""
    alpha: float
    """One-sided error of promoting at exactly -margin, and of stopping a candidate that did not change."""
    within: float
    """Largest distance of two models' accuracies that makes them a pair."""
    max_items: int | None
    """No rule sees more; the whole set when None."""
    repetitions: int | None = None
    """Random orders a pair; None takes as many as make errors of 5% visible (``orders_needed``)."""
    seed: int = 0


class SimulatedRun(NamedTuple):
    """One pair, one order, one rule."""

    difference: float
    """True difference, candidate - baseline, over all items."""
    promoted: bool
    num_items: int


class RuleResult(NamedTuple):
    """What a rule did over all pairs and orders; None where there was no such pair."""

    false_promotion: float | None
    """Share promoted of the candidates below -margin."""
    false_promotion_upper95: float | None
    """Clopper-Pearson's upper 95% limit of it."""
    blocked_not_worse: float | None
    """Share not promoted of the candidates with difference 0 or more."""
    promoted_middle: float | None
    """Share promoted of those between."""
    mean_items_clear: float | None
    """Candidates below -margin, or at 0 and above."""
    mean_items_middle: float | None
    mean_items: float
    quantiles: tuple[float, float, float]
    """10%, 50% and 90% of the items used."""


class Simulation(NamedTuple):
    """The whole table."""

    setting: Setting
    num_items: int
    num_pairs: int
    rules: dict[str, RuleResult]
    at_margin: RuleResult | None
    """The sequential gate on candidates that were changed until they lie at -margin, or just below.

    None where every baseline's accuracy is below the margin, so that there is no such candidate.
    """
    without_record: RuleResult
    """The sequential gate on the paired differences alone: no earlier models, nothing known of the baseline."""
    bound_ratio: float
    """Least items that any test of the paired differences needs, over what ``without_record`` used (clear pairs)."""


def read_answers(path: Path) -> Answers:
    """Read a CSV with the columns question_id, category, answer and then one a model.

    Raises:
        UsageError: The file is not such a table, an id appears twice, or there are fewer than two models.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = [row for row in csv.reader(stream, strict=True) if row]
    except FileNotFoundError:
        raise UsageError(f"no file {path}; give recorded answers with --answers") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read as CSV ({error})") from None
    header, body = (rows[0] if rows else []), rows[1:]
    models = tuple(header[3:])
    if tuple(header[:3]) != FIXED_COLUMNS or len(models) < 2 or len(set(models)) != len(models):
        raise UsageError(
            f"{path}: the header is {', '.join(header[:5])[:200] or 'empty'}; expected {', '.join(FIXED_COLUMNS)} and "
            "then at least two models, each once, separated by commas"
        )
    short = next((number for number, row in enumerate(body, 2) if len(row) != len(header)), None)
    if short is not None:
        raise UsageError(f"{path}:{short}: {len(body[short - 2])} cells, the header has {len(header)}")
    ids = tuple(row[0] for row in body)
    if len(set(ids)) != len(ids):
        twice = next(item for item in ids if ids.count(item) > 1)
        raise UsageError(f"{path}: question_id {twice!r} appears twice")
    if len(ids) < 20:
        raise UsageError(f"{path}: {len(ids)} items, expected 20 or more")
    unanswered = next((row[0] for row in body if not row[2].strip()), None)
    if unanswered is not None:
        raise UsageError(f"{path}: question {unanswered!r} has no right answer")
    scores = np.array([_right(path, models[m], [(row[2], row[3 + m]) for row in body]) for m in range(len(models))])
    return Answers(ids, tuple(row[1] for row in body), models, scores)


def _right(path: Path, model: str, pairs: Sequence[tuple[str, str]]) -> list[float]:
    """Which answers are right; letters in another case and numbers in another form are read as what they mean.

    Where the right answers themselves differ in case alone, case is part of the answer.
    """
    exact = [answer.strip() == right.strip() for right, answer in pairs]
    meanings: dict[str, set[str]] = {}
    for right, _ in pairs:
        meanings.setdefault(_meaning(right), set()).add(right.strip())
    meant = [
        same or (_meaning(right) == _meaning(answer) and len(meanings[_meaning(right)]) == 1)
        for same, (right, answer) in zip(exact, pairs, strict=True)
    ]
    changed = next((pair for pair, one, other in zip(pairs, exact, meant, strict=True) if one != other), None)
    if changed is not None:
        logger.warning(
            "%s: %d answers of %s are written otherwise than the right ones, such as %r for %r: taken as the same",
            path,
            sum(meant) - sum(exact),
            model,
            changed[1].strip(),
            changed[0].strip(),
        )
    if not any(meant):
        logger.warning(
            "%s: %s has no right answer of %d; its first is %r where %r is right",
            path,
            model,
            len(pairs),
            pairs[0][1],
            pairs[0][0],
        )
    return [float(each) for each in meant]


def _meaning(text: str) -> str:
    """A number as its value, letters without their case."""
    text = text.strip()
    return repr(float(text)) if NUMBER.fullmatch(text) else text.casefold()


def pairs_within(answers: Answers, within: float) -> list[tuple[int, int]]:
    """Ordered pairs (baseline, candidate) whose accuracies differ by at most ``within``."""
    right = answers.scores.sum(axis=1)
    limit = within * len(answers.item_ids) + 1e-9
    models = range(len(answers.models))
    return [(b, c) for b in models for c in models if b != c and abs(right[b] - right[c]) <= limit]


def orders_needed(answers: Answers, pairs: Sequence[tuple[int, int]], margin: float) -> int:
    """Orders a pair after which no error in any trial of a group bounds its rate below 5% (59 trials do)."""
    right = answers.scores.sum(axis=1)
    differences = [float(right[c] - right[b]) / len(answers.item_ids) for b, c in pairs]
    groups = (sum(d < -margin for d in differences), sum(d >= 0.0 for d in differences))
    least = min(LEAST_ORDERS, math.ceil(MANY_TRIALS / len(pairs)))
    return max(least, *(math.ceil(LEAST_TRIALS / size) for size in groups if size))


def simulate(answers: Answers, setting: Setting, progress: Callable[[str, int, int], None] | None = None) -> Simulation:
    """Run every rule over every pair, in several random orders each.

    Args:
        answers: Recorded scores.
        setting: What to ask.
        progress: Called with what runs, how many trials are done and how many there are.

    Raises:
        UsageError: No two models are near enough.
    """
    pairs = pairs_within(answers, setting.within)
    if not pairs:
        accuracies = np.sort(answers.scores.mean(axis=1))
        raise UsageError(
            f"no two models are within {setting.within:g} of each other, the nearest two are "
            f"{float(np.diff(accuracies).min()):.4f} apart; widen --pairs within:X"
        )
    num_edge = 1000 if setting.repetitions else TRIALS_AT_MARGIN
    orders = setting.repetitions or orders_needed(answers, pairs, setting.margin)
    setting = setting._replace(repetitions=orders)
    total = orders * len(pairs)
    tell = progress or (lambda what, done, of: None)
    strata = np.unique(answers.categories, return_inverse=True)[1]
    full, plain = [], []
    for done, (repetition, b, c) in enumerate(_trials(pairs, orders)):
        order = random_order(strata, np.random.default_rng([setting.seed, repetition, b, c, 0]))
        full.append(_sequential(answers, b, answers.scores[c], c, order, setting, record=True))
        plain.append(_sequential(answers, b, answers.scores[c], c, order, setting, record=False))
        tell("sequential gate", done + 1, total)
    average = max(2, round(float(np.mean([trial.num_items for trial in full]))))
    rivals: dict[str, list[SimulatedRun]] = {name: [] for name in RULES[1:]}
    for done, (repetition, b, c) in enumerate(_trials(pairs, orders)):
        rng = np.random.default_rng([setting.seed, repetition, b, c, 1])
        for name, trial in _fixed(answers.scores[b], answers.scores[c], rng, setting, average):
            rivals[name].append(trial)
        tell("rules with fixed n", done + 1, total)
    edge = []
    num_edge = max(total, num_edge)
    for done, trial in enumerate(_at_margin(answers, pairs, strata, setting, num_edge)):
        edge.append(trial)
        tell("candidates at the margin", done + 1, num_edge)
    trials = {"ratchet_sequential": full, **rivals}
    bound = _least_items(answers, pairs, setting)
    clear = [trial.num_items for trial in plain if not -setting.margin <= trial.difference < 0.0]
    return Simulation(
        setting,
        len(answers.item_ids),
        len(pairs),
        {name: _summary(trials[name], setting.margin) for name in RULES},
        _summary([trial._replace(difference=-1.0) for trial in edge], setting.margin) if edge else None,
        _summary(plain, setting.margin),
        bound / float(np.mean(clear)) if clear and bound else math.nan,
    )


def as_json(result: Simulation) -> dict[str, object]:
    """The table as plain data; a share without a pair is None."""
    return {
        "margin": result.setting.margin,
        "alpha": result.setting.alpha,
        "repetitions": result.setting.repetitions,
        "num_items": result.num_items,
        "num_pairs": result.num_pairs,
        "rules": {name: rule._asdict() for name, rule in result.rules.items()},
        "at_margin": None if result.at_margin is None else result.at_margin._asdict(),
        "without_record": result.without_record._asdict(),
        "bound_ratio": None if math.isnan(result.bound_ratio) else result.bound_ratio,
    }


def _trials(pairs: Sequence[tuple[int, int]], orders: int) -> Iterator[tuple[int, int, int]]:
    return ((repetition, b, c) for repetition in range(orders) for b, c in pairs)


def _sequential(
    answers: Answers, b: int, candidate: Floats, c: int, order: Order, setting: Setting, record: bool
) -> SimulatedRun:
    """Stop when the candidate is proven better than -margin, or proven worse than no change; exact at the end."""
    others = [m for m in range(len(answers.models)) if m not in (b, c)]
    test = SequentialTest(
        answers.scores[b][order.positions],
        order,
        [Hypothesis(-setting.margin, False, setting.margin), Hypothesis(0.0, True, setting.margin)],
        answers.scores[others][:, order.positions] if record and others else None,
        finite=record,
    )
    limit = min(setting.max_items or order.num_items, order.num_items)
    difference = (int(candidate.sum()) - int(answers.scores[b].sum())) / order.num_items
    scores = candidate[order.positions[:limit]]
    rounds = 0
    while test.num_scored < limit:
        # In growing parts, since most trials end early; the evidence after a round is the same however it was fed.
        end = min(limit, max(FIRST_PART, 2 * test.num_scored))
        path = test.advance(scores[test.num_scored : end])
        passed, futile = (decision_time(path[:, h], setting.alpha) for h in (0, 1))
        if passed is not None or futile is not None:
            first = min(at for at in (passed, futile) if at is not None)
            return SimulatedRun(
                difference, passed is not None and passed == first, (rounds + first + 1) * order.num_groups
            )
        rounds += len(path)
    return SimulatedRun(difference, limit == order.num_items and difference > -setting.margin, limit)


def _fixed(
    baseline: Floats, candidate: Floats, rng: np.random.Generator, setting: Setting, average: int
) -> Iterator[tuple[str, SimulatedRun]]:
    total = baseline.size
    limit = min(setting.max_items or total, total)
    moved = candidate - baseline
    difference = float(moved.sum()) / total
    drawn = rng.permutation(total)
    n = max(2, min(_design(float((moved**2).mean()), setting.margin, setting.alpha), limit))
    seen = drawn[:n]
    lower = paired_interval(candidate[seen], baseline[seen], None, setting.alpha).lower
    yield "ratchet_fixed", SimulatedRun(difference, lower > -setting.margin, n)
    n = min(average, limit)
    seen = drawn[:n]
    mean = float(moved[seen].mean())
    yield "point_above_margin", SimulatedRun(difference, mean > -setting.margin, n)
    yield "not_below", SimulatedRun(difference, mean >= 0.0, n)
    lower = paired_interval(candidate[seen], baseline[seen], None, setting.alpha).lower
    yield "significantly_better", SimulatedRun(difference, lower > 0.0, n)


@lru_cache(maxsize=4096)
def _design(discordance: float, margin: float, alpha: float) -> int:
    """Items with which a fixed n errs alpha times at exactly -margin and at no change."""
    n = math.ceil(discordance * (2.0 * normal_isf(alpha) / margin) ** 2)
    if n * discordance >= FEW_DIFFER:
        return n
    return items_for(PairedRates(discordance), alpha, -margin, 0.0, 1.0 - alpha) or n


def _at_margin(
    answers: Answers, pairs: Sequence[tuple[int, int]], strata: Index, setting: Setting, num_trials: int
) -> Iterator[SimulatedRun]:
    """Candidates of which random items were turned until they miss the margin by as little as items allow."""
    total = len(answers.item_ids)
    lost = math.ceil(setting.margin * total - 1e-9)
    possible = [(b, c) for b, c in pairs if int(answers.scores[b].sum()) >= lost]
    rng = np.random.default_rng(setting.seed)
    for at in range(num_trials if possible else 0):
        b, c = possible[at % len(possible)]
        candidate = answers.scores[c].copy()
        # At exactly -margin where items allow it: a candidate there is not proven better than -margin.
        surplus = int(candidate.sum()) - (int(answers.scores[b].sum()) - lost)
        pool = np.flatnonzero(candidate == (1.0 if surplus > 0 else 0.0))
        candidate[rng.choice(pool, abs(surplus), replace=False)] = 0.0 if surplus > 0 else 1.0
        order = random_order(strata, rng)
        yield _sequential(answers, b, candidate, c, order, setting, record=True)


def _least_items(answers: Answers, pairs: Sequence[tuple[int, int]], setting: Setting) -> float | None:
    """Mean over the clear pairs of (1 - alpha) log(1 / alpha) / the best bet's expected growth.

    No test of the paired differences that errs at most alpha times and decides takes fewer on average (Wald, Sequential
    Analysis, 1947, section 3.4; the growth is the Kullback-Leibler distance to the nearest hypothesis).
    """
    from scipy.optimize import minimize_scalar

    needed = []
    for b, c in pairs:
        moved = answers.scores[c] - answers.scores[b]
        difference = float(moved.mean())
        if -setting.margin <= difference < 0.0:
            continue
        gain = moved + setting.margin if difference >= 0.0 else -moved
        values, counts = np.unique(gain, return_counts=True)
        # What was not seen may still happen: the candidate loses an item, or gains one.
        top = 1.0 / (1.0 - setting.margin) if difference >= 0.0 else 1.0
        shares = counts / counts.sum()

        def loss(stake: float, values: Floats = values, shares: Floats = shares) -> float:
            return -float((shares * np.log1p(stake * values)).sum())

        growth = -float(minimize_scalar(loss, bounds=(0.0, 0.999 * top), method="bounded").fun)
        needed.append(min((1.0 - setting.alpha) * -math.log(setting.alpha) / growth, float(moved.size)))
    return float(np.mean(needed)) if needed else None


def _summary(trials: Sequence[SimulatedRun], margin: float) -> RuleResult:
    difference = np.array([trial.difference for trial in trials])
    promoted = np.array([trial.promoted for trial in trials])
    items = np.array([trial.num_items for trial in trials], dtype=np.float64)
    worse, good = difference < -margin, difference >= 0.0
    middle = ~worse & ~good

    def share(mask: NDArray[np.bool_], values: NDArray[np.bool_] | Floats) -> float | None:
        return float(values[mask].mean()) if mask.any() else None

    count, of = int(promoted[worse].sum()), int(worse.sum())
    upper = clopper_pearson(count, of, 0.05)[1] if of else None
    q10, q50, q90 = (float(q) for q in np.quantile(items, (0.1, 0.5, 0.9)))
    return RuleResult(
        share(worse, promoted),
        upper,
        share(good, ~promoted),
        share(middle, promoted),
        share(worse | good, items),
        share(middle, items),
        float(items.mean()),
        (q10, q50, q90),
    )
