"""The held-out item that each row comes nearest in meaning, for people to look at: nothing is dropped by it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.prepare.alike.near import Alike
from tasks.prepare.alike.semantic import BLOCK, DECIMALS

MAX_LISTED = 100
"""Pairs that the report lists, the nearest first."""


class Pair(NamedTuple):
    """A row and the item that it may ask in other words."""

    source: str
    """Of the row."""
    item: str
    """``file#id``."""
    cosine: float


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


def as_counts(pairs: Sequence[Pair]) -> dict[str, dict[str, Any]]:
    """The pairs as a step's counts: row -> item and cosine, the nearest first, and how many more there are."""
    ranked = sorted(pairs, key=lambda pair: (-pair.cosine, pair.source))
    found = {pair.source: {"item_to_review": pair.item, "cosine": f"{pair.cosine:.3f}"} for pair in ranked[:MAX_LISTED]}
    if len(ranked) > MAX_LISTED:
        found[f"{len(ranked) - MAX_LISTED:,} more rows"] = {
            "item_to_review": "raise review_above to see the nearest alone",
            "cosine": f"{ranked[MAX_LISTED].cosine:.3f} and less",
        }
    return found
