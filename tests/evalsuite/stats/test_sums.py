"""Sums that must be what ``math.fsum`` gives, to the last bit."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from evalsuite.stats.sums import exact_sum, exact_sums

floats = st.floats(-1e6, 1e6, allow_subnormal=True)


@settings(deadline=None, max_examples=60)
@given(st.lists(floats, min_size=1, max_size=12), st.integers(1, 60))
def test_a_long_column_sums_to_what_fsum_gives(values: list[float], times: int) -> None:
    column = np.array(values * times * 8)
    assert exact_sum(column) == math.fsum(column.tolist())


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 5), floats), min_size=1, max_size=80))
def test_every_group_sums_to_what_fsum_gives(rows: list[tuple[int, float]]) -> None:
    groups = np.unique([group for group, _ in rows], return_inverse=True)[1]
    values = np.array([value for _, value in rows])
    expected = [math.fsum(values[groups == group].tolist()) for group in range(groups.max() + 1)]
    assert exact_sums(values, groups).tolist() == expected


def column(kind: str) -> NDArray[np.float64]:
    rng = np.random.default_rng(0)
    return {
        "cancelling": np.concatenate([rng.random(700) * 1e16, [1.0, -0.5], -rng.random(700) * 1e16]),
        "subnormal": rng.random(900) * 5e-324 * 1000,
        "many magnitudes": rng.normal(size=900) * 10.0 ** rng.integers(-200, 200, 900),
        "near the largest": rng.random(900) * 1e290,
        "zeros": np.zeros(900),
    }[kind]


@pytest.mark.parametrize("kind", ["cancelling", "subnormal", "many magnitudes", "near the largest", "zeros"])
def test_columns_that_break_a_plain_sum_are_exact_in_any_order(kind: str) -> None:
    values = column(kind)
    shuffled = np.random.default_rng(1).permutation(values)
    groups = np.arange(values.size) % 3
    assert exact_sum(values) == exact_sum(shuffled) == math.fsum(values.tolist())
    assert exact_sums(values, groups).tolist() == [math.fsum(values[groups == g].tolist()) for g in range(3)]


def test_what_is_not_finite_ends_as_in_fsum() -> None:
    assert math.isnan(exact_sum(np.array([math.nan] * 300)))
    assert exact_sum(np.array([math.inf] * 300)) == math.inf
