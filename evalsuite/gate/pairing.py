"""What a rule reads: the items of two reports, matched by id, or the reason why they cannot be compared."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evalsuite.gate.sequential.prefixes import prefix_problem, rows_of
from evalsuite.items.calibration import Judge
from evalsuite.items.results import COMPARED_FIELDS, EvalReport, ScoreTable
from evalsuite.stats.bounds import may_be_bounded

PIECE = 65_536
"""Texts that are hashed at a time."""

Texts = tuple[str, ...]


class Sorting(NamedTuple):
    """How one order of item ids is sorted, and the columns of texts that came in that order."""

    ids: Texts
    rows: NDArray[np.intp]
    columns: list[tuple[Texts, Texts]]
    """A column, and the same in the order of item ids."""


Sortings = list[Sorting]
Hashed = list[tuple[dict[str, object], "hashlib._Hash"]]
"""The texts of a table, and the state of their hash."""


class Labels(NamedTuple):
    """A column of texts, each as its place in the sorted list of those that occur in the suite."""

    codes: NDArray[np.intp]
    names: tuple[str, ...]


class _Same(NamedTuple):
    """A column that is looked up as the object that it is: to hash a million texts takes longer than to use them."""

    values: Texts

    def __hash__(self) -> int:
        return id(self.values)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.values is other.values


def labels_of(values: Texts) -> Labels:
    """Number the texts; kept, since every rule of a suite asks for the same columns."""
    return _labels_of(_Same(values))


@lru_cache(maxsize=8)
def _labels_of(column: _Same) -> Labels:
    values = column.values
    names = tuple(sorted(set(values)))
    place = {name: code for code, name in enumerate(names)}
    return Labels(np.fromiter(map(place.__getitem__, values), dtype=np.intp, count=len(values)), names)


@dataclass(frozen=True)
class Columns:
    """One metric over the items that it applies to, in the order of item ids; all columns have the same length."""

    candidate: NDArray[np.float64]
    """NaN where unscored."""
    baseline: NDArray[np.float64] | None
    """None for absolute rules."""
    clusters: NDArray[np.intp]
    slices: Mapping[str, "Labels"]
    candidate_denominator: NDArray[np.float64] | None = None
    """For a ratio of sums, whose scores are then numerators; NaN where unknown."""
    baseline_denominator: NDArray[np.float64] | None = None
    may_be_bounded: bool = True
    """Whether scores within [0, 1] may be taken to be bounded by it."""
    why_unscored: str = ""
    """Why no item has a score on one of the sides; empty where some have."""

    def where(self, mask: NDArray[np.bool_]) -> "Columns":
        """The items that ``mask`` selects."""
        return self if mask.all() else self.taken(mask)

    def taken(self, rows: "NDArray[np.bool_] | NDArray[np.intp] | slice") -> "Columns":
        """The items that ``rows`` selects, in its order."""

        def kept(column: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
            return None if column is None else column[rows]

        return Columns(
            candidate=self.candidate[rows],
            baseline=kept(self.baseline),
            clusters=self.clusters[rows],
            slices={key: Labels(values.codes[rows], values.names) for key, values in self.slices.items()},
            candidate_denominator=kept(self.candidate_denominator),
            baseline_denominator=kept(self.baseline_denominator),
            may_be_bounded=self.may_be_bounded,
            why_unscored=self.why_unscored,
        )

    def parts(self, key: str) -> dict[str, "Columns"]:
        """The items of each slice of a key, in the order of names; items without a slice are in none."""
        codes, names = self.slices[key]
        # One stable sort for all slices; numpy sorts 16-bit numbers in linear time.
        order = np.argsort(codes.astype(np.uint16) if len(names) <= 2**16 else codes, kind="stable")
        ends = np.cumsum(np.bincount(codes, minlength=len(names))).tolist()
        ordered = replace(self, slices={}).taken(order)
        return {
            name: ordered.taken(slice(start, end))
            for name, start, end in zip(names, [0, *ends[:-1]], ends, strict=True)
            if name and end > start
        }


def sort_by_id(report: EvalReport, known: Sortings | None = None) -> EvalReport:
    """The same report with every suite in the order of item ids; infinities are unscored, and no costs.

    Args:
        report: In any order.
        known: Filled, and read where the same items come in the same order again, as they do for another model.
    """
    known = [] if known is None else known
    return replace(
        report,
        suites={name: _sorted(report.suites[name], known) for name in sorted(report.suites)},
        costs={name: cost for name, cost in report.costs.items() if math.isfinite(cost)},
    )


def _sorted(table: ScoreTable, known: Sortings) -> ScoreTable:
    ids = table.item_ids
    sorting = next((sorting for sorting in known if sorting.ids == ids), None)
    if sorting is None:
        sorting = Sorting(ids, np.array(sorted(range(len(ids)), key=ids.__getitem__), dtype=np.intp), [])
        known.append(sorting)
    index, columns = sorting.rows, sorting.columns

    def taken(column: Texts) -> Texts:
        for other, result in columns:
            if other == column:
                return result
        columns.append((column, tuple(np.array(column, dtype=object)[index].tolist())))
        return columns[-1][1]

    scores = {name: _finite(table.scores[name][index]) for name in sorted(table.scores)}
    denominators = {name: _finite(table.denominators[name][index]) for name in sorted(table.denominators)}
    for name, denominator in denominators.items():
        denominator[denominator < 0.0] = np.nan
        if name in scores:
            scores[name][np.isnan(denominator)] = np.nan
    return ScoreTable(
        info=table.info,
        item_ids=taken(ids),
        item_hashes=taken(table.item_hashes),
        clusters=taken(table.clusters),
        slices={key: taken(table.slices[key]) for key in sorted(table.slices)},
        scores=scores,
        applies={name: table.applies[name][index] for name in sorted(table.applies)},
        must_pass={name: table.must_pass[name][index] for name in sorted(table.must_pass)},
        denominators=denominators,
        reasons=table.reasons,
    )


def _finite(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores with every non-finite value, and the sign of zero, in one form."""
    return np.where(np.isfinite(scores), scores, np.nan) + 0.0


def table_sha256(table: ScoreTable, known: Hashed | None = None) -> str:
    """Hash of everything in a sorted table that a decision can depend on, the model's name and engine left out.

    Args:
        table: Sorted.
        known: Filled, and read where the same texts come again, as they do for another model.
    """
    described: dict[str, object] = {
        "info": table.info.model_dump(mode="json", include=set(COMPARED_FIELDS)),
        "item_ids": table.item_ids,
        "item_hashes": table.item_hashes,
        "clusters": table.clusters,
        "slices": dict(table.slices),
        **({"prefix": table.info.prefix.model_dump(mode="json")} if table.info.prefix else {}),
        **({"reasons": dict(table.reasons)} if table.reasons else {}),
        "columns": [sorted(columns) for columns in (table.scores, table.applies, table.must_pass, table.denominators)],
    }
    known = [] if known is None else known
    digest = next((state.copy() for texts, state in known if _same_json(texts, described)), None)
    if digest is None:
        digest = hashlib.sha256()
        _hash_json(digest, described)
        known.append((described, digest.copy()))
    for numbers in (table.scores, table.denominators):
        for name in sorted(numbers):
            digest.update(numbers[name].astype("<f8").tobytes())
    for flags in (table.applies, table.must_pass):
        for name in sorted(flags):
            digest.update(flags[name].astype("u1").tobytes())
    return digest.hexdigest()


def _same_json(one: dict[str, object], other: dict[str, object]) -> bool:
    # Python calls 1, 1.0 and True equal, which decoding settings may be.
    return one == other and json.dumps(one["info"]) == json.dumps(other["info"])


def _hash_json(digest: "hashlib._Hash", value: object) -> None:
    """Feed ``json.dumps(value, sort_keys=True)`` to a hash in pieces; whole columns of texts would fill the memory."""
    if isinstance(value, dict):
        digest.update(b"{")
        for at, key in enumerate(sorted(value)):
            digest.update(f"{', ' if at else ''}{json.dumps(key)}: ".encode())
            _hash_json(digest, value[key])
        digest.update(b"}")
    elif isinstance(value, tuple) and value:
        for start in range(0, len(value), PIECE):
            digest.update(b", " if start else b"[")
            digest.update(_json_of_texts(value[start : start + PIECE]).encode())
        digest.update(b"]")
    else:
        digest.update(json.dumps(value, sort_keys=True).encode())


def _json_of_texts(texts: Sequence[str]) -> str:
    """The texts as JSON, without the brackets."""
    joined = '", "'.join(texts)
    plain = joined.isascii() and joined.isprintable() and "\\" not in joined
    if plain and joined.count('"') == 2 * (len(texts) - 1):
        return f'"{joined}"'
    return json.dumps(texts)[1:-1]


def difference_between(candidate: ScoreTable, baseline: ScoreTable, role: str) -> str | None:
    """Name the first field in which two sorted tables differ, with both values; None where they are comparable."""
    for field in COMPARED_FIELDS:
        left, right = getattr(candidate.info, field), getattr(baseline.info, field)
        if left != right:
            if field == "items_sha256":
                return _other_items(candidate, baseline, role)
            if field == "prompt_sha256" and left and right:
                return (
                    f"the documents and targets of the candidate and {role} are the same, the prompts are not "
                    f"(prompt_sha256 {left[:12]} and {right[:12]}): evaluate both with the same chat template, "
                    "instructions and few-shot examples"
                )
            if field == "judges":
                return f"judges differ between the candidate and {role}: {_first_difference(left, right)}"
            return f"{field} is {left!r} for the candidate and {right!r} for {role}"
    for metric in sorted(set(candidate.denominators) ^ set(baseline.denominators)):
        if metric in candidate.scores and metric in baseline.scores:
            kinds = ("a ratio", "a mean") if metric in candidate.denominators else ("a mean", "a ratio")
            return f"metric {metric} is {kinds[0]} for the candidate and {kinds[1]} for {role}"
    if candidate.info.prefix is not None or baseline.info.prefix is not None:
        problem = prefix_problem(candidate, baseline, role)
        if problem is not None:
            return problem
        baseline = rows_of(baseline, candidate.item_ids)
    if candidate.item_ids != baseline.item_ids:
        return _other_ids(candidate, baseline, role)
    rows = {
        "item_hash": (candidate.item_hashes, baseline.item_hashes),
        "cluster": (candidate.clusters, baseline.clusters),
        **{
            f"slice {key}": (_slice(candidate, key), _slice(baseline, key))
            for key in sorted({*candidate.slices, *baseline.slices})
        },
    }
    for field, (lefts, rights) in rows.items():
        if lefts != rights:
            at = next(i for i, pair in enumerate(zip(lefts, rights, strict=True)) if pair[0] != pair[1])
            return (
                f"{field} of item {candidate.item_ids[at]!r} is {lefts[at]!r} for the candidate "
                f"and {rights[at]!r} for {role}"
            )
    return None


def _other_items(candidate: ScoreTable, baseline: ScoreTable, role: str) -> str:
    """Two item sets of different hashes, in words: which items, not which hashes."""
    if candidate.info.prefix is not None or baseline.info.prefix is not None:
        return f"the item sets of the candidate and {role} differ, which were run in part"
    if sorted(candidate.item_ids) != sorted(baseline.item_ids):
        return _other_ids(candidate, baseline, role)
    hashes = dict(zip(baseline.item_ids, baseline.item_hashes, strict=True))
    changed = [item for item, own in zip(candidate.item_ids, candidate.item_hashes, strict=True) if hashes[item] != own]
    if not changed:
        return f"the candidate and {role} were not evaluated on the same version of the item set"
    return (
        f"the item sets differ: {len(changed)} of {len(hashes)} items have the same id and another content in {role}, "
        f"such as {changed[0]!r}"
    )


def _other_ids(candidate: ScoreTable, baseline: ScoreTable, role: str) -> str:
    missing = sorted(set(baseline.item_ids) - set(candidate.item_ids))
    extra = sorted(set(candidate.item_ids) - set(baseline.item_ids))
    example = f"{missing[0]!r} is only in {role}" if missing else f"{extra[0]!r} is only in the candidate"
    return f"item ids differ: {len(missing)} missing from the candidate, {len(extra)} more than {role}; {example}"


def _first_difference(left: Mapping[str, Judge], right: Mapping[str, Judge]) -> str:
    for metric in sorted({*left, *right}):
        one, other = left.get(metric), right.get(metric)
        if one is None or other is None:
            return f"{metric} has a judge on one side only"
        if (one.name, one.version) != (other.name, other.version):
            return f"{metric} is scored by {one.name} {one.version} and by {other.name} {other.version}"
        if one != other:
            return f"{metric} has another calibration set"
    return "their order"


def clustered_by(columns: Columns, key: str) -> Columns:
    """Join the clusters of items that share a value of a slice key; items without a value keep their own.

    Clusters are only ever joined, so that a key that cuts across them cannot narrow an interval.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    labels = columns.slices[key]
    num_own = int(columns.clusters.max(initial=-1)) + 1
    named = np.array([bool(name) for name in labels.names], dtype=np.bool_)[labels.codes]
    rows, cols = columns.clusters[named], labels.codes[named] + num_own
    size = num_own + len(labels.names)
    graph = coo_array((np.ones(rows.size, dtype=np.int8), (rows, cols)), shape=(size, size))
    _, component = connected_components(graph, directed=False)
    return replace(columns, clusters=np.asarray(component, dtype=np.intp)[columns.clusters])


def _slice(table: ScoreTable, key: str) -> tuple[str, ...]:
    return table.slices.get(key, ("",) * len(table.item_ids))


def columns_of(
    candidate: ScoreTable, baseline: ScoreTable | None, metric: str, asked: Sequence[ScoreTable] = ()
) -> Columns:
    """Line up one metric; the tables are sorted and comparable.

    Args:
        candidate: Has the metric.
        baseline: Has it too; None for absolute rules.
        metric: Where it applies to an item in any of the tables, a missing score is unscored.
        asked: Other tables that say where the metric applies.
    """
    applies = candidate.applies[metric]
    for table in (*([] if baseline is None else [baseline]), *asked):
        if metric in table.applies:
            applies = applies | table.applies[metric]
    return Columns(
        candidate=candidate.scores[metric],
        baseline=None if baseline is None else baseline.scores[metric],
        clusters=labels_of(candidate.clusters).codes,
        slices={key: labels_of(values) for key, values in candidate.slices.items()},
        candidate_denominator=candidate.denominators.get(metric),
        baseline_denominator=None if baseline is None else baseline.denominators.get(metric),
        may_be_bounded=may_be_bounded(metric),
        why_unscored=candidate.reasons.get(metric, "")
        or ("" if baseline is None else baseline.reasons.get(metric, "")),
    ).where(applies)
