"""Quantiles and tails of the few distributions that the gate needs, straight from ``scipy.special``.

``scipy.stats`` and statsmodels give the same numbers to the last digit, which the tests hold, and take longer to import
than a whole comparison does to decide.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import bdtrik, betainc, betaincc, betainccinv, betaincinv, ndtr, ndtri, stdtrit

Floats = NDArray[np.float64]


def normal_isf(alpha: float) -> float:
    """What a standard normal variable exceeds with probability ``alpha``."""
    return -float(ndtri(alpha))


def normal_sf(value: float) -> float:
    """Chance that a standard normal variable exceeds ``value``."""
    return float(ndtr(-value))


def normal_pdf(value: float) -> float:
    """Density of a standard normal variable."""
    return math.exp(-value * value / 2.0) / math.sqrt(2.0 * math.pi)


def t_isf(alpha: float, degrees: float) -> float:
    """What Student's t exceeds with probability ``alpha``."""
    return -float(stdtrit(degrees, alpha))


def clopper_pearson(count: int, n: int, alpha: float) -> tuple[float, float]:
    """Exact limits of a rate (Clopper and Pearson, Biometrika 26, 1934, 404-413), each with error ``alpha``.

    Args:
        count: Successes, 0 to ``n``.
        n: Trials, at least 1.
        alpha: One-sided error.
    """
    lower = 0.0 if count == 0 else float(betaincinv(count, n - count + 1, alpha))
    upper = 1.0 if count == n else float(betainccinv(count + 1, n - count, alpha))
    return lower, upper


def binomial_sf(count: ArrayLike, n: ArrayLike, rate: float) -> Floats:
    """Chance of more than ``count`` successes in ``n`` trials."""
    successes, trials = np.broadcast_arrays(np.asarray(count, np.float64), np.asarray(n, np.float64))
    inside = (successes >= 0.0) & (successes < trials)
    chance = betainc(np.where(inside, successes + 1.0, 1.0), np.where(inside, trials - successes, 1.0), rate)
    return np.where(inside, chance, np.where(successes < 0.0, 1.0, 0.0))


def binomial_cdf(count: ArrayLike, n: ArrayLike, rate: float) -> Floats:
    """Chance of at most ``count`` successes in ``n`` trials."""
    successes, trials = np.broadcast_arrays(np.asarray(count, np.float64), np.asarray(n, np.float64))
    inside = (successes >= 0.0) & (successes < trials)
    chance = betaincc(np.where(inside, successes + 1.0, 1.0), np.where(inside, trials - successes, 1.0), rate)
    return np.where(inside, chance, np.where(successes < 0.0, 0.0, 1.0))


def binomial_ppf(chance: float, n: int, rate: float) -> int:
    """The least count that at least ``chance`` of all draws do not exceed."""
    if rate <= 0.0 or rate >= 1.0:
        return 0 if rate <= 0.0 else n
    guess = float(bdtrik(chance, n, rate))
    count = n if math.isnan(guess) else min(max(math.ceil(guess), 0), n)
    while count > 0 and binomial_cdf(count - 1, n, rate) >= chance:
        count -= 1
    while count < n and binomial_cdf(count, n, rate) < chance:
        count += 1
    return count
