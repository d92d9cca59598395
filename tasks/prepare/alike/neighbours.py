"""The held-out item that each row comes nearest in meaning, for people to look at: nothing is dropped by it."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.data.formats import Row
from tasks.data.held_out_items import questions_below
from tasks.prepare.alike.near import Alike
from tasks.prepare.alike.semantic import BLOCK, DECIMALS
from tasks.prepare.alike.steps import MAX_TOKENS
from tasks.prepare.inputs.benchmarks import benchmarks_in_use
from tasks.prepare.rows import looked_up_texts
from tasks.prepare.steps import StepInputs

logger = logging.getLogger(__name__)

MAX_LISTED = 100
"""Pairs that the report lists, the nearest first."""
TEXTS_AT_ONCE = 16_384
"""Vectors of so many texts of rows are in memory (50 MB), whatever the number of rows."""

Embed = Callable[[Sequence[str]], NDArray[np.float64]]
"""Texts -> unit vectors (texts, dimensions)."""


class Pair(NamedTuple):
    """A row and the item that it may ask in other words."""

    source: str
    """Of the row."""
    item: str
    """``file#id``."""
    cosine: float


def rows_near_items(
    rows: Sequence[Row], given: StepInputs, folders: Sequence[str], model: str, threshold: float
) -> list[Pair]:
    """Rows that may ask a held-out item in other words.

    Args:
        rows: Those that ask none in its own.
        given: What the step may use.
        folders: Where the project's items lie.
        model: Folder or ``package:NAME`` of a sentence encoder.
        threshold: Least cosine (0..1).
    """
    from evalsuite.engines.sentences import SentenceEncoder

    items = [*questions_below(given.paths.root, folders), *benchmarks_in_use(given.paths).questions]
    texts = ((row.source, text) for row in rows for text in looked_up_texts(row, given.objective))
    found = near_items(texts, items, partial(SentenceEncoder(model).embed, max_tokens=MAX_TOKENS), threshold)
    logger.info(
        "prepare step held_out: %d of %d rows come as near an item as review_above = %g%s",
        *(len(found), len(rows), threshold, ", and stay; report.html lists them for review" if found else ""),
    )
    return found


def near_items(
    texts: Iterable[tuple[str, str]], items: Sequence[tuple[str, str]], embed: Embed, threshold: float
) -> list[Pair]:
    """The item that each row comes nearest, of the rows that come near one; in the order of the rows.

    Args:
        texts: (source of a row, one of its texts); a row may have several.
        items: (``file#id``, question).
        embed: Embeds texts.
        threshold: Least cosine (-1..1).
    """
    asked = [(name, text) for name, text in items if text.strip()]
    found: dict[str, Pair] = {}
    vectors = embed([text for _, text in asked]) if asked else np.zeros((0, 0))
    for block in _blocks(texts) if asked else ():
        alike = nearest(embed([text for _, text in block]), vectors, threshold)
        for at, near in sorted(alike.items()):
            pair = Pair(block[at][0], asked[near.row][0], near.similarity)
            if pair.source not in found or pair.cosine > found[pair.source].cosine:
                found[pair.source] = pair
    return list(found.values())


def _blocks(texts: Iterable[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    said = ((source, text) for source, text in texts if text.strip())
    while block := list(islice(said, TEXTS_AT_ONCE)):
        yield block


def nearest(vectors: NDArray[np.float64], items: NDArray[np.float64], threshold: float) -> dict[int, Alike]:
    """Row -> its nearest item, for each row with an item of at least this cosine; of several the first.

    Args:
        vectors: Unit vectors of rows (rows, dimensions).
        items: Unit vectors of items (items, dimensions).
        threshold: Least cosine (-1..1).
    """
    found: dict[int, Alike] = {}
    for start in range(0, len(vectors), BLOCK):
        block = vectors[start : start + BLOCK]
        for part in range(0, len(items), 16 * BLOCK):
            cosines = np.round(block @ items[part : part + 16 * BLOCK].T, DECIMALS)
            best = cosines.argmax(axis=1)
            for at in np.flatnonzero(cosines.max(axis=1) >= threshold).tolist():
                alike = Alike(part + int(best[at]), float(cosines[at, best[at]]))
                if start + at not in found or alike.similarity > found[start + at].similarity:
                    found[start + at] = alike
    return found


def as_counts(pairs: Sequence[Pair], looked_at: int, threshold: float) -> dict[str, dict[str, Any]]:
    """The pairs as a step's counts: row -> item and cosine, the nearest first, and how many more there are.

    Args:
        pairs: Rows and their items.
        looked_at: How many rows were compared.
        threshold: Least cosine (0..1).
    """
    ranked = sorted(pairs, key=lambda pair: (-pair.cosine, pair.source))
    near, cosine = f"{len(pairs):,} come near an item", f"{threshold:g} and more"
    found: dict[str, dict[str, Any]] = {f"{looked_at:,} rows": {"item_to_review": near, "cosine": cosine}}
    found |= {
        pair.source: {"item_to_review": pair.item, "cosine": f"{pair.cosine:.3f}"} for pair in ranked[:MAX_LISTED]
    }
    if len(ranked) > MAX_LISTED:
        found[f"{len(ranked) - MAX_LISTED:,} more rows"] = {
            "item_to_review": "raise review_above to see the nearest alone",
            "cosine": f"{ranked[MAX_LISTED].cosine:.3f} and less",
        }
    return found
