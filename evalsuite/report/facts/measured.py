"""Means with their intervals, on the items that the gate judged; and which results are no longer those."""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from evalsuite.contamination.overlap import clean_report
from evalsuite.gate.judging import value_interval
from evalsuite.gate.pairing import sort_by_id, table_sha256
from evalsuite.items.results import EvalReport, MetricSummary, ScoreTable
from evalsuite.report.data import ReportData

Tables = Mapping[str, Mapping[str, ScoreTable]]
"""Model -> suite -> scores."""


class Fact(BaseModel):
    """A part of what the report shows."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


class Measured(Fact):
    """One metric of one model; a mean that is None has nothing scored, an end that is None is infinite."""

    mean: float | None
    """As it was scored; a ratio's value."""
    corrected: float | None = None
    """The mean without the errors of a judge that people checked; the interval is about this one. None where no such
    judge scores."""
    lower: float | None = None
    upper: float | None = None
    n: int
    """Scored items."""
    unscored: int

    @property
    def best(self) -> float | None:
        """What the interval is about."""
        return self.mean if self.corrected is None else self.corrected


def tables_of(data: ReportData) -> Tables:
    """Scores of every model without the items that training rows give away, as the gate had them.

    Those of methods that are no candidate are there for the suites that ``ReportData.method_tables`` has.

    Raises:
        UsageError: A suite was not checked for contamination, or has other items than were checked.
    """
    found: dict[str, Mapping[str, ScoreTable]] = dict(data.method_tables)
    for model, suites in data.results.items():
        report = EvalReport(model, "", {name: result.table() for name, result in suites.items()}, costs={})
        found[model] = (clean_report(report, data.contamination) if data.contamination else report).suites
    return found


def changed_results(data: ReportData, tables: Tables) -> tuple[str, ...]:
    """Folders whose scores are not those that the decision was made from, such as ``evals/lora/golden``."""
    models = {"candidate": data.decision.candidate, **{role: role for role in data.decision.baselines}}
    evidence = data.decision.evidence
    changed = []
    for role, model in models.items():
        judged = {name.partition("/")[2] for name in evidence if name.startswith(f"{role}/")}
        present = sort_by_id(EvalReport(model, "", dict(tables.get(model, {})), costs={})).suites
        for suite in sorted(judged | present.keys()):
            digest = table_sha256(present[suite]) if suite in present else ""
            if digest != evidence.get(f"{role}/{suite}"):
                changed.append(f"evals/{model}/{suite}")
    return tuple(changed)


def mean_of(table: ScoreTable, metric: str, rows: NDArray[np.bool_] | None = None) -> tuple[float | None, int, int]:
    """Mean over scored items or the ratio of sums (None where there is none), scored items, unscored items.

    Args:
        table: One suite of one model.
        metric: One that the table has.
        rows: Items to look at; all when None.
    """
    applies = table.applies[metric] if rows is None else rows & table.applies[metric]
    scores = table.scores[metric]
    weights = table.denominators.get(metric, np.ones_like(scores))
    scored = applies & np.isfinite(scores) & np.isfinite(weights)
    n, total = int(scored.sum()), math.fsum(weights[scored])
    return math.fsum(scores[scored]) / total if total else None, n, int(applies.sum()) - n


def measured_in(table: ScoreTable, metric: str, alpha: float) -> Measured:
    """One metric of a table, with its interval as in ``measured``."""
    mean, n, unscored = mean_of(table, metric)
    row = MetricSummary(metric=metric, mean=mean, stderr=None, n=n, unscored=unscored)
    return measured(row, table, alpha) or Measured(mean=mean, n=n, unscored=unscored)


def measured(row: MetricSummary | None, table: ScoreTable | None, alpha: float) -> Measured | None:
    """A summary with the gate's interval of its value, at a one-sided error of ``alpha``; None without a summary."""
    if row is None:
        return None
    lower = upper = corrected = None
    if row.mean is not None and table is not None and row.metric in table.scores:
        found = value_interval(table, row.metric, alpha)
        lower, upper = (float(end) if math.isfinite(end) else None for end in (found.lower, found.upper))
        judge = table.info.judges.get(row.metric)
        if judge is not None and judge.calibration is not None and math.isfinite(found.difference):
            corrected = float(found.difference)
    return Measured(mean=row.mean, corrected=corrected, lower=lower, upper=upper, n=row.n, unscored=row.unscored)
