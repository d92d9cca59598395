"""Each suite: n, unscored, interval and slices, who judged it, and what its sequential evaluation saved."""

from collections import Counter
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from evalsuite.comparison.rows import ModelRow
from evalsuite.items.calibration import Calibration
from evalsuite.items.results import ScoreTable, SuiteInfo
from evalsuite.report.data import ReportData
from evalsuite.report.facts.measured import Fact, Measured, Tables, mean_of, measured
from evalsuite.report.flips import judged_metrics
from evalsuite.stats.distributions import clopper_pearson

MAX_SLICES = 40
"""Slices shown of one suite, those with the most items."""
AGREEMENT_ALPHA = 0.025
"""One-sided error of the interval of a judge's agreement."""


class SliceFact(Fact):
    """One slice of one metric."""

    slice: str
    """``key=value``."""
    means: dict[str, float | None]
    """Model -> mean over its scored items; a ratio's value."""
    n: int
    """Scored items of the candidate."""
    unscored: int


class MetricFact(Fact):
    """One metric of a suite."""

    metric: str
    judged: bool
    """Whether a rule, or the choice of the candidate, looks at it."""
    models: dict[str, Measured | None]
    """Model -> value; None where it was not measured. Methods that are no candidate have no interval."""
    slices: tuple[SliceFact, ...]


class JudgeFact(Fact):
    """Who scores a metric in place of people, and how often people agree."""

    metric: str
    name: str
    version: str
    agreement: float | None
    """Share of labelled items on which both say the same (fraction 0..1); None where nobody labelled any."""
    lower: float | None = None
    """Exact 95% interval (Clopper and Pearson 1934)."""
    upper: float | None = None
    n: int = 0
    source: str = ""
    """Where the labels come from."""


class StoppedFact(Fact):
    """How far a sequential evaluation of the candidate went."""

    planned: int
    """Items in the whole set."""
    evaluated: int
    ended: str
    """``complete``, ``decided`` or ``violation``."""

    @property
    def saved(self) -> int:
        """Items that nobody had to answer."""
        return self.planned - self.evaluated


class SuiteFact(Fact):
    """One suite as the candidate and what it is compared with were measured on it."""

    suite: str
    version: str
    source: str
    items_sha256: str
    num_items: int
    """Items that the candidate was evaluated on."""
    seconds: float
    """Of the candidate's evaluation."""
    alpha: float
    """One-sided error of every interval here."""
    metrics: tuple[MetricFact, ...]
    num_slices: int
    """Slices there are; at most ``MAX_SLICES`` are listed."""
    judges: tuple[JudgeFact, ...]
    stopped: StoppedFact | None
    """None where all items were to be run."""


def suites_of(data: ReportData, tables: Tables, models: tuple[ModelRow, ...]) -> tuple[SuiteFact, ...]:
    """Every suite of the candidate, those that a rule judges first."""
    choice = data.comparison.choice
    judged = {(suite, metric) for suite, metrics in judged_metrics(data.decision.policy).items() for metric in metrics}
    judged.add((choice.suite, choice.metric))
    alpha = data.decision.policy.alpha / data.decision.num_candidates
    found = []
    for suite, result in data.results[data.decision.candidate].items():
        own = {model: tables[model][suite] for model in tables if suite in tables[model]}
        names = sorted({row.metric for model in models for row in model.metrics if row.suite == suite})
        kept, num_slices = _largest_slices(own[data.decision.candidate])
        metrics = (
            MetricFact(
                metric=name,
                judged=(suite, name) in judged,
                models={
                    model.name: measured(model.metric(suite, name), own.get(model.name), alpha) for model in models
                },
                slices=tuple(
                    filter(None, (_slice(own, data.decision.candidate, name, key, value) for key, value in kept))
                ),
            )
            for name in names
        )
        found.append(
            SuiteFact(
                suite=suite,
                version=result.info.suite_version,
                source=result.info.source,
                items_sha256=result.info.items_sha256,
                num_items=len(result.items),
                seconds=round(result.seconds, 3),
                alpha=alpha,
                metrics=tuple(sorted(metrics, key=lambda metric: (not metric.judged, metric.metric))),
                num_slices=num_slices,
                judges=judges_of(result.info),
                stopped=_stopped(result.info, len(result.items)),
            )
        )
    return tuple(sorted(found, key=lambda fact: (not any(metric.judged for metric in fact.metrics), fact.suite)))


def judges_of(info: SuiteInfo) -> tuple[JudgeFact, ...]:
    """Every judge of a suite with its agreement with people."""
    return tuple(
        JudgeFact(metric=metric, name=judge.name, version=judge.version, **_agreement(judge.calibration))
        for metric, judge in sorted(info.judges.items())
    )


def _agreement(known: Calibration | None) -> dict[str, float | int | str | None]:
    if known is None or not known.judge:
        return {"agreement": None}
    n = len(known.judge)
    lower, upper = clopper_pearson(round(known.agreement * n), n, AGREEMENT_ALPHA)
    return {"agreement": known.agreement, "lower": lower, "upper": upper, "n": n, "source": known.source}


def _stopped(info: SuiteInfo, evaluated: int) -> StoppedFact | None:
    if info.prefix is None:
        return None
    return StoppedFact(planned=info.prefix.num_items, evaluated=evaluated, ended=info.prefix.ended)


def _largest_slices(table: ScoreTable) -> tuple[list[tuple[str, str]], int]:
    """Key and value of the slices with the most items, in the order of their names; and how many there are."""
    counts = Counter((key, value) for key, column in table.slices.items() for value in column if value)
    largest = sorted(counts, key=lambda pair: (-counts[pair], pair))[:MAX_SLICES]
    return sorted(largest), len(counts)


def _slice(own: Mapping[str, ScoreTable], candidate: str, metric: str, key: str, value: str) -> SliceFact | None:
    """One slice; None where the metric applies to no item of it."""
    if metric not in own[candidate].scores:
        return None
    means = {
        model: mean_of(table, metric, _rows(table, key, value))
        for model, table in own.items()
        if metric in table.scores
    }
    _, n, unscored = means[candidate]
    if not n + unscored:
        return None
    found = {model: mean for model, (mean, _, _) in means.items()}
    return SliceFact(slice=f"{key}={value}", means=found, n=n, unscored=unscored)


def _rows(table: ScoreTable, key: str, value: str) -> NDArray[np.bool_]:
    column = table.slices.get(key, ("",) * len(table.item_ids))
    return np.fromiter((each == value for each in column), np.bool_, len(column))
