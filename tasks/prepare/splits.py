"""Train and dev rows with no group on both sides."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from evalsuite.core.errors import UsageError
from tasks.config.prepare import PrepareParams
from tasks.data.formats import Row
from tasks.paths import ArtifactPaths
from tasks.prepare.rows import group_of


@dataclass(frozen=True)
class Side:
    """Rows of train or dev."""

    rows: list[Row] = field(default_factory=list)
    lengths: list[list[int]] = field(default_factory=list)
    """Tokens of each sequence of each row."""
    groups: set[str] = field(default_factory=set)


def split(
    rows: Sequence[Row], lengths: Sequence[list[int]], params: PrepareParams, paths: ArtifactPaths
) -> dict[str, Side]:
    """``train`` and ``dev``, each in the order of the rows.

    Raises:
        UsageError: Fewer than two groups, or a row lacks ``group_by``.
    """
    groups = [group_of(row, params.group_by, paths) for row in rows]
    try:
        held = dev_groups(groups, params.dev_fraction, params.seed)
    except ValueError as error:
        raise UsageError(
            f"nothing to split after cleaning: {error}; give {', '.join(map(str, params.sources))} more rows"
        ) from None
    sides = {"train": Side(), "dev": Side()}
    for row, length, group in zip(rows, lengths, groups, strict=True):
        side = sides["dev" if group in held else "train"]
        side.rows.append(row)
        side.lengths.append(length)
        side.groups.add(group)
    return sides


def dev_groups(groups: Sequence[str], fraction: float, seed: int) -> frozenset[str]:
    """Groups that go to dev.

    A group's side depends on its own name and the seed alone, so that new rows never move old ones; where none falls on
    the dev side, the one nearest to it does.

    Args:
        groups: Each row's group, repeats included.
        fraction: Share of groups that go to dev (0..1).
        seed: Another seed gives another split.

    Raises:
        ValueError: Fewer than two groups, so that one side would be empty.
    """
    names = sorted(set(groups))
    if len(names) < 2:
        raise ValueError(f"{len(names)} group: at least 2 are needed for train and dev")
    position = {name: _position(name, seed) for name in names}
    chosen = {name for name in names if position[name] < fraction}
    if not chosen:
        chosen = {min(names, key=lambda name: position[name])}
    if len(chosen) == len(names):
        chosen.remove(max(names, key=lambda name: position[name]))
    return frozenset(chosen)


def _position(name: str, seed: int) -> float:
    """A stable number in 0..1."""
    digest = hashlib.sha256(f"{seed}\x1f{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
