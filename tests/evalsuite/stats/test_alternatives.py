import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.stats.alternatives import resample, uniforms, with_difference


def test_the_draws_are_the_same_on_every_machine() -> None:
    """Recorded with NumPy 2.4 on x86-64; NEP 19 keeps the raw stream."""
    assert uniforms("ratchet", 3).tolist() == [0.45159358180184506, 0.005160348177745022, 0.010081114377771816]
    assert uniforms("ratchet", 3).tolist() == uniforms("ratchet", 5)[:3].tolist()


def test_draws_are_uniform() -> None:
    drawn = uniforms("x", 100_000)
    assert ((drawn >= 0.0) & (drawn < 1.0)).all()
    assert np.histogram(drawn, 10)[0] == pytest.approx(10_000, rel=0.05)


def test_clusters_are_drawn_whole() -> None:
    clusters = np.array([0, 0, 1, 2, 2, 2])
    draw = resample(clusters, 6, "seed")
    for number in range(3):
        positions = sorted(draw.positions[draw.clusters == number].tolist())
        assert positions in [[0, 1], [2], [3, 4, 5]]
    assert draw.positions.size == draw.clusters.size


def test_items_that_stand_alone_are_drawn_one_by_one() -> None:
    draw = resample(None, 50, "seed")
    assert draw.clusters.tolist() == list(range(50))
    assert set(draw.positions.tolist()) <= set(range(50))
    assert len(set(draw.positions.tolist())) < 50, "with replacement some come twice"


pairs = st.integers(20, 200).flatmap(
    lambda n: st.tuples(
        st.lists(st.sampled_from([0.0, 1.0]), min_size=n, max_size=n),
        st.lists(st.sampled_from([0.0, 1.0]), min_size=n, max_size=n),
    )
)


@given(pairs, st.floats(-1.0, 1.0))
def test_right_or_wrong_scores_reach_the_difference_or_the_end_of_the_scale(
    scores: tuple[list[float], list[float]], difference: float
) -> None:
    candidate, baseline = map(np.array, scores)
    new = with_difference(candidate, baseline, difference, uniforms("turn", candidate.size))
    assert set(new.tolist()) <= {0.0, 1.0}
    reached = float((new - baseline).mean())
    possible = float(np.clip(difference, -baseline.mean(), 1.0 - baseline.mean()))
    assert possible - 1.0 / candidate.size - 1e-6 <= reached <= possible + 1e-5


@given(st.lists(st.floats(0.0, 1.0), min_size=20, max_size=60), st.floats(-0.2, 0.2), st.integers(0, 9))
def test_graded_scores_stay_within_their_scale(scores: list[float], difference: float, seed: int) -> None:
    baseline = np.array(scores)
    candidate = uniforms(str(seed), baseline.size)
    new = with_difference(candidate, baseline, difference, uniforms("turn", candidate.size))
    assert ((new >= 0.0) & (new <= 1.0)).all()
    possible = float(np.clip(difference, -baseline.mean(), 1.0 - baseline.mean()))
    assert float((new - baseline).mean()) == pytest.approx(possible, abs=1e-9)


def test_about_as_many_items_differ_as_were_recorded() -> None:
    baseline = (uniforms("b", 1000) < 0.5).astype(float)
    candidate = np.where(uniforms("c", 1000) < 0.2, 1.0 - baseline, baseline)
    differ = (candidate != baseline).mean()
    for difference in (-0.1, -0.02, 0.0, 0.05):
        new = with_difference(candidate, baseline, difference, uniforms("turn", 1000))
        assert (new != baseline).mean() == pytest.approx(differ, abs=0.005)


def test_unscored_items_stay_unscored() -> None:
    candidate, baseline = np.array([1.0, np.nan, 1.0, 1.0]), np.ones(4)
    new = with_difference(candidate, baseline, -1 / 3, uniforms("turn", 4))
    assert np.isnan(new[1])
    assert np.nansum(new) == 2.0


def test_scores_of_another_scale_are_shifted() -> None:
    baseline = np.array([10.0, 20.0, 30.0])
    new = with_difference(baseline + 1.0, baseline, -2.0, uniforms("turn", 3))
    assert (new - baseline).tolist() == [-2.0, -2.0, -2.0]


def test_a_ratio_moves_by_its_denominators() -> None:
    most = np.array([1.0, 2.0, 3.0, 2.0])
    baseline = np.array([1.0, 1.0, 3.0, 1.0])
    new = with_difference(baseline, baseline, -0.25, uniforms("turn", 4), most)
    assert ((new >= 0.0) & (new <= most)).all()
    assert (new.sum() - baseline.sum()) / most.sum() == pytest.approx(-0.25)
