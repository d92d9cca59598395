"""Steps run one after the other: each is timed, counted, and held to what it must not do."""

import json
import logging
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

import numpy as np

from evalsuite.core.errors import StageError
from evalsuite.core.extensions import blaming
from tasks.data.formats import BadRow, Row, parse_row
from tasks.prepare.order import ChosenStep
from tasks.prepare.rows import content
from tasks.prepare.scale.stored import PackedRows, Rows, pack_all, unpack
from tasks.prepare.steps import Note, Outcome, StepInputs

logger = logging.getLogger(__name__)

LONE_HALF = re.compile("[\ud800-\udfff]")
ADVICE = "; correct its code, or remove it from prepare.steps"


class Record(NamedTuple):
    """What one step did."""

    name: str
    rows_in: int
    dropped: list[Note]
    changed: list[Note]
    private: bool = False
    """The step's ``private``."""
    counted: Mapping[str, Mapping[str, Any]] = {}
    """What else it counted."""

    @property
    def counts(self) -> dict[str, int]:
        """Rows; of those that were kept some may be changed."""
        num_dropped, num_changed = len(self.dropped), len({note.source for note in self.changed})
        kept = self.rows_in - num_dropped
        return {"rows_in": self.rows_in, "kept": kept, "dropped": num_dropped, "changed": num_changed}


def run_steps(steps: Sequence[ChosenStep], rows: Rows, given: StepInputs) -> tuple[Rows, list[Record]]:
    """Put the rows through the steps; the log has how long each took.

    Raises:
        StageError: Another package's step failed, or a step did not account for every row.
        UsageError: A step cannot go on with these rows or settings.
    """
    records = []
    for each in steps:
        started = time.perf_counter()
        rows, record = _ran(each, rows, given)
        counts = ", ".join(f"{name} {count}" for name, count in record.counts.items())
        logger.info("prepare step %s: %s, %.1f s", each.name, counts, time.perf_counter() - started)
        records.append(record)
    return rows, records


def _ran(chosen: ChosenStep, rows: Rows, given: StepInputs) -> tuple[Rows, Record]:
    """What a step made of the rows; another package's gets them in memory, and changes none unseen."""
    own = chosen.entry_point is None
    with blaming(f"prepare: {chosen} failed", StageError, lambda _: own, ADVICE):
        outcome = chosen.step.run(rows if own else list(rows), given)
        if not isinstance(outcome, Outcome):
            _refuse(chosen, f"returned {type(outcome).__name__}, expected an Outcome")
        notes = list(outcome.dropped), list(outcome.changed)
        record = Record(chosen.name, len(rows), *notes, chosen.step.private, outcome.counts)
        if not own:
            _check_said(chosen, record)
        if own and isinstance(outcome.kept, Rows) and not record.changed:
            if len(outcome.kept) + len(record.dropped) != len(rows):
                _refuse(chosen, f"accounts for {len(outcome.kept) + len(record.dropped)} of {len(rows)} rows")
            return outcome.kept, record
        kept = list(outcome.kept)
        _check_notes(chosen, rows, kept, record)
        return _with_changes(chosen, rows, kept, record, given), record


def _check_said(chosen: ChosenStep, record: Record) -> None:
    """Refuse what no report can say."""
    for note in [*record.dropped, *record.changed]:
        if not isinstance(note, Note) or not all(isinstance(said, str) for said in note):
            _refuse(chosen, "gives a note that is not made of texts")
        if any(LONE_HALF.search(said) for said in note):
            _refuse(chosen, "gives a note with half of a surrogate pair, which is not valid text")
    try:
        json.dumps(record.counted, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError) as error:
        _refuse(chosen, f"counts what no report can say ({error}): give a mapping of mappings of texts and numbers")
    if not isinstance(record.counted, Mapping) or not all(
        isinstance(each, Mapping) for each in record.counted.values()
    ):
        _refuse(chosen, "counts what no report can say: give a mapping of mappings of texts and numbers")


def _check_notes(chosen: ChosenStep, rows: Rows, kept: Sequence[Row], record: Record) -> None:
    """Refuse a step that does not account for every row, once."""
    came = Counter(head.source for head in rows.heads())
    left = Counter([row.source for row in kept] + [note.source for note in record.dropped])
    for source in left - came:
        if source in came:
            _refuse(chosen, f"returned {source} twice, or kept it and dropped it")
        _refuse(chosen, f"returned {source}, which is not one of its rows: it may add none, nor change a row's source")
    for source in came - left:
        _refuse(chosen, f"lost {source}: every row is kept, or dropped with a reason")
    for note in [*record.dropped, *record.changed]:
        if not note.reason.strip():
            _refuse(chosen, f"gives an empty reason for {note.source}")
        if note.other and note.other not in came:
            _refuse(chosen, f"names {note.other} in its reason for {note.source}, which is not one of its rows")


def _with_changes(chosen: ChosenStep, rows: Rows, kept: Sequence[Row], record: Record, given: StepInputs) -> Rows:
    """The rows that go on, once every change has its reason and its right."""
    record_of = {head.source: record for head, record in zip(rows.heads(), rows.records.tolist(), strict=True)}
    said = {note.source for note in record.changed}
    records, differ = [], set()
    for row in kept:
        at = record_of[row.source]
        before = unpack(rows.file.rows.one(at))
        if row != before:
            differ.add(row.source)
            if not isinstance(row.fields, dict):
                _refuse(chosen, f"put {type(row.fields).__name__} into the fields of {row.source}, expected a dict")
            if row.source in said:
                at = rows.file.extend(_packed(chosen, _read_again(chosen, row, before, given), given), origin=at)
        records.append(at)
    if differ - said:
        _refuse(chosen, f"changed {min(differ - said)} without a reason")
    if said - differ:
        _refuse(chosen, f"gives a reason for changing {min(said - differ)}, which it left as it was or dropped")
    if said and not chosen.step.changes_rows:
        _refuse(chosen, f"changed {min(said)}, but its class does not set `changes_rows = True`")
    return Rows(rows.file, np.array(records, dtype=np.int64))


def _packed(chosen: ChosenStep, row: Row, given: StepInputs) -> PackedRows:
    try:
        return pack_all([row], given.objective)
    except (ValueError, TypeError):
        _refuse(chosen, f"put something that is no JSON value into a field of {row.source}")


def _read_again(chosen: ChosenStep, row: Row, before: Row, given: StepInputs) -> Row:
    """A changed row, held to what every row of a source is held to."""
    if row.row_id != before.row_id and chosen.entry_point:
        _refuse(chosen, f"changed the id of {row.source}")
    read = parse_row(json.dumps(content(row, given.objective)).encode(), row.source, given.rules)
    if isinstance(read, BadRow):
        _refuse(chosen, f"made a bad row of {row.source}: {read.reason}")
    return before._replace(
        row_id=row.row_id, messages=read.messages, text=read.text, fields=row.fields, tools=read.tools
    )


def _refuse(chosen: ChosenStep, what: str) -> NoReturn:
    raise StageError(f"prepare: {chosen} {what}{ADVICE}")
