"""How far evaluations of one and the same model lie apart: a margin below that measures the machine, not the model."""

import math
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from evalsuite.core.errors import UsageError
from evalsuite.core.files import read_model
from evalsuite.gate.pairing import difference_between, sort_by_id
from evalsuite.items.results import EvalReport, ScoreTable
from evalsuite.stats.distributions import normal_isf

ONE_SIDED_ERROR = 0.05


class MetricNoise(BaseModel):
    """The noise of one metric over repeated evaluations."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    suite: str
    metric: str
    n: int
    """Items that every repeat scored."""
    unscored: int
    values: tuple[float, ...]
    """The suite value of each repeat, over those items."""
    largest_difference: float
    """Largest difference between the values of two repeats."""
    flip_fraction: float
    """Share of items whose score is not the same in every repeat."""
    floor: float
    """The larger of ``largest_difference`` and what single items that flip independently give in 95% of differences."""


class Noise(BaseModel):
    """What ``ratchet gate noise`` measured; ``floors`` goes into the policy."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    schema_version: Literal[1] = 1
    identity: str
    num_repeats: int
    metrics: tuple[MetricNoise, ...]

    @property
    def floors(self) -> dict[str, float]:
        """SUITE/METRIC -> noise floor, as ``GatePolicy.noise`` takes it."""
        return {f"{each.suite}/{each.metric}": each.floor for each in self.metrics}


def read_noise(path: Path) -> Noise:
    """Read what ``ratchet gate noise --json`` wrote."""
    return read_model(path, Noise, "ratchet gate noise")


def measure_noise(repeats: Sequence[EvalReport]) -> Noise:
    """Compare repeated evaluations of one model, item by item.

    Args:
        repeats: At least two, such as two ``evals`` folders that were made with another batch size or order.

    Raises:
        UsageError: Fewer than two, another model, or results that cannot be compared; the field is named.
    """
    if len(repeats) < 2:
        raise UsageError(f"{len(repeats)} evaluation given, measuring noise needs at least two of the same model")
    reports = [sort_by_id(report) for report in repeats]
    first = reports[0]
    for number, other in enumerate(reports[1:], 2):
        if other.identity != first.identity:
            raise UsageError(
                f"evaluation {number} is of model {other.identity[:16]} and the first of {first.identity[:16]}; noise "
                "is measured on repeated evaluations of the same model"
            )
        if sorted(other.suites) != sorted(first.suites):
            raise UsageError(f"evaluation {number} has suites {sorted(other.suites)}, the first {sorted(first.suites)}")
        for suite, table in other.suites.items():
            problem = difference_between(_any_seed(table), _any_seed(first.suites[suite]), "the first evaluation")
            if problem is not None:
                raise UsageError(f"{suite}: {problem.replace('the candidate', f'evaluation {number}')}")
    metrics = [
        _metric_noise(suite, metric, [report.suites[suite] for report in reports])
        for suite, table in first.suites.items()
        for metric in table.scores
        if all(metric in report.suites[suite].scores for report in reports)
    ]
    found = tuple(each for each in metrics if each is not None)
    if not found:
        raise UsageError("no metric has an item that every evaluation scored")
    return Noise(identity=first.identity, num_repeats=len(reports), metrics=found)


def _any_seed(table: ScoreTable) -> ScoreTable:
    """The table without what may differ between repeats: the seed of sampled decoding."""
    decoding = {name: value for name, value in table.info.decoding.items() if name != "seed"}
    return ScoreTable(**{**vars(table), "info": table.info.model_copy(update={"decoding": decoding})})


def _metric_noise(suite: str, metric: str, tables: Sequence[ScoreTable]) -> MetricNoise | None:
    scores = np.stack([table.scores[metric] for table in tables])
    scored = np.isfinite(scores).all(axis=0)
    applies = np.any([table.applies[metric] for table in tables], axis=0)
    n = int(scored.sum())
    weights = np.stack([table.denominators.get(metric, np.ones(scored.size)) for table in tables])[:, scored]
    kept = scores[:, scored]
    totals = [math.fsum(row) for row in weights]
    if n == 0 or not all(totals):
        return None
    values = [math.fsum(row) / total for row, total in zip(kept, totals, strict=True)]
    # Each item's part in the suite value; exact for a mean, to first order for a ratio.
    centre = math.fsum(values) / len(values)
    parts = np.stack([(row - centre * each) / total for row, each, total in zip(kept, weights, totals, strict=True)])
    per_run = math.fsum(parts.var(axis=0, ddof=1))
    largest = max(abs(one - other) for one, other in combinations(values, 2))
    flips = ((kept != kept[0]) | (weights != weights[0])).any(axis=0)
    floor = max(largest, normal_isf(ONE_SIDED_ERROR) * math.sqrt(2.0 * per_run))
    return MetricNoise(
        suite=suite,
        metric=metric,
        n=n,
        unscored=int(applies.sum()) - n,
        values=tuple(round(value, 10) for value in values),
        largest_difference=round(largest, 10),
        flip_fraction=round(float(flips.mean()), 10),
        floor=round(floor, 10),
    )
