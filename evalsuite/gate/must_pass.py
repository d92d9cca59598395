"""Items that a candidate must get right whatever its averages say."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from evalsuite.gate.decision import Reason
from evalsuite.gate.judging import rounded
from evalsuite.gate.rules import Outcome
from evalsuite.items.results import EvalReport, ScoreTable


def must_pass_reasons(candidate: EvalReport, baselines: Mapping[str, EvalReport]) -> list[Reason]:
    """One reason for every suite and metric that some item must score 1.0 on.

    The marks of the baselines count too, so that a candidate's results cannot drop them.
    """
    marked: dict[tuple[str, str], set[str]] = {}
    sources: dict[str, str] = {}
    for report in (candidate, *baselines.values()):
        for suite, table in report.suites.items():
            sources[suite] = sources.get(suite) or table.info.source
            for metric, mask in table.must_pass.items():
                ids = {table.item_ids[i] for i in np.flatnonzero(mask)}
                if ids:
                    marked.setdefault((suite, metric), set()).update(ids)
    return [
        _judge(suite, metric, sorted(ids), candidate.suites.get(suite), sources[suite])
        for (suite, metric), ids in sorted(marked.items())
    ]


def _judge(suite: str, metric: str, ids: Sequence[str], table: ScoreTable | None, source: str) -> Reason:
    scores = _scores_of(ids, metric, table)
    known = np.isfinite(scores)
    failed = [item for item, score in zip(ids, scores, strict=True) if score < 1.0]
    unscored = [item for item, is_known in zip(ids, known, strict=True) if not is_known]
    n = int(known.sum())
    of = f"{len(ids)} must-pass items" + (f" of {source}" if source else "")
    if failed:
        outcome, items = Outcome.FAIL, failed
        text = f"{suite}/{metric} failed {len(failed)} of {of}: {_listed(failed)}"
    elif unscored:
        outcome, items = Outcome.UNDECIDED, unscored
        text = f"{suite}/{metric} has no score for {len(unscored)} of {of}: {_listed(unscored)}"
    else:
        outcome, items = Outcome.PASS, []
        text = f"{suite}/{metric} passed all {of}"
    return Reason(
        rule=f"{suite}/{metric}:must_pass",
        suite=suite,
        metric=metric,
        kind="must_pass",
        outcome=outcome,
        candidate=rounded(float(scores[known].mean())) if n else None,
        limit=1.0,
        n=n,
        unscored=len(unscored),
        method="every item",
        item_ids=tuple(items),
        text=text,
    )


def _scores_of(ids: Sequence[str], metric: str, table: ScoreTable | None) -> NDArray[np.float64]:
    """Scores of the named items, for a ratio the items' own; NaN where the suite, the metric or the item is absent."""
    if table is None or metric not in table.scores:
        return np.full(len(ids), np.nan)
    at = {item: i for i, item in enumerate(table.item_ids)}
    column = table.scores[metric]
    if metric in table.denominators:
        denominator = table.denominators[metric]
        # An item with nothing to count has passed nothing.
        column = np.divide(column, denominator, out=np.full(column.size, np.nan), where=denominator > 0.0)
    return np.array([column[at[item]] if item in at else np.nan for item in ids], dtype=np.float64)


def _listed(ids: Sequence[str], limit: int = 5) -> str:
    shown = ", ".join(repr(item) for item in ids[:limit])
    return shown + (f" and {len(ids) - limit} more" if len(ids) > limit else "")
