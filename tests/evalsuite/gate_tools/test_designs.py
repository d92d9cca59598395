"""Chances of a proof against enumeration, published formulas and statsmodels."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multinomial, norm
from statsmodels.stats.power import NormalIndPower, TTestPower

from evalsuite.gate_tools.designs import (
    PairedRates,
    Rate,
    Recorded,
    difference_for,
    items_for,
    sequential_items,
)
from evalsuite.stats.alternatives import uniforms
from evalsuite.stats.paired import mean_interval, paired_interval


@pytest.mark.parametrize(
    ("n", "limit", "difference", "discordance"),
    [(14, -0.3, 0.0, 0.3), (14, -0.3, -0.2, 0.3), (16, 0.05, 0.4, 0.5), (12, -0.2, -0.5, 0.2)],
)
def test_exact_power_is_the_sum_over_every_table_that_the_estimator_passes(
    n: int, limit: float, difference: float, discordance: float
) -> None:
    differ = max(discordance, abs(difference))
    cells = [(differ - difference) / 2, (differ + difference) / 2, 1 - differ]
    passed = failed = 0.0
    for lost in range(n + 1):
        for gained in range(n - lost + 1):
            candidate = np.array([0.0] * lost + [1.0] * gained + [1.0] * (n - lost - gained))
            baseline = np.array([1.0] * lost + [0.0] * gained + [1.0] * (n - lost - gained))
            found = paired_interval(candidate, baseline, None, 0.05)
            chance = float(multinomial.pmf([lost, gained, n - lost - gained], n, cells))
            passed += chance * (found.lower > limit)
            failed += chance * (found.upper < limit)
    design = PairedRates(discordance)
    assert design.passes(n, 0.05, limit, difference) == pytest.approx(passed, abs=1e-9)
    assert design.fails(n, 0.05, limit, difference) == pytest.approx(failed, abs=1e-9)


def test_one_sample_is_the_sum_over_every_count_that_the_estimator_passes() -> None:
    passed = sum(
        math.comb(30, right) * 0.9**right * 0.1 ** (30 - right)
        for right in range(31)
        if mean_interval(np.array([1.0] * right + [0.0] * (30 - right)), None, 0.05).lower > 0.7
    )
    assert Rate().passes(30, 0.05, 0.7, 0.9) == pytest.approx(passed, abs=1e-12)
    assert Rate().fails(30, 0.05, 0.3, 0.1) == pytest.approx(passed, abs=1e-12)


@pytest.mark.parametrize(
    ("discordance", "difference", "chance"), [(0.25, 0.05, 0.8), (0.25, 0.1, 0.9), (0.4, 0.1, 0.8), (0.1, 0.03, 0.95)]
)
def test_items_agree_with_connors_formula_for_mcnemars_test(
    discordance: float, difference: float, chance: float
) -> None:
    """Connor, Biometrics 43, 1987, 207-211; the exact limits cost up to a tenth more than his normal ones."""
    alpha = 0.05
    root = math.sqrt(discordance - difference**2)
    connor = ((norm.isf(alpha) * math.sqrt(discordance) + norm.ppf(chance) * root) / difference) ** 2
    ours = items_for(PairedRates(discordance), alpha, 0.0, difference, chance)
    assert ours is not None
    assert 0.99 <= ours / connor <= 1.12


@pytest.mark.parametrize("gap", [0.01, 0.02, 0.03])
def test_power_on_many_items_agrees_with_statsmodels_to_two_points(gap: float) -> None:
    deviation = math.sqrt(0.25 - 0.01**2)
    theirs = NormalIndPower().power(gap / deviation, 4000, 0.05, ratio=0, alternative="larger")
    assert PairedRates(0.25).passes(4000, 0.05, 0.01 - gap, 0.01) == pytest.approx(theirs, abs=0.02)


def test_the_normal_approximation_takes_over_without_a_step() -> None:
    design = PairedRates(0.25)
    assert design.passes(20_000, 0.05, -0.01, 0.0) == pytest.approx(design.passes(20_001, 0.05, -0.01, 0.0), abs=0.005)


def test_power_on_many_recorded_graded_scores_agrees_with_statsmodels_to_six_points() -> None:
    noise = norm.ppf(np.clip(uniforms("noise", 400), 1e-6, 1 - 1e-6)) * 0.2
    baseline = np.full(400, 0.5)
    design = Recorded(np.clip(baseline + noise, 0.0, 1.0), baseline, None)
    deviation = float(noise.std())
    for gap in (0.005, 0.0125, 0.02):
        theirs = TTestPower().power(gap / deviation, 2000, 0.05, alternative="larger")
        assert design.passes(2000, 0.05, -gap, 0.0) == pytest.approx(theirs, abs=0.06)


def test_items_that_share_clusters_need_more_of_them() -> None:
    moves = np.repeat(0.4 * (uniforms("clusters", 60) - 0.5), 5)
    baseline = np.full(300, 0.5)
    alone = Recorded(baseline + moves, baseline, None)
    shared = Recorded(baseline + moves, baseline, np.repeat(np.arange(60), 5))
    few, many = (items_for(design, 0.05, -0.03, 0.0, 0.8) for design in (alone, shared))
    assert few is not None
    assert many is not None
    assert 3.0 <= many / few <= 7.0, "five times the same answer is one answer"


def test_the_least_difference_has_the_wanted_chance_and_less_has_not() -> None:
    design = PairedRates(0.2)
    for chance in (0.8, 0.95):
        least = difference_for(design, 300, 0.05, -0.05, chance, loss=False)
        loss = difference_for(design, 300, 0.05, -0.05, chance, loss=True)
        assert least is not None
        assert loss is not None
        assert design.passes(300, 0.05, -0.05, least) >= chance > design.passes(300, 0.05, -0.05, least - 0.002)
        assert design.fails(300, 0.05, -0.05, loss) >= chance > design.fails(300, 0.05, -0.05, loss + 0.002)


def test_what_no_difference_can_prove_is_none() -> None:
    assert difference_for(PairedRates(0.2), 3, 0.05, -0.9, 0.8, loss=True) is None
    assert items_for(PairedRates(0.2), 0.05, -0.05, -0.05, 0.8) is None


@settings(max_examples=60)
@given(
    st.integers(20, 400),
    st.floats(0.02, 0.6),
    st.floats(0.02, 0.3),
    st.tuples(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5)),
)
def test_power_rises_with_the_true_change(
    n: int, discordance: float, margin: float, changes: tuple[float, float]
) -> None:
    design = PairedRates(discordance)
    worse, better = sorted(changes)
    assert design.passes(n, 0.05, -margin, worse) <= design.passes(n, 0.05, -margin, better) + 1e-9
    assert design.fails(n, 0.05, -margin, worse) >= design.fails(n, 0.05, -margin, better) - 1e-9


@settings(max_examples=30, deadline=None)
@given(st.integers(30, 300), st.integers(0, 300), st.floats(0.02, 0.5), st.floats(0.02, 0.3))
def test_more_items_never_make_the_least_detectable_loss_larger_by_more_than_an_item(
    n: int, more: int, discordance: float, margin: float
) -> None:
    """Exact limits make power a saw-tooth in n, whose teeth are one item wide."""
    design = PairedRates(discordance)
    few, many = (difference_for(design, size, 0.05, -margin, 0.8, loss=True) for size in (n, n + more))
    if few is not None:
        assert many is not None
        assert many >= few - 1.0 / n


def test_the_sequential_test_takes_fewer_items_for_a_clear_loss_than_for_a_close_one() -> None:
    baseline = (uniforms("base", 1500) < 0.6).astype(float)
    candidate = np.where(uniforms("flips", 1500) < 0.2, 1.0 - baseline, baseline)
    strata = tuple("ab"[k % 2] for k in range(1500))
    clear, close, good = (
        sequential_items(candidate, baseline, strata, -0.05, 0.05, difference, num_orders=5)
        for difference in (-0.25, -0.1, 0.0)
    )
    assert clear.mean_items < close.mean_items < 1500
    assert clear.failed == 1.0
    assert good.passed == 1.0


def test_the_sequential_test_wants_bounded_scores() -> None:
    with pytest.raises(ValueError, match=r"outside \[0, 1\]"):
        sequential_items(np.full(40, 2.0), np.ones(40), ("",) * 40, -0.05, 0.05, 0.0)
