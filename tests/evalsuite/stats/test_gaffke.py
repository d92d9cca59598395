import itertools
import math
import tracemalloc

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

import evalsuite.stats.gaffke
from evalsuite.stats.gaffke import factor_to_prove, gaffke_limits


def _lower(values: list[float] | np.ndarray, low: float = 0.0, alpha: float = 0.05) -> float:
    column = np.asarray(values, dtype=np.float64)
    return gaffke_limits(column, np.ones(column.size), (low, 1.0), alpha)[0]


@pytest.mark.parametrize("alpha", [0.3, 0.05, 0.0005])
@pytest.mark.parametrize(("right", "n"), [(1, 1), (1, 2), (3, 5), (7, 20), (40, 40), (1, 400), (499, 500)])
def test_right_or_wrong_scores_get_clopper_and_pearsons_limit(right: int, n: int, alpha: float) -> None:
    expected = stats.binomtest(right, n).proportion_ci(1.0 - 2.0 * alpha, method="exact").low
    assert _lower([1.0] * right + [0.0] * (n - right), alpha=alpha) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize(
    ("n", "lost", "gained"),
    [(1, 0, 1), (2, 1, 0), (10, 1, 7), (39, 0, 5), (41, 0, 5), (129, 3, 2), (500, 0, 5), (500, 20, 30), (3000, 0, 1)],
)
def test_three_valued_differences_get_the_quantile_that_three_gamma_variables_have(
    n: int, lost: int, gained: int
) -> None:
    """P(G(gained) (1 - c) <= G(n - lost - gained) c + G(lost + 1) (1 + c)), integrated over the other two."""
    same = n - lost - gained
    bound = _lower([-1.0] * lost + [1.0] * gained + [0.0] * same, low=-1.0)

    def quantiles(shape: int) -> np.ndarray:
        return stats.gamma.ppf((np.arange(1000) + 0.5) / 1000, shape) if shape else np.zeros(1)

    if bound >= 0.0:
        rest = np.add.outer(quantiles(same) * bound, quantiles(lost + 1) * (1.0 + bound))
        chance = stats.gamma.cdf(rest / (1.0 - bound), gained).mean() if gained else 1.0
    else:
        good = np.add.outer(quantiles(gained) * (1.0 - bound), quantiles(same) * -bound)
        chance = stats.gamma.sf(good / (1.0 + bound), lost + 1).mean()
    assert chance == pytest.approx(0.05, abs=5e-4)


@pytest.mark.parametrize("n", [1, 2, 10, 39, 41, 300, 4000])
def test_equal_scores_leave_the_room_of_the_closed_form(n: int) -> None:
    # -1 and a value v: the bound is -1 + (v + 1) alpha^(1/n).
    assert _lower([0.5] * n, low=-1.0) == pytest.approx(-1.0 + 1.5 * 0.05 ** (1.0 / n), abs=1e-9)


def _exact_chance_below(steps: np.ndarray) -> float:
    """P(sum of exponentials times distinct steps <= 0), by partial fractions in 400 digits."""
    with mpmath.workdps(400):
        numbers = [mpmath.mpf(float(step)) for step in steps]
        above = [
            mpmath.fprod(one / (one - other) for j, other in enumerate(numbers) if j != i)
            for i, one in enumerate(numbers)
            if one > 0
        ]
        return float(1 - mpmath.fsum(above))


@pytest.mark.parametrize("beyond", [1.0, 30.0, 1e3, 1e6, 1e9])
@pytest.mark.parametrize("n", [20, 45, 100])
def test_a_chance_is_that_of_partial_fractions_also_where_one_unit_outweighs_the_others(n: int, beyond: float) -> None:
    rng = np.random.default_rng(n)
    for shift in (-0.3, 0.0, 0.5):
        steps = rng.uniform(0.5, 1.5, n) * (rng.uniform(-1.0, 1.0, n) + shift)
        steps[0] *= beyond
        steps[-1] = -abs(steps).max()  # what was not seen weighs as much as the heaviest unit
        found = evalsuite.stats.gaffke._chance_below(steps, np.ones(n))
        assert found == pytest.approx(_exact_chance_below(steps), rel=1e-7, abs=1e-10)


def test_one_unit_beyond_all_others_costs_no_more_nodes_than_few_units_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the vertical line its slow power law took all of MAX_NODES, and seconds."""
    monkeypatch.setattr(evalsuite.stats.gaffke, "MAX_NODES", 4096)
    rng = np.random.default_rng(0)
    sizes, means = rng.integers(1, 5, 300).astype(float), np.clip(rng.normal(0.0, 0.3, 300), -1.0, 1.0)
    sizes[0] = 1e7
    short = gaffke_limits(means, sizes, (-1.0, 1.0), 0.05)[0]
    monkeypatch.setattr(evalsuite.stats.gaffke, "MAX_NODES", 2**20)
    assert gaffke_limits(means, sizes, (-1.0, 1.0), 0.05)[0] == short


@pytest.mark.parametrize("sizes", [[1.0] * 30, [float(1 + i % 5) for i in range(30)]], ids=["equal", "unequal"])
def test_graded_scores_get_the_quantile_of_a_million_draws(sizes: list[float]) -> None:
    rng = np.random.default_rng(0)
    values = np.clip(rng.normal(0.0, 0.2, 30), -1.0, 1.0)
    weights = np.append(sizes, max(sizes))
    sums = [rng.exponential(size=(100_000, 31)) * weights for _ in range(10)]
    drawn = np.concatenate([each @ np.append(values, -1.0) / each.sum(axis=1) for each in sums])
    lower, _ = gaffke_limits(values, np.array(sizes), (-1.0, 1.0), 0.05)
    assert lower == pytest.approx(np.quantile(drawn, 0.05), abs=4e-4)


def test_a_long_column_on_its_grid_is_within_half_a_percent_of_the_exact_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.clip(np.random.default_rng(1).normal(0.0, 0.05, 2000), -1.0, 1.0)
    rough = _lower(values, low=-1.0)
    monkeypatch.setattr(evalsuite.stats.gaffke, "MAX_EXACT_UNITS", 10_000)
    exact = _lower(values, low=-1.0)
    assert values.mean() - rough == pytest.approx(values.mean() - exact, rel=5e-3)
    assert rough < exact


def test_many_scores_come_near_students_t() -> None:
    values = np.random.default_rng(2).uniform(0.0, 1.0, 20_000)
    t = stats.ttest_1samp(values, 0.0).confidence_interval(0.90).low
    assert values.mean() - _lower(values) == pytest.approx(values.mean() - t, rel=0.02)


@pytest.mark.parametrize("n", [3, 6, 10])
@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_no_three_valued_distribution_is_passed_more_often_than_alpha(n: int, alpha: float) -> None:
    """Every sample of n scores out of {0, middle, 1}, under every distribution on a grid; the proof covers two values.

    A rule asks whether the bound lies above the true mean, which the sample's chance then is an error.
    """
    grid = [p for p in itertools.product(np.linspace(0.0, 1.0, 11), repeat=2) if sum(p) <= 1.0]
    for middle in (0.1, 0.5, 0.9):
        tables = [(i, j) for i, j in itertools.product(range(n + 1), repeat=2) if i + j <= n]
        bounds = np.array([_lower([0.0] * i + [middle] * j + [1.0] * (n - i - j), alpha=alpha) for i, j in tables])
        counts = np.array([(i, j, n - i - j) for i, j in tables])
        for zero, half in grid:
            one = max(1.0 - zero - half, 0.0)
            chance = stats.multinomial.pmf(counts, n, [zero, half, one])
            truth = middle * half + one
            assert chance[bounds > truth + 1e-9].sum() <= alpha + 1e-9


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.one_of(st.floats(-1.0, 1.0), st.sampled_from([-1.0, 0.0, 1.0])), min_size=1, max_size=60),
    st.integers(0, 59),
    st.floats(0.0, 1.0),
    st.sampled_from([0.2, 0.05, 0.001]),
)
def test_a_lower_score_never_raises_the_bound(values: list[float], at: int, share: float, alpha: float) -> None:
    at %= len(values)
    worse = [*values[:at], values[at] - share * (values[at] + 1.0), *values[at + 1 :]]
    assert _lower(worse, -1.0, alpha) <= _lower(values, -1.0, alpha) + 1e-9


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(0, 1999), st.floats(0.0, 1.0))
def test_a_lower_score_never_raises_the_bound_on_the_grid(seed: int, at: int, share: float) -> None:
    values = np.random.default_rng(seed).normal(0.0, 0.02, 2000)
    worse = values.copy()
    worse[at] -= share * (worse[at] + 1.0)
    assert _lower(worse, -1.0) <= _lower(values, -1.0) + 1e-9


@settings(deadline=None, max_examples=100)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([1, 3, 30, 128, 2000, 20_000]),
    st.sampled_from([0.001, 0.03, 0.3]),
    st.sampled_from([1.0, 50.0, 1e6]),
    st.sampled_from([0.2, 0.05, 0.001]),
)
def test_a_limit_is_where_the_chance_is_alpha_to_ten_decimals(
    seed: int, n: int, spread: float, heaviest: float, alpha: float
) -> None:
    rng = np.random.default_rng(seed)
    means, sizes = np.clip(rng.standard_t(2, n) * spread, -1.0, 1.0), np.ones(n)
    sizes[0] = heaviest
    for limit, towards in zip(gaffke_limits(means, sizes, (-1.0, 1.0), alpha), (1.0, -1.0), strict=True):
        values, weights, counts = evalsuite.stats.gaffke._atoms(towards * means, sizes)
        values, weights = np.append(values, -1.0), np.append(weights, weights.max())
        below, above = (
            evalsuite.stats.gaffke._chance_below(weights * (values - at), np.append(counts, 1.0))
            for at in (towards * limit - 1e-10, towards * limit + 1e-10)
        )
        assert below <= alpha <= above or below == pytest.approx(alpha, rel=1e-9)


def test_a_first_guess_beside_the_mean_does_not_end_the_search() -> None:
    """A score for which Cornish and Fisher's guess is the mean but for 1e-8 once got the mean as its limit."""
    rest = [0.1, 0.2, 0.14, 0.03, 0.07, 0.07, 0.07, 0.0, 0.11, 0.04, 0.08, 0.07, 0.12, 0.06]
    rest += [0.04, 0.1, 0.15, 0.06, 0.14, 0.09, 0.05, 0.15, 0.03, 0.13, 0.05]
    limit = _lower([0.7121766728097871, *rest], alpha=1e-5)
    assert limit == pytest.approx(0.0498945213, abs=1e-9)  # by bisection
    assert limit <= _lower([0.7121766728097871 + 1e-4, *rest], alpha=1e-5)


@settings(deadline=None, max_examples=150)
@given(st.integers(0, 2**32 - 1), st.sampled_from([5, 26, 60]), st.floats(-9.0, math.log10(0.49)))
def test_no_guess_ends_the_search_at_any_level(seed: int, n: int, log_alpha: float) -> None:
    """One score is moved to where the guess is the mean itself, the worst place to start from."""
    alpha = 10.0**log_alpha
    rng = np.random.default_rng(seed)
    rest, wanted = rng.uniform(0.0, 0.2, n - 1), stats.norm.ppf(alpha)

    def gap(score: float) -> float:
        values = np.array([score, *rest, 0.0])
        steps = values - values.mean()
        return float((steps**3).sum() / (3.0 * (steps**2).sum() ** 1.5) * (wanted**2 - 1.0) + wanted)

    if gap(0.0) * gap(1.0) >= 0.0:
        return
    score = optimize.brentq(gap, 0.0, 1.0, xtol=1e-15)
    for moved in (0.0, 1e-12, -1e-12, 1e-9, -1e-9):
        values = np.array([min(max(score + moved, 0.0), 1.0), *rest])
        limit = _lower(values, alpha=alpha)
        chances = [
            evalsuite.stats.gaffke._chance_below(np.append(values, 0.0) - at, np.ones(n + 1))
            for at in (limit - 1e-10, limit + 1e-10)
        ]
        assert chances[0] <= alpha * (1.0 + 1e-9)
        assert chances[1] >= alpha * (1.0 - 1e-9)


@pytest.mark.parametrize("scale", [1e-300, 1e-170, 1e-110, 1.0, 1e110])
def test_scores_and_sizes_of_any_scale_have_limits(scale: float) -> None:
    rng = np.random.default_rng(0)
    means = rng.uniform(0.0, 1.0, 60)
    sized = gaffke_limits(means, np.full(60, scale), (0.0, 1.0), 0.05)
    assert sized == pytest.approx(gaffke_limits(means, np.ones(60), (0.0, 1.0), 0.05), abs=1e-10)
    if scale <= 1.0:
        assert 0.0 <= _lower(scale * means) <= scale


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(0.0, 1.0), min_size=2, max_size=40), st.floats(0.01, 0.99))
def test_a_factor_on_the_units_is_where_the_bound_passes_the_limit(values: list[float], part: float) -> None:
    column = np.array(values)
    limit = part * float(column.mean())
    factor = factor_to_prove(column, np.ones(column.size), 0.0, limit, 0.05)
    if math.isfinite(factor) and factor < 50.0:
        enough, less = math.ceil(factor), math.floor(factor / 1.01)
        assert _lower(np.tile(column, enough)) >= limit - 1e-3
        assert less == 0 or _lower(np.tile(column, less)) <= limit + 1e-3


def test_what_is_not_above_the_limit_is_proven_by_no_number() -> None:
    assert factor_to_prove(np.full(10, 0.5), np.ones(10), 0.0, 0.5, 0.05) == math.inf
    assert factor_to_prove(np.full(10, 0.5), np.ones(10), 0.0, 0.0, 0.05) == math.inf


def test_items_that_all_weigh_differently_fit_the_memory() -> None:
    rng = np.random.default_rng(0)
    means, sizes = rng.uniform(-0.1, 0.2, 20_000), rng.uniform(1.0, 2.0, 20_000)
    tracemalloc.start()
    bound = gaffke_limits(means, sizes, (-1.0, 1.0), 0.05)[0]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    t = (
        float(means @ sizes / sizes.sum())
        - 1.645 * float(means.std()) * math.sqrt(float((sizes**2).sum())) / sizes.sum()
    )
    assert bound == pytest.approx(t, abs=2e-4)
    assert peak < 60 * 2**20
