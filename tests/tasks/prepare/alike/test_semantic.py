"""Rows of the same meaning, by vectors whose cosines are known."""

from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tasks.prepare.alike import semantic
from tasks.prepare.alike.semantic import repeats


@given(
    st.lists(st.floats(0.0, 6.28), max_size=30),
    st.floats(0.5, 1.0),
    st.integers(1, 5),
    st.randoms(use_true_random=False),
)
def test_every_dropped_row_is_near_the_row_that_stays_and_no_two_that_stay_are(
    angles: list[float], threshold: float, block: int, random: Random
) -> None:
    vectors = np.array([[np.cos(angle), np.sin(angle)] for angle in angles]).reshape(-1, 2)
    order = list(range(len(angles)))
    random.shuffle(order)
    cosines = np.round(vectors @ vectors.T, semantic.DECIMALS)
    before, semantic.BLOCK = semantic.BLOCK, block
    try:
        found = repeats(vectors, order, threshold)
    finally:
        semantic.BLOCK = before
    kept = [at for at in order if at not in found]
    for at, alike in found.items():
        assert alike.row in kept
        assert order.index(alike.row) < order.index(at)
        assert alike.similarity == cosines[at, alike.row] >= threshold
    near = cosines[np.ix_(kept, kept)] >= threshold
    assert near.sum() == len(kept)
