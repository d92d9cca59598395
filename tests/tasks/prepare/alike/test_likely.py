"""Pairs that are found all at once are those that looking at each pair finds."""

from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.prepare.alike import likely
from tasks.prepare.alike.likely import LikelyPairs, likely_pairs

BANDS, PLACES = 3, 4


@st.composite
def signed_rows(draw: st.DrawFn) -> tuple[Any, Any, Any]:
    count = draw(st.integers(0, 9))

    def matrix(values: st.SearchStrategy[int], width: int) -> list[list[int]]:
        return draw(st.lists(st.lists(values, min_size=width, max_size=width), min_size=count, max_size=count))

    buckets = np.array(matrix(st.integers(-1, 2), BANDS), dtype=np.int32).reshape(count, BANDS)
    buckets = np.where(buckets < 0, -1, buckets + 3 * np.arange(BANDS, dtype=np.int32))
    low_bits = np.array(matrix(st.integers(0, 1), PLACES), dtype=np.uint8).reshape(count, PLACES)
    small = np.array(draw(st.lists(st.booleans(), min_size=3 * BANDS, max_size=3 * BANDS)))
    return buckets.astype(np.int32), low_bits, small


@given(signed_rows(), st.integers(0, PLACES), st.integers(1, 5))
def test_all_pairs_of_small_buckets_that_look_alike_are_found_once(
    rows: tuple[Any, Any, Any], least: int, together: int
) -> None:
    buckets, low_bits, small = rows
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(likely, "PAIRS_TOGETHER", together)
        found = likely_pairs(buckets, low_bits, small, least)
    for row in range(len(buckets)):
        expected = []
        for other in range(len(buckets)):
            shared = (buckets[row] == buckets[other]) & (buckets[row] >= 0) & small[buckets[row]]
            equal = int((low_bits[row] == low_bits[other]).sum())
            if row != other and shared.any() and equal >= least:
                expected.append((equal, other))
        assert found.of(row) == expected


def test_the_earliest_is_the_first_in_the_order_and_stands_before_the_row() -> None:
    pairs = [(0, 2), (0, 3), (2, 3), (1, 4)]
    both = sorted([*pairs, *((other, one) for one, other in pairs)])
    starts = np.searchsorted([one for one, _ in both], np.arange(6))
    others = np.array([other for _, other in both], dtype=np.int32)
    found = LikelyPairs(starts.astype(np.int64), others, np.ones(len(both), dtype=np.int32))
    for order in permutations(range(5)):
        rank = np.argsort(np.array(order))
        rows, firsts = found.earliest(rank)
        expected = {}
        for row in range(5):
            before = [other for _, other in found.of(row) if rank[other] < rank[row]]
            if before:
                expected[row] = min(before, key=lambda other: rank[other])
        assert dict(zip(rows.tolist(), firsts.tolist(), strict=True)) == expected
        assert firsts.tolist() == sorted(firsts.tolist())
