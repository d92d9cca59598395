"""One row: where it came from, what each step did to it, and its text before and after."""

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from evalsuite.core.errors import RatchetError, UsageError
from tasks.config.prepare import PrepareParams
from tasks.data.formats import REJECTED, BadRow, Row, read_rows
from tasks.data.synthetic import Synthetic, synthetic_of
from tasks.objectives.find import find_objective
from tasks.objectives.objective import Objective
from tasks.paths import ArtifactPaths
from tasks.prepare.inputs.quarantine import QUARANTINE
from tasks.prepare.record.content_hash import content_hash
from tasks.prepare.record.forgotten import NAME as FORGOTTEN
from tasks.prepare.record.trail import Event, Trail, TrailRow, TrailStep, read_trail, shows_text
from tasks.prepare.rows import content, row_rules

MOST = 20
"""Rows of one id that are told."""
NEAREST = 3
RAW = "data/raw"
"""Where a file is looked for that is named without its folder, as messages of ``ratchet init`` do."""

Content = Mapping[str, Any]
"""What is learnt of a row, as train.jsonl has it: ``messages`` or ``text``, and what the objective reads."""


@dataclass(frozen=True)
class StepDone:
    """What one step did to the row."""

    step: str
    did: Literal["kept", "changed", "dropped", "bad", "not reached"]
    event: Event | None = None


@dataclass(frozen=True)
class History:
    """What became of one row."""

    row: TrailRow
    steps: tuple[StepDone, ...]
    before: Content | None
    """As it was read; None where ``note`` says why."""
    after: Content | None
    """As it is trained on; None where it is on neither side."""
    note: str = ""
    """Why there is no text as it was read."""
    made: Synthetic | None = None
    """Which model wrote it, where one did."""
    unused: str = ""
    """What of the row no training reads, where that is the rejected answer of a pair."""


def histories(wanted: str, params: PrepareParams, paths: ArtifactPaths) -> list[History]:
    """What became of the row of this id or at this source, or of each of several with the same id.

    Args:
        wanted: The row's id, or ``FILE:LINE`` as reports name it.
        params: How the rows are read.
        paths: The project.

    Raises:
        MissingArtifactError: The rows were not prepared yet.
        UsageError: There is no such row; names the nearest.
    """
    trail = read_trail(paths.trail)
    found = trail.find(wanted) or trail.find(f"{RAW}/{wanted}")
    if not found:
        raise UsageError(unknown_row(wanted, trail, paths))
    objective = find_objective(params.objective)
    read = _as_read({row.source for row in found[:MOST]}, params, paths)
    written = _as_written(found[:MOST], paths)
    return [_history(row, trail, read, written, objective) for row in found[:MOST]]


def _history(
    row: TrailRow,
    trail: Trail,
    read: Mapping[str, Row | str],
    written: Mapping[str, Content],
    objective: Objective,
) -> History:
    before, note = None, ""
    source = read.get(row.source, "its source has no such row any more")
    if not shows_text(row.events, trail.steps):
        forgotten = any(event.step == FORGOTTEN for event in row.events)
        why = "it is to be forgotten" if forgotten else "it may hold personal data"
        note = f"withheld, since {why}; it stands in {row.source}"
    elif isinstance(source, str):
        note = source
    elif content_hash(content(source, objective)) != row.content:
        note = f"{row.source} was changed since it was prepared; `ratchet stage prepare` reads it again"
    else:
        before = content(source, objective)
    made = synthetic_of(source.fields) if before is not None and isinstance(source, Row) else None
    unused = ""
    if isinstance(source, Row) and before is not None and REJECTED in source.fields.keys() - set(objective.fields):
        unused = f"the rejected answer of this pair is not used by objective {objective.name}"
    return History(row, steps_done(row, trail.steps), before, written.get(row.source), note, made, unused)


def steps_done(row: TrailRow, steps: tuple[TrailStep, ...]) -> tuple[StepDone, ...]:
    """What every step did, in order."""
    events = {event.step: event for event in row.events}
    gone = False
    done = []
    for name in ("read", *(step.name for step in steps)):
        event = events.get(name)
        done.append(StepDone(name, event.did if event else "not reached" if gone else "kept", event))
        gone = gone or (event is not None and event.did in ("bad", "dropped"))
    return tuple(done)


def unknown_row(wanted: str, trail: Trail, paths: ArtifactPaths) -> str:
    """What is said of a row that is not there: the nearest that are, and what to do."""
    import pyarrow.compute as pc

    file = wanted.rpartition(":")[0] or wanted.rpartition("#")[0]
    starts = [pc.starts_with(trail.table["source"], f"{file}{mark}") for mark in ":#"] if file else []
    count = sum(pc.sum(each).as_py() or 0 for each in starts)
    if count:
        near = f"{file} has {count:,} rows, and none of them there"
    else:
        near = ", ".join(nearest(wanted, trail))
        near = f"the nearest are {near}" if near else "no id is like it"
    listed = f"`ratchet data show ID` takes the id of a row in {paths.trail.parent}, or FILE:LINE"
    return f"no row {wanted!r} among the {trail.table.num_rows:,} that were read: {near}; {listed}"


def nearest(wanted: str, trail: Trail) -> list[str]:
    """Ids and sources that are most like what was asked for: of those beside it in their order."""
    import numpy as np

    around: set[str] = set()
    for column in (trail.ids, trail.table["source"]):
        names = np.sort(np.asarray(column.to_pylist(), dtype=object))
        at = int(np.searchsorted(names, wanted))
        around |= set(names[max(0, at - 25) : at + 25])
    return difflib.get_close_matches(wanted, sorted(around), n=NEAREST, cutoff=0.3)


def _as_read(sources: set[str], params: PrepareParams, paths: ArtifactPaths) -> dict[str, Row | str]:
    """The rows at these places, or why they cannot be read."""
    found: dict[str, Row | str] = {}
    files = {source.rpartition(mark)[0] for source in sources for mark in ":#" if mark in source}
    for name in sorted(file for file in files if (paths.root / file).is_file()):
        wanted = {source for source in sources if source.startswith((f"{name}:", f"{name}#"))}
        try:
            for entry in read_rows(paths.root / name, name, row_rules(params)):
                if entry.source in wanted:
                    found[entry.source] = entry if isinstance(entry, Row) else _unreadable(entry, paths)
                    wanted.remove(entry.source)
                if not wanted:
                    break
        except RatchetError as error:
            found |= dict.fromkeys(wanted, f"its source cannot be read: {error}")
    absent = files - {source.rpartition(mark)[0] for source in found for mark in ":#"}
    for source in sources - found.keys():
        file = next((name for name in absent if source.startswith((f"{name}:", f"{name}#"))), "")
        if file and not (paths.root / file).is_file():
            found[source] = f"{file} is gone; bring it back with git or `dvc pull`"
    return found


def _unreadable(bad: BadRow, paths: ArtifactPaths) -> str:
    """Why, and which file has the row as it was; one that may hold personal data is in none."""
    kept = paths.prepared / QUARANTINE
    where = f"; {kept.relative_to(paths.root)} has it as it was" if bad.raw is not None and kept.is_file() else ""
    return f"it cannot be read: {bad.reason}{where}"


def _as_written(rows: list[TrailRow], paths: ArtifactPaths) -> dict[str, Content]:
    """Source of each row that is trained on -> what train.jsonl or dev.jsonl has of it."""
    found: dict[str, Content] = {}
    for side in ("train", "dev"):
        # Of several rows with one id, the files have them in their order.
        wanted: dict[str, list[str]] = {}
        for row in rows:
            if row.side == side:
                wanted.setdefault(row.row_id, []).append(row.source)
        for line in _lines(paths.prepared / f"{side}.jsonl") if wanted else ():
            entry = json.loads(line)
            if waiting := wanted.get(entry.pop("id")):
                entry.pop("num_tokens", None)
                found[waiting.pop(0)] = entry
    return found


def _lines(path: Path) -> Iterator[bytes]:
    if path.is_file():
        with path.open("rb") as stream:
            yield from stream
