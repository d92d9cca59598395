"""Pairs of rows with a small bucket in common whose signatures look alike, found for all rows at once.

Most rows share a bucket with some others by chance. Looking at all these pairs together takes a fraction of the time of
looking row by row, and leaves few pairs to compare exactly.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

PAIRS_TOGETHER = 1 << 13
"""So that their signatures stay in a core's cache."""


class LikelyPairs(NamedTuple):
    """For each row the others that it is probably like."""

    starts: NDArray[np.int64]
    """(rows + 1,): a row's others are those from its own start to the next."""
    others: NDArray[np.int32]
    equal: NDArray[np.int32]
    """Places in which the signatures of a row and of each of these are equal."""

    def of(self, row: int) -> list[tuple[int, int]]:
        """Equal places and row of each of the others."""
        begin, end = self.starts[row], self.starts[row + 1]
        return list(zip(self.equal[begin:end].tolist(), self.others[begin:end].tolist(), strict=True))

    def earliest(self, rank: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows with an other that ranks before them, and for each of these the first that does; ordered by the others.

        Args:
            rank: (rows,): place of each row among all.
        """
        rows = np.repeat(np.arange(len(rank)), np.diff(self.starts))
        others = self.others.astype(np.int64)
        before = rank[others] < rank[rows]
        rows, others = rows[before], others[before]
        order = np.lexsort((rank[others], rows))
        rows, places = np.unique(rows[order], return_index=True)
        others = others[order][places]
        by_other = np.argsort(others, kind="stable")
        return rows[by_other], others[by_other]


def likely_pairs(
    buckets: NDArray[np.int32], low_bits: NDArray[np.uint8], small: NDArray[np.bool_], least: float
) -> LikelyPairs:
    """All pairs of small buckets that look alike enough.

    Args:
        buckets: (rows, bands): the bucket of a row in each band; -1 where it is alone there.
        low_bits: (rows, places): a byte of each place of the signatures.
        small: (buckets,): whether the pairs of a bucket are looked at.
        least: Equal places of a pair that looks alike.
    """
    found = [np.zeros((0, 3), dtype=np.int32)]
    for band in range(buckets.shape[1]):
        for ones, others in _pairs(buckets[:, band], small):
            equal = np.count_nonzero(low_bits[ones] == low_bits[others], axis=1)
            alike = equal >= least
            ones, others, equal = ones[alike], others[alike], equal[alike]
            before, beside = buckets[ones, :band], buckets[others, :band]
            known = ((before == beside) & (before >= 0) & small[before]).any(axis=1)
            found.append(np.stack([ones, others, equal], axis=1)[~known].astype(np.int32))
    one, other, equal = np.concatenate(found).T
    ones, others = np.concatenate([one, other]), np.concatenate([other, one])
    order = np.lexsort((others, ones))
    starts = np.concatenate([[0], np.cumsum(np.bincount(ones, minlength=len(buckets)))])
    return LikelyPairs(starts, others[order].astype(np.int32), np.concatenate([equal, equal])[order].astype(np.int32))


def _pairs(
    numbers: NDArray[np.int32], small: NDArray[np.bool_]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """All pairs of rows with the same number, where that is a small bucket, some at a time."""
    rows = np.flatnonzero(numbers >= 0)
    rows = rows[small[numbers[rows]]]
    rows = rows[np.argsort(numbers[rows], kind="stable")]
    begins = np.flatnonzero(np.diff(numbers[rows], prepend=-1))
    sizes = np.diff(begins, append=len(rows))
    for size in np.unique(sizes).tolist():
        first, second = np.triu_indices(size, 1)
        together = max(1, PAIRS_TOGETHER // max(1, len(first)))
        of_size = begins[sizes == size]
        for at in range(0, len(of_size), together):
            members = rows[of_size[at : at + together, None] + np.arange(size)]
            yield members[:, first].ravel(), members[:, second].ravel()
