"""Accepted records become training rows or candidate golden items, never both."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock, Timeout

from evalsuite.core.errors import StageError, UsageError
from evalsuite.core.files import numbered_objects, write_jsonl
from evalsuite.suites.golden_set.items import GoldenItem, Message
from tasks.config.prepare import PrepareParams
from tasks.data.decontaminate import HeldOut
from tasks.data.formats import Row, read_rows
from tasks.feedback.records import asked_key
from tasks.feedback.review import Choice, Proposal, Side
from tasks.paths import ArtifactPaths
from tasks.prepare.rows import row_rules

INBOX = Path("data/inbox")
ROWS = Path("data/raw/feedback.jsonl")
ITEMS = Path("golden_sets/candidates/feedback.jsonl")
"""Not part of a set: a person moves them into one. Training rows are held against them all the same."""
REJECTED = INBOX / "rejected.jsonl"
PREFIX = "feedback/"
"""Of the ids of rows and items, before the record's id."""
LOCK_SECONDS = 30.0
SHOWN = 5


class Known(NamedTuple):
    """What earlier reviews decided, read from the files that they wrote."""

    ids: frozenset[str]
    """Records that were taken or rejected."""
    sides: dict[str, Side]
    """``asked_key`` -> the side that has it."""


class Taken(NamedTuple):
    """What a review decided."""

    rows: int
    items: int
    rejected: int
    undecided: int


def read_known(root: Path) -> Known:
    """What earlier reviews of this project decided.

    Raises:
        UsageError: One of their files is damaged.
    """
    ids: set[str] = set()
    sides: dict[str, Side] = {}
    for path, side in ((ROWS, Side.TRAIN), (ITEMS, Side.GOLDEN)):
        for _, entry in _objects(root / path):
            ids.add(str(entry.get("id", "")).removeprefix(PREFIX))
            turns = tuple(Message.model_validate(turn) for turn in entry.get("messages", ()))
            sides[asked_key(turns)] = side
    ids |= {str(entry.get("id", "")) for _, entry in _objects(root / REJECTED)}
    return Known(frozenset(ids), sides)


def take(
    reviewed: Sequence[Proposal], paths: ArtifactPaths, prepare: PrepareParams, metric: str, dry_run: bool = False
) -> Taken:
    """Append what was accepted to the training rows and to the candidate items; all of it or nothing.

    Args:
        reviewed: Proposals with decisions; those that an earlier review decided are passed over.
        paths: The project.
        prepare: Names the training rows that a golden item must not be among.
        metric: How a candidate item is scored.
        dry_run: Check and count, and write nothing.

    Raises:
        UsageError: Names the accepted records that cannot be taken, each with why.
        StageError: Another review is being taken.
    """
    root = paths.root
    (root / INBOX).mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(root / INBOX / ".lock", timeout=LOCK_SECONDS):
            known = read_known(root)
            new = [each for each in reviewed if each.id not in known.ids]
            accepted = [each for each in new if each.decision is Choice.ACCEPT]
            rejected = [each for each in new if each.decision is Choice.REJECT]
            rows = [each for each in accepted if each.side is Side.TRAIN]
            items = [each for each in accepted if each.side is Side.GOLDEN]
            _refuse(list(_problems(rows, items, known, paths, prepare)))
            made = [_item(each, metric) for each in items]
            if not dry_run:
                _append(root / ITEMS, made)
                _append(root / ROWS, [_row(each) for each in rows])
                _append(root / REJECTED, [{"id": each.id} for each in rejected])
    except Timeout:
        raise StageError(
            f"another review is being taken ({root / INBOX / '.lock'}); try again when it has ended"
        ) from None
    return Taken(len(rows), len(items), len(rejected), len(new) - len(accepted) - len(rejected))


def _problems(
    rows: Sequence[Proposal],
    items: Sequence[Proposal],
    known: Known,
    paths: ArtifactPaths,
    prepare: PrepareParams,
) -> Iterator[str]:
    """Why accepted records cannot be taken."""
    for each in (*rows, *items):
        if not each.answer.strip():
            yield f"{each.id}: it is accepted and has no answer; write one, or reject it"
    asked = {Side.TRAIN: _by_key(rows), Side.GOLDEN: _by_key(items)}
    for key in sorted(asked[Side.TRAIN].keys() & asked[Side.GOLDEN].keys()):
        one, other = (asked[side][key] for side in Side)
        yield f"{one.id} is for training and {other.id} for the golden set, and both ask the same; give them one side"
    for side, taken in ((Side.TRAIN, Side.GOLDEN), (Side.GOLDEN, Side.TRAIN)):
        for key, each in asked[side].items():
            if known.sides.get(key) is taken:
                yield f"{each.id}: what it asks was taken for {taken} before, so that it cannot go to {side}"
    held_out = HeldOut(paths.root / "golden_sets")
    for each in rows:
        match = held_out.find_row([turn.model_dump() for turn in each.messages])
        if match is not None:
            yield f"{each.id}: {match.item} asks the same ({match.how}), so that it must not be trained on"
    for key, where in _trained_on(asked[Side.GOLDEN], paths, prepare):
        yield f"{asked[Side.GOLDEN][key].id}: {where} asks the same and is trained on, so that it proves nothing"


def _by_key(proposals: Sequence[Proposal]) -> dict[str, Proposal]:
    return {asked_key(each.messages): each for each in proposals}


def _trained_on(
    asked: Mapping[str, Proposal], paths: ArtifactPaths, prepare: PrepareParams
) -> Iterator[tuple[str, str]]:
    """Each of these questions that a training row asks, with the row's source."""
    left = set(asked)
    for name in prepare.sources if asked else ():
        if not (paths.root / name).is_file():
            continue
        for row in read_rows(paths.root / name, name, row_rules(prepare)):
            if not isinstance(row, Row) or row.text is not None:
                continue
            key = asked_key(tuple(Message(role=turn["role"], content=turn["content"]) for turn in row.messages))
            if key in left:
                left.discard(key)
                yield key, row.source


def _refuse(problems: Sequence[str]) -> None:
    if problems:
        listed = "\n".join(f"  {problem}" for problem in problems[:SHOWN])
        more = f"\n  and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise UsageError(
            f"{len(problems)} accepted records cannot be taken; correct them in the review, nothing was taken:\n"
            f"{listed}{more}"
        )


def _row(proposal: Proposal) -> dict[str, Any]:
    turns = [turn.model_dump(mode="json") for turn in proposal.messages]
    return {
        "id": f"{PREFIX}{proposal.id}",
        "messages": [*turns, {"role": "assistant", "content": proposal.answer}],
    }


def _item(proposal: Proposal, metric: str) -> dict[str, Any]:
    """A golden item.

    Raises:
        UsageError: There is no such metric, or it takes parameters.
    """
    given = {
        "id": f"{PREFIX}{proposal.id}",
        "messages": [turn.model_dump(mode="json") for turn in proposal.messages],
        "references": [proposal.answer],
        "metrics": [metric],
    }
    try:
        GoldenItem.model_validate(given)
    except ValueError as error:
        said = str(error).split("Value error, ")[-1].split(" [type=")[0]
        raise UsageError(f"{proposal.id} cannot be a golden item: {said}; nothing was taken") from None
    return given


def _append(path: Path, entries: Sequence[dict[str, Any]]) -> None:
    """The file with more lines, whole or as it was."""
    if entries:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_jsonl(path, [*(entry for _, entry in _objects(path)), *entries])


def _objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    if path.is_file():
        yield from numbered_objects(path, "a record", f"; correct the line, or bring {path} back with git")
