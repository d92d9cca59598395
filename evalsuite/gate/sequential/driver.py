"""Evaluation in batches that stops when the gate needs no more."""

import logging
from collections.abc import Collection, Iterator, Sequence
from typing import Literal

from evalsuite.engines.base import Engine
from evalsuite.gate.sequential.gate import SequentialGate
from evalsuite.items.results import COMPARED_FIELDS, ItemResult, Prefix, ScoreTable, SuiteResult, items_sha256
from evalsuite.suites.base import Suite

logger = logging.getLogger(__name__)

BY_METRIC = ("scorers", "judges")
"""Fields of SuiteInfo that name the metrics of the items that were run."""


class SequentialEvaluation:
    """A candidate's suites, run as far as the gate needs.

    Items that must pass are run first, in all suites; their scores enter the bets at their place in the order. A suite
    stops when its rules are decided. The first thing that is proven broken stops everything.
    """

    def __init__(
        self,
        suites: Sequence[Suite],
        engine: Engine,
        gate: SequentialGate,
        sequential: Collection[str],
        batch_items: int,
        finish: bool = False,
    ) -> None:
        """Nothing is run yet.

        Args:
            suites: In the order in which they are run.
            engine: The candidate.
            gate: Made from the baselines' full results.
            sequential: Names of the suites that may stop early; the others are run in full, or not at all after a
                violation.
            batch_items: Items between two looks of the gate.
            finish: Run everything in spite of a violation.
        """
        self._suites, self._engine, self._gate = suites, engine, gate
        self._sequential = sequential
        self._batch_items, self._finish = batch_items, finish
        self._required = {suite.name: self._run_required(suite) for suite in suites if suite.name in sequential}

    @property
    def _stopped(self) -> bool:
        return bool(self._gate.violations) and not self._finish

    def _run_required(self, suite: Suite) -> SuiteResult | None:
        required = self._gate.must_pass(suite.name)
        if not required or self._stopped:
            return None
        result = suite.run(self._engine, required)
        self._gate.check_must_pass(suite.name, result.items)
        return result

    def results(self) -> Iterator[SuiteResult]:
        """Run suite after suite; each result says how many items its set has and why the rest was not run."""
        for suite in self._suites:
            if suite.name in self._sequential:
                yield self._in_batches(suite)
            elif self._stopped:
                yield self._not_run(suite.name)
            else:
                result = suite.run(self._engine)
                self._gate.settle(result)
                yield result

    def _in_batches(self, suite: Suite) -> SuiteResult:
        reference, order = self._gate.reference(suite.name), self._gate.order(suite.name)
        parts = [part] if (part := self._required.get(suite.name)) else []
        known = {item.item_id: item for part in parts for item in part.items}
        done = 0
        while done < len(order) and not self._stopped and not self._gate.decided(suite.name):
            batch = order[done : done + self._batch_items]
            missing = [item for item in batch if item not in known]
            if missing:
                parts.append(suite.run(self._engine, missing))
                known |= {item.item_id: item for item in parts[-1].items}
            problem = difference_from(parts[0], [known[item] for item in batch], reference)
            if problem is not None:
                logger.warning("%s is evaluated in full, since bets need what is comparable: %s", suite.name, problem)
                result = suite.run(self._engine)
                self._gate.settle(result)
                return result
            self._gate.advance(suite.name, [known[item] for item in batch])
            done += len(batch)
        if not parts:
            return self._not_run(suite.name)
        items = tuple(known[item] for item in order if item in known)
        ended: Literal["complete", "decided", "violation"] = (
            "complete" if done == len(order) else "violation" if self._stopped else "decided"
        )
        result = self._assembled(reference, parts, items, done, ended)
        if ended == "complete":
            self._gate.settle(result)
        return result

    def _not_run(self, suite: str) -> SuiteResult:
        """What was not run is comparable with anything: it takes the baseline's description."""
        reference = self._gate.reference(suite)
        info = reference.info.model_copy(
            update={
                "engine": self._engine.name,
                "model_identity": self._engine.model_identity,
                "prefix": _prefix(reference, (), 0, "violation"),
            }
        )
        return SuiteResult(info, (), 0.0)

    def _assembled(
        self,
        reference: ScoreTable,
        parts: Sequence[SuiteResult],
        items: tuple[ItemResult, ...],
        done: int,
        ended: Literal["complete", "decided", "violation"],
    ) -> SuiteResult:
        update = {
            "items_sha256": reference.info.items_sha256,
            # A metric that no item run has is described as the baseline describes it; the others are alike.
            **{name: getattr(reference.info, name) for name in BY_METRIC},
            "prefix": _prefix(reference, items, done, ended),
        }
        return SuiteResult(parts[0].info.model_copy(update=update), items, sum(part.seconds for part in parts))


def difference_from(part: SuiteResult, items: Sequence[ItemResult], reference: ScoreTable) -> str | None:
    """The first field in which some items of a suite differ from a baseline's; None where they are comparable."""
    for name in COMPARED_FIELDS:
        left, right = getattr(part.info, name), getattr(reference.info, name)
        if name in BY_METRIC:
            right = {metric: right.get(metric) for metric in left}
        if left != right and name != "items_sha256":
            return f"{name} is {left!r} for the candidate and {right!r} for the baseline"
    hashes = dict(zip(reference.item_ids, reference.item_hashes, strict=True))
    changed = next((item for item in items if item.item_hash != hashes[item.item_id]), None)
    return None if changed is None else f"item_hash of item {changed.item_id!r} is another one for the baseline"


def _prefix(
    reference: ScoreTable,
    items: Sequence[ItemResult],
    done: int,
    ended: Literal["complete", "decided", "violation"],
) -> Prefix:
    return Prefix(
        num_items=len(reference.item_ids),
        order_seed=reference.info.items_sha256,
        num_ordered=done,
        run_sha256=items_sha256(items),
        ended=ended,
    )


def saved(results: Sequence[SuiteResult]) -> str:
    """How much of an evaluation was not needed, in words."""
    run = sum(len(result.items) for result in results)
    of = sum(result.info.prefix.num_items if result.info.prefix else len(result.items) for result in results)
    return f"{run:,} of {of:,} items, {100 * (of - run) / max(of, 1):.0f}% of the evaluation saved"
