"""``more_items`` against the number of items at which the gate's estimator decides in half of all samples."""

import numpy as np
import pytest

from evalsuite.gate_tools.designs import PairedRates, Rate, items_for
from evalsuite.stats.alternatives import Floats, uniforms
from evalsuite.stats.extrapolate import more_items
from evalsuite.stats.paired import mean_interval, paired_interval

ALPHA = 0.05


def binary(lost: int, gained: int, n: int) -> tuple[Floats, Floats]:
    candidate, baseline = np.ones(n), np.ones(n)
    candidate[:lost] = 0.0
    baseline[lost : lost + gained] = 0.0
    return candidate, baseline


@pytest.mark.parametrize(
    ("lost", "gained", "n", "limit"),
    [
        (0, 0, 50, -0.02),
        (1, 0, 60, -0.05),
        (2, 2, 100, -0.02),
        (10, 8, 200, -0.03),
        (3, 0, 40, -0.05),
        (6, 0, 50, -0.05),
    ],
)
def test_few_discordant_pairs_are_within_a_quarter_of_the_median(lost: int, gained: int, n: int, limit: float) -> None:
    candidate, baseline = binary(lost, gained, n)
    interval = paired_interval(candidate, baseline, None, ALPHA)
    assert interval.lower < limit < interval.upper
    more = more_items(interval, candidate, baseline, np.arange(n), limit, ALPHA)
    median = items_for(PairedRates((lost + gained) / n), ALPHA, limit, (gained - lost) / n, 0.5)
    assert more is not None
    assert median is not None
    assert 0.75 <= (n + more) / median <= 1.25


def test_the_root_of_n_alone_would_be_off_by_more_than_two() -> None:
    candidate, baseline = binary(0, 0, 50)
    interval = paired_interval(candidate, baseline, None, ALPHA)
    root = 50 * (interval.lower / 0.02) ** 2
    median = items_for(PairedRates(0.0), ALPHA, -0.02, 0.0, 0.5)
    assert median == 149, "the least n with 0.05 ** (1 / n) > 0.98"
    assert root > 2 * median


def test_many_discordant_pairs_follow_the_root_of_n() -> None:
    candidate, baseline = binary(40, 42, 500)
    interval = paired_interval(candidate, baseline, None, ALPHA)
    more = more_items(interval, candidate, baseline, np.arange(500), -0.01, ALPHA)
    median = items_for(PairedRates(82 / 500), ALPHA, -0.01, 2 / 500, 0.5)
    assert more is not None
    assert median is not None
    assert 0.7 <= (500 + more) / median <= 1.4


def test_one_sample_is_within_a_quarter_of_the_median() -> None:
    scores = np.array([1.0] * 38 + [0.0] * 2)
    interval = mean_interval(scores, None, ALPHA)
    more = more_items(interval, scores, None, np.arange(40), 0.9, ALPHA)
    median = items_for(Rate(), ALPHA, 0.9, 0.95, 0.5)
    assert more is not None
    assert median is not None
    assert 0.75 <= (40 + more) / median <= 1.25


@pytest.mark.parametrize(("n", "moving"), [(40, 0), (40, 5), (60, 10)])
def test_graded_scores_of_which_few_move_are_within_two_of_the_simulated_median(n: int, moving: int) -> None:
    baseline = np.full(n, 0.5)
    candidate = baseline.copy()
    candidate[:moving] += 0.6 * (uniforms("moves", moving) - 0.5)
    limit = -0.04
    interval = paired_interval(candidate, baseline, None, ALPHA)
    assert interval.method == "Gaffke"
    assert interval.lower < limit
    more = more_items(interval, candidate, baseline, np.arange(n), limit, ALPHA)
    assert more is not None

    def decided(size: int) -> float:
        draws = [(uniforms(f"{size} {k}", size) * n).astype(int) for k in range(40)]
        return float(np.mean([paired_interval(candidate[at], baseline[at], None, ALPHA).lower > limit for at in draws]))

    assert decided(2 * (n + more)) > 0.5
    assert decided((n + more) // 2) < 0.5


def test_a_difference_at_the_limit_is_decided_by_no_number() -> None:
    candidate, baseline = binary(5, 0, 100)
    interval = paired_interval(candidate, baseline, None, ALPHA)
    assert more_items(interval, candidate, baseline, np.arange(100), interval.difference, ALPHA) is None


def test_a_difference_next_to_the_limit_is_decided_by_no_number() -> None:
    candidate, baseline = np.array([1e-155, *[0.0] * 9]), np.zeros(10)
    interval = paired_interval(candidate, baseline, None, ALPHA)
    assert interval.difference > 0.0
    assert more_items(interval, candidate, baseline, np.arange(10), 0.0, ALPHA) is None


def test_one_more_item_is_said_where_one_is_enough() -> None:
    candidate, baseline = np.array([0.5] * 40), np.array([0.5] * 40)
    limit = -1.0 + ALPHA ** (1 / 41) - 1e-9
    interval = paired_interval(candidate, baseline, None, ALPHA)
    assert interval.lower < limit
    assert more_items(interval, candidate, baseline, np.arange(40), limit, ALPHA) in (1, 2)
    nearly = interval.lower + 1e-6
    assert more_items(interval, candidate, baseline, np.arange(40), nearly, ALPHA) == 1


def test_the_figure_has_two_digits() -> None:
    candidate, baseline = binary(40, 42, 500)
    interval = paired_interval(candidate, baseline, None, ALPHA)
    more = more_items(interval, candidate, baseline, np.arange(500), -0.002, ALPHA)
    assert more is not None
    assert more > 1000
    assert str(more)[2:].strip("0") == ""
