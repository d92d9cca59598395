"""Gated items that the training rows give away: by the same text, by shared runs of words, by meaning.

An item counts as contaminated when one of these holds; only what is asked is looked up, not a reference, since a class
label or a short record is in every training row.

- ``same text``: a training turn or a whole row equals the item's prompt but for case, sentence punctuation and white
  space (``evalsuite.core.text``).
- ``run of N words``: they share N words in a row (GPT-3, Brown et al. 2020, arXiv:2005.14165, appendix C). N is the
  5th percentile of the suite's item lengths in words, at least 8 and at most 13, as there; a character of a script
  without spaces is half a word.
- ``share of 8-grams``: at least 70% of the item's 8-grams occur in the training rows (PaLM, Chowdhery et al. 2022,
  arXiv:2204.02311, section 8).
- ``neighbour``: the cosine of sentence embeddings with a training turn reaches a threshold, which finds rephrased items
  (Yang et al. 2023, arXiv:2311.04850); only where an embedding model is named.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from evalsuite.core.errors import UsageError
from evalsuite.core.files import read_model
from evalsuite.items.results import EvalReport, ScoreTable, SuiteResult


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ItemFinding(_Record):
    """What was found on one item; its texts stay in items.parquet."""

    item_id: str
    item_hash: str
    contaminated: bool
    how: tuple[str, ...] = ()
    row: str | None = None
    """The training row that gives it away, or comes nearest."""
    share_of_ngrams: float | None = None
    """Share of the item's 8-grams that occur in training (fraction 0..1); None for items of fewer words."""
    similarity: float | None = None
    """Cosine with the nearest training turn, where an embedding model was named."""


class SuiteFinding(_Record):
    """One suite against the training rows."""

    suite: str
    run_words: int
    """N of the shared runs."""
    num_items: int
    num_contaminated: int
    items: tuple[ItemFinding, ...]
    """Items that are contaminated, and the others that share a run of 8 words or have a similarity."""

    @property
    def fraction(self) -> float:
        """Share of the items that are contaminated (fraction 0..1)."""
        return self.num_contaminated / self.num_items if self.num_items else 0.0


class ContaminationReport(_Record):
    """reports/contamination.json."""

    schema_version: Literal[1] = 1
    train_sha256: str
    num_rows: int
    embedding: str | None = None
    """Version of the embedding model; None where neighbours were not looked for."""
    neighbour_similarity: float | None = None
    max_fraction: float
    """The gate refuses a suite with a larger contaminated share (fraction 0..1)."""
    suites: tuple[SuiteFinding, ...] = Field(default_factory=tuple)

    @property
    def excluded(self) -> dict[str, int]:
        """Suite -> items that the gate leaves out."""
        return {suite.suite: suite.num_contaminated for suite in self.suites if suite.num_contaminated}

    def check_limit(self) -> None:
        """Refuse to gate on suites that the training rows give away.

        Raises:
            UsageError: Names suite, share, limit and the first item with its row.
        """
        for suite in self.suites:
            if suite.fraction > self.max_fraction:
                first = next(item for item in suite.items if item.contaminated)
                raise UsageError(
                    f"{suite.num_contaminated} of {suite.num_items} {suite.suite} items are in the training rows "
                    f"({suite.fraction:.1%}, contamination.max_fraction allows {self.max_fraction:.1%}), the first "
                    f"{first.item_id!r} ({first.how[0]}, row {first.row}); take the rows out of prepare.sources, or "
                    f"replace the items"
                )

    @property
    def line(self) -> str:
        """One line for a log or a verdict."""
        found = [s for s in self.suites if s.num_contaminated]
        total = sum(suite.num_items for suite in self.suites)
        if not found:
            return f"contamination: none of {total} items is in the {self.num_rows} training rows"
        parts = ", ".join(f"{s.suite} {s.num_contaminated} of {s.num_items}" for s in found)
        return f"contamination: {parts} items are in the {self.num_rows} training rows"


def read_contamination(path: Path, made_by: str) -> ContaminationReport:
    """Read reports/contamination.json.

    Raises:
        MissingArtifactError: It is absent.
        UsageError: It is of another schema.
    """
    return read_model(path, ContaminationReport, made_by)


def clean_result(result: SuiteResult, found: ContaminationReport) -> SuiteResult:
    """One suite's results without the contaminated items, those that must pass included, for comparing averages.

    Raises:
        UsageError: The suite was not checked, or an item is not the one that was checked.
    """
    finding = _finding(result.info.suite, found)
    dirty = {item.item_id: item.item_hash for item in finding.items if item.contaminated}
    _check_same(finding.suite, dirty, {item.item_id: item.item_hash for item in result.items})
    return replace(result, items=tuple(item for item in result.items if item.item_id not in dirty))


def clean_report(report: EvalReport, found: ContaminationReport) -> EvalReport:
    """A model's results without the contaminated items; the same items leave every model's results.

    A contaminated item that must pass keeps its row, and no metric applies to it any longer: it leaves the averages,
    and a failure on it still counts, since an item that training gave away does not excuse a failure on it.

    Raises:
        UsageError: A suite was not checked, or its items are not those that were checked.
    """
    suites = {name: _without(table, _finding(name, found)) for name, table in report.suites.items()}
    return EvalReport(model=report.model, identity=report.identity, suites=suites, costs=report.costs)


def _finding(suite: str, found: ContaminationReport) -> SuiteFinding:
    for finding in found.suites:
        if finding.suite == suite:
            return finding
    raise UsageError(f"suite {suite!r} was not checked for contamination; run `ratchet stage contamination`")


def _check_same(suite: str, dirty: Mapping[str, str], hashes: Mapping[str, str]) -> None:
    """A sequential run may not have reached an item; an item that is there must be the one that was checked."""
    for item_id, item_hash in dirty.items():
        if hashes.get(item_id, item_hash) != item_hash:
            raise UsageError(
                f"{suite} item {item_id!r} is not the one that was checked for contamination; "
                f"run `ratchet stage contamination`"
            )


def _without(table: ScoreTable, found: SuiteFinding) -> ScoreTable:
    dirty = {item.item_id: item.item_hash for item in found.items if item.contaminated}
    if not dirty:
        return table
    if table.info.prefix is not None:
        raise UsageError(
            f"suite {found.suite!r} was evaluated only as far as its rules needed, and {len(dirty)} of its items are in"
            f" the training rows; take it out of sequential.suites, or those rows out of prepare.sources"
        )
    _check_same(found.suite, dirty, dict(zip(table.item_ids, table.item_hashes, strict=True)))
    clean = np.array([item_id not in dirty for item_id in table.item_ids], dtype=np.bool_)
    keep = np.logical_or.reduce([clean, *table.must_pass.values()])
    applies = {name: column & clean for name, column in table.applies.items()}
    return replace(table, applies=applies).take(np.flatnonzero(keep))
