"""Equal to scipy.stats and statsmodels, which take seconds to import."""

import math
import sys

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.inter_rater import cohens_kappa as kappa_of_table
from statsmodels.stats.proportion import proportion_confint

from evalsuite.gate.cautions import expected_maximum
from evalsuite.gate_tools.designs import PairedRates, Rate
from evalsuite.judge_tools.agreement import cohens_kappa
from evalsuite.stats.distributions import (
    binomial_cdf,
    binomial_ppf,
    binomial_sf,
    clopper_pearson,
    normal_isf,
    normal_pdf,
    normal_sf,
    t_isf,
)

ALPHA = st.floats(1e-9, 0.4999)
RATE = st.one_of(st.sampled_from([0.0, 1.0, 1e-12]), st.floats(0.0, 1.0))
CLOSE = {"rtol": 1e-12, "atol": 1e-300}


@settings(max_examples=100, deadline=None)
@given(n=st.integers(1, 20_000), part=st.floats(0.0, 1.0), alpha=ALPHA)
def test_the_limits_of_a_rate_are_those_of_statsmodels(n: int, part: float, alpha: float) -> None:
    count = round(part * n)
    lower, upper = proportion_confint(count, n, alpha=2 * alpha, method="beta")
    expected = (0.0 if count == 0 else lower, 1.0 if count == n else upper)
    np.testing.assert_allclose(clopper_pearson(count, n, alpha), expected, **CLOSE)


@settings(max_examples=100, deadline=None)
@given(alpha=ALPHA, degrees=st.integers(1, 100_000), value=st.floats(-30.0, 30.0))
def test_quantiles_and_tails_are_those_of_scipy_stats(alpha: float, degrees: int, value: float) -> None:
    np.testing.assert_allclose(normal_isf(alpha), stats.norm.isf(alpha), **CLOSE)
    np.testing.assert_allclose(normal_isf(1.0 - alpha), stats.norm.isf(1.0 - alpha), **CLOSE)
    np.testing.assert_allclose(normal_sf(value), stats.norm.sf(value), **CLOSE)
    np.testing.assert_allclose(normal_pdf(value), stats.norm.pdf(value), **CLOSE)
    np.testing.assert_allclose(t_isf(alpha, degrees), stats.t.isf(alpha, degrees), **CLOSE)


@settings(max_examples=100, deadline=None)
@given(n=st.integers(0, 3_000), rate=RATE, chance=st.floats(1e-12, 1.0 - 1e-12), data=st.data())
def test_binomial_chances_are_those_of_scipy_stats(n: int, rate: float, chance: float, data: st.DataObject) -> None:
    counts = np.array(data.draw(st.lists(st.integers(-1, n + 1), min_size=1, max_size=5)))
    np.testing.assert_allclose(binomial_sf(counts, n, rate), stats.binom.sf(counts, n, rate), **CLOSE)
    np.testing.assert_allclose(binomial_cdf(counts, n, rate), stats.binom.cdf(counts, n, rate), **CLOSE)
    found = binomial_ppf(chance, n, rate)
    assert stats.binom.cdf(found, n, rate) >= chance
    assert found == 0 or stats.binom.cdf(found - 1, n, rate) < chance


@settings(max_examples=30, deadline=None)
@given(n=st.integers(2, 800), difference=st.floats(-0.2, 0.2), more=st.floats(0.0, 0.5))
@example(n=4, difference=-sys.float_info.min, more=0.0)
def test_the_chance_of_a_proof_is_the_sum_over_every_table(n: int, difference: float, more: float) -> None:
    design, alpha, limit = PairedRates(discordance=abs(difference) + more), 0.05, -0.05
    differ = min(abs(difference) + more, 1.0)
    lost, gained = (differ - difference) / 2.0, (differ + difference) / 2.0
    from evalsuite.gate_tools.designs import _least_gained

    losses = np.arange(n + 1)
    least = _least_gained(n, alpha, limit)
    share = min(gained / (1.0 - lost), 1.0)
    chance = np.where(least <= n - losses, stats.binom.sf(least - 1, n - losses, share), 0.0)
    exactly = np.exp(stats.binom.logpmf(losses, n, lost))  # scipy's own pmf overflows at the smallest rates
    expected = float((exactly * chance).sum())
    assert math.isclose(design.passes(n, alpha, limit, difference), expected, rel_tol=1e-9, abs_tol=1e-9)


@pytest.mark.parametrize("rate", [0.0, 0.3, 0.97, 1.0])
def test_the_chance_of_one_samples_proof_is_a_binomial_tail(rate: float) -> None:
    least = next(count for count in range(101) if clopper_pearson(count, 100, 0.05)[0] > 0.9)
    np.testing.assert_allclose(Rate().passes(100, 0.05, 0.9, rate), stats.binom.sf(least - 1, 100, rate), **CLOSE)


@given(verdicts=st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1, max_size=60))
def test_kappa_is_that_of_statsmodels(verdicts: list[tuple[str, str]]) -> None:
    first, second = [one for one, _ in verdicts], [other for _, other in verdicts]
    found = cohens_kappa(first, second)
    labels = sorted({*first, *second})
    if len(labels) == 1:
        assert found is None
        return
    table = np.array([[verdicts.count((one, other)) for other in labels] for one in labels], dtype=float)
    np.testing.assert_allclose(found, kappa_of_table(table, return_results=False), rtol=1e-12, atol=1e-12)


def test_the_largest_of_two_normal_estimates_lies_one_over_root_pi_above_none() -> None:
    assert math.isclose(expected_maximum(2), 1.0 / math.sqrt(math.pi), rel_tol=1e-9)
