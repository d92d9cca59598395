"""Train and dev rows, with no group on both sides."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from evalsuite.core.errors import UsageError
from tasks.config.prepare import PrepareParams
from tasks.data.formats import Row
from tasks.data.split import dev_groups
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
            f"nothing to split after cleaning: {error}; give {', '.join(params.sources)} more rows"
        ) from None
    sides = {"train": Side(), "dev": Side()}
    for row, length, group in zip(rows, lengths, groups, strict=True):
        side = sides["dev" if group in held else "train"]
        side.rows.append(row)
        side.lengths.append(length)
        side.groups.add(group)
    return sides
