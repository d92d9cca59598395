"""Rows that mean the same: sentence embeddings whose cosine reaches a threshold."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tasks.prepare.alike.near import Alike

BLOCK = 1024
DECIMALS = 6
"""Cosines are compared after rounding, so that the order of a processor's sums decides as rarely as it can."""


def repeats(vectors: NDArray[np.float64], order: Sequence[int], threshold: float) -> dict[int, Alike]:
    """Rows that repeat a kept row which stands before them in the order -> that row.

    Args:
        vectors: Unit vectors (rows, dimensions).
        order: All rows, those to be kept first in front.
        threshold: Least cosine (-1..1).
    """
    kept: list[int] = []
    found: dict[int, Alike] = {}
    for start in range(0, len(order), BLOCK):
        block = np.array(order[start : start + BLOCK])
        before = np.array(kept, dtype=np.int64)
        for part in range(0, len(before), 16 * BLOCK):
            some = before[part : part + 16 * BLOCK]
            cosines = np.round(vectors[block] @ vectors[some].T, DECIMALS)
            best = cosines.argmax(axis=1)
            for row, at, cosine in zip(block.tolist(), best.tolist(), cosines.max(axis=1).tolist(), strict=True):
                if cosine >= threshold and (row not in found or cosine > found[row].similarity):
                    found[row] = Alike(int(some[at]), cosine)
        left = np.array([row for row in block.tolist() if row not in found], dtype=np.int64)
        cosines = np.round(vectors[left] @ vectors[left].T, DECIMALS)
        own: list[int] = []
        for at, row in enumerate(left.tolist()):
            nearest = own[int(cosines[at, own].argmax())] if own else at
            if nearest != at and cosines[at, nearest] >= threshold:
                found[row] = Alike(int(left[nearest]), float(cosines[at, nearest]))
            else:
                own.append(at)
        kept += left[own].tolist()
    return found
