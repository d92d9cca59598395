"""Near-duplicates: candidates by MinHash and LSH, each compared exactly before anything follows from it.

MinHash (Broder 1997, doi:10.1109/SEQUEN.1997.666900) estimates how much two texts share from short signatures, and
texts with an equal band of their signatures are candidates (Leskovec, Rajaraman and Ullman, Mining of Massive Datasets,
chapter 3). rensa makes the signatures.
"""

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.prepare.alike.likely import LikelyPairs, likely_pairs
from tasks.prepare.alike.shingles import ODD, Shingling, jaccard, jaccard_of_numbers

logger = logging.getLogger(__name__)

FOUND_AT_THRESHOLD = 0.99
"""Chance that a pair exactly at the threshold is a candidate; more similar ones have a larger one."""
BATCH_CHARACTERS = 1 << 17
"""So that a batch's arrays stay in a core's cache."""
MARGIN = 3.0
"""Candidates whose estimate is this many standard errors below the threshold are not compared: one true pair in 700."""
MAX_IN_BUCKET = 256
"""Rows of a bucket that another is compared with. Rows that share most of a template are candidates of one another, and
all pairs of them would take days."""
FEW_IN_BUCKET = 32
"""Rows of a bucket whose pairs are all looked at beforehand; more would take too much memory where all are alike."""
KEPT_SETS = 256
PAIRED, CROWDED = 1, 2
"""A row that is probably like others of a small bucket; one that has a large bucket."""


class Alike(NamedTuple):
    """Another row that is at least as similar as the threshold, exactly."""

    row: int
    similarity: float
    """Jaccard (fraction 0..1)."""


@dataclass(frozen=True)
class NearIndex:
    """Which rows may be near-duplicates of which."""

    text_of: Callable[[int], str]
    """A row's compared text."""
    threshold: float
    shingling: Shingling
    buckets: NDArray[np.int32]
    """(rows, bands): rows with the same number are candidates; -1 where a row has no other beside it."""
    low_bits: NDArray[np.uint8]
    """(rows, permutations): the last byte of each place of the signature, for estimates."""

    @classmethod
    def of(
        cls,
        text_of: Callable[[int], str],
        count: int,
        threshold: float,
        shingling: Shingling = Shingling(),  # noqa: B008  immutable
        num_perm: int = 128,
        seed: int = 0,
    ) -> "NearIndex":
        """Read the texts of rows 0 to ``count``.

        Args:
            text_of: A row's compared text.
            count: How many rows there are.
            threshold: Least Jaccard similarity (fraction 0..1).
            shingling: The runs that are compared.
            num_perm: Length of a signature.
            seed: Another seed finds other candidates.
        """
        signing = Signing(threshold, shingling, num_perm, seed)
        return cls.signed(signing, text_of, map(signing.of, _batches(text_of, count)))

    @classmethod
    def signed(
        cls, signing: "Signing", text_of: Callable[[int], str], signatures: Iterable["Signatures"]
    ) -> "NearIndex":
        """Put signatures that were made before together.

        Args:
            signing: How they were made.
            text_of: A row's compared text.
            signatures: Of all rows, in their order.
        """
        low_bits, keys = zip(*signatures, strict=True) if (signatures := list(signatures)) else ((), ())
        none = signing.of([])
        joined = np.concatenate([none.keys, *keys])
        return cls(
            text_of, signing.threshold, signing.shingling, _buckets(joined), np.concatenate([none.low_bits, *low_bits])
        )

    @cached_property
    def _small(self) -> NDArray[np.bool_]:
        """Whether each bucket has few rows."""
        sizes = np.bincount(self.buckets[self.buckets >= 0])
        return sizes <= min(FEW_IN_BUCKET, MAX_IN_BUCKET)

    @cached_property
    def pairs(self) -> LikelyPairs:
        """What is probably alike of the small buckets."""
        return likely_pairs(self.buckets, self.low_bits, self._small, self.least_equal)

    @cached_property
    def marks(self) -> bytes:
        """For each row whether it is ``PAIRED`` and ``CROWDED``: most are neither, and passed over at once."""
        paired = np.diff(self.pairs.starts) > 0
        crowded = np.zeros(len(self.buckets), dtype=np.bool_)
        for numbers in self.buckets.T:
            (shared,) = np.nonzero(numbers >= 0)
            crowded[shared] |= ~self._small[numbers[shared]]
        return (PAIRED * paired + CROWDED * crowded).astype(np.uint8).tobytes()

    def large_buckets(self, row: int) -> list[int]:
        """A row's buckets that have many rows."""
        own = self.buckets[row]
        own = own[own >= 0]
        found: list[int] = own[~self._small[own]].tolist()
        return found

    @cached_property
    def least_equal(self) -> float:
        """Equal places of two signatures below which a pair is not compared."""
        places: int = self.low_bits.shape[1]
        return places * self.threshold - MARGIN * math.sqrt(places * self.threshold * (1 - self.threshold))


class Compared(NamedTuple):
    """Similarities that were worked out beforehand."""

    other: NDArray[np.int64]
    """(rows,): the row that each was compared with; -1 where it was compared with none."""
    similarity: NDArray[np.float64]
    """(rows,): Jaccard (fraction 0..1)."""


@dataclass
class Nearest:
    """Some rows of an index, to which others are compared, and which grow."""

    index: NearIndex
    compared: Compared | None = None
    crowded: int = 0
    """Rows that were not added to one of their buckets, because it has enough of them."""
    _rows: dict[int, list[int]] = field(default_factory=dict)
    """Large bucket -> its rows among those that were added."""

    def __post_init__(self) -> None:
        """Keep the runs of the rows that are compared most."""
        self._added = bytearray(len(self.index.marks))
        shingling, text_of = self.index.shingling, self.index.text_of
        self._runs = lru_cache(maxsize=KEPT_SETS)(lambda row: shingling.of(text_of(row)))
        self._numbers = lru_cache(maxsize=KEPT_SETS)(lambda row: shingling.numbers(text_of(row)))

    def add(self, row: int) -> None:
        """Compare rows with this one too."""
        self._added[row] = True
        if not self.index.marks[row] & CROWDED:
            return
        full = False
        for bucket in self.index.large_buckets(row):
            rows = self._rows.setdefault(bucket, [])
            if len(rows) < MAX_IN_BUCKET:
                rows.append(row)
            else:
                full = True
        self.crowded += full

    def find(self, row: int) -> Alike | None:
        """A row among those that were added that is as similar as the threshold, compared exactly, or None."""
        marks = self.index.marks[row]
        if not marks:
            return None
        likely = {pair for pair in self.index.pairs.of(row) if self._added[pair[1]]} if marks & PAIRED else set()
        if marks & CROWDED:
            likely |= self._likely_in_large_buckets(row)
        for _, other in sorted(likely, key=lambda pair: (-pair[0], pair[1])):
            similarity = self._similarity(row, other)
            if similarity >= self.index.threshold:
                return Alike(other, similarity)
        return None

    def _likely_in_large_buckets(self, row: int) -> set[tuple[int, int]]:
        found: set[int] = set()
        found.update(*filter(None, map(self._rows.get, self.index.large_buckets(row))))
        others = list(found)
        equal = (self.index.low_bits[others] == self.index.low_bits[row]).sum(axis=1).tolist() if others else []
        least = self.index.least_equal
        return {(places, other) for places, other in zip(equal, others, strict=True) if places >= least}

    def _similarity(self, row: int, other: int) -> float:
        if self.compared is not None and self.compared.other[row] == other:
            return float(self.compared.similarity[row])
        one, two = self._numbers(row), self._numbers(other)
        if one is None or two is None:
            return jaccard(self._runs(row), self._runs(other))
        return jaccard_of_numbers(one, two)

    def say_crowded(self, what: str) -> None:
        """Warn where rows were not compared with all candidates."""
        if self.crowded:
            logger.warning(
                "%s: %d rows share so much with more than %d others each (a template?) that not all of these were "
                "compared, and some that are alike may stay; if the answers share it, use `compare: prompt`",
                *(what, self.crowded, MAX_IN_BUCKET),
            )


def bands_of(threshold: float, num_perm: int) -> tuple[int, int]:
    """How many bands a signature is cut into, and the places of each: the longest that find a pair at the threshold."""
    for size in range(num_perm, 1, -1):
        bands = num_perm // size
        if 1 - (1 - threshold**size) ** bands >= FOUND_AT_THRESHOLD:
            return bands, size
    return num_perm, 1


class Signatures(NamedTuple):
    """What candidates are found by."""

    low_bits: NDArray[np.uint8]
    """(rows, places)."""
    keys: NDArray[np.uint64]
    """(rows, bands): equal where all places of a band are."""


class Signing(NamedTuple):
    """How texts are signed."""

    threshold: float
    shingling: Shingling
    num_perm: int
    seed: int

    def of(self, texts: Sequence[str]) -> Signatures:
        """The signatures of some texts."""
        from rensa import RMinHash

        bands, size = bands_of(self.threshold, self.num_perm)
        if not texts:
            return Signatures(np.zeros((0, bands * size), np.uint8), np.zeros((0, bands), np.uint64))
        hashes, offsets = self.shingling.hashes(texts)
        matrix = RMinHash.digest_matrix_from_flat_token_hashes(hashes, offsets, self.num_perm, self.seed)
        digests = np.array(matrix.to_rows(), dtype=np.uint32)[:, : bands * size]
        keys = _band_keys(digests.reshape(len(texts), bands, size))
        return Signatures(digests.astype(np.uint8), keys)


def _batches(text_of: Callable[[int], str], count: int) -> Iterator[list[str]]:
    """The texts of rows 0 to ``count``, some at a time."""
    return cut_up(text_of(at) for at in range(count))


def cut_up(texts: Iterable[str]) -> Iterator[list[str]]:
    """So many texts at a time that their arrays stay in a core's cache."""
    batch: list[str] = []
    characters = 0
    for text in texts:
        batch.append(text)
        characters += len(text)
        if characters >= BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _band_keys(bands: NDArray[np.uint32]) -> NDArray[np.uint64]:
    """One number for each band (rows, bands, places), equal where the bands are; others rarely are."""
    keys = np.zeros(bands.shape[:2], dtype=np.uint64)
    for place in range(bands.shape[2]):
        keys = (keys ^ bands[:, :, place]) * ODD[1]
        keys ^= keys >> np.uint64(31)
    return keys


def _buckets(keys: NDArray[np.uint64]) -> NDArray[np.int32]:
    """Numbers of the buckets (rows, bands) with at least two rows, -1 for the others."""
    buckets = np.full(keys.shape, -1, dtype=np.int32)
    first = 0
    for band, values in enumerate(keys.T):
        _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
        shared = counts > 1
        numbers = np.where(shared, first + np.cumsum(shared) - 1, -1)
        buckets[:, band] = numbers[places]
        first += int(shared.sum())
    return buckets
