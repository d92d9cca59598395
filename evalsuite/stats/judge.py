"""What a judge gets wrong, carried into the interval of what it scored (prediction-powered inference).

A mean that a judge scored is corrected by the mean of (human - judge) over labelled items, and its variance grows by
that of the correction: Angelopoulos, Bates, Fannjiang, Jordan and Zrnic, Science 382, 2023, 669-674, the mean. The
difference of two models is that of two corrected means. One labelled set serves both, so that its mean error cancels;
its uncertainty counts twice, since how the judge errs on either model is known no better than on a set of this size.

Variances are joined by MOVER (Zou and Donner, Statistics in Medicine 27, 2008, 1693-1702) over intervals that hold at
any n, so that few labels, or none that differ, never look like certainty. With many it is the published interval.

| calibration set | outcome |
|---|---|
| absent | the judge's own interval; the reason says that nobody calibrated it |
| fewer than 20 items | none: the interval is infinite |
| every judge score the same, or every label the same | none: it cannot show how the judge errs |
| else | the interval above |
"""

import math

from evalsuite.items.calibration import Judge
from evalsuite.stats.paired import Interval, paired_interval

MIN_CALIBRATION_ITEMS = 20


def with_judge(interval: Interval, judge: Judge, alpha: float, paired: bool) -> Interval:
    """Widen an interval by what its judge gets wrong; see the module's table for the outcomes.

    Args:
        interval: Interval of the judge's scores.
        judge: Who scored, with the labelled set where there is one.
        alpha: One-sided error that ``interval`` was computed at.
        paired: Whether the interval is of the difference of two models.
    """
    known = judge.calibration
    if known is None:
        return interval
    problem = _problem(known.judge, known.human)
    if problem is not None:
        return interval._replace(lower=-math.inf, upper=math.inf, method=f"none: {problem}")
    error = paired_interval(known.human, known.judge, None, alpha)
    down, up = error.difference - error.lower, error.upper - error.difference
    if paired:
        centre, below, above = interval.difference, math.hypot(down, up), math.hypot(down, up)
    else:
        centre, below, above = interval.difference + error.difference, down, up
    return Interval(
        centre,
        centre - math.hypot(interval.difference - interval.lower, below),
        centre + math.hypot(interval.upper - interval.difference, above),
        interval.n,
        f"{interval.method}, prediction-powered" if math.isfinite(below + above) else error.method,
    )


def _problem(judge: tuple[float, ...], human: tuple[float, ...]) -> str | None:
    if len(judge) < MIN_CALIBRATION_ITEMS:
        return f"the judge's calibration set has {len(judge)} items, {MIN_CALIBRATION_ITEMS} are needed"
    if len(set(judge)) == 1:
        return "the judge gave every item of its calibration set the same score"
    if len(set(human)) == 1:
        return "every human label of the judge's calibration set is the same"
    return None
