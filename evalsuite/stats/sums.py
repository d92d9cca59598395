"""Sums of floats that are correctly rounded, whatever the order, and fast on long columns.

``math.fsum`` is the truth; it visits every number in Python. Here a column is first cut into parts so coarse that
adding them in any order rounds nothing (Rump, Ogita and Oishi, SIAM Journal on Scientific Computing 31, 2008, 189-224),
and only the few partial sums are then joined by ``math.fsum``.
"""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Index = NDArray[np.intp]

SHORT = 256
"""Columns up to this length go to ``math.fsum`` at once."""
LARGEST = 2.0**900
"""Numbers from here on go there too: the cut would overflow."""


def exact_sum(values: Floats) -> float:
    """Sum a column, shape (n,): the float nearest to the true sum, as ``math.fsum`` gives it."""
    if values.size <= SHORT or not _largest(values) < LARGEST:
        return math.fsum(values.tolist())
    return math.fsum(float(part.sum()) for part in _coarse_parts(values, values.size))


def exact_sums(values: Floats, index: Index) -> Floats:
    """Sum the values of each group, each as exact as ``exact_sum``.

    Args:
        values: Shape (n,).
        index: Group of each value, shape (n,), from 0 to the number of groups - 1; no group is empty.

    Returns:
        Shape (groups,).
    """
    sizes = np.bincount(index)
    if not _largest(values) < LARGEST:
        grouped = np.split(values[np.argsort(index, kind="stable")], np.cumsum(sizes)[:-1])
        return np.array([math.fsum(group.tolist()) for group in grouped])
    parts = [np.bincount(index, weights=part) for part in _coarse_parts(values, int(sizes.max()))]
    if len(parts) <= 2:
        # One addition of two exact numbers is correctly rounded.
        return np.asarray(sum(parts))
    return np.array([math.fsum(row) for row in zip(*(part.tolist() for part in parts), strict=True)])


def _coarse_parts(values: Floats, num_terms: int) -> Iterator[Floats]:
    """Columns that add up to ``values`` at each place; sums of ``num_terms`` numbers of one of them are exact."""
    room = math.ceil(math.log2(num_terms)) + 2
    rest = values
    top = _largest(rest)
    while top > 0.0 or rest is values:
        cutter = math.ldexp(0.75, math.frexp(top)[1] + room)
        coarse = rest + cutter
        coarse -= cutter
        yield coarse
        rest = rest - coarse
        top = _largest(rest)


def _largest(values: Floats) -> float:
    """Largest absolute value, without a column of them; NaN where one is."""
    return max(float(values.max()), -float(values.min()))
