"""Candidates with a chosen true difference, made from recorded items, and draws that are the same on every machine."""

import hashlib
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Index = NDArray[np.intp]


def uniforms(seed: str, count: int) -> Floats:
    """``count`` numbers within [0, 1).

    The raw stream of NumPy's PCG64, which NEP 19 keeps the same over versions and machines, and exact arithmetic.
    """
    digest = hashlib.sha256(seed.encode()).digest()
    raw = np.random.PCG64(int.from_bytes(digest[:16], "big")).random_raw(count)
    return (np.asarray(raw, dtype=np.uint64) >> np.uint64(11)).astype(np.float64) * 2.0**-53


class Draw(NamedTuple):
    """Items of a set, drawn with replacement by whole clusters."""

    positions: Index
    """Where each drawn item stands in the set, shape (m,)."""
    clusters: Index
    """Number of the draw that each item came with, shape (m,)."""


def resample(clusters: Index | None, num_items: int, seed: str) -> Draw:
    """Draw as many clusters as there are, with replacement.

    Args:
        clusters: Cluster of each item as numbers from 0, shape (num_items,); None where every item stands alone.
        num_items: Items of the set.
        seed: Fixes the draw.
    """
    if clusters is None:
        positions = (uniforms(seed, num_items) * num_items).astype(np.intp)
        return Draw(positions, np.arange(num_items))
    order = np.argsort(clusters, kind="stable")
    sizes = np.bincount(clusters)
    starts = np.cumsum(sizes) - sizes
    drawn = (uniforms(seed, sizes.size) * sizes.size).astype(np.intp)
    lengths = sizes[drawn]
    first = np.repeat(starts[drawn] - (np.cumsum(lengths) - lengths), lengths)
    return Draw(order[first + np.arange(int(lengths.sum()))], np.repeat(np.arange(drawn.size), lengths))


def with_difference(
    candidate: Floats, baseline: Floats, difference: float, turn: Floats, most: Floats | None = None
) -> Floats:
    """The candidate's scores, changed until their mean lies ``difference`` above the baseline's, or nearly so.

    Half of the change takes back what the candidate gained (or lost), half lets it lose (or gain) anew, so that about
    as many items differ as were recorded; where one kind runs out, the other makes up for it. Right-or-wrong scores
    stay right or wrong, and the mean is then the nearest possible one at or below ``difference``. Scores outside
    [0, most] are all shifted alike.

    Args:
        candidate: Shape (n,); NaN where unscored, which stays.
        baseline: Shape (n,); NaN where unscored.
        difference: Wanted, in the metric's unit.
        turn: The item with the least value changes first, shape (n,).
        most: Largest score of each item, shape (n,); 1 when absent. The denominators of a ratio of sums, whose
            numerators the scores then are.
    """
    scored = np.isfinite(candidate) & np.isfinite(baseline)
    if most is not None:
        scored &= np.isfinite(most)
    new = candidate.copy()
    order = np.flatnonzero(scored)[np.argsort(turn[scored], kind="stable")]
    if not order.size:
        return new
    mine, theirs = candidate[order], baseline[order]
    top = np.ones(order.size) if most is None else most[order]
    total = math.fsum(top)
    gap = difference * total - math.fsum(mine - theirs)
    if ((mine < 0.0) | (mine > top) | (theirs < 0.0) | (theirs > top)).any():
        new[order] = mine + gap * top / (total or 1.0)
        return new
    known = np.concatenate([mine, theirs])
    whole = most is None and bool(((known == 0.0) | (known == 1.0)).all())
    if whole:
        gap = float(math.floor(gap + 1e-6))
    sign = 1.0 if gap > 0.0 else -1.0
    end = top if gap > 0.0 else np.zeros(order.size)
    back = np.maximum(sign * (theirs - mine), 0.0)
    out = np.where(back > 0.0, 0.0, np.abs(end - mine))
    need = abs(gap)
    share = math.floor(need / 2.0) if whole else need / 2.0
    taken_back = min(share, float(back.cumsum()[-1]))
    taken_out = min(need - taken_back, float(out.cumsum()[-1]))
    taken_back = min(need - taken_out, float(back.cumsum()[-1]))
    moved = _first(back, taken_back) + _first(out, taken_out)
    left = need - taken_back - taken_out
    if left > 0.0:
        # What was taken back may go on to the end of the scale.
        rest = np.where(back > 0.0, np.abs(end - mine) - moved, 0.0)
        moved += _first(rest, min(left, float(rest.cumsum()[-1])))
    new[order] = np.clip(mine + sign * moved, 0.0, top)
    return new


def _first(room: Floats, amount: float) -> Floats:
    """How much each item takes when ``amount`` is handed out in order, each up to its room."""
    before = room.cumsum() - room
    return np.clip(amount - before, 0.0, room)
