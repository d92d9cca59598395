"""How far a judge agrees with people: agreement, Cohen's kappa, and both by behaviour category."""

import math
from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

from evalsuite.core.errors import UsageError
from evalsuite.stats.paired import mean_interval


class Agreement(BaseModel):
    """Of one judge with the human majority; figures are over the cases that have a verdict."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    judge: str
    version: str
    n: int
    """Cases with a verdict."""
    unscored: int
    """Cases without a verdict, which no figure counts."""
    agreement: float | None
    """Share of verdicts that are the majority's; None without a verdict."""
    lower: float | None
    upper: float | None
    """95% interval of the agreement, cluster-robust over behaviours."""
    kappa: float | None
    """Cohen's kappa; None where judge and people both always say the same."""
    confusion: dict[str, int]
    """``HUMAN/JUDGE`` -> cases, such as ``harmful/harmless``."""
    by_category: dict[str, tuple[float, int]]
    """Category -> (agreement, cases with a verdict)."""
    constant: bool
    """The judge gave every case the same verdict, so its agreement means nothing."""


def agreement_with_people(
    judge: str,
    version: str,
    verdicts: Sequence[str | None],
    people: Sequence[str],
    groups: Sequence[str],
    categories: Sequence[str],
) -> Agreement:
    """Compare verdicts with the majority's labels.

    Args:
        judge: Its name.
        version: Its version.
        verdicts: One label a case, None without a verdict.
        people: The majority's label of each case.
        groups: Cases of one group are not independent.
        categories: What to break the agreement down by.

    Raises:
        UsageError: There are no cases.
    """
    if not people:
        raise UsageError("no labelled completions to compare with")
    scored = [index for index, verdict in enumerate(verdicts) if verdict is not None]
    right = np.array([verdicts[index] == people[index] for index in scored], dtype=np.float64)
    confusion: dict[str, int] = {}
    by_category: dict[str, list[float]] = {}
    for index, value in zip(scored, right, strict=True):
        cell = f"{people[index]}/{verdicts[index]}"
        confusion[cell] = confusion.get(cell, 0) + 1
        by_category.setdefault(categories[index], []).append(float(value))
    interval = mean_interval(right, [groups[index] for index in scored], 0.025) if len(scored) > 1 else None
    return Agreement(
        judge=judge,
        version=version,
        n=len(scored),
        unscored=len(people) - len(scored),
        agreement=float(right.mean()) if scored else None,
        lower=interval.lower if interval and math.isfinite(interval.lower) else None,
        upper=interval.upper if interval and math.isfinite(interval.upper) else None,
        kappa=cohens_kappa([verdicts[index] or "" for index in scored], [people[index] for index in scored]),
        confusion=dict(sorted(confusion.items())),
        by_category={name: (sum(values) / len(values), len(values)) for name, values in sorted(by_category.items())},
        constant=len({verdicts[index] for index in scored}) == 1,
    )


def cohens_kappa(first: Sequence[str], second: Sequence[str]) -> float | None:
    """Agreement beyond chance (Cohen 1960); None where chance alone gives full agreement, or without cases."""
    if not first:
        return None
    labels = sorted({*first, *second})
    table = np.zeros((len(labels), len(labels)))
    for one, other in zip(first, second, strict=True):
        table[labels.index(one), labels.index(other)] += 1
    if len(labels) == 1:
        return None
    table /= table.sum()
    by_chance = float(table.sum(axis=0) @ table.sum(axis=1))
    return (float(np.trace(table)) - by_chance) / (1.0 - by_chance)
