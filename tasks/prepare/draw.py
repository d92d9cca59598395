"""Which rows ``max_rows`` draws: of a source, and of all by their weights."""

import random
from collections.abc import Sequence


def within_caps(entries: Sequence[int], caps: Sequence[int | None], seed: int) -> list[int]:
    """Positions of the rows that are left once no entry has more than its cap, in their order.

    Args:
        entries: The entry of each row.
        caps: Most rows of each entry; all when None.
        seed: Another one draws other rows.
    """
    left = [at for at, entry in enumerate(entries) if caps[entry] is None]
    for entry, cap in enumerate(caps):
        if cap is not None:
            own = [at for at, each in enumerate(entries) if each == entry]
            left += own if len(own) <= cap else random.Random(f"{seed} {entry}").sample(own, cap)  # noqa: S311  no secret
    return sorted(left)


def draw(
    positions: Sequence[int], entries: Sequence[int], weights: Sequence[float | None], limit: int | None, seed: int
) -> list[int]:
    """Positions of ``limit`` rows, of each entry as many as its share of the weights; all rows alike without weights.

    Where an entry has fewer rows than its share, the others share out what is left by their weights.

    Args:
        positions: Of the rows.
        entries: The entry of each of them.
        weights: Of each entry; 1 when None, where another has one.
        limit: How many rows; all when None.
        seed: Another one draws other rows.
    """
    if limit is None or len(positions) <= limit:
        return list(positions)
    chance = random.Random(seed)  # noqa: S311  a sample, no secret
    if all(weight is None for weight in weights):
        return [positions[at] for at in chance.sample(range(len(positions)), limit)]
    own: list[list[int]] = [[] for _ in weights]
    for position, entry in zip(positions, entries, strict=True):
        own[entry].append(position)
    numbers = shares([len(each) for each in own], [1.0 if each is None else each for each in weights], limit)
    return [position for each, number in zip(own, numbers, strict=True) for position in chance.sample(each, number)]


def shares(there: Sequence[int], weights: Sequence[float], limit: int) -> list[int]:
    """How many of ``limit`` rows each entry gives: its share by weight, rounded to the largest rests, or all it has."""
    limit = min(limit, sum(there))
    short: set[int] = set()
    wanted: dict[int, float] = {}
    while True:
        left = limit - sum(there[entry] for entry in short)
        others = [entry for entry in range(len(there)) if entry not in short]
        total = sum(weights[entry] for entry in others)
        wanted = {entry: left * weights[entry] / total for entry in others}
        found = [entry for entry in others if wanted[entry] > there[entry]]
        if not found:
            break
        short.update(found)
    given = [there[entry] if entry in short else int(wanted[entry]) for entry in range(len(there))]
    by_rest = sorted(wanted, key=lambda entry: (int(wanted[entry]) - wanted[entry], entry))
    for entry in [entry for entry in by_rest if given[entry] < there[entry]][: limit - sum(given)]:
        given[entry] += 1
    return given
