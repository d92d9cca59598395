"""How many items would decide a rule, if all that was measured stayed as it is."""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

from evalsuite.stats.alternatives import Floats, Index
from evalsuite.stats.gaffke import factor_to_prove
from evalsuite.stats.paired import Interval, mover_limits

MAX_MORE_ITEMS = 10**9
FEW = 30
"""With this many items of each kind an interval shrinks with the root of n; below it, faster."""


def more_items(
    interval: Interval, candidate: Floats, baseline: Floats | None, clusters: Index | None, limit: float, alpha: float
) -> int | None:
    """Items beyond those measured until the interval leaves the limit; None where no number of them would do.

    The interval shrinks with the root of n once enough items differ. With few it shrinks nearly with n itself, and
    the estimator is asked again, with every count multiplied.

    Args:
        interval: What was measured.
        candidate: Scores, shape (n,), finite.
        baseline: Scores of the same items; None for one sample.
        clusters: Cluster of each item; None or all different where items are independent.
        limit: Limit of the rule, in the metric's unit.
        alpha: One-sided error that ``interval`` was computed at.
    """
    gap = interval.difference - limit
    reach = interval.difference - interval.lower if gap > 0 else interval.upper - interval.difference
    if abs(gap) <= 1e-12 * reach:
        return None
    factor = (reach / gap) ** 2
    if interval.method.startswith("exact binomial"):
        start = np.zeros_like(candidate) if baseline is None else baseline
        up = int((candidate > start).sum())
        down = interval.n - up if baseline is None else int((candidate < start).sum())
        factor = _exact_factor(down, up, interval.n, baseline is not None, limit, alpha, gap > 0, factor)
    elif interval.method.startswith("Gaffke"):
        factor = _gaffke_factor(candidate, baseline, clusters, limit, alpha, gap)
    if not math.isfinite(factor) or factor * interval.n > MAX_MORE_ITEMS:
        return None
    more = max(1, math.ceil(interval.n * factor) - interval.n)
    # Two digits: a rough figure, and one in which the last bits of a machine's arithmetic do not show.
    unit = int(10 ** max(len(str(more)) - 2, 0))
    return -(-more // unit) * unit


@lru_cache(maxsize=65_536)
def _exact_factor(
    down: int, up: int, n: int, paired: bool, limit: float, alpha: float, above: bool, root: float
) -> float:
    """Least factor on all counts at which the exact limits decide; ``root`` where both kinds of item are frequent.

    ``above`` says whether the difference lies above the limit.
    """
    if min(down, up) >= FEW or not math.isfinite(root):
        return root

    def decides(factors: Floats) -> NDArray[np.bool_]:
        limits = [_limits(count * factors, n * factors, alpha) for count in (down, up)]
        lower, upper = mover_limits(down / n, up / n, *limits) if paired else limits[1]
        return lower > limit if above else upper < limit

    low, high = 1.0, max(4.0 * root, 4.0)
    for _ in range(3):
        factors = np.geomspace(low, high, 12)
        good = np.flatnonzero(decides(factors))
        if not good.size:
            return root
        at = int(good[0])
        if at == 0:
            return float(factors[0])
        low, high = float(factors[at - 1]), float(factors[at])
    return high


def _limits(counts: Floats, n: Floats, alpha: float) -> tuple[Floats, Floats]:
    """Clopper and Pearson's limits, also between whole counts."""
    if not counts.any():
        return np.zeros_like(counts), 1.0 - alpha ** (1.0 / n)
    misses = n - counts
    if not misses.any():
        return alpha ** (1.0 / n), np.ones_like(counts)
    return (
        np.asarray(betaincinv(counts, misses + 1.0, alpha), dtype=np.float64),
        np.asarray(betaincinv(counts + 1.0, misses, 1.0 - alpha), dtype=np.float64),
    )


def _gaffke_factor(
    candidate: Floats, baseline: Floats | None, clusters: Index | None, limit: float, alpha: float, gap: float
) -> float:
    """Least factor on the number of units, each kind of unit as frequent as now, at which the bound decides."""
    values = candidate if baseline is None else candidate - baseline
    bottom, top = (0.0, 1.0) if baseline is None else (-1.0, 1.0)
    sizes = np.ones(values.size)
    means = values
    if clusters is not None:
        _, index = np.unique(clusters, return_inverse=True)
        sizes = np.bincount(index).astype(np.float64)
        means = np.bincount(index, weights=values) / sizes
    sign, low = (1.0, bottom) if gap > 0 else (-1.0, -top)
    return factor_to_prove(sign * means, sizes, low, sign * limit, alpha)
