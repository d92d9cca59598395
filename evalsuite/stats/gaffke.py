"""Gaffke's bound on the mean of scores whose least possible value is known.

Let ``low`` be that value, X the scores and E independent exponential variables, one a score and one for what was not
seen. The lower bound is the c at which sum E_i (X_i - c) + E_0 (low - c) is negative with probability alpha: a Bayesian
bootstrap with one more observation, at the worst score that there is. Gaffke, Mathematical Methods of Statistics 14,
2005, 451-467; Learned-Miller and Thomas, arXiv:1905.06208, 2019.

- A lower score never raises it, since every weight is positive: no rule that chooses a method could be so.
- On scores of 0 and 1 it is Clopper and Pearson's limit, and on n equal scores it leaves room for 3 / n of the worst.
- On many it is as short as Student's t.
- That it errs at most alpha times is proven for two values; for more it is a conjecture that nobody has refuted, and
  tests/evalsuite/stats/test_gaffke.py enumerates it.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Floats = NDArray[np.float64]

MAX_EXACT_UNITS = 128
"""Units beyond these are put on a grid, each split between its two neighbours so that its mean stays."""
GRID, PARTS = 2**8, 2**20
"""Steps of the grid for a difference of 1, and the parts into which a unit may be split."""
ATOMS_AT_ONCE = 2**12
"""Of the quadrature, so that a set in which every item has its own weight fits the memory."""
TOLERANCE = 1e-11
MAX_FACTOR, FACTOR_TOLERANCE = 2.0**30, 1e-4
FEW_UNITS, MAX_UPRIGHT_NODES = 40, 200
STEP, NEGLIGIBLE, MAX_NODES = 0.18, 1e-15, 2**17
"""Of the quadrature: nodes in units of the distance to the nearest singularity, and where it ends."""


def gaffke_limits(means: Floats, sizes: Floats, support: tuple[float, float], alpha: float) -> tuple[float, float]:
    """Lower and upper bound on the mean over items of which each unit has one or more.

    Args:
        means: Mean of each unit, shape (units,), none outside ``support``.
        sizes: Items of each unit, or its denominator; above 0. What was not seen counts as a unit of the largest size.
        support: Least and greatest score that there are.
        alpha: One-sided error at each end, within (0, 0.5).
    """
    values, weights, counts = _atoms(means, sizes)
    low, high = support
    return _lower_limit(values, weights, counts, low, alpha), -_lower_limit(-values, weights, counts, -high, alpha)


def _lower_limit(values: Floats, weights: Floats, counts: Floats, low: float, alpha: float) -> float:
    values, weights, counts = _with_the_worst(values, weights, counts, low)
    best = float(values.max())
    if best <= low:
        return low
    total = float(counts @ weights)
    centre = float(counts * weights @ values) / total
    steps = weights * (values - centre)
    largest = float(np.abs(steps).max())
    if largest > 0.0:
        steps = steps / largest
    norm = math.sqrt(float(counts @ steps**2))
    spread = largest * norm / total
    wanted = float(ndtri(alpha))
    # Cornish and Fisher's correction for skewness, of the quantile that is looked for and of the chance at the centre.
    sixth = float(counts @ steps**3) / (3.0 * norm**3) if norm > 0.0 else 0.0
    guess = centre + (wanted + sixth * (wanted * wanted - 1.0)) * spread

    def score(bound: float) -> float:
        return float(ndtri(_chance_below(weights * (values - bound), counts)))

    # The normal quantile of the chance is nearly linear in the bound.
    below, above = low, best
    plain = max(centre + wanted * spread, low + 0.05 * (centre - low))
    near = low + 0.05 * (centre - low) < guess < centre + 0.5 * wanted * spread
    last, at = (centre, sixth), guess if near else plain
    for tried in range(100):
        found = score(at)
        below, above = (at, above) if found < wanted else (below, at)
        moved = at - last[0]
        slope = (found - last[1]) / moved if math.isfinite(found) and moved else math.nan
        last = (at, found)
        step = (wanted - found) / slope if slope > 0.0 else math.nan
        by_secant = below < at + step < above
        at = at + step if by_secant else (below + above) / 2.0
        left = abs(at - last[0])
        if tried and by_secant and left < abs(moved):
            # Between two evaluated points that close in, what a step of the secant leaves is of the size of that step
            # times the one before it.
            left *= min(1.0, abs(moved) / max(min(spread, at - low, best - at), math.ulp(0.0)))
        if left <= TOLERANCE or above - below <= TOLERANCE:
            break
    return at


def factor_to_prove(means: Floats, sizes: Floats, low: float, limit: float, alpha: float) -> float:
    """Least factor on the number of all units at which the bound lies above a limit; infinite where none is enough.

    Args:
        means: Mean of each unit, shape (units,), none below ``low``; the other arguments are as for ``gaffke_limits``.
        sizes: Size of each unit.
        low: Least score that there is.
        limit: What the mean is to be proven above.
        alpha: One-sided error.
    """
    values, weights, counts = _atoms(means, sizes)
    if limit <= low or float(counts * weights @ (values - limit)) <= 0.0:
        return math.inf

    def score(factor: float) -> float:
        all_values, all_weights, all_counts = _with_the_worst(values, weights, counts * factor, low)
        return float(ndtri(_chance_below(all_weights * (all_values - limit), all_counts)))

    # The normal quantile of the chance grows nearly as the root of the factor.
    wanted = float(ndtri(alpha))
    least, enough, at = 0.0, math.inf, 1.0
    while least <= MAX_FACTOR and enough >= 1.0 / MAX_FACTOR:
        found = score(at)
        least, enough = (least, at) if found <= wanted else (at, enough)
        guess = at * (wanted / found) ** 2 if -math.inf < found < 0.0 else math.nan
        last, at = at, guess if least < guess < enough else math.sqrt(max(least, at / 4.0) * min(enough, at * 4.0))
        if abs(at / last - 1.0) <= FACTOR_TOLERANCE:
            break
    return at if at <= MAX_FACTOR else math.inf


def _with_the_worst(values: Floats, weights: Floats, counts: Floats, low: float) -> tuple[Floats, Floats, Floats]:
    """The atoms, and one of the largest weight at the least score for what was not seen."""
    return np.append(values, low), np.append(weights, weights.max()), np.append(counts, 1.0)


def _atoms(means: Floats, sizes: Floats) -> tuple[Floats, Floats, Floats]:
    """Values, weights and counts of the units; by their number alone exact or on the grid."""
    if means.size <= MAX_EXACT_UNITS:
        if (sizes == sizes[0]).all():
            values, counts = np.unique(means, return_counts=True)
            return values, np.ones(values.size), counts.astype(np.float64)
        order = np.lexsort((sizes, means))
        return means[order], sizes[order], np.ones(means.size)
    equal = bool((sizes == sizes[0]).all())  # sorting is most of the work
    names, place = (sizes[:1], np.zeros(1, np.intp)) if equal else np.unique(sizes, return_inverse=True)
    first = math.floor(float(means.min()))
    position = np.rint((means - first) * (GRID * PARTS)).astype(np.int64)
    bins, parts = position // PARTS, position % PARTS
    width = int(bins.max()) + 2
    cells = place * width + bins
    taken, shares = np.concatenate([cells, cells + 1]), np.concatenate([PARTS - parts, parts])
    if names.size * width <= taken.size:
        counts = np.bincount(taken, weights=shares)
        used = np.arange(counts.size)
    else:
        used, at = np.unique(taken, return_inverse=True)
        counts = np.bincount(at, weights=shares)
    used, counts = used[counts > 0.0], counts[counts > 0.0]
    return first + (used % width) / GRID, names[used // width], counts / PARTS


def _chance_below(steps: Floats, counts: Floats) -> float:
    """P(sum of Gamma(count) * step <= 0), by the inversion of its generating function left of 0, where nothing cancels.

    Along the vertical line the integrand only ever gets smaller, and the trapezoidal rule converges geometrically. With
    few units, or some that outweigh all others, it falls off as a low power alone: then on a hyperbola, where it does
    so geometrically.
    """
    largest = float(np.abs(steps).max())
    if steps.min() >= 0.0:
        return 0.0 if largest > 0.0 else 1.0
    steps = steps / largest  # only their signs and ratios matter, and the squares of tiny scores are 0
    start = 0.5 / math.sqrt(float(counts @ steps**2))
    tilt = min(_saddle(steps, counts), -start)
    tilted = steps / (1.0 - tilt * steps)
    scale = math.sqrt(float(counts @ tilted**2))
    tilted, pole = tilted / scale, tilt * scale
    few = float(counts.sum()) <= FEW_UNITS
    lean, width = _lean(2.0 * float(counts @ tilted**3)) if few else 0.0, math.pi / 2.0
    if not few and not _ends_by(MAX_UPRIGHT_NODES * STEP * min(-pole, 1.0), tilted, counts):
        few, lean, width = True, _away(tilted, counts), math.pi / 6.0
    node = STEP * (min(math.asin(min(-pole, 1.0)), width) if few else min(-pole, 1.0))
    upright = math.sqrt(1.0 - lean * lean)
    total, first, size = 0.0, 0, 48
    while first < MAX_NODES:
        places = node * np.arange(first, first + size)
        if few:
            path = lean * (np.cosh(places) - 1.0) + 1j * upright * np.sinh(places)
            pace = lean * np.sinh(places) + 1j * upright * np.cosh(places)
        else:
            path, pace = 1j * places, np.full(size, 1j)
        logarithms, turns = np.zeros(size), np.zeros(size)
        for some in range(0, tilted.size, ATOMS_AT_ONCE):
            part, number = tilted[some : some + ATOMS_AT_ONCE], counts[some : some + ATOMS_AT_ONCE]
            real, imaginary = 1.0 - np.outer(path.real, part), np.outer(path.imag, part)
            logarithms += np.log(real * real + imaginary * imaginary) @ number
            turns += np.arctan2(imaginary, real) @ number
        sizes = np.exp(-0.5 * logarithms)
        terms = (sizes * np.exp(1j * turns) * pace / (pole + path)).imag
        negligible = np.flatnonzero(sizes * np.abs(pace) < NEGLIGIBLE)
        if negligible.size:
            terms = terms[: negligible[0]]
        total += float(terms.sum()) - (0.5 * float(terms[0]) if first == 0 else 0.0)
        if negligible.size:
            break
        first, size = first + size, min(2 * size, 192)
    height = math.exp(-float(np.log1p(-tilt * steps) @ counts))
    return min(max(-height * node * total / math.pi, 0.0), 1.0)


def _ends_by(height: float, tilted: Floats, counts: Floats) -> bool:
    """Whether the integrand is negligible at this height of the vertical line."""
    return float(counts @ np.log1p((height * tilted) ** 2)) >= -2.0 * math.log(NEGLIGIBLE)


def _away(tilted: Floats, counts: Floats) -> float:
    """Sine of 30 degrees to the side where the integrand falls off; many small units turn it as a large step would."""
    height = 1.0
    while not _ends_by(height, tilted, counts):
        height *= 2.0
    path = height * (0.5 + 1j * math.sqrt(0.75))
    right, left = (float(counts @ np.log(np.abs(1.0 - each * tilted))) for each in (path, -path.conjugate()))
    return 0.5 if right > left else -0.5


def _lean(skewness: float) -> float:
    """Sine of the angle from the vertical at which the hyperbola bends like the path of steepest descent."""
    third = 2.0 * skewness / 3.0
    return (math.sqrt(1.0 + third * third) - 1.0) / third if abs(third) > 1e-9 else 0.0


def _saddle(steps: Floats, counts: Floats) -> float:
    """Where the generating function is least, left of 0; 0 where that is not left of it. Roughly: any line will do."""
    if float(counts @ steps) <= 0.0:
        return 0.0
    left, right = 1.0 / float(steps.min()), 0.0
    at = max(-float(counts @ steps) / float(counts @ steps**2), 0.9 * left)
    for _ in range(50):
        tilted = steps / (1.0 - at * steps)
        slope = float(counts @ tilted)
        left, right = (at, right) if slope < 0.0 else (left, at)
        new = at - slope / float(counts @ tilted**2)
        new = new if left < new < right else (left + right) / 2.0
        if abs(new - at) <= 1e-3 * abs(new):
            break
        at = new
    return at
