"""Ratchet's own steps of preparation."""

import random
from collections.abc import Callable, Sequence

from tasks.data.decontaminate import HeldOut
from tasks.data.formats import Row
from tasks.prepare.rows import as_compared, held_out_match, is_too_long
from tasks.prepare.steps import Note, Outcome, Step, StepInputs


class Duplicates(Step):
    """Drops rows that repeat an earlier one but for white space and Unicode's form."""

    def run(self, rows: Sequence[Row], given: StepInputs) -> Outcome:
        """Keep the first row of those that are alike."""
        first: dict[tuple[str, ...], str] = {}

        def note(row: Row) -> Note | None:
            key = as_compared(row)
            if key in first:
                return Note(row.source, "duplicate", other=first[key])
            first[key] = row.source
            return None

        return _without(rows, note)


class HeldOutItems(Step):
    """Drops rows that ask what an item of golden_sets asks."""

    def run(self, rows: Sequence[Row], given: StepInputs) -> Outcome:
        """Look every row up (``tasks.data.decontaminate``)."""
        held_out = HeldOut(given.paths.root / "golden_sets")

        def note(row: Row) -> Note | None:
            match = held_out_match(row, held_out)
            if match is None:
                return None
            return Note(row.source, "appears in a golden or test set", f"{match.how} as {match.item}")

        return _without(rows, note)


class MaxRows(Step):
    """Draws ``prepare.max_rows`` rows with ``prepare.seed`` where there are more."""

    def run(self, rows: Sequence[Row], given: StepInputs) -> Outcome:
        """Keep the rows that were drawn, in their order."""
        limit = given.params.max_rows
        if limit is None or len(rows) <= limit:
            return Outcome(rows)
        drawn = set(random.Random(given.params.seed).sample(range(len(rows)), limit))  # noqa: S311  a sample, no secret
        kept = [row for index, row in enumerate(rows) if index in drawn]
        left_out = [row for index, row in enumerate(rows) if index not in drawn]
        return Outcome(kept, [Note(row.source, "left out by prepare.max_rows") for row in left_out])


class Length(Step):
    """Drops conversations of more than ``prepare.max_length_tokens`` tokens, and rows that teach nothing."""

    def run(self, rows: Sequence[Row], given: StepInputs) -> Outcome:
        """Count the tokens of every row with the base model's tokenizer."""
        limit = given.params.max_length_tokens
        lengths = iter(given.lengths.of(rows))

        def note(row: Row) -> Note | None:
            found = next(lengths)
            if not found:
                return Note(row.source, "no answer to learn")
            return Note(row.source, f"longer than {limit} tokens") if is_too_long(row, found, limit) else None

        return _without(rows, note)


STEPS: dict[str, type[Step]] = {
    "duplicates": Duplicates,
    "held_out": HeldOutItems,
    "max_rows": MaxRows,
    "length": Length,
}
"""A step's name in ``prepare.steps`` -> its class."""


def _without(rows: Sequence[Row], note: Callable[[Row], Note | None]) -> Outcome:
    """The rows without those that ``note`` gives a reason against; it is asked once a row, in their order."""
    kept: list[Row] = []
    dropped: list[Note] = []
    for row in rows:
        found = note(row)
        if found is None:
            kept.append(row)
        else:
            dropped.append(found)
    return Outcome(kept, dropped)
