"""Which prompts share a beginning, so that it is computed once."""

from collections.abc import Sequence
from typing import NamedTuple

MIN_SHARED_TOKENS = 16
"""Below this a shared beginning costs more to handle than to compute again."""


class PrefixGroup(NamedTuple):
    """Prompts whose first ``num_shared`` tokens are the same; 0 when nothing is shared."""

    indices: tuple[int, ...]
    num_shared: int


def common_length(first: Sequence[int], second: Sequence[int]) -> int:
    """Number of leading tokens that two sequences share."""
    for position, (left, right) in enumerate(zip(first, second, strict=False)):
        if left != right:
            return position
    return min(len(first), len(second))


def group_by_prefix(prompts: Sequence[Sequence[int]]) -> list[PrefixGroup]:
    """Partition prompts by a long common beginning.

    Sorted sequences put equal beginnings side by side; a group ends where the common part would shrink below half of
    what the group shares, as it does where one few-shot block gives way to the next.

    Args:
        prompts: Token ids, one sequence a prompt, none empty.

    Returns:
        Groups that hold every index once. At least one token of each prompt lies outside ``num_shared``, since the
        first new token comes from a position that is computed with the prompt's own remainder.
    """
    order = sorted(range(len(prompts)), key=lambda index: (tuple(prompts[index]), index))
    groups: list[tuple[list[int], int]] = []
    for index in order:
        if groups:
            members, shared = groups[-1]
            common = min(shared, common_length(prompts[members[-1]], prompts[index]))
            alone = len(members) == 1
            if common >= MIN_SHARED_TOKENS and (alone or common * 2 >= shared):
                members.append(index)
                groups[-1] = (members, common)
                continue
        groups.append(([index], len(prompts[index])))
    return [
        PrefixGroup(tuple(members), min(shared, min(len(prompts[i]) for i in members) - 1) if len(members) > 1 else 0)
        for members, shared in groups
    ]
