"""Steps run one after the other: each is timed, counted, and held to what it must not do."""

import json
import logging
import time
from collections import Counter
from collections.abc import Sequence
from copy import deepcopy
from typing import NamedTuple, NoReturn

from evalsuite.core.errors import RatchetError, StageError
from evalsuite.network.network_errors import said_by
from tasks.data.formats import BadRow, Row, parse_row
from tasks.prepare.order import ChosenStep
from tasks.prepare.rows import content, row_rules
from tasks.prepare.steps import Note, Outcome, StepInputs

logger = logging.getLogger(__name__)


class Record(NamedTuple):
    """What one step did."""

    name: str
    rows_in: int
    dropped: Sequence[Note]
    changed: Sequence[Note]


def run_steps(
    steps: Sequence[ChosenStep], rows: Sequence[Row], given: StepInputs
) -> tuple[Sequence[Row], list[Record]]:
    """Put the rows through the steps; the log has how long each took.

    Raises:
        StageError: Another package's step failed.
        UsageError: What Ratchet's own steps refuse.
    """
    records = []
    for each in steps:
        started = time.perf_counter()
        kept, outcome = _ran(each, rows, given)
        record = Record(each.name, len(rows), outcome.dropped, outcome.changed)
        counts = f"{len(rows)} rows in, {len(kept)} kept, {len(record.dropped)} dropped, {len(record.changed)} changed"
        logger.info("prepare step %s: %s, %.1f s", each.name, counts, time.perf_counter() - started)
        records.append(record)
        rows = kept
    return rows, records


def _ran(chosen: ChosenStep, rows: Sequence[Row], given: StepInputs) -> tuple[list[Row], Outcome]:
    """What a step made of the rows; another package's gets copies, so that it changes none unseen."""
    try:
        outcome = chosen.step.run(deepcopy(rows) if chosen.entry_point else rows, given)
        return _checked(chosen, rows, outcome, given), outcome
    except Exception as error:
        if chosen.entry_point is None or isinstance(error, RatchetError):
            raise
        raise StageError(
            f"prepare: {chosen} failed: {said_by(error)}; correct its code, or take it out of prepare.steps"
        ) from error


def _checked(chosen: ChosenStep, rows: Sequence[Row], outcome: Outcome, given: StepInputs) -> list[Row]:
    """The rows that go on, once every row is accounted for and every change has its reason."""
    if not isinstance(outcome, Outcome):
        _refuse(chosen, f"returned {type(outcome).__name__}, expected an Outcome")
    before = {row.source: row for row in rows}
    notes = [*outcome.dropped, *outcome.changed]
    came, left = Counter(row.source for row in rows), Counter(row.source for row in outcome.kept)
    left.update(note.source for note in outcome.dropped)
    for source in left - came:
        if source in before:
            _refuse(chosen, f"returned {source} twice, or kept it and dropped it")
        _refuse(chosen, f"returned {source}, which is none of its rows: it may add none, nor change a row's source")
    for source in came - left:
        _refuse(chosen, f"lost {source}: every row is kept, or dropped with a reason")
    for note in notes:
        if not note.reason.strip():
            _refuse(chosen, f"gives an empty reason for {note.source}")
        if note.other and note.other not in before:
            _refuse(chosen, f"names {note.other} in its reason for {note.source}, which is none of its rows")
    differ = {row.source for row in outcome.kept if row != before[row.source]}
    said = {note.source for note in outcome.changed}
    for source in sorted(differ - said):
        _refuse(chosen, f"changed {source} without a reason")
    for source in sorted(said - differ):
        _refuse(chosen, f"gives a reason for changing {source}, which it left as it was or dropped")
    if said and not chosen.step.changes_rows:
        _refuse(chosen, f"changed {min(said)}, and its class does not say `changes_rows = True`")
    return [
        _read_again(chosen, row, before[row.source], given) if row.source in differ else before[row.source]
        for row in outcome.kept
    ]


def _read_again(chosen: ChosenStep, row: Row, before: Row, given: StepInputs) -> Row:
    """A changed row, held to what every row of a source is held to."""
    if row.row_id != before.row_id:
        _refuse(chosen, f"changed the id of {row.source}")
    read = parse_row(json.dumps(content(row)).encode(), row.source, row_rules(given.params))
    if isinstance(read, BadRow):
        _refuse(chosen, f"made a bad row of {row.source}: {read.reason}")
    return before._replace(messages=read.messages, text=read.text, fields=row.fields)


def _refuse(chosen: ChosenStep, what: str) -> NoReturn:
    raise StageError(f"prepare: {chosen} {what}; correct its code, or take it out of prepare.steps")
