"""Ratios of sums: against a survey package's formula, the jackknife, simulation, and means where they coincide."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from evalsuite.stats.paired import mean_interval, paired_interval
from evalsuite.stats.ratio import Ratio, paired_ratio_interval, ratio_interval

# Counts of checks that hold, out of one to three checks an item, as IFEval has them.
checks = st.integers(1, 3).flatmap(lambda n: st.tuples(st.integers(0, n), st.integers(0, n), st.just(n)))
columns = st.lists(checks, min_size=2, max_size=90)


def _columns(rows: list[tuple[int, int, int]]) -> tuple[Ratio, Ratio]:
    first, second, weights = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    return Ratio(first, weights), Ratio(second, weights)


def _ifeval_like(rng: np.random.Generator, n: int, loss: float) -> tuple[Ratio, Ratio]:
    weights = rng.choice([1.0, 2.0, 3.0], n, p=[0.55, 0.33, 0.12])
    hard = rng.uniform(0.3, 0.9, n)
    return (
        Ratio(rng.binomial(weights.astype(int), np.clip(hard - loss, 0, 1)).astype(float), weights),
        Ratio(rng.binomial(weights.astype(int), hard).astype(float), weights),
    )


def _jackknife_error(candidate: Ratio, baseline: Ratio, clusters: np.ndarray) -> float:
    """Delete one cluster at a time."""
    values = []
    for cluster in np.unique(clusters):
        kept = clusters != cluster
        a, b, c, d = (np.asarray(column)[kept].sum() for column in (*candidate, *baseline))
        values.append(a / b - c / d)
    g = len(values)
    return math.sqrt((g - 1) / g * float(((np.array(values) - np.mean(values)) ** 2).sum()))


@pytest.mark.parametrize("size", [1, 4])
def test_the_linearised_error_is_that_of_the_jackknife(size: int) -> None:
    rng = np.random.default_rng(0)
    candidate, baseline = _ifeval_like(rng, 800, 0.05)
    clusters = np.arange(800) // size
    interval = paired_ratio_interval(candidate, baseline, clusters, 0.05, may_be_bounded=False)
    error = _jackknife_error(candidate, baseline, clusters)
    width = float(stats.t.isf(0.05, 800 // size - 1)) * error
    assert interval.method == ("linearised t" if size == 1 else "cluster-robust linearised t")
    assert interval.difference - interval.lower == pytest.approx(width, rel=0.01)
    assert interval.upper - interval.difference == pytest.approx(width, rel=0.01)


def test_the_linearised_interval_is_that_of_a_bootstrap() -> None:
    rng = np.random.default_rng(1)
    candidate, baseline = _ifeval_like(rng, 541, 0.03)
    # A model may choose what is counted, as BBQ's bias score counts the answers that are not "unknown".
    counted = (rng.random(541) < 0.8) * np.asarray(candidate.denominators)
    candidate = Ratio(np.minimum(candidate.numerators, counted), counted)
    interval = paired_ratio_interval(candidate, baseline, None, 0.05)
    draws = rng.integers(0, 541, (8000, 541))
    a, b, c, d = (np.asarray(column)[draws].sum(axis=1) for column in (*candidate, *baseline))
    assert (interval.lower, interval.upper) == pytest.approx(np.quantile(a / b - c / d, [0.05, 0.95]), abs=0.003)


def test_one_ratio_gets_the_textbook_error_of_a_ratio_estimate() -> None:
    rng = np.random.default_rng(2)
    x = rng.gamma(20.0, 5.0, 200)
    y = 1.2 * x + rng.normal(0.0, 4.0, 200)
    interval = ratio_interval(Ratio(y, x), None, 0.05)
    value = y.sum() / x.sum()
    variance = ((y - value * x) ** 2).sum() / 199 / 200 / x.mean() ** 2
    width = float(stats.t.isf(0.05, 199)) * math.sqrt(variance)
    assert interval.difference == pytest.approx(value)
    assert (interval.lower, interval.upper) == pytest.approx((value - width, value + width), abs=1e-4)


def test_denominators_of_one_give_the_interval_for_means() -> None:
    rng = np.random.default_rng(3)
    left, right, ones = rng.integers(0, 2, 80), rng.integers(0, 2, 80), np.ones(80)
    assert paired_ratio_interval(Ratio(left, ones), Ratio(right, ones), None, 0.05) == paired_interval(
        left, right, None, 0.05
    )
    assert ratio_interval(Ratio(left, ones), None, 0.05) == mean_interval(left, None, 0.05)


@pytest.mark.parametrize("loss", [0.0, 0.3])
def test_few_items_keep_the_error_below_alpha_at_the_margin(loss: float) -> None:
    rng = np.random.default_rng(4)
    weights = np.array([1.0, 2.0, 3.0])
    wrong = 0
    for _ in range(300):
        drawn = rng.choice(weights, 30)
        # One item in twelve loses every check, so that the true difference of the ratios is -1/12.
        lost = rng.random(30) < 1 / 12
        candidate = Ratio(np.where(lost, 0.0, drawn), drawn)
        counted = drawn if not loss else drawn * (rng.random(30) > loss)
        if not counted.any():
            continue
        interval = paired_ratio_interval(candidate, Ratio(counted, counted), None, 0.05)
        assert interval.method == ("Gaffke on each ratio" if loss else "Gaffke on the difference of ratios")
        wrong += interval.lower > -1 / 12
    assert wrong / 300 <= 0.05


def test_simulated_error_at_the_margin_stays_near_alpha() -> None:
    rng = np.random.default_rng(5)
    runs, above, below = 1200, 0, 0
    for _ in range(runs):
        n = 200
        weights = rng.choice([1.0, 2.0, 3.0], n)
        shared = rng.uniform(0.2, 0.8, n)
        counted = weights * (rng.random(n) < 0.7)
        candidate = Ratio(rng.binomial(counted.astype(int), shared - 0.05), counted)
        baseline = Ratio(rng.binomial(weights.astype(int), shared), weights)
        interval = paired_ratio_interval(candidate, baseline, None, 0.05)
        above += interval.lower > -0.05
        below += interval.upper < -0.05
    three_errors = 3 * math.sqrt(0.05 * 0.95 / runs)
    assert above / runs <= 0.05 + three_errors
    assert below / runs <= 0.05 + three_errors


def test_equal_models_leave_room_whatever_their_number() -> None:
    numerators, denominators = np.tile([2.0, 1.0], 200), np.tile([3.0, 1.0], 200)
    own = Ratio(numerators, denominators)
    interval = paired_ratio_interval(own, own, None, 0.05)
    assert interval.difference == 0.0
    assert interval.lower == pytest.approx(-interval.upper)
    assert 3.0 / 400 < interval.upper < 0.02


def test_denominators_that_vary_much_are_never_linearised() -> None:
    rng = np.random.default_rng(6)
    denominators = np.where(np.arange(100) < 3, 50.0, 0.2)
    interval = ratio_interval(Ratio(denominators * rng.random(100), denominators), None, 0.05)
    assert interval.method == "Gaffke on the ratio"


@pytest.mark.parametrize(("variation", "method"), [(0.098, "linearised t"), (0.102, "none")])
def test_a_tenth_is_the_most_that_the_mean_of_the_denominators_may_vary(variation: float, method: str) -> None:
    rng = np.random.default_rng(7)
    # Three of 100 have another denominator, so that the mean's coefficient of variation is the wanted one.
    size = next(x for x in np.linspace(1.0, 50.0, 100_000) if _mean_variation(x) >= variation)
    denominators = np.where(np.arange(100) < 3, size, 1.0)
    found = ratio_interval(Ratio(denominators * rng.random(100), denominators), None, 0.05, may_be_bounded=False)
    assert found.method.startswith(method)


def _mean_variation(size: float) -> float:
    denominators = [size] * 3 + [1.0] * 97
    return float(np.std(denominators, ddof=1)) / 10.0 / float(np.mean(denominators))


@pytest.mark.parametrize(("units", "linear"), [(19, False), (20, True), (21, True)])
def test_twenty_clusters_are_enough_to_linearise(units: int, linear: bool) -> None:
    rng = np.random.default_rng(8)
    clusters = np.repeat(np.arange(units), 4)
    shares = rng.random(units)[clusters]
    shares[:4] = 0.9 * shares[4:8]
    counts = Ratio(2.0 * shares, np.full(4 * units, 2.0))
    found = ratio_interval(counts, clusters, 0.05, may_be_bounded=False).method
    # At twenty units one stands at or beside the median, so that the number that move is one less than enough.
    assert found.startswith("cluster-robust linearised t") is (linear and _moving(shares[::4]) >= 20)


def _moving(shares: np.ndarray) -> int:
    return int((np.abs(shares - np.median(shares)) > 1e-9).sum())


def test_two_ratios_with_denominators_of_their_own_are_bounded_each_at_half_of_alpha() -> None:
    rng = np.random.default_rng(9)
    own, other = (Ratio(w * (rng.random(30) < 0.7), w) for w in rng.choice([1.0, 2.0, 3.0], (2, 30)))
    found = paired_ratio_interval(own, other, None, 0.05)
    first, second = (ratio_interval(each, None, 0.025) for each in (own, other))
    assert found.method == "Gaffke on each ratio"
    assert (found.lower, found.upper) == pytest.approx((first.lower - second.upper, first.upper - second.lower))


def test_equal_shares_leave_the_room_of_the_closed_form_down_to_minus_one() -> None:
    found = ratio_interval(Ratio([1.0] * 30, [2.0] * 30), None, 0.05)
    assert found.lower == pytest.approx(-1.0 + 1.5 * 0.05 ** (1 / 30))
    assert found.upper == pytest.approx(1.0 - 0.5 * 0.05 ** (1 / 30))


def test_numerators_beyond_their_denominators_have_no_interval_in_few_items() -> None:
    interval = ratio_interval(Ratio([5.0, 1.0, 3.0], [2.0, 1.0, 0.0]), None, 0.05)
    assert (interval.lower, interval.upper) == (-math.inf, math.inf)
    assert interval.method.startswith("none")


@pytest.mark.parametrize(
    ("numerators", "denominators"),
    [
        pytest.param([1.0], [0.0], id="all-zero"),
        pytest.param([1.0], [-1.0], id="negative"),
        pytest.param([1.0], [math.nan], id="nan"),
        pytest.param([1.0], [1.0, 1.0], id="lengths"),
    ],
)
def test_unusable_denominators_are_refused(numerators: list[float], denominators: list[float]) -> None:
    with pytest.raises(ValueError, match=r"denominators|NaN"):
        ratio_interval(Ratio(numerators, denominators), None, 0.05)


@settings(deadline=None, max_examples=60)
@given(columns, st.randoms(use_true_random=False))
def test_order_and_swapping_change_nothing_but_the_sign(rows: list[tuple[int, int, int]], random: object) -> None:
    forward = paired_ratio_interval(*_columns(rows), None, 0.05)
    back = paired_ratio_interval(*reversed(_columns(rows)), None, 0.05)
    assert (forward.lower, forward.upper) == pytest.approx((-back.upper, -back.lower), abs=1e-9)
    assert forward.lower <= forward.difference <= forward.upper
    random.shuffle(rows)  # type: ignore[attr-defined]
    assert paired_ratio_interval(*_columns(rows), None, 0.05) == forward


@settings(deadline=None, max_examples=80)
@given(columns, st.integers(0, 89))
def test_losing_a_check_never_raises_a_bound(rows: list[tuple[int, int, int]], at: int) -> None:
    at %= len(rows)
    right, other, weight = rows[at]
    worse = [*rows[:at], (max(0, right - 1), other, weight), *rows[at + 1 :]]
    before, after = (paired_ratio_interval(*_columns(each), None, 0.05) for each in (rows, worse))
    assert after.lower <= before.lower + 1e-9
    assert after.upper <= before.upper + 1e-9
