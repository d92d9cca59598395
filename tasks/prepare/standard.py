"""Ratchet's own steps of preparation."""

import json
import random
from collections.abc import Sequence

from tasks.data.decontaminate import HeldOut
from tasks.data.formats import Row
from tasks.prepare.personal.step import PersonalData
from tasks.prepare.quality import Quality
from tasks.prepare.rows import as_compared, held_out_match, is_too_long
from tasks.prepare.steps import Note, Outcome, Step, StepInputs


class Duplicates(Step):
    """Drops rows that repeat an earlier one, and its objective's fields, but for white space and Unicode's form."""

    def run(self, rows: Sequence[Row], given: StepInputs) -> Outcome:
        """Keep the first row of those that are alike."""
        first: dict[tuple[str, ...], str] = {}
        notes = []
        for row in rows:
            own = (json.dumps(row.fields.get(name), sort_keys=True) for name in given.objective.fields)
            key = (*as_compared(row), *own)
            notes.append(Note(row.source, "duplicate", other=first[key]) if key in first else None)
            first.setdefault(key, row.source)
        return _without(rows, notes)


class HeldOutItems(Step):
    """Drops rows that ask what an item of golden_sets asks."""

    def run(self, rows: Sequence[Row], given: StepInputs) -> Outcome:
        """Look every row up (``tasks.data.decontaminate``)."""
        held_out, reason = HeldOut(given.paths.root / "golden_sets"), "appears in a golden or test set"
        matches = [held_out_match(row, held_out, given.objective) for row in rows]
        notes = [
            Note(row.source, reason, f"{match.how} as {match.item}") if match else None
            for row, match in zip(rows, matches, strict=True)
        ]
        return _without(rows, notes)


class MaxRows(Step):
    """Draws ``prepare.max_rows`` rows with ``prepare.seed`` where there are more."""

    def run(self, rows: Sequence[Row], given: StepInputs) -> Outcome:
        """Keep the rows that were drawn, in their order."""
        limit = given.params.max_rows
        if limit is None or len(rows) <= limit:
            return Outcome(rows)
        drawn = set(random.Random(given.params.seed).sample(range(len(rows)), limit))  # noqa: S311  a sample, no secret
        reason = "left out by prepare.max_rows"
        return _without(rows, [None if at in drawn else Note(row.source, reason) for at, row in enumerate(rows)])


class Length(Step):
    """Drops conversations of more than ``prepare.max_length_tokens`` tokens, and rows that teach nothing."""

    def run(self, rows: Sequence[Row], given: StepInputs) -> Outcome:
        """Count the tokens of every row with the base model's tokenizer."""
        limit = given.params.max_length_tokens
        notes = []
        for row, lengths in zip(rows, given.lengths.of(rows), strict=True):
            reason = "" if lengths else "no answer to learn"
            if lengths and is_too_long(row, lengths, limit):
                reason = f"longer than {limit} tokens"
            notes.append(Note(row.source, reason) if reason else None)
        return _without(rows, notes)


STEPS: dict[str, type[Step]] = {
    "duplicates": Duplicates,
    "quality": Quality,
    "held_out": HeldOutItems,
    "max_rows": MaxRows,
    "length": Length,
    "personal_data": PersonalData,
}
"""A step's name in ``prepare.steps`` -> its class."""


def _without(rows: Sequence[Row], notes: Sequence[Note | None]) -> Outcome:
    """Drop each row whose note gives a reason."""
    kept = [row for row, note in zip(rows, notes, strict=True) if note is None]
    return Outcome(kept, [note for note in notes if note is not None])
