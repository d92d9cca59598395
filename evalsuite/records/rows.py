"""One row per item, whatever file it came from, and the gate's columns made of such rows."""

import math
import re
import reprlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from evalsuite.core.errors import UsageError
from evalsuite.core.files import sha256_json
from evalsuite.items.results import LARGEST_SCORE, ScoreTable, SuiteInfo

NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
TRUTHS = {"true": 1.0, "false": 0.0, "pass": 1.0, "fail": 0.0, "passed": 1.0, "failed": 0.0}
SMALLEST, LARGEST = 1e-12, LARGEST_SCORE
"""Sizes of scores other than 0 between which cubes and sums stay finite."""


OVER_ALL_ROWS = frozenset(
    {
        "bits_per_byte",
        "byte_perplexity",
        "matthews_correlation",
        "mcc",
        "pearson",
        "pearsonr",
        "perplexity",
        "ppl",
        "spearman",
        "spearmanr",
        "word_perplexity",
    }
)
"""Computed from all items at once: a column of such a name holds no item scores."""


@dataclass
class Record:
    """One item."""

    item_id: str
    item_hash: str
    cluster: str = ""
    slices: dict[str, str] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)
    """NaN where unscored."""
    denominators: dict[str, float] = field(default_factory=dict)
    not_applicable: set[str] = field(default_factory=set)
    """Metrics that say nothing about the item."""


@dataclass
class Records:
    """A file's items."""

    rows: dict[str, Record] = field(default_factory=dict)
    kind: str = "file"
    """What wrote the file: its ``suite_version``."""
    prompt_sha256: str = ""
    scorers: dict[str, str] = field(default_factory=dict)
    """Metric -> what scored it, where the file says so."""
    reasons: dict[str, str] = field(default_factory=dict)
    """Metric without any score -> why."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Column that nobody asked for and that holds no scores -> what it holds."""


def table_of_records(path: Path, suite: str, records: Records) -> ScoreTable:
    """The gate's columns.

    Raises:
        UsageError: No items, no metric, or denominators without numerators.
    """
    rows = records.rows
    metrics = sorted({metric for row in rows.values() for metric in (*row.scores, *row.not_applicable)})
    if not rows:
        raise UsageError(f"{path} holds no items; expected one row per item")
    if not metrics:
        left = "".join(f"; {name}: {why}" for name, why in sorted(records.left_out.items())[:5])
        raise UsageError(f"{path} has no metric; expected item_id and at least one column of scores{left}")
    items = list(rows.values())
    keys = sorted({key for row in items for key in row.slices})
    pairs = sorted((row.item_id, row.item_hash) for row in items)
    ratios = sorted({metric for row in items for metric in row.denominators})
    unknown = sorted(set(ratios) - set(metrics))
    if unknown:
        raise UsageError(
            f"{path}: column denominator_{unknown[0]} has no column {unknown[0]} with its numerators; metrics: "
            f"{', '.join(metrics)}"
        )
    return ScoreTable(
        info=SuiteInfo(
            suite=suite,
            suite_version=records.kind,
            items_sha256=sha256_json(pairs),
            prompt_sha256=records.prompt_sha256,
            scorers=records.scorers,
        ),
        item_ids=tuple(row.item_id for row in items),
        item_hashes=tuple(row.item_hash for row in items),
        clusters=tuple(row.cluster or row.item_id for row in items),
        slices={key: tuple(row.slices.get(key, "") for row in items) for key in keys},
        scores={metric: np.array([row.scores.get(metric, math.nan) for row in items]) for metric in metrics},
        applies={m: np.array([m not in row.not_applicable for row in items], dtype=np.bool_) for m in metrics},
        must_pass={},
        denominators={metric: np.array([row.denominators.get(metric, math.nan) for row in items]) for metric in ratios},
        reasons=records.reasons,
    )


def score(value: Any, where: str) -> float:
    """A finite number; NaN for an empty cell only.

    Raises:
        UsageError: Anything else, so that nothing is read as zero.
    """
    given = value
    if value is None or (isinstance(value, str) and not value.strip()):
        return math.nan
    if isinstance(value, str):
        text = value.strip()
        value = TRUTHS.get(text.lower(), text if NUMBER.fullmatch(text) else math.nan)
    try:
        number = float(value) if isinstance(value, str | int | float) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise UsageError(
            f"{where} is {short(given)}, expected a finite number with a decimal point, true, false, pass, fail or "
            "nothing for unscored"
        )
    if number and not SMALLEST <= abs(number) <= LARGEST:
        raise UsageError(f"{where} is {short(value)}, expected 0 or a size from {SMALLEST:g} to {LARGEST:g}")
    return number


def unscore_doubtful(records: Records) -> None:
    """Leave columns without scores whose values are none of an item, or may say that the metric does not apply.

    A metric that is computed from all items at once (a correlation, a perplexity) has no item scores. Where values lie
    between 0 and 1 but for some -1, these may mean "does not apply" (RULER's): nobody knows.
    """
    for name in sorted({metric for row in records.rows.values() for metric in row.scores}):
        found = [row.scores[name] for row in records.rows.values() if math.isfinite(row.scores.get(name, math.nan))]
        if found and name.lower().partition(",")[0] in OVER_ALL_ROWS:
            why = (
                f"{name} is computed from all items at once, so that no item has a score of its own; give what is "
                "averaged, such as a column nll with each item's loss"
            )
            unscore(records, name, why)
        elif -1.0 in found and all(value == -1.0 or 0.0 <= value <= 1.0 for value in found):
            why = (
                f"{name} is -1 for some items and between 0 and 1 for the others; if -1 says that it does not apply, "
                "write null (or nothing) there, and if it is a score, write (score + 1) / 2"
            )
            unscore(records, name, why)


def unscore(records: Records, name: str, why: str) -> None:
    """Leave a metric without any score, with the reason."""
    for row in records.rows.values():
        if name in row.scores:
            row.scores[name] = math.nan
            row.denominators.pop(name, None)
    records.reasons[name] = why


def drop(rows: Mapping[str, Record], metrics: Collection[str]) -> None:
    """Take columns out of all rows."""
    for row in rows.values():
        for metric in metrics:
            row.scores.pop(metric, None)
            row.denominators.pop(metric, None)
            row.not_applicable.discard(metric)


def short(value: Any) -> str:
    """A value in at most 60 characters."""
    text = reprlib.repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
