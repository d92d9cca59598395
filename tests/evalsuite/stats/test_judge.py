"""What a judge gets wrong, in the interval: against ppi-python's answers, simulation and named outcomes."""

import math

import numpy as np
import pytest
from scipy import stats

from evalsuite.items.calibration import Calibration, Judge
from evalsuite.stats.judge import with_judge
from evalsuite.stats.paired import mean_interval, paired_interval


def judge_of(scores: "np.ndarray | list[float]", human: "np.ndarray | list[float]") -> Judge:
    known = Calibration(judge=tuple(map(float, scores)), human=tuple(map(float, human)))
    return Judge(name="j", version="1", calibration=known)


def _noisy(rng: np.random.Generator, human: np.ndarray, error: float) -> np.ndarray:
    return np.where(rng.random(human.size) < error, 1.0 - human, human)


def test_one_mean_gets_ppi_python_s_interval() -> None:
    rng = np.random.default_rng(0)
    human = (rng.random(602) < 0.4).astype(float)
    labelled = _noisy(rng, human, 0.09)
    unlabelled = (rng.random(3000) < 0.3).astype(float)
    interval = with_judge(mean_interval(unlabelled, None, 0.05), judge_of(labelled, human), 0.05, paired=False)
    # ppi-python 0.2.3: ppi_mean_ci(human, labelled, unlabelled, alpha=0.1, lam=1) on these draws. Exact limits are a
    # little wider than its normal ones.
    low, high = 0.27181409, 0.32024128
    assert (interval.lower, interval.upper) == pytest.approx((low, high), abs=0.003)
    assert interval.upper - interval.lower >= high - low
    assert interval.method == "exact binomial, prediction-powered"


def test_the_difference_of_two_models_widens_by_twice_the_variance_of_the_correction() -> None:
    rng = np.random.default_rng(1)
    human = (rng.random(602) < 0.4).astype(float)
    labelled = _noisy(rng, human, 0.09)
    candidate, baseline = ((rng.random(2000) < share).astype(float) for share in (0.3, 0.33))
    plain = paired_interval(candidate, baseline, None, 0.05)
    widened = with_judge(plain, judge_of(labelled, human), 0.05, paired=True)
    variance = (candidate - baseline).var() / 2000 + 2 * (human - labelled).var() / 602
    assert widened.difference == plain.difference
    normal = 2 * stats.norm.isf(0.05) * math.sqrt(variance)
    assert normal <= widened.upper - widened.lower <= 1.06 * normal  # exact limits are wider than normal ones


def test_a_judge_that_is_never_wrong_in_forty_labels_still_widens() -> None:
    labels = [0.0, 1.0] * 20
    plain = paired_interval([1.0, 0.0] * 100, [1.0, 0.0] * 100, None, 0.05)
    widened = with_judge(plain, judge_of(labels, labels), 0.05, paired=True)
    assert widened.lower < plain.lower - 0.05
    assert widened.upper > plain.upper + 0.05


def test_more_errors_of_the_judge_widen_more() -> None:
    rng = np.random.default_rng(2)
    human = (rng.random(300) < 0.5).astype(float)
    plain = paired_interval((rng.random(400) < 0.5).astype(float), np.ones(400), None, 0.05)
    widths = [
        (found := with_judge(plain, judge_of(_noisy(rng, human, error), human), 0.05, paired=True)).upper - found.lower
        for error in (0.02, 0.1, 0.3)
    ]
    assert plain.upper - plain.lower < widths[0] < widths[1] < widths[2]


def test_the_corrected_mean_errs_no_more_often_than_alpha() -> None:
    rng = np.random.default_rng(3)
    truth, wrong = 0.2, 0
    for _ in range(600):
        human = (rng.random(60) < truth).astype(float)
        labelled = np.where(human == 1.0, rng.random(60) < 0.8, rng.random(60) < 0.1).astype(float)
        unlabelled = rng.random(400) < truth * 0.8 + (1 - truth) * 0.1
        plain = mean_interval(unlabelled.astype(float), None, 0.05)
        wrong += with_judge(plain, judge_of(labelled, human), 0.05, paired=False).lower > truth
    assert wrong / 600 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 600)


@pytest.mark.parametrize(
    ("scores", "human", "told"),
    [
        pytest.param([], [], "has 0 items, 20 are needed", id="empty"),
        pytest.param([1.0, 0.0] * 9, [1.0, 0.0] * 9, "has 18 items, 20 are needed", id="tiny"),
        pytest.param([1.0] * 50, [1.0, 0.0] * 25, "the same score", id="constant-judge"),
        pytest.param([1.0, 0.0] * 25, [1.0] * 50, "every human label", id="constant-human"),
    ],
)
def test_a_calibration_that_shows_nothing_says_nothing(scores: list[float], human: list[float], told: str) -> None:
    plain = paired_interval([1.0] * 300, [1.0] * 300, None, 0.05)
    found = with_judge(plain, judge_of(scores, human), 0.05, paired=True)
    assert (found.lower, found.upper) == (-math.inf, math.inf)
    assert told in found.method


def test_a_judge_without_calibration_leaves_its_own_interval() -> None:
    plain = mean_interval([1.0, 0.0] * 50, None, 0.05)
    assert with_judge(plain, Judge(name="j", version="1"), 0.05, paired=False) == plain


def test_labels_and_scores_of_other_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="2 judge scores and 1 human labels"):
        Calibration(judge=(1.0, 0.0), human=(1.0,))
