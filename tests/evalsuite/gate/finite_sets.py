"""Suites with known scores, for tests of sequential evaluation."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalsuite.engines.base import Engine
from evalsuite.gate.pairing import sort_by_id
from evalsuite.gate.policy import GatePolicy
from evalsuite.gate.sequential.prefixes import must_pass_ids, order_of
from evalsuite.items.results import EvalReport, ItemResult, Prefix, SuiteInfo, SuiteResult, items_sha256
from evalsuite.suites.base import check_known

Scores = NDArray[np.float64]


def make_items(
    scores: Mapping[str, Scores], *, slices: int = 4, must_pass: Collection[int] = (), cluster: int = 0
) -> tuple[ItemResult, ...]:
    """One item a position; NaN is unscored."""
    total = len(next(iter(scores.values())))
    return tuple(
        ItemResult(
            item_id=f"i{n:05}",
            item_hash=f"h{n}",
            slices={"part": f"p{n % slices}"} if slices else {},
            cluster=f"c{n // cluster}" if cluster else None,
            must_pass=tuple(scores) if n in must_pass else (),
            metrics=tuple(scores),
            scores={m: float(column[n]) for m, column in scores.items() if not np.isnan(column[n])},
        )
        for n in range(total)
    )


def result_of(items: Sequence[ItemResult], model: str, suite: str = "s") -> SuiteResult:
    """A full run."""
    metrics = sorted({metric for item in items for metric in item.metrics})
    info = SuiteInfo(
        suite=suite,
        suite_version="1",
        items_sha256=items_sha256(items),
        scorers=dict.fromkeys(metrics, "1"),
        model_identity=model,
    )
    return SuiteResult(info, tuple(items), 1.0)


def report_of(*results: SuiteResult) -> EvalReport:
    """What the gate reads."""
    identity = results[0].info.model_identity
    return EvalReport(identity, identity, {result.info.suite: result.table() for result in results}, {})


def first(result: SuiteResult, num_ordered: int, **changes: Any) -> SuiteResult:
    """The result that a sequential evaluation of so many items would have left."""
    table = sort_by_id(report_of(result)).suites[result.info.suite]
    positions = order_of(table).positions[:num_ordered]
    wanted = {table.item_ids[i] for i in positions} | must_pass_ids(table)
    items = tuple(item for item in result.items if item.item_id in wanted)
    return with_prefix(result, items, num_ordered, **changes)


def with_prefix(result: SuiteResult, items: tuple[ItemResult, ...], num_ordered: int, **changes: Any) -> SuiteResult:
    """A result that claims to be the first items of the order."""
    fields: dict[str, Any] = {
        "num_items": len(result.items),
        "order_seed": result.info.items_sha256,
        "num_ordered": num_ordered,
        "run_sha256": items_sha256(items),
        "ended": "complete" if num_ordered == len(result.items) else "decided",
    }
    info = result.info.model_copy(update={"prefix": Prefix(**{**fields, **changes})})
    return SuiteResult(info, items, 1.0)


def policy_of(*rules: Mapping[str, Any], **fields: Any) -> GatePolicy:
    """A policy on suite ``s`` and metric ``m`` unless a rule says otherwise."""
    return GatePolicy.model_validate({"rules": [{"suite": "s", "metric": "m", **rule} for rule in rules], **fields})


class RecordedSuite:
    """Answers from a result; remembers which items were asked for."""

    def __init__(self, result: SuiteResult) -> None:
        """Every item's result is there already."""
        self.name = result.info.suite
        self.result = result
        self.asked: list[str] = []

    def run(self, engine: Engine, only: Collection[str] | None = None) -> SuiteResult:
        """The items' recorded results."""
        if only is not None:
            check_known(self.name, only, {item.item_id for item in self.result.items})
        items = tuple(item for item in self.result.items if only is None or item.item_id in only)
        self.asked += [item.item_id for item in items]
        info = self.result.info.model_copy(update={"items_sha256": items_sha256(items)})
        return SuiteResult(info, items, 1.0)


def pair(num_items: int, loss: float, seed: int = 0, correlation: float = 0.8) -> tuple[Scores, Scores]:
    """Binary scores of a baseline and of a candidate whose mean over the set is lower by ``loss``."""
    rng = np.random.default_rng(seed)
    baseline = (rng.random(num_items) < 0.6).astype(np.float64)
    candidate = np.where(rng.random(num_items) < correlation, baseline, (rng.random(num_items) < 0.6)).astype(float)
    surplus = int(candidate.sum() - baseline.sum()) + round(loss * num_items)
    pool = np.flatnonzero(candidate == (1.0 if surplus > 0 else 0.0))
    candidate[rng.choice(pool, abs(surplus), replace=False)] = 0.0 if surplus > 0 else 1.0
    return baseline, candidate
