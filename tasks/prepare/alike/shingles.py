"""Texts as sets of short runs, and how much of them two texts share."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evalsuite.core.text import as_written
from tasks.data.formats import Row
from tasks.objectives.objective import Objective
from tasks.prepare.rows import asked_text, own_texts

Unit = Literal["characters", "words"]
Compare = Literal["prompt", "conversation"]
ODD = np.array([0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB], dtype=np.uint64)
"""Multipliers of splitmix64 (Steele, Lea and Flood 2014, doi:10.1145/2660193.2660195)."""


def compared_text(row: Row, compare: Compare, objective: Objective) -> str:
    """What is compared of a row, without case and white space beyond one blank.

    Args:
        row: The row.
        compare: ``prompt`` is what the user says; ``conversation`` the user's and the assistant's turns and what the
            objective reads beside them. A document is compared whole. System turns are left out: they are the same in
            every row of a domain.
        objective: What the rows are for.
    """
    if compare == "prompt":
        said = asked_text(row)
    else:
        turns = [turn["content"] for turn in row.messages if turn["role"] != "system"]
        texts = [*(turns if row.text is None else [row.text]), *own_texts(row, objective)]
        # Lines that begin with no white space are put together by a blank anyway.
        said = (" " if all(text.isprintable() and text[:1] != " " for text in texts) else "\n").join(texts)
    return as_written(said).casefold()


LONG = 256
"""Characters from which numbers are faster than texts."""
PUNCTUATION, PUNCTUATION_TO = range(0x2000, 0x2400), 0xC00
"""Quotes, dashes and signs, which numbers have in the place of Telugu and what follows it, so that 12 bits hold them
beside the alphabets from Latin to Tamil."""


@dataclass(frozen=True)
class Shingling:
    """Runs of ``size`` characters or words; a shorter text is one run."""

    unit: Unit = "characters"
    size: int = 5

    def of(self, text: str) -> frozenset[str]:
        """All runs of a text."""
        if self.unit == "characters":
            return frozenset([text[at : at + self.size] for at in range(max(1, len(text) - self.size + 1))])
        words = text.split()
        return frozenset([" ".join(words[at : at + self.size]) for at in range(max(1, len(words) - self.size + 1))])

    def numbers(self, text: str) -> NDArray[np.uint64] | None:
        """The runs of a long text as numbers, each once and ascending, where no two runs can have the same number.

        Comparing them is several times as fast as comparing sets of texts. None for short texts, for runs of words, and
        for characters that do not fit, such as Chinese ones.
        """
        bits = 64 // self.size
        if self.unit == "words" or len(text) < LONG:
            return None
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint64)
        if codes.max() >= PUNCTUATION_TO:
            signs = (codes >= PUNCTUATION.start) & (codes < PUNCTUATION.stop)
            if (~signs & (codes >= PUNCTUATION_TO)).any():
                return None
            codes = np.where(signs, codes - np.uint64(PUNCTUATION.start - PUNCTUATION_TO), codes)
        if int(codes.max()) >> bits:
            return None
        number = len(codes) - self.size + 1
        values = codes[:number].copy()
        for place in range(1, self.size):
            values <<= np.uint64(bits)
            values |= codes[place : place + number]
        values.sort()  # np.unique takes three times as long
        first: NDArray[np.bool_] = np.ones(number, dtype=np.bool_)
        np.not_equal(values[1:], values[:-1], out=first[1:])
        return values[first]

    def similarities(self, text: str, others: Sequence[str]) -> list[float]:
        """Jaccard of a text and each of others (fraction 0..1), exactly."""
        numbers, runs = self.numbers(text), None
        found = []
        for other in others:
            beside = None if numbers is None else self.numbers(other)
            if numbers is not None and beside is not None:
                found.append(jaccard_of_numbers(numbers, beside))
            else:
                runs = runs or self.of(text)
                found.append(jaccard(runs, self.of(other)))
        return found

    def hashes(self, texts: Sequence[str]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """Hashes of the runs of all texts, one behind the other with repeats, and where each text's begin and end.

        Equal runs have equal hashes; others too with a chance of about 2**-64, which is why no row is dropped by them.
        """
        if self.unit == "characters":
            padded = [text.ljust(self.size, "\0") for text in texts]
            codes = np.frombuffer("".join(padded).encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint64)
            lengths = np.array([len(text) for text in padded], dtype=np.int64)
        else:
            padded_words = [words + [""] * (self.size - len(words)) for words in map(str.split, texts)]
            codes = np.array([_word_hash(word) for words in padded_words for word in words], dtype=np.uint64)
            lengths = np.array([len(words) for words in padded_words], dtype=np.int64)
        ends = np.cumsum(lengths)
        number = len(codes) - self.size + 1
        if number < 1:
            return np.zeros(0, np.uint64), np.zeros(len(texts) + 1, np.uint64)
        values = codes[:number].copy()
        for place in range(1, self.size):
            values *= ODD[0]
            values += codes[place : place + number]
        values ^= values >> np.uint64(32)
        values *= ODD[1]
        values ^= values >> np.uint64(29)
        # Runs that begin in one text and end in the next.
        across = (ends[:-1, None] - np.arange(1, self.size)).ravel()
        whole = np.ones(number, dtype=np.bool_)
        whole[across] = False
        offsets = np.concatenate([[0], ends - np.arange(1, len(texts) + 1) * (self.size - 1)])
        return values[whole], offsets.astype(np.uint64)


def jaccard_of_numbers(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> float:
    """The same of two arrays of ``Shingling.numbers``."""
    both = np.concatenate([one, other])
    both.sort(kind="stable")
    shared = int(np.count_nonzero(both[1:] == both[:-1]))
    return shared / (len(both) - shared)


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """Shared runs over all runs of both (fraction 0..1)."""
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)


@lru_cache(maxsize=1 << 18)
def _word_hash(word: str) -> int:
    return int.from_bytes(blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
