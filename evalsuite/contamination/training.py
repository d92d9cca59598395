"""The rows that give gated items away; ``evalsuite.contamination.overlap`` says by what."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evalsuite.contamination.overlap import ItemFinding, SuiteFinding
from evalsuite.contamination.text_index import TextIndex, Wanted
from evalsuite.core.text import runs, whole_form, word_count, words_of
from evalsuite.items.results import ItemResult

MIN_RUN_WORDS, MAX_RUN_WORDS = 8, 13
LENGTH_PERCENTILE = 5.0
SHARE_WORDS = 8
CONTAMINATED_SHARE = 0.7

Embed = Callable[[Sequence[str]], NDArray[np.float64]]
"""Texts -> unit vectors (texts, hidden)."""


class TrainingText(NamedTuple):
    """One training row's turns, the system turn left out."""

    row: str
    """How reports name the row."""
    turns: tuple[str, ...]


class _FirstRows(NamedTuple):
    """The first training row with each wanted text."""

    forms: dict[str, str]
    runs: defaultdict[int, dict[str, str]]
    """Length in words -> run -> row."""


def _first_rows(index: TextIndex, rows: Sequence[TrainingText]) -> _FirstRows:
    found = _FirstRows({}, defaultdict(dict))
    for row in rows:
        for turn in row.turns:
            seen = index.seen_in(turn)
            if seen.form is not None:
                found.forms.setdefault(seen.form, row.row)
            for length, known in seen.runs.items():
                for run in known:
                    found.runs[length].setdefault(run, row.row)
        whole = index.form_of("\n".join(row.turns)) if len(row.turns) > 1 else None
        if whole is not None:
            found.forms.setdefault(whole, row.row)
    return found


class TrainingIndex:
    """Training rows, ready to be asked for items."""

    def __init__(self, rows: Sequence[TrainingText], embed: Embed | None = None, similarity: float = 0.95) -> None:
        """Name the rows.

        Args:
            rows: All training rows.
            embed: Embeds texts, for neighbours; they are not looked for when None.
            similarity: Cosine from which a neighbour is contamination.
        """
        self._rows = rows
        self._embed = embed
        self._similarity = similarity
        self._turns = [(row.row, turn) for row in rows for turn in row.turns if turn.strip()] if embed else []
        self._vectors = embed([turn for _, turn in self._turns]) if embed is not None and self._turns else None

    def check(self, suite: str, items: Sequence[ItemResult]) -> SuiteFinding:
        """Look up every item of a suite."""
        return self.check_all({suite: items})[0]

    def check_all(self, suites: Mapping[str, Sequence[ItemResult]]) -> tuple[SuiteFinding, ...]:
        """Look up every item of each suite; the rows are read once."""
        lengths = {
            suite: run_length([word_count(words_of(item.prompt)) for item in items]) for suite, items in suites.items()
        }
        wanted = (
            Wanted(item.prompt, (lengths[suite], SHARE_WORDS)) for suite, items in suites.items() for item in items
        )
        seen = _first_rows(TextIndex(wanted), self._rows)
        return tuple(self._check(suite, items, lengths[suite], seen) for suite, items in suites.items())

    def _check(self, suite: str, items: Sequence[ItemResult], run_words: int, seen: _FirstRows) -> SuiteFinding:
        neighbours = self._neighbours([item.prompt for item in items])
        findings = [
            self._find(item, run_words, seen, neighbours[number] if neighbours else None)
            for number, item in enumerate(items)
        ]
        contaminated = sum(finding.contaminated for finding in findings)
        kept = [f for f in findings if f.contaminated or f.share_of_ngrams or f.similarity is not None]
        return SuiteFinding(
            suite=suite,
            run_words=run_words,
            num_items=len(items),
            num_contaminated=contaminated,
            items=tuple(kept),
        )

    def _find(
        self, item: ItemResult, run_words: int, seen: _FirstRows, neighbour: tuple[str, float] | None
    ) -> ItemFinding:
        how: list[str] = []
        rows: list[str] = []
        text, words = whole_form(item.prompt), words_of(item.prompt)
        if text in seen.forms:
            how.append("same text")
            rows.append(seen.forms[text])
        known_runs = seen.runs[run_words]
        hit = next((known_runs[run] for run in runs(words, run_words) if run in known_runs), None)
        if hit is not None:
            how.append(f"run of {run_words} words")
            rows.append(hit)
        share = None
        eights = runs(words, SHARE_WORDS)
        if eights:
            known = seen.runs[SHARE_WORDS]
            found = [known[run] for run in eights if run in known]
            share = len(found) / len(eights)
            if share >= CONTAMINATED_SHARE:
                how.append(f"share of {SHARE_WORDS}-grams")
            rows += found[:1]
        if neighbour is not None:
            rows.append(neighbour[0])
            if neighbour[1] >= self._similarity:
                how.append("neighbour")
        return ItemFinding(
            item_id=item.item_id,
            item_hash=item.item_hash,
            contaminated=bool(how),
            how=tuple(how),
            row=rows[0] if rows else None,
            share_of_ngrams=None if share is None else round(share, 4),
            similarity=None if neighbour is None else round(neighbour[1], 4),
        )

    def _neighbours(self, texts: Sequence[str]) -> list[tuple[str, float]]:
        """The nearest training turn of each text; empty where neighbours are not looked for."""
        if self._embed is None or self._vectors is None or not texts:
            return []
        nearest: list[tuple[str, float]] = []
        vectors = self._embed(texts)
        for start in range(0, len(texts), 256):
            cosines = vectors[start : start + 256] @ self._vectors.T
            best = cosines.argmax(axis=1)
            nearest += [(self._turns[int(b)][0], float(row[int(b)])) for row, b in zip(cosines, best, strict=True)]
        return nearest


def run_length(lengths: Sequence[float]) -> int:
    """GPT-3's N for a suite: the 5th percentile of its items' lengths in words, within 8 and 13."""
    if not lengths:
        return MAX_RUN_WORDS
    percentile = float(np.percentile(np.array(lengths), LENGTH_PERCENTILE))
    return int(min(MAX_RUN_WORDS, max(MIN_RUN_WORDS, percentile)))
