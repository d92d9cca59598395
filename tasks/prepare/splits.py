"""Train and dev rows with no group, and no near-duplicates, on both sides.

Rows are placed one after the other, and where one goes depends on the rows before it alone: a row that is added behind
the others moves none of them. design/032-duplicates-and-splits.md says what that costs.
"""

import hashlib
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np

from evalsuite.core.errors import UsageError
from tasks.config.prepare import PrepareParams
from tasks.data.formats import Row
from tasks.paths import ArtifactPaths
from tasks.prepare.alike.near import Nearest, Signing
from tasks.prepare.alike.shingles import Shingling
from tasks.prepare.alike.steps import compared, near_index
from tasks.prepare.rows import group_of, row_rules, stratum_of, time_of
from tasks.prepare.scale.stored import Rows
from tasks.prepare.steps import Note, StepInputs

SideName = Literal["train", "dev"]
SIDES: tuple[SideName, SideName] = ("train", "dev")
KEY_BYTES = 16
NUM_PERM = 128
"""Length of the MinHash signatures that find near-duplicates."""
LEFT_OUT = "belongs to both sides of the split"


@dataclass(frozen=True)
class Side:
    """Rows of train or dev."""

    all_rows: Rows
    """Those of both sides."""
    places: list[int] = field(default_factory=list)
    """Which of them are on this one."""
    lengths: list[list[int]] = field(default_factory=list)
    """Tokens of each sequence of each row."""
    groups: set[bytes] = field(default_factory=set)

    def add(self, at: int, lengths: list[int], group: bytes) -> None:
        """Place a row on this side."""
        self.places.append(at)
        self.lengths.append(lengths)
        self.groups.add(group)

    @cached_property
    def rows(self) -> Rows:
        """The rows, once all are placed."""
        return Rows(self.all_rows.file, self.all_rows.records[np.asarray(self.places, dtype=np.int64)])


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


def split(rows: Rows, lengths: Sequence[list[int]], given: StepInputs) -> Split:
    """``train`` and ``dev``, each in the order of the rows, and the rows that belong to both.

    Args:
        rows: The rows that the steps kept.
        lengths: Tokens of each sequence of each row.
        given: The project, and how rows are split.

    Raises:
        UsageError: Fewer than two groups, or a row lacks a field that the split reads.
    """
    params = given.params
    facts = list(given.each(_Read(params, given.paths), rows))
    groups = with_their_seeds(rows, facts, given)
    by_date = _sides_by_date([fact.time for fact in facts if fact.time is not None], params)
    draw = _draw_of(groups, facts, params)
    near = _near(rows, given)
    first_of: dict[bytes, tuple[SideName, int]] = {}
    sides: dict[str, Side] = {name: Side(rows) for name in SIDES}
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
        sides[side].add(at, lengths[at], group)
        if near:
            near[side].add(at)
    for there in near.values():
        there.say_crowded("prepare.split.near_duplicates")
    return Split(sides, left_out)


class Fact(NamedTuple):
    """What the split reads of a row."""

    group: bytes
    """``group_key`` of its group."""
    stratum: str | None
    time: datetime | None


@dataclass(frozen=True)
class _Read:
    """Reads it."""

    params: PrepareParams
    paths: ArtifactPaths

    def __call__(self, rows: Sequence[Row]) -> list[Fact]:
        """Of some rows.

        Raises:
            UsageError: A row lacks a field.
        """
        by, split, quiet = self.params.group_by, self.params.split, row_rules(self.params).quiet
        return [
            Fact(
                group_key(group_of(row, by, self.paths, quiet), self.params.seed),
                None if split.stratify_by is None else stratum_of(row, split.stratify_by, quiet),
                None if split.field is None else time_of(row, split.field, quiet),
            )
            for row in rows
        ]


def with_their_seeds(rows: Rows, facts: Sequence[Fact], given: StepInputs) -> Sequence[bytes]:
    """The groups, where a row that a model rewrote is in that of the row that it was made from.

    A question in other words would be on the other side otherwise, and dev rows no longer new. That row is known by
    what it said when the model was shown it, wherever it stands now, or by its place where it was edited since; rows
    that were made from one that is gone stay together.
    """
    groups = [fact.group for fact in facts]
    made_of = {at: head.seeds[0] for at, head in enumerate(rows.heads()) if len(head.seeds) == 1}
    if not made_of:
        return groups
    sources, contents = ({seed[part] for seed in made_of.values()} for part in (0, 1))
    at_place: dict[str, bytes] = {}
    saying: dict[str, bytes] = {}
    for head, group in zip(Rows(rows.file, rows.origins).heads(), groups, strict=True):
        if head.content in contents:
            saying.setdefault(head.content, group)
        if head.source in sources:
            at_place[head.source] = group
    for at, (source, content) in made_of.items():
        groups[at] = saying.get(content) or at_place.get(source) or group_key(content, given.params.seed)
    return groups


def _note(rows: Sequence[Row], at: int, found: Sequence[_Tie]) -> Note:
    """Why a row is on neither side: the first tie to each."""
    one = found[0]
    other = next(tie for tie in found if tie.side != one.side)
    named = [f"{tie.why} {rows[tie.row].source}" if tie.row != at else tie.why for tie in (one, other)]
    return Note(rows[at].source, LEFT_OUT, "; ".join(named), rows[other.row].source)


def _near(rows: Rows, given: StepInputs) -> dict[SideName, Nearest]:
    """What rows on each side are to be compared with; nothing where near-duplicates are not looked for."""
    threshold = given.params.split.near_duplicates
    if threshold is None:
        return {}
    signing = Signing(threshold, Shingling(), NUM_PERM, given.params.seed)
    compare = given.params.split.compare
    index = near_index(rows, compare, signing, given)
    known = compared(index, rows, range(len(rows)), compare, given)
    return {side: Nearest(index, known) for side in SIDES}


def _sides_by_date(times: Sequence[datetime], params: PrepareParams) -> list[SideName] | None:
    """The side that each row's date says; None where rows are not split by date.

    Raises:
        UsageError: The dates leave a side empty.
    """
    if params.split.field is None:
        return None
    newest = sorted(times, reverse=True)
    if params.split.dev_from is not None:
        cut = datetime.combine(params.split.dev_from, time(), UTC)
    elif times:
        # Rows of one moment stay together.
        cut = newest[max(1, round(params.dev_fraction * len(times))) - 1]
    sides: list[SideName] = ["dev" if at >= cut else "train" for at in times]
    if len(set(sides)) < 2:
        between = f"from {newest[-1].isoformat()} to {newest[0].isoformat()}" if times else "absent"
        raise UsageError(
            f"nothing to split by date: prepare.split.field {params.split.field!r} is {between}, and all rows would be "
            f"{sides[0] if sides else 'train'} rows; set prepare.split.dev_from between these, or split by: hash"
        )
    return sides


def _draw_of(groups: Sequence[bytes], facts: Sequence[Fact], params: PrepareParams) -> Callable[[int], SideName]:
    """The side of a row that nothing holds to one.

    Raises:
        UsageError: Fewer than two groups.
    """
    if params.split.stratify_by is None:
        try:
            held = dev_groups(groups, params.dev_fraction) if params.split.field is None else frozenset()
        except ValueError as error:
            raise UsageError(
                f"nothing to split after cleaning: {error}; give {', '.join(map(str, params.sources))} more rows"
            ) from None
        return lambda at: "dev" if groups[at] in held else "train"
    drawn: defaultdict[str, int] = defaultdict(int)

    def draw(at: int) -> SideName:
        stratum = str(facts[at].stratum)
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


def dev_groups(groups: Iterable[bytes], fraction: float) -> frozenset[bytes]:
    """Groups that go to dev.

    A group's side depends on its own name and the seed alone, so that new rows never move old ones; where none falls on
    the dev side, the one nearest to it does.

    Args:
        groups: ``group_key`` of each row's group, repeats included.
        fraction: Share of groups that go to dev (0..1).

    Raises:
        ValueError: Fewer than two groups, so that one side would be empty.
    """
    keys = set(groups)
    if len(keys) < 2:
        raise ValueError(f"{len(keys)} group: at least 2 are needed for train and dev")
    chosen = {key for key in keys if _place(key) < fraction} or {min(keys)}
    if len(chosen) == len(keys):
        chosen.remove(max(keys))
    return frozenset(chosen)


def group_key(name: str, seed: int) -> bytes:
    """A hash of a group's name, which says where it is drawn; another seed gives another split."""
    return hashlib.sha256(f"{seed}\x1f{name}".encode()).digest()[:KEY_BYTES]


def _place(key: bytes) -> float:
    """A stable number in 0..1, in the order of the keys."""
    return int.from_bytes(key[:8], "big") / 2**64


def position(name: str, seed: int) -> float:
    """The same of a name."""
    return _place(group_key(name, seed))
