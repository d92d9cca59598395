"""The order in which a set's items are evaluated, and whether a result holds the first of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from evalsuite.core.files import sha256_json
from evalsuite.items.results import EvalReport, ScoreTable
from evalsuite.stats.sequential import Order, evaluation_order


def order_of(table: ScoreTable) -> Order:
    """Order of a set's items, from the full results of any model on it; the same on every machine.

    The seed is the set's hash. Items are stratified by their slices, unless some metric applies to a part of them
    only: then they are drawn at random from the whole set, so that the order within every part is random too.

    Args:
        table: All items of the set, sorted by id.

    Returns:
        Positions in ``table``.
    """
    keys = sorted(table.slices)
    if all(bool(mask.all()) for mask in table.applies.values()):
        strata = tuple("\n".join(f"{key}={table.slices[key][i]}" for key in keys) for i in range(len(table.item_ids)))
    else:
        strata = ("",) * len(table.item_ids)
    return _order(table.item_ids, strata, table.info.items_sha256)


@lru_cache(maxsize=16)
def _order(item_ids: tuple[str, ...], strata: tuple[str, ...], seed: str) -> Order:
    return evaluation_order(item_ids, strata, seed)


def must_pass_ids(table: ScoreTable) -> frozenset[str]:
    """Items that must score 1.0 on some metric."""
    marked: np.ndarray[Any, np.dtype[np.bool_]] = np.zeros(len(table.item_ids), dtype=np.bool_)
    for mask in table.must_pass.values():
        marked |= mask
    return frozenset(table.item_ids[i] for i in np.flatnonzero(marked))


def prefix_problem(candidate: ScoreTable, baseline: ScoreTable, role: str) -> str | None:
    """Why a result is not the start of the baseline's set in the order of evaluation; None where it is.

    Args:
        candidate: What a sequential evaluation left, sorted by id.
        baseline: All items of the set, sorted by id.
        role: The baseline's name.
    """
    prefix = candidate.info.prefix
    if baseline.info.prefix is not None or prefix is None:
        stopped = role if baseline.info.prefix is not None else "the candidate"
        return f"prefix: {stopped} was evaluated sequentially; the baselines must be evaluated in full"
    pairs = sorted(zip(baseline.item_ids, baseline.item_hashes, strict=True))
    if sha256_json(pairs) != baseline.info.items_sha256:
        return f"items_sha256 of {role} is not that of its items"
    if prefix.order_seed != baseline.info.items_sha256:
        return f"prefix.order_seed is {prefix.order_seed!r}, that of this set is {baseline.info.items_sha256!r}"
    if prefix.num_items != len(baseline.item_ids):
        return f"prefix.num_items is {prefix.num_items}, {role} has {len(baseline.item_ids)} items"
    if prefix.num_ordered > prefix.num_items:
        return f"prefix.num_ordered is {prefix.num_ordered} of {prefix.num_items} items"
    first = order_of(baseline).positions[: prefix.num_ordered]
    expected = {baseline.item_ids[i] for i in first}
    if candidate.item_ids:
        expected |= must_pass_ids(baseline)
    found = set(candidate.item_ids)
    if found != expected:
        missing, extra = sorted(expected - found), sorted(found - expected)
        example = f"{missing[0]!r} is missing" if missing else f"{extra[0]!r} is not among them"
        return f"item ids are not the first {prefix.num_ordered} of the order of evaluation: {example}"
    return None


def as_fixed(
    candidate: EvalReport, baselines: Mapping[str, EvalReport]
) -> tuple[EvalReport, dict[str, EvalReport], list[str]]:
    """Reports in which suites that could stop early hold what was run, as if that had been the whole set.

    Returns:
        Candidate and baselines, and a sentence for each such suite.
    """
    reports, told = {"": candidate, **baselines}, []
    for suite, table in candidate.suites.items():
        if table.info.prefix is None:
            continue
        others = [set(report.suites[suite].item_ids) for report in baselines.values() if suite in report.suites]
        ids = sorted(set(table.item_ids).intersection(*others))
        told.append(f"{suite}: on the {len(ids):,} items that were run, by the fixed-n method")
        for role, report in list(reports.items()):
            suites = dict(report.suites)
            own = suites.pop(suite, None)
            if own is not None and ids:
                kept = rows_of(own, ids)
                pairs = list(zip(kept.item_ids, kept.item_hashes, strict=True))
                info = kept.info.model_copy(update={"prefix": None, "items_sha256": sha256_json(pairs)})
                suites[suite] = replace(kept, info=info)
            reports[role] = replace(report, suites=suites)
    return reports.pop(""), reports, told


def rows_of(table: ScoreTable, item_ids: Sequence[str]) -> ScoreTable:
    """The named items of a table, in the order of the names."""
    at = {item: i for i, item in enumerate(table.item_ids)}
    return table.take([at[item] for item in item_ids])
