"""Train and dev rows with no group, and no near-duplicates, on both sides.

Rows are placed one after the other, and where one goes depends on the rows before it alone: a row that is added behind
the others moves none of them. design/032-duplicates-and-splits.md says what that costs.
"""

import hashlib
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from typing import Literal, NamedTuple

from evalsuite.core.errors import UsageError
from tasks.config.prepare import PrepareParams
from tasks.data.formats import Row
from tasks.data.synthetic import synthetic_of
from tasks.objectives.objective import Objective
from tasks.paths import ArtifactPaths
from tasks.prepare.alike.near import Nearest, NearIndex
from tasks.prepare.alike.shingles import compared_text
from tasks.prepare.rows import group_of, stratum_of, time_of
from tasks.prepare.steps import Note

SideName = Literal["train", "dev"]
SIDES: tuple[SideName, SideName] = ("train", "dev")
LEFT_OUT = "belongs to both sides of the split"


@dataclass(frozen=True)
class Side:
    """Rows of train or dev."""

    rows: list[Row] = field(default_factory=list)
    lengths: list[list[int]] = field(default_factory=list)
    """Tokens of each sequence of each row."""
    groups: set[str] = field(default_factory=set)

    def add(self, row: Row, lengths: list[int], group: str) -> None:
        """Place a row on this side."""
        self.rows.append(row)
        self.lengths.append(lengths)
        self.groups.add(group)


class Split(NamedTuple):
    """Every row on a side, or left out."""

    sides: dict[str, Side]
    left_out: list[Note]


class _Tie(NamedTuple):
    """What holds a row to a side."""

    side: SideName
    row: int
    """The row that stands there; the row itself, where its date says so."""
    why: str


def split(
    rows: Sequence[Row],
    lengths: Sequence[list[int]],
    params: PrepareParams,
    paths: ArtifactPaths,
    objective: Objective,
) -> Split:
    """``train`` and ``dev``, each in the order of the rows, and the rows that belong to both.

    Args:
        rows: The rows that the steps kept.
        lengths: Tokens of each sequence of each row.
        params: How they are split.
        paths: The project.
        objective: What the rows are for.

    Raises:
        UsageError: Fewer than two groups, or a row lacks a field that the split reads.
    """
    groups = with_their_seeds(rows, [group_of(row, params.group_by, paths) for row in rows])
    by_date = _sides_by_date(rows, params)
    draw = _draw_of(rows, groups, params)
    near = _near(rows, params, objective)
    first_of: dict[str, tuple[SideName, int]] = {}
    sides: dict[str, Side] = {name: Side() for name in SIDES}
    left_out = []
    for at, group in enumerate(groups):
        ties = [] if by_date is None else [_Tie(by_date[at], at, f"{by_date[at]} by its date")]
        if group in first_of:
            side, first = first_of[group]
            ties.append(_Tie(side, first, f"{side} with its group's"))
        for side, there in near.items():
            if (alike := there.find(at)) is not None:
                ties.append(_Tie(side, alike.row, f"{side} for its likeness ({alike.similarity:.3f}) to"))
        if len({tie.side for tie in ties}) > 1:
            left_out.append(_note(rows, at, ties))
            continue
        side = ties[0].side if ties else draw(at)
        first_of.setdefault(group, (side, at))
        sides[side].add(rows[at], lengths[at], group)
        if near:
            near[side].add(at)
    for there in near.values():
        there.say_crowded("prepare.split.near_duplicates")
    return Split(sides, left_out)


def with_their_seeds(rows: Sequence[Row], groups: Sequence[str]) -> Sequence[str]:
    """The groups, where a row that a model rewrote is in that of the row that it was made from.

    A question in other words would be on the other side otherwise, and dev rows no longer new.
    """
    marks = {at: mark for at, row in enumerate(rows) if (mark := synthetic_of(row.fields)) and len(mark.seeds) == 1}
    if not marks:
        return groups
    of_source = {row.source: group for row, group in zip(rows, groups, strict=True)}
    return [
        of_source.get(marks[at].seeds[0].source, group) if at in marks else group for at, group in enumerate(groups)
    ]


def _note(rows: Sequence[Row], at: int, found: Sequence[_Tie]) -> Note:
    """Why a row is on neither side: the first tie to each."""
    one = found[0]
    other = next(tie for tie in found if tie.side != one.side)
    named = [f"{tie.why} {rows[tie.row].source}" if tie.row != at else tie.why for tie in (one, other)]
    return Note(rows[at].source, LEFT_OUT, "; ".join(named), rows[other.row].source)


def _near(rows: Sequence[Row], params: PrepareParams, objective: Objective) -> dict[SideName, Nearest]:
    """What rows on each side are to be compared with; nothing where near-duplicates are not looked for."""
    threshold, compare = params.split.near_duplicates, params.split.compare
    if threshold is None:
        return {}
    index = NearIndex.of(lambda at: compared_text(rows[at], compare, objective), len(rows), threshold, seed=params.seed)
    return {side: Nearest(index) for side in SIDES}


def _sides_by_date(rows: Sequence[Row], params: PrepareParams) -> list[SideName] | None:
    """The side that each row's date says; None where rows are not split by date.

    Raises:
        UsageError: A row has no date, or the dates leave a side empty.
    """
    if params.split.field is None:
        return None
    times = [time_of(row, params.split.field) for row in rows]
    newest = sorted(times, reverse=True)
    if params.split.dev_from is not None:
        cut = datetime.combine(params.split.dev_from, time(), UTC)
    elif rows:
        # Rows of one moment stay together.
        cut = newest[max(1, round(params.dev_fraction * len(rows))) - 1]
    sides: list[SideName] = ["dev" if at >= cut else "train" for at in times]
    if len(set(sides)) < 2:
        between = f"from {newest[-1].isoformat()} to {newest[0].isoformat()}" if rows else "absent"
        raise UsageError(
            f"nothing to split by date: prepare.split.field {params.split.field!r} is {between}, and all rows would be "
            f"{sides[0] if sides else 'train'} rows; set prepare.split.dev_from between these, or split by: hash"
        )
    return sides


def _draw_of(rows: Sequence[Row], groups: Sequence[str], params: PrepareParams) -> Callable[[int], SideName]:
    """The side of a row that nothing holds to one.

    Raises:
        UsageError: Fewer than two groups.
    """
    key = params.split.stratify_by
    if key is None:
        try:
            held = dev_groups(groups, params.dev_fraction, params.seed) if params.split.field is None else frozenset()
        except ValueError as error:
            raise UsageError(
                f"nothing to split after cleaning: {error}; give {', '.join(map(str, params.sources))} more rows"
            ) from None
        return lambda at: "dev" if groups[at] in held else "train"
    drawn: defaultdict[str, int] = defaultdict(int)

    def draw(at: int) -> SideName:
        stratum = stratum_of(rows[at], key)
        number, drawn[stratum] = drawn[stratum], drawn[stratum] + 1
        return "dev" if is_drawn(number, stratum, params.dev_fraction, params.seed) else "train"

    return draw


def is_drawn(number: int, stratum: str, fraction: float, seed: int) -> bool:
    """Whether a stratum's group goes to dev: one of every ``1 / fraction`` does, at a random place among them.

    So the first n groups have n times ``fraction`` dev groups, one more or less, and later ones change nothing.

    Args:
        number: How many groups of the stratum were drawn before.
        stratum: Its name.
        fraction: Share of groups that go to dev (0..1).
        seed: Another seed draws others.
    """
    turn = math.floor((number + 1) * fraction)
    if math.ceil(turn / fraction) > number:
        turn -= 1
    start, end = math.ceil(turn / fraction), math.ceil((turn + 1) / fraction)
    return number == start + int((end - start) * position(f"{stratum}\x1f{turn}", seed))


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
    places = {name: position(name, seed) for name in names}
    chosen = {name for name in names if places[name] < fraction}
    if not chosen:
        chosen = {min(names, key=lambda name: places[name])}
    if len(chosen) == len(names):
        chosen.remove(max(names, key=lambda name: places[name]))
    return frozenset(chosen)


def position(name: str, seed: int) -> float:
    """A stable number in 0..1."""
    digest = hashlib.sha256(f"{seed}\x1f{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
