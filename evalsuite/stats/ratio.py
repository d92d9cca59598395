"""Confidence intervals for a ratio of sums, sum(numerators) / sum(denominators), and for the difference of two.

Units are clusters where some cluster holds two items or more, else items. One rule chooses the method:

| data | method |
|---|---|
| every denominator is 1 | that for means, see ``evalsuite.stats.paired`` |
| no numerator is beyond its denominator; paired: and both models have the same denominators | Gaffke's bound on the \
ratio, or on the difference |
| else, with enough units, of which 20 move, and denominators that vary little | linearised t, or cluster-robust |
| less, and no numerator is beyond its denominator | Gaffke's bound on each ratio at half of alpha |
| less, and a numerator is beyond its denominator | none: the interval is infinite |

Enough is 50 items, or 20 clusters. A unit moves when its linearised value differs from the median unit's. Denominators
vary little when the coefficient of variation of their mean is below 0.1 for every model (Cochran, Sampling Techniques,
3rd ed., 1977, section 6.4: then the normal approximation to a ratio may be used, and its bias is below a tenth of its
standard error).
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evalsuite.stats.gaffke import gaffke_limits
from evalsuite.stats.paired import (
    MIN_CLUSTERS_FOR_T,
    MIN_ITEMS_FOR_T,
    MIN_MOVING_UNITS_FOR_T,
    Floats,
    Interval,
    checked_scores,
    cluster_index,
    mean_interval,
    paired_interval,
    reach_of_t,
    sums_by_unit,
)
from evalsuite.stats.sums import exact_sum

MAX_VARIATION = 0.1


class Ratio(NamedTuple):
    """One model's items."""

    numerators: ArrayLike
    """Shape (n,), finite."""
    denominators: ArrayLike
    """Shape (n,), finite, 0 or more, not all 0."""


class _Sums(NamedTuple):
    """A ratio, unit by unit."""

    value: float
    numerators: Floats
    denominators: Floats
    influence: Floats
    """What each unit adds to the ratio to first order, times the number of items; sums to 0."""


def ratio_interval(ratio: Ratio, clusters: ArrayLike | None, alpha: float, may_be_bounded: bool = True) -> Interval:
    """Bound one ratio of sums; see the module's table for the method.

    Args:
        ratio: Numerators and denominators.
        clusters: Cluster label per item, shape (n,); None where items are independent.
        alpha: One-sided error at each end, within (0, 0.5).
        may_be_bounded: Whether shares within [-1, 1] are bounded by it; False for a metric such as bits per byte.

    Raises:
        ValueError: Shapes differ, a number is not finite, a denominator is negative or all are 0.
    """
    numerators, denominators = _checked(ratio, alpha)
    if (denominators == 1.0).all():
        return mean_interval(numerators, clusters, alpha, may_be_bounded)
    n = numerators.size
    units = cluster_index(clusters, n)
    sums = _sums(numerators, denominators, units)
    if may_be_bounded and _is_share(numerators, denominators):
        lower, upper = _bounds(sums.numerators, sums.denominators, 1.0, alpha)
        lower, upper = min(lower, sums.value), max(upper, sums.value)
        return Interval(sums.value, lower, upper, n, _name("Gaffke on the ratio", units))
    if _may_linearise(n, units, sums.influence, [sums]):
        below, above = reach_of_t(sums.influence, n, alpha)
        return Interval(sums.value, sums.value - below, sums.value + above, n, _name("linearised t", units))
    return _nothing(sums.value, n)


def paired_ratio_interval(
    candidate: Ratio, baseline: Ratio, clusters: ArrayLike | None, alpha: float, may_be_bounded: bool = True
) -> Interval:
    """Bound the difference of two ratios of sums over the same items; arguments and errors as for ``ratio_interval``.

    Each model has its own denominators, since they may depend on what it answered. The linearised error is that of the
    sums over items of (a - R b) / mean(b), candidate less baseline, which keeps the pairing.
    """
    left, right = _checked(candidate, alpha), _checked(baseline, alpha)
    if left[0].shape != right[0].shape:
        raise ValueError(f"candidate has {left[0].size} items and baseline {right[0].size}; pair them by item id first")
    if (left[1] == 1.0).all() and (right[1] == 1.0).all():
        return paired_interval(left[0], right[0], clusters, alpha, may_be_bounded)
    n = left[0].size
    units = cluster_index(clusters, n)
    first, second = _sums(*left, units), _sums(*right, units)
    difference = first.value - second.value
    influence = first.influence - second.influence
    shares, alike = may_be_bounded and _is_share(*left) and _is_share(*right), np.array_equal(left[1], right[1])
    if not (shares and alike) and _may_linearise(n, units, influence, [first, second]):
        below, above = reach_of_t(influence, n, alpha)
        return Interval(difference, difference - below, difference + above, n, _name("linearised t", units))
    if not shares:
        return _nothing(difference, n)
    if alike:
        # Weights that the items fix: the difference is itself a ratio, of paired numerators. They are counts where none
        # is negative.
        reach = 1.0 if min(left[0].min(), right[0].min()) >= 0.0 else 2.0
        lower, upper = _bounds(first.numerators - second.numerators, first.denominators, reach, alpha)
        name = "Gaffke on the difference of ratios"
    else:
        (low, high), (base_low, base_high) = (
            _bounds(each.numerators, each.denominators, 1.0, alpha / 2.0) for each in (first, second)
        )
        lower, upper, name = low - base_high, high - base_low, "Gaffke on each ratio"
    return Interval(difference, min(lower, difference), max(upper, difference), n, _name(name, units))


def _checked(ratio: Ratio, alpha: float) -> tuple[Floats, Floats]:
    numerators, denominators = checked_scores(ratio.numerators, alpha), checked_scores(ratio.denominators, alpha)
    if numerators.shape != denominators.shape:
        raise ValueError(f"{numerators.size} numerators and {denominators.size} denominators")
    if (denominators < 0.0).any() or not denominators.any():
        raise ValueError("denominators must be 0 or more, and some above 0")
    return numerators, denominators


def _sums(numerators: Floats, denominators: Floats, units: NDArray[np.intp] | None) -> _Sums:
    total = exact_sum(denominators)
    value = exact_sum(numerators) / total
    residuals = sums_by_unit(numerators - value * denominators, units)
    return _Sums(
        value,
        sums_by_unit(numerators, units),
        sums_by_unit(denominators, units),
        residuals * (numerators.size / total),
    )


def _may_linearise(n: int, units: NDArray[np.intp] | None, influence: Floats, sides: list[_Sums]) -> bool:
    num_units = influence.size
    if n < MIN_ITEMS_FOR_T if units is None else num_units < MIN_CLUSTERS_FOR_T:
        return False
    spread = np.abs(influence - np.median(influence))
    if int((spread > 1e-9 * max(1.0, float(np.abs(influence).max()))).sum()) < MIN_MOVING_UNITS_FOR_T:
        return False
    return all(_variation(side.denominators) < MAX_VARIATION for side in sides)


def _variation(denominators: Floats) -> float:
    """Coefficient of variation of the mean of the denominators over units."""
    mean = exact_sum(denominators) / denominators.size
    variance = exact_sum((denominators - mean) ** 2) / (denominators.size - 1)
    return math.sqrt(variance / denominators.size) / mean


def _is_share(numerators: Floats, denominators: Floats) -> bool:
    return bool((np.abs(numerators) <= denominators).all())


def _bounds(numerators: Floats, denominators: Floats, reach: float, alpha: float) -> tuple[float, float]:
    """Bounds on a ratio within [-reach, reach]: if it is m, then numerator - m denominator has mean 0.

    A metric may have negative numerators though this sample has none, so that the range does not start at 0.
    """
    counted = denominators > 0.0
    weights = denominators[counted]
    shares = np.clip(numerators[counted] / weights, -reach, reach)
    return gaffke_limits(shares, weights, (-reach, reach), alpha)


def _nothing(value: float, n: int) -> Interval:
    return Interval(value, -math.inf, math.inf, n, "none: too few units move, and the shares have no known bounds")


def _name(method: str, units: NDArray[np.intp] | None) -> str:
    if units is None:
        return method
    return f"cluster-robust {method}" if method.endswith(" t") else f"{method}, clusters"
