"""Sequential methods side by side on recorded answers of real models.

Run:  python -m benchmarks.sequential_methods [--answers CSV] [--margin 0.02] [--repetitions 2] [--edge 400]

Each method says whether a candidate is proven better than -margin or proven worse, one-sided alpha each, and goes on to
the whole set when neither is proven; there the answer is exact. The rivals: group-sequential spending by Lan and DeMets
(Biometrika 70, 1983, 659-663) in the O'Brien-Fleming shape with 20 looks over the fixed design's n, and the
normal-mixture boundary of Robbins (Annals of Mathematical Statistics 41, 1970, 1397-1409) with a look after every item.
"""

import argparse
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import norm

from evalsuite.gate.policy import GatePolicy
from evalsuite.gate.sequential.gate import SequentialGate
from evalsuite.gate_tools.simulate import Answers, pairs_within, read_answers
from evalsuite.items.results import EvalReport, SuiteResult
from evalsuite.stats.sequential import Hypothesis, Order, SequentialTest, decision_time, evaluation_order
from evalsuite.testing import make_item, make_result

Floats = NDArray[np.float64]
ANSWERS = Path(__file__).parents[2] / "shared/data/mmlu_pro/recorded_answers.csv"
ALPHA = 0.05
NUM_LOOKS = 20
WARM_UP = 50
"""Items before the mixture boundary's first look, since its variance is estimated."""
TUNED_FOR = 1000
"""Items at which the mixture boundary is tightest."""


class Verdict(NamedTuple):
    """What a method said after how many items; promoted is None at the whole set."""

    passed: bool | None
    num_items: int


Method = Callable[[Answers, int, Floats, int, Order, float], Verdict]


def betting(num_earlier: int | None) -> Method:
    """The gate's bets, with so many earlier models as regressors (all when None)."""

    def run(answers: Answers, b: int, candidate: Floats, c: int, order: Order, margin: float) -> Verdict:
        others = [m for m in range(len(answers.models)) if m not in (b, c)][:num_earlier]
        at = order.positions
        test = SequentialTest(
            answers.scores[b][at],
            order,
            [Hypothesis(-margin, False, margin), Hypothesis(-margin, True, margin)],
            answers.scores[others][:, at] if others else None,
        )
        path = test.advance(candidate[at])
        times = [decision_time(path[:-1, h], ALPHA) for h in (0, 1)]
        return _first(*((None if t is None else (t + 1) * order.num_groups) for t in times), order.num_items)

    return run


def group_sequential(answers: Answers, b: int, candidate: Floats, c: int, order: Order, margin: float) -> Verdict:
    """Looks at twentieths of the n that a fixed test needs, whose discordance it is told."""
    moved = (candidate - answers.scores[b])[order.positions] + margin
    design = math.ceil(float((moved - margin).var()) * (2.0 * float(norm.isf(ALPHA)) / margin) ** 2)
    most = min(design, order.num_items)
    looks = np.unique(np.ceil(most * np.arange(1, NUM_LOOKS + 1) / NUM_LOOKS).astype(int))
    sums, squares = np.cumsum(moved), np.cumsum(moved**2)
    n = looks.astype(np.float64)
    variance = np.maximum(squares[looks - 1] / n - (sums[looks - 1] / n) ** 2, 1e-12)
    z = sums[looks - 1] / np.sqrt(n * variance)
    bounds = OBRIEN_FLEMING[-looks.size :]
    up, down = np.flatnonzero(z >= bounds), np.flatnonzero(z <= -bounds)
    return _first(int(looks[up[0]]) if up.size else None, int(looks[down[0]]) if down.size else None, order.num_items)


def mixture(answers: Answers, b: int, candidate: Floats, c: int, order: Order, margin: float) -> Verdict:
    """Robbins' two-sided normal mixture at 2 alpha, with the running variance: asymptotic."""
    moved = (candidate - answers.scores[b])[order.positions] + margin
    n = np.arange(1, moved.size + 1, dtype=np.float64)
    sums = np.cumsum(moved)
    variance = np.maximum(np.cumsum(moved**2) / n - (sums / n) ** 2, 1e-12)
    level = 2.0 * ALPHA
    rho = TUNED_FOR * variance / (2.0 * math.log(1.0 / level) + math.log(1.0 + 2.0 * math.log(1.0 / level)))
    clock = n * variance
    bound = np.sqrt((clock + rho) * np.log((clock + rho) / (rho * level**2)))
    late = n >= WARM_UP
    up, down = np.flatnonzero(late & (sums >= bound)), np.flatnonzero(late & (sums <= -bound))
    return _first(int(up[0]) + 1 if up.size else None, int(down[0]) + 1 if down.size else None, order.num_items)


def _first(passed: int | None, failed: int | None, total: int) -> Verdict:
    times = [t for t in (passed, failed) if t is not None and t < total]
    if not times:
        return Verdict(None, total)
    return Verdict(passed is not None and passed == min(times), min(times))


def obrien_fleming_bounds(num_looks: int, alpha: float) -> Floats:
    """One-sided z bounds at equal steps of information that spend 2 - 2 Phi(z_{alpha/2} / sqrt(t)).

    By numerical integration of the density of the paths that have not crossed (Armitage, McPherson and Rowe, JRSS-A
    132, 1969, 235-244).
    """
    share = np.arange(1, num_looks + 1) / num_looks
    spent = 2.0 * norm.sf(norm.isf(alpha / 2.0) / np.sqrt(share))
    grid = np.linspace(-8.0, 8.0, 3201)
    step, width = grid[1] - grid[0], math.sqrt(1.0 / num_looks)
    bounds: list[float] = []
    density = norm.pdf(grid, scale=width)
    before = 0.0
    for k in range(num_looks):
        if k:
            density = np.convolve(density, norm.pdf(grid, scale=width), mode="same") * step

        if spent[k] - before < 1e-9:
            bounds.append(math.inf)
            continue
        above = np.concatenate([[0.0], np.cumsum((density[::-1][1:] + density[::-1][:-1]) / 2.0 * step)])[::-1]

        def excess(b: float, above: Floats = above, k: int = k, before: float = before) -> float:
            return float(np.interp(b, grid, above)) - (spent[k] - before)

        cut = float(brentq(excess, 0.0, 7.9))
        bounds.append(cut / math.sqrt(share[k]))
        density = np.where(grid < cut, density, 0.0)
        before = float(spent[k])
    return np.array(bounds)


OBRIEN_FLEMING = obrien_fleming_bounds(NUM_LOOKS, ALPHA)

SPENDING = "group-sequential, O'Brien-Fleming"
METHODS: dict[str, Method] = {
    "betting, all earlier models": betting(None),
    "betting, one earlier model": betting(1),
    "betting, baseline alone": betting(0),
    SPENDING: group_sequential,
    "normal mixture, every item": mixture,
}
VALID = {
    "betting": "any stopping time, exact, bounded scores, a finite set in random order",
    "group-sequential": "planned looks, large samples",
    "normal": "any stopping time, large samples",
}
ZONES = ("below -2 margins", "-2 to -1 margins", "-1 margin to 0", "0 and above")


def zone(difference: float, margin: float) -> int:
    """Index in ZONES."""
    return int(np.searchsorted([-2.0 * margin, -margin, 0.0], difference, side="right"))


def at_margin(answers: Answers, b: int, c: int, margin: float, rng: np.random.Generator) -> Floats:
    """The candidate with random items turned until it lies at -margin, or just below."""
    candidate = answers.scores[c].copy()
    target = math.floor(float(answers.scores[b].sum()) - margin * candidate.size + 1e-9)
    surplus = int(candidate.sum()) - target
    pool = np.flatnonzero(candidate == (1.0 if surplus > 0 else 0.0))
    candidate[rng.choice(pool, abs(surplus), replace=False)] = 0.0 if surplus > 0 else 1.0
    return candidate


def step_seconds(num_items: int, num_rules: int) -> float:
    """Median CPU time of a step over 200 new items through SequentialGate, decided rules or not; one thread."""
    rng = np.random.default_rng(0)
    names = tuple(f"m{r}" for r in range(num_rules))
    base = (rng.random((num_rules, num_items)) < 0.6).astype(float)
    new = np.where(rng.random(base.shape) < 0.9, base, 1.0 - base)

    def result(scores: Floats, model: str) -> SuiteResult:
        columns = ({name: float(scores[r, n]) for r, name in enumerate(names)} for n in range(num_items))
        items = [make_item(f"i{n}", each, slices={"part": f"p{n % 14}"}) for n, each in enumerate(columns)]
        return make_result(items, "s", model_identity=model)

    rules: list[dict[str, Any]] = [{"suite": "s", "metric": m, "kind": "guard", "margin": 0.02} for m in names]
    baseline = result(base, "base")
    report = EvalReport("base", "base", {"s": baseline.table()}, {})
    gate = SequentialGate({"base": report}, GatePolicy.model_validate({"rules": rules}))
    by_id = {item.item_id: item for item in result(new, "new").items}
    items = [by_id[item] for item in gate.order("s")]
    seconds = []
    for start in range(0, min(num_items, 6000), 200):
        began = time.process_time()
        gate.advance("s", items[start : start + 200])
        seconds.append(time.process_time() - began)
    return float(np.median(seconds))


def main() -> None:
    """Print the table and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", type=Path, default=ANSWERS)
    parser.add_argument("--margin", type=float, default=0.02)
    parser.add_argument("--repetitions", type=int, default=2)
    parser.add_argument("--edge", type=int, default=400, help="candidates at the margin")
    options = parser.parse_args()
    answers, margin = read_answers(options.answers), options.margin
    pairs = pairs_within(answers, 0.06)
    total = len(answers.item_ids)
    print(
        f"{len(answers.models)} models, {total:,} items, {len(pairs)} ordered pairs, margin {margin:g}, alpha {ALPHA:g}"
    )
    items: dict[str, list[list[int]]] = {name: [[] for _ in ZONES] for name in METHODS}
    wrong = dict.fromkeys(METHODS, 0)
    for repetition in range(options.repetitions):
        for b, c in pairs:
            order = evaluation_order(answers.item_ids, answers.categories, f"{repetition} {b} {c}")
            difference = float((answers.scores[c] - answers.scores[b]).sum()) / total
            for name, method in METHODS.items():
                verdict = method(answers, b, answers.scores[c], c, order, margin)
                items[name][zone(difference, margin)].append(verdict.num_items)
                wrong[name] += verdict.passed is not None and verdict.passed != (difference > -margin)
    rng = np.random.default_rng(0)
    promoted, rejected = dict.fromkeys(METHODS, 0), dict.fromkeys(METHODS, 0)
    for trial in range(options.edge):
        b, c = pairs[trial % len(pairs)]
        candidate = at_margin(answers, b, c, margin, rng)
        order = evaluation_order(answers.item_ids, answers.categories, f"edge {trial}")
        for name, method in METHODS.items():
            verdict = method(answers, b, candidate, c, order, margin)
            promoted[name] += verdict.passed is True
            rejected[name] += verdict.passed is False
    count = options.repetitions * len(pairs)
    print(
        f"\nmean items to a verdict, by the true difference; errors of {count} trials; at the margin: {options.edge}\n"
    )
    print(f"| method | {' | '.join(ZONES)} | wrong | promoted at the margin | rejected there | valid at |")
    print("|---|" + "---|" * (len(ZONES) + 4))
    for name in METHODS:
        means = [f"{np.mean(found):,.0f}" if found else "-" for found in items[name]]
        shares = [f"{100 * count_of[name] / max(options.edge, 1):.1f}%" for count_of in (promoted, rejected)]
        valid = next(text for start, text in VALID.items() if name.startswith(start))
        print(f"| {name} | {' | '.join(means)} | {100 * wrong[name] / count:.1f}% | {' | '.join(shares)} | {valid} |")
    one, twenty = step_seconds(total, 1), step_seconds(total, 20)
    took = f"1 rule {1000 * one:.1f} ms, 20 rules {1000 * twenty:.1f} ms"
    print(f"\nCPU time of a step over 200 new items of {total:,}: {took}\n")
    clear = {name: float(np.mean(items[name][0] + items[name][3])) for name in METHODS}
    own = clear["betting, one earlier model"]
    print(f"ratio items_group_sequential_over_betting {clear[SPENDING] / own:.2f}")
    print(f"ratio items_normal_mixture_over_betting {clear['normal mixture, every item'] / own:.2f}")
    print(f"ratio items_whole_set_over_betting {total / own:.2f}")
    print(f"ratio step_20ms_over_one_rule {0.020 / one:.2f}")
    print(f"ratio step_20ms_over_twenty_rules {0.020 / twenty:.2f}")


if __name__ == "__main__":
    main()
