"""Anytime-valid tests on finite sets."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import chisquare

from evalsuite.stats.sequential import (
    Hypothesis,
    Order,
    SequentialTest,
    _features,
    decision_time,
    evaluation_order,
    random_order,
)

Floats = NDArray[np.float64]
MARGIN = 0.05


def order_of(num_items: int, seed: str, num_strata: int = 5) -> Order:
    return evaluation_order([f"i{i}" for i in range(num_items)], [f"s{i % num_strata}" for i in range(num_items)], seed)


def models_at_the_margin(num_items: int, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Baseline, candidate that lies exactly MARGIN below it, and two earlier models, all of like difficulty."""
    ease = rng.beta(1.0, 1.0, num_items)
    baseline, candidate, *earlier = (rng.random((4, num_items)) < ease).astype(np.float64)
    surplus = int(candidate.sum() - round(baseline.sum() - MARGIN * num_items))
    pool = np.flatnonzero(candidate == (1.0 if surplus > 0 else 0.0))
    candidate[rng.choice(pool, abs(surplus), replace=False)] = 0.0 if surplus > 0 else 1.0
    return baseline, candidate, np.array(earlier)


@pytest.mark.parametrize("finite", [True, False])
def test_looking_after_every_round_promotes_a_candidate_at_the_margin_at_most_alpha_times(finite: bool) -> None:
    rng = np.random.default_rng(3)
    refuted = 0
    for run in range(400):
        baseline, candidate, earlier = models_at_the_margin(600, rng)
        order = order_of(600, str(run))
        at = order.positions
        hypothesis = Hypothesis(-MARGIN, False, MARGIN)
        test = SequentialTest(baseline[at], order, [hypothesis], earlier[:, at] if finite else None, finite=finite)
        refuted += decision_time(test.advance(candidate[at])[:, 0], 0.1) is not None
    # 0.1 of 400 and three standard errors of a rate of 0.1; Ville's inequality promises 40.
    assert 1 <= refuted <= 58


def test_expected_capital_is_at_most_one_over_every_order_of_a_small_set() -> None:
    """Enumerated, not simulated: two groups of three items, every order inside each, a hypothesis that is just true."""
    from itertools import permutations

    scores = np.array([1.0, 0.0, 1.0, 0.0, 0.0, 1.0])
    baseline = np.array([1.0, 1.0, 0.0, 0.0, 1.0, 1.0])
    bound = float((scores - baseline).mean())
    capitals = []
    for left in permutations([0, 1, 2]):
        for right in permutations([3, 4, 5]):
            positions = np.array([item for pair in zip(left, right, strict=True) for item in pair])
            test = SequentialTest(baseline[positions], Order(positions, 2), [Hypothesis(bound, False, 0.2)])
            capitals.append(np.exp(test.advance(scores[positions])[:, 0]))
    assert (np.mean(capitals, axis=0) <= 1.0 + 1e-12).all()
    assert np.std(capitals) > 0.0


def test_a_better_candidate_is_proven_long_before_the_end() -> None:
    rng = np.random.default_rng(0)
    baseline = (rng.random(4000) < 0.5).astype(np.float64)
    candidate = np.where(rng.random(4000) < 0.1, 1.0, baseline)
    order = order_of(4000, "x")
    test = SequentialTest(baseline[order.positions], order, [Hypothesis(-MARGIN, False, MARGIN)])
    first = decision_time(test.advance(candidate[order.positions])[:, 0], 0.05)
    assert first is not None
    assert first * order.num_groups < 400


@settings(max_examples=60)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=12), st.integers(0, 2**32 - 1))
def test_feeding_in_parts_gives_the_same_capital_as_feeding_at_once(parts: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    num_items = max(sum(parts), 8)
    baseline, candidate = rng.random(num_items).round(1), rng.random(num_items).round(1)
    order = order_of(num_items, str(seed))
    hypotheses = [Hypothesis(-0.1, False, 0.1), Hypothesis(0.0, True, 0.1)]
    at_once = SequentialTest(baseline[order.positions], order, hypotheses)
    in_parts = SequentialTest(baseline[order.positions], order, hypotheses)
    fed = candidate[order.positions]
    at_once.advance(fed[: sum(parts)])
    for end in np.cumsum(parts):
        in_parts.advance(fed[in_parts.num_scored : end])
    assert np.allclose(at_once.log_evidence, in_parts.log_evidence)


@settings(max_examples=60)
@given(st.integers(4, 60), st.integers(1, 8), st.text(max_size=4))
def test_an_order_holds_every_item_once_and_spreads_the_strata(num_items: int, num_strata: int, seed: str) -> None:
    order = order_of(num_items, seed, num_strata)
    assert sorted(order.positions) == list(range(num_items))
    names = [f"i{i}" for i in range(num_items)]
    shuffled = evaluation_order(names[::-1], [f"s{i % num_strata}" for i in range(num_items)][::-1], seed)
    assert [names[::-1][at] for at in shuffled.positions] == [names[at] for at in order.positions]


def test_an_order_is_fixed_by_its_seed_on_every_machine() -> None:
    order = evaluation_order(list("abcdefgh"), list("xxxxyyyy"), "set")
    assert ["abcdefgh"[at] for at in order.positions] == list("cgbfahde")
    assert order.num_groups == 2


@settings(max_examples=60)
@given(st.integers(1, 60), st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_a_simulated_order_is_made_as_an_evaluated_one_is(num_items: int, num_strata: int, seed: int) -> None:
    strata = np.arange(num_items) % num_strata
    order = random_order(strata, np.random.default_rng(seed))
    evaluated = order_of(num_items, str(seed), num_strata)
    assert sorted(order.positions) == list(range(num_items))
    assert order.num_groups == evaluated.num_groups
    for k in range(order.num_groups):
        found, expected = (np.bincount(strata[each.positions[k :: each.num_groups]]) for each in (order, evaluated))
        assert found.tolist() == expected.tolist()


def test_a_simulated_order_puts_every_item_of_a_stratum_first_equally_often() -> None:
    rng = np.random.default_rng(0)
    first = np.bincount([random_order(np.array([0] * 6 + [1] * 6), rng).positions[0] for _ in range(1200)], minlength=6)
    assert first.size == 6
    assert float(chisquare(first).pvalue) > 0.001


def test_a_simulated_order_fills_a_group_from_a_stratum_s_items_equally_often_and_in_any_place() -> None:
    """Strata of 5 and 7 make groups of 6, so that the first takes one item of the second stratum."""
    rng, strata = np.random.default_rng(0), np.array([0] * 5 + [1] * 7)
    firsts = [random_order(strata, rng).positions[0::2] for _ in range(1400)]
    lent = [int(group[strata[group] == 1][0]) - 5 for group in firsts]
    places = [int(np.flatnonzero(strata[group] == 1)[0]) for group in firsts]
    for drawn, of in ((lent, 7), (places, 6)):
        counts = np.bincount(drawn, minlength=of)
        assert counts.size == of
        assert float(chisquare(counts).pvalue) > 0.001


@pytest.mark.parametrize(("num_items", "num_groups"), [(3, 1), (19, 4), (20, 5), (400, 8)])
def test_every_group_has_four_items_or_more(num_items: int, num_groups: int) -> None:
    order = random_order(np.arange(num_items) % 8, np.random.default_rng(0))
    assert order.num_groups == num_groups


def test_the_regression_knows_every_model_their_mean_and_the_group() -> None:
    rng = np.random.default_rng(0)
    order = random_order(np.arange(20) % 3, rng)
    baseline, earlier = rng.random(20), rng.random((2, 20))
    mean = (baseline + earlier[0] + earlier[1]) / 3.0
    groups = np.array([[float(i % 3 == k) for k in range(3)] for i in range(20)])
    wanted = np.column_stack([baseline, earlier[0], earlier[1], mean, mean * baseline, groups])
    np.testing.assert_allclose(_features(baseline, earlier, order), wanted, rtol=1e-14)


def test_a_hypothesis_that_no_remaining_score_can_save_is_refuted_for_sure() -> None:
    order = order_of(40, "x", 1)
    test = SequentialTest(np.zeros(40), order, [Hypothesis(0.2, False, 0.1)])
    test.advance(np.ones(10))
    assert math.isinf(test.log_evidence[0])


def test_a_hypothesis_that_holds_exactly_at_the_end_of_the_scale_is_never_refuted() -> None:
    for above, candidate, baseline in ((True, 1.0, 0.0), (False, 0.0, 1.0)):
        bound = candidate - baseline
        test = SequentialTest(np.full(40, baseline), order_of(40, "x", 1), [Hypothesis(bound, above, 0.1)])
        test.advance(np.full(40, candidate))
        assert test.log_evidence[0] <= 0.0


def test_an_earlier_model_that_answers_like_the_candidate_saves_items() -> None:
    rng = np.random.default_rng(0)
    baseline, candidate = (rng.random((2, 3000)) < 0.5).astype(float)
    order = order_of(3000, "x", 1)
    times = []
    for earlier in (None, [candidate]):
        gap = float((candidate - baseline).mean())
        test = SequentialTest(baseline, order, [Hypothesis(gap - 0.01, False, 0.01)], earlier)
        time = decision_time(test.advance(candidate), 0.05)
        assert time is not None
        times.append(time)
    assert times[1] < 0.6 * times[0]


@pytest.mark.parametrize("score", [math.nan, -0.1, 1.1, math.inf])
def test_a_score_without_known_bounds_is_refused(score: float) -> None:
    test = SequentialTest(np.zeros(8), order_of(8, "x"), [Hypothesis(0.0, False, 0.1)])
    with pytest.raises(ValueError, match="bounded scores"):
        test.advance([score])


def test_more_scores_than_items_are_refused() -> None:
    test = SequentialTest(np.zeros(8), order_of(8, "x"), [Hypothesis(0.0, False, 0.1)])
    with pytest.raises(ValueError, match="9 scores for a set of 8"):
        test.advance(np.zeros(9))


def test_a_look_after_every_item_sees_evidence_change_at_the_ends_of_rounds_only() -> None:
    baseline, candidate, earlier = models_at_the_margin(300, np.random.default_rng(4))
    order = order_of(300, "looks")
    at = order.positions
    hypotheses = [Hypothesis(-MARGIN, False, MARGIN), Hypothesis(0.0, True, MARGIN)]
    test = SequentialTest(baseline[at], order, hypotheses, earlier[:, at])
    whole = SequentialTest(baseline[at], order, hypotheses, earlier[:, at]).advance(candidate[at])
    best = np.zeros(2)
    for seen, score in enumerate(candidate[at], start=1):
        rounds = test.advance([score])
        complete = seen % order.num_groups == 0
        assert len(rounds) == complete
        if complete:
            row = whole[seen // order.num_groups - 1]
            assert rounds[0] == pytest.approx(row, abs=1e-9)
            best = np.maximum(best, row)
        assert test.log_evidence == pytest.approx(best, abs=1e-9)


@pytest.mark.parametrize("accuracy", [0.03, 0.97], ids=["nearly all wrong", "nearly all right"])
def test_rare_differences_at_the_margin_are_promoted_at_most_alpha_times_with_a_look_after_every_round(
    accuracy: float,
) -> None:
    """The record misleads here: the earlier models fail and pass items that say nothing of the candidate."""
    rng = np.random.default_rng(8)
    refuted, runs = 0, 300
    for run in range(runs):
        baseline, earlier = ((rng.random(shape) < accuracy).astype(np.float64) for shape in ((400,), (3, 400)))
        candidate = (rng.random(400) < accuracy).astype(np.float64)
        surplus = int(candidate.sum() - max(baseline.sum() - 8, 0))
        pool = np.flatnonzero(candidate == (1.0 if surplus > 0 else 0.0))
        candidate[rng.choice(pool, abs(surplus), replace=False)] = 0.0 if surplus > 0 else 1.0
        bound = float(candidate.mean() - baseline.mean())
        order = order_of(400, str(run))
        at = order.positions
        test = SequentialTest(baseline[at], order, [Hypothesis(bound, False, 0.02)], earlier[:, at])
        refuted += decision_time(test.advance(candidate[at])[:, 0], 0.1) is not None
    # 0.1 of the runs and three standard errors of a rate of 0.1.
    assert refuted <= runs * (0.1 + 3 * math.sqrt(0.09 / runs))
