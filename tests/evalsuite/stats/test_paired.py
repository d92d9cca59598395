import itertools
import math

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar

from evalsuite.stats.paired import mean_interval, paired_interval


def _pairs(both: int, gained: int, lost: int, neither: int) -> tuple[list[float], list[float]]:
    candidate = [1.0] * both + [1.0] * gained + [0.0] * lost + [0.0] * neither
    baseline = [1.0] * both + [0.0] * gained + [1.0] * lost + [0.0] * neither
    return candidate, baseline


def _lower_by_table(n: int, alpha: float) -> dict[tuple[int, int], float]:
    return {
        (lost, gained): paired_interval(*_pairs(n - lost - gained, gained, lost, 0), None, alpha).lower
        for lost, gained in itertools.product(range(n + 1), repeat=2)
        if lost + gained <= n
    }


def test_forty_equal_binary_pairs_leave_room_for_three_in_forty() -> None:
    interval = paired_interval([1.0] * 40, [1.0] * 40, None, 0.05)
    rule_of_three = stats.binomtest(0, 40).proportion_ci(0.90, method="exact").high
    assert interval.upper == pytest.approx(rule_of_three)
    assert interval.lower == pytest.approx(-rule_of_three)
    assert interval.difference == 0.0


def test_ten_of_ten_gained_still_leaves_room_below_but_none_above() -> None:
    interval = paired_interval([1.0] * 10, [0.0] * 10, None, 0.05)
    assert interval.upper == 1.0
    assert 0.5 < interval.lower < stats.binomtest(10, 10).proportion_ci(0.90, method="exact").low


def test_binary_interval_is_close_to_the_published_score_interval() -> None:
    # Airway reactivity, tables (1, 1, 7, 12): ratesci's vignette gives -0.5281 to -0.0184 for the skewness-corrected
    # score interval (https://petelaud.github.io/ratesci/articles/paired_contrasts.html). Exact limits are wider.
    interval = paired_interval(*_pairs(1, 1, 7, 12), None, 0.025)
    assert interval.difference == pytest.approx(-0.2857, abs=5e-5)
    assert -0.56 < interval.lower < -0.5281
    assert -0.0184 < interval.upper < 0.02


def test_approval_ratings_of_agresti_get_his_interval() -> None:
    # Agresti, Categorical Data Analysis, 2nd ed., 2002, section 10.1: 794 approve twice, 150 then 86 change their mind,
    # 570 disapprove twice; the difference of the marginal proportions is -0.04, 95% interval (-0.06, -0.02).
    interval = paired_interval(*_pairs(794, 86, 150, 570), None, 0.025)
    assert interval.difference == -0.04
    assert (round(interval.lower, 2), round(interval.upper, 2)) == (-0.06, -0.02)


def test_a_proven_difference_is_one_that_exact_mcnemar_proves_too() -> None:
    for lost, gained in itertools.product(range(0, 40, 3), repeat=2):
        if lost == gained == 0:
            continue
        interval = paired_interval(*_pairs(60, gained, lost, 60), None, 0.025)
        p_value = mcnemar([[60, lost], [gained, 60]], exact=True).pvalue
        if interval.lower > 0.0 or interval.upper < 0.0:
            assert p_value <= 0.05
        else:
            assert p_value >= 0.01


def test_binary_interval_approaches_wald_with_many_discordant_pairs() -> None:
    interval = paired_interval(*_pairs(30_000, 11_000, 10_000, 49_000), None, 0.05)
    wald = 1.6448536 * math.sqrt(0.21 - 0.01**2) / math.sqrt(100_000)
    assert interval.upper - interval.difference == pytest.approx(wald, rel=0.01)


@pytest.mark.parametrize("alpha", [0.1, 0.05, 0.025, 0.01])
@pytest.mark.parametrize("n", [12, 30, 60])
def test_binary_error_never_exceeds_alpha_over_every_possible_table(n: int, alpha: float) -> None:
    lower = _lower_by_table(n, alpha)
    lost, gained = np.array(list(lower)).T
    bounds = np.array(list(lower.values()))
    for margin in (0.02, 0.05, 0.1, 0.2, 0.35):
        for rate_gained in (0.0, 0.003, 0.02, 0.1, 0.3):
            rates = [rate_gained + margin, rate_gained, 1.0 - 2 * rate_gained - margin]
            chance = stats.multinomial.pmf(np.stack([lost, gained, n - lost - gained], axis=1), n, rates)
            assert chance.sum() == pytest.approx(1.0)
            assert chance[bounds > -margin].sum() <= alpha


def test_losing_one_more_binary_item_never_raises_a_bound() -> None:
    n = 24
    bounds = {
        (lost, gained): paired_interval(*_pairs(n - lost - gained, gained, lost, 0), None, 0.05)
        for lost, gained in itertools.product(range(n + 1), repeat=2)
        if lost + gained <= n
    }
    for (lost, gained), interval in bounds.items():
        for worse in ((lost + 1, gained), (lost, gained - 1), (lost + 1, gained - 1)):
            if worse in bounds:
                assert bounds[worse].lower <= interval.lower + 1e-12
                assert bounds[worse].upper <= interval.upper + 1e-12


def test_symmetric_scores_without_known_bounds_get_scipys_t_interval() -> None:
    half = np.random.default_rng(0).uniform(0.0, 0.3, 60)
    candidate, baseline = 0.5 + np.concatenate([half, -half]), np.full(120, 0.5)
    interval = paired_interval(candidate, baseline, None, 0.05, may_be_bounded=False)
    low, high = stats.ttest_rel(candidate, baseline).confidence_interval(0.90)
    assert interval.method == "t"
    assert (interval.lower, interval.upper) == pytest.approx((low, high), abs=1e-9)


def test_skewed_scores_only_ever_widen_the_t_interval() -> None:
    baseline = np.full(80, 0.9)
    candidate = baseline - np.random.default_rng(1).beta(0.3, 3.0, 80) * 0.9
    interval = paired_interval(candidate, baseline, None, 0.05, may_be_bounded=False)
    low, high = stats.ttest_rel(candidate, baseline).confidence_interval(0.90)
    assert interval.lower < low
    assert interval.upper == pytest.approx(high)


def test_the_correction_of_skewed_scores_is_the_same_on_either_side() -> None:
    gains = np.random.default_rng(1).beta(0.3, 3.0, 80) * 9.0
    up, down = (mean_interval(sign * gains, None, 0.05, may_be_bounded=False) for sign in (1.0, -1.0))
    low, high = stats.ttest_1samp(gains, 0.0).confidence_interval(0.90)
    assert (up.lower, up.upper) == pytest.approx((-down.upper, -down.lower))
    assert up.upper > high + 0.01
    assert up.lower == pytest.approx(low)


def test_clustered_scores_get_the_cluster_robust_error_of_statsmodels() -> None:
    rng = np.random.default_rng(2)
    clusters = np.repeat(np.arange(40), rng.integers(1, 6, 40))
    half = rng.normal(0.0, 1.0, 40)[clusters] + rng.normal(0.0, 1.0, clusters.size)
    # Mirrored clusters have no skewness, so that the plain interval is what must come out.
    difference = np.concatenate([half, -half])
    labels = np.concatenate([clusters, clusters + 100])
    interval = paired_interval(difference, np.zeros(difference.size), labels, 0.05)
    fit = sm.OLS(difference, np.ones(difference.size)).fit(cov_type="cluster", cov_kwds={"groups": labels}, use_t=True)
    assert interval.method == "cluster-robust t"
    assert [interval.lower, interval.upper] == pytest.approx(fit.conf_int(0.10)[0], abs=1e-9)


def test_clusters_of_one_item_are_no_clusters() -> None:
    candidate, baseline = _pairs(20, 3, 4, 13)
    assert paired_interval(candidate, baseline, [f"c{i}" for i in range(40)], 0.05) == paired_interval(
        candidate, baseline, None, 0.05
    )


@pytest.mark.parametrize("n", [2, 3, 40])
def test_numbers_that_name_each_item_are_no_clusters(n: int) -> None:
    right = [1.0, 0.0] * n
    for labels in (np.arange(n), np.arange(n)[::-1].copy()):
        assert paired_interval(right[:n], [1.0] * n, labels, 0.05) == paired_interval(right[:n], [1.0] * n, None, 0.05)


@pytest.mark.parametrize(("units", "method"), [(19, "none"), (20, "cluster-robust t")])
def test_twenty_clusters_without_known_bounds_are_enough_for_t(units: int, method: str) -> None:
    moves = np.repeat(np.arange(units, dtype=float) + (np.arange(units) >= units / 2), 2)
    found = paired_interval(moves, np.zeros(2 * units), np.repeat(np.arange(units), 2), 0.05)
    assert found.method.startswith(method)


def test_paraphrases_of_the_same_answers_do_not_narrow_the_interval() -> None:
    candidate, baseline = _pairs(40, 22, 18, 20)
    once = paired_interval(candidate, baseline, None, 0.05)
    thrice = paired_interval(candidate * 3, baseline * 3, list(range(100)) * 3, 0.05)
    assert thrice.upper - thrice.lower == pytest.approx(once.upper - once.lower, rel=0.1)


@pytest.mark.parametrize("clusters", [None, [i // 4 for i in range(40)]], ids=["items", "clusters"])
def test_equal_graded_scores_never_give_zero_width(clusters: list[int] | None) -> None:
    interval = paired_interval([0.5] * 40, [0.5] * 40, clusters, 0.05)
    units = 40 if clusters is None else 10
    rule_of_three = stats.binomtest(0, units).proportion_ci(0.90, method="exact").high
    assert (interval.lower, interval.upper) == pytest.approx((-rule_of_three, rule_of_three))


def test_equal_graded_scores_of_one_model_leave_the_room_to_both_ends_of_the_scale() -> None:
    interval = mean_interval([0.3] * 40, None, 0.05)
    room = 0.05 ** (1 / 40)
    assert (interval.lower, interval.upper) == pytest.approx((0.3 * room, 1.0 - 0.7 * room))


@pytest.mark.parametrize(("n", "method"), [(49, "none"), (50, "t"), (51, "t")])
def test_fifty_items_without_known_bounds_are_enough_for_t(n: int, method: str) -> None:
    assert mean_interval(np.arange(n) + 0.5, None, 0.05).method.startswith(method)


def test_equal_scores_without_known_bounds_say_nothing() -> None:
    interval = paired_interval([7.0] * 400, [7.0] * 400, None, 0.05)
    assert interval.lower == -math.inf
    assert interval.upper == math.inf
    assert interval.method.startswith("none")


def test_few_graded_pairs_keep_the_error_below_alpha_at_the_margin() -> None:
    rng = np.random.default_rng(3)
    promoted = 0
    for _ in range(400):
        # One item in ten loses everything: the true difference is exactly -0.1 times 0.9.
        candidate = np.where(rng.random(30) < 0.1, 0.0, 0.9)
        promoted += paired_interval(candidate, np.full(30, 0.9), None, 0.05).lower > -0.09
    assert promoted / 400 <= 0.05


@pytest.mark.parametrize(
    ("n", "clustered"), [(60, False), (300, False), (300, True)], ids=["small", "large", "clustered"]
)
def test_simulated_error_at_the_margin_stays_near_alpha(n: int, clustered: bool) -> None:
    rng = np.random.default_rng(4)
    runs, above, below = 600, 0, 0
    for _ in range(runs):
        clusters = np.arange(n) // 4 if clustered else np.arange(n)
        shared = rng.normal(0.0, 0.15, n)[clusters]
        baseline = rng.uniform(0.4, 0.6, n)
        candidate = np.clip(baseline - 0.03 + shared * 0.5 + rng.uniform(-0.2, 0.2, n), -1.0, 2.0)
        interval = paired_interval(candidate, baseline, clusters, 0.05)
        above += interval.lower > -0.03
        below += interval.upper < -0.03
    three_errors = 3 * math.sqrt(0.05 * 0.95 / runs)
    assert above / runs <= 0.05 + three_errors
    assert below / runs <= 0.05 + three_errors


def test_single_binary_sample_gets_clopper_pearson() -> None:
    interval = mean_interval([1.0] * 7 + [0.0] * 13, None, 0.025)
    expected = stats.binomtest(7, 20).proportion_ci(0.95, method="exact")
    assert (interval.lower, interval.upper) == pytest.approx((expected.low, expected.high))
    assert (interval.difference, interval.n, interval.method) == (0.35, 20, "exact binomial")


@pytest.mark.parametrize(
    ("candidate", "baseline", "alpha"),
    [
        pytest.param([], [], 0.05, id="empty"),
        pytest.param([1.0], [1.0, 0.0], 0.05, id="lengths"),
        pytest.param([math.nan], [1.0], 0.05, id="nan"),
        pytest.param([1.0], [math.inf], 0.05, id="inf"),
        pytest.param([1.0], [1.0], 0.5, id="alpha"),
    ],
)
def test_unusable_columns_are_refused(candidate: list[float], baseline: list[float], alpha: float) -> None:
    with pytest.raises(ValueError, match=r"score|alpha"):
        paired_interval(candidate, baseline, None, alpha)


scores = st.lists(st.floats(0.0, 1.0), min_size=2, max_size=30)


@settings(deadline=None, max_examples=50)
@given(scores, st.randoms(use_true_random=False))
def test_order_of_items_does_not_change_a_bit(values: list[float], random: object) -> None:
    pairs = list(zip(values, reversed(values), strict=True))
    first = paired_interval(*zip(*pairs, strict=True), None, 0.05)
    random.shuffle(pairs)  # type: ignore[attr-defined]
    assert paired_interval(*zip(*pairs, strict=True), None, 0.05) == first


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.one_of(st.floats(0.0, 1.0), st.sampled_from([0.0, 0.5, 1.0])), min_size=2, max_size=90),
    st.integers(0, 89),
    st.floats(0.0, 1.0),
    st.integers(1, 3),
)
def test_a_lower_graded_score_never_raises_a_bound(values: list[float], at: int, factor: float, size: int) -> None:
    baseline = [0.5, *reversed(values[1:])]
    worse = list(values)
    worse[at % len(values)] *= factor
    clusters = [i // size for i in range(len(values))]
    for base in (baseline, None):
        before, after = (
            mean_interval(column, clusters, 0.05) if base is None else paired_interval(column, base, clusters, 0.05)
            for column in ([0.5, *values[1:]], [0.5, *worse[1:]])
        )
        if before.method == after.method:
            assert after.lower <= before.lower + 1e-9
            assert after.upper <= before.upper + 1e-9


@settings(deadline=None, max_examples=50)
@given(scores, scores)
def test_swapping_the_models_mirrors_the_interval(left: list[float], right: list[float]) -> None:
    n = min(len(left), len(right))
    forward, back = (paired_interval(a[:n], b[:n], None, 0.05) for a, b in ((left, right), (right, left)))
    assert (forward.lower, forward.upper) == pytest.approx((-back.upper, -back.lower), abs=1e-9)
    assert forward.lower <= forward.difference <= forward.upper


@pytest.mark.parametrize("cluster_size", [1, 5], ids=["items", "clusters"])
@pytest.mark.parametrize("margin", [0.01, 0.03])
def test_rare_large_graded_losses_are_passed_at_most_alpha_times_at_the_margin(
    margin: float, cluster_size: int
) -> None:
    """Skew is what a t interval errs on: a few clusters lose nearly everything, the others nothing."""
    rng = np.random.default_rng(6)
    units, runs, passed = 400, 300, 0
    clusters = np.repeat(np.arange(units), cluster_size)
    for _ in range(runs):
        lost = rng.random(units) < margin / 0.9
        noise = rng.uniform(-0.02, 0.02, clusters.size)
        candidate = np.where(lost[clusters], 0.0, 0.9) + np.where(lost[clusters], 0.0, noise)
        labels = None if cluster_size == 1 else clusters
        passed += paired_interval(candidate, np.full(clusters.size, 0.9), labels, 0.05).lower > -margin
    assert passed / runs <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)


def test_number_labels_of_clusters_mean_the_same_in_any_numbering_and_order() -> None:
    rng = np.random.default_rng(7)
    clusters = rng.integers(0, 60, 240)
    candidate, baseline = rng.random((2, 240))
    ranked = np.argsort(clusters, kind="stable")
    expected = paired_interval(candidate, baseline, [f"passage-{c}" for c in clusters], 0.05)
    assert paired_interval(candidate, baseline, clusters, 0.05) == expected
    assert paired_interval(candidate[ranked], baseline[ranked], clusters[ranked], 0.05) == expected
    assert paired_interval(candidate[ranked], baseline[ranked], 1000 - clusters[ranked], 0.05) == expected
