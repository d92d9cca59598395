"""A few texts, ready to be found again in very many others: the same text, or shared runs of words.

Both sides of decontamination ask it: ``prepare`` looks every training row up among the held-out items, and the stage
``contamination`` looks for every gated item in the training rows. What counts is decided on words and forms
(``evalsuite.core.text``). Most texts share nothing, and are passed over by their letters and digits alone: what has the
same form, or a run of words in common, has the same letters in the same order.
"""

import re
import unicodedata
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evalsuite.core.text import runs, whole_form, words_of

SILENT_BYTES = bytes(sorted(set(range(128)) - set(b"0123456789abcdefghijklmnopqrstuvwxyz")))
SILENT = re.compile("[\\W_\u0640\u02bc]+")
"""All but letters and digits; the lengthening of Arabic letters and the apostrophe that is a letter say nothing."""
WINDOWS = (8, 16, 32)
"""Lengths in bytes, each twice the one before: a run of words is looked for by the most of its first bytes."""
MAX_BITS = 26
"""A table of first bits has at most 64 MiB."""
TOGETHER_BYTES = 1 << 17
"""Texts that are looked at together, so that their hashes stay in a core's cache."""
BETWEEN = b"\0"
"""Stands between them, and in none of them."""
MIX = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], dtype=np.uint64)


class Wanted(NamedTuple):
    """A text to be found."""

    text: str
    lengths: tuple[int, ...]
    """Lengths in words of the runs that are looked for."""


class Seen(NamedTuple):
    """What of the wanted texts a text holds."""

    form: str | None
    """Its whole form (``evalsuite.core.text.whole_form``), where a wanted text has the same."""
    runs: dict[int, list[str]]
    """Length in words -> the wanted runs in it, in the order of its words."""


NOTHING = Seen(None, {})


class TextIndex:
    """Wanted texts, ready to be found in others."""

    def __init__(self, wanted: Iterable[Wanted]) -> None:
        """Read the texts."""
        self._forms: set[str] = set()
        self._runs: defaultdict[int, set[str]] = defaultdict(set)
        for text, lengths in wanted:
            self._forms.add(whole_form(text))
            words = words_of(text)
            for length in lengths:
                self._runs[length].update(runs(words, length))
        self._forms.discard("")
        self._letters = {letters(form) for form in self._forms}
        self._beginnings = _Beginnings({letters(run) for found in self._runs.values() for run in found})

    def form_of(self, text: str) -> str | None:
        """The whole form of a text, where a wanted text has the same."""
        return self._form(text, letters(text))

    def _form(self, text: str, own: bytes) -> str | None:
        form = whole_form(text) if own in self._letters else ""
        return form if form in self._forms else None

    def may_hold(self, texts: Sequence[str]) -> list[bool]:
        """For each text whether ``seen_in`` may find something in it; many at once are far faster than one by one."""
        own = [letters(text) for text in texts]
        found = [each in self._letters for each in own]
        for begin, end in _together(own):
            for at in self._beginnings.occur_in_which(own[begin:end]):
                found[begin + at] = True
        return found

    def seen_in(self, text: str) -> Seen:
        """What of the wanted texts another text holds."""
        own = letters(text)
        form = self._form(text, own)
        if not self._beginnings.occur_in_which([own]):
            return NOTHING if form is None else Seen(form, {})
        words = words_of(text)
        return Seen(
            form, {length: [run for run in runs(words, length) if run in known] for length, known in self._runs.items()}
        )


def letters(text: str) -> bytes:
    """The letters and digits of a text without case, marks and all between them, in UTF-8.

    Equal for texts with the same comparable form; of a run of words, a part of those of its text.
    """
    if text.isascii():
        return text.encode().lower().translate(None, SILENT_BYTES)
    form = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return SILENT.sub("", form).encode("utf-8", "surrogatepass")


class _Beginnings:
    """Byte strings, found in others by their first bytes and then compared whole."""

    def __init__(self, wanted: set[bytes]) -> None:
        self._short = sorted(each for each in wanted if len(each) < WINDOWS[0])
        """Such as a run of signs with few letters among them."""
        self._tables: list[_Table] = []
        for size, longer in zip(WINDOWS, (*WINDOWS[1:], None), strict=True):
            found = sorted(each for each in wanted if len(each) >= size and (longer is None or len(each) < longer))
            self._tables.append(_Table.of(found, size))

    def occur_in_which(self, texts: Sequence[bytes]) -> set[int]:
        """The places of those texts that one of the strings is a part of."""
        joined = BETWEEN.join(texts)
        found = {at for each in self._short if each in joined for at, text in enumerate(texts) if each in text}
        starts = list(accumulate((len(text) + 1 for text in texts), initial=0))
        for table, hashes in zip(self._tables, _hashes(joined), strict=False):
            if table.by_hash:
                found.update(bisect_right(starts, at) - 1 for at in table.places(hashes, joined))
        return found


class _Table(NamedTuple):
    """Byte strings by the hash of their first bytes."""

    maybe: NDArray[np.bool_]
    """Whether a hash may be one of theirs, by its first bits."""
    shift: np.uint64
    by_hash: dict[int, list[bytes]]

    @classmethod
    def of(cls, found: Sequence[bytes], size: int) -> "_Table":
        by_hash: defaultdict[int, list[bytes]] = defaultdict(list)
        if found:
            beginnings = b"".join(each[:size] for each in found)
            hashes = dict(zip(WINDOWS, _hashes(beginnings), strict=False))[size]
            for each, value in zip(found, hashes[::size].tolist(), strict=True):
                by_hash[value].append(each)
        bits = min(len(by_hash).bit_length() + 8, MAX_BITS)
        shift = np.uint64(64 - bits)
        maybe = np.zeros(1 << bits, dtype=np.bool_)
        maybe[np.array(list(by_hash), dtype=np.uint64) >> shift] = True
        return cls(maybe, shift, dict(by_hash))

    def places(self, hashes: NDArray[np.uint64], text: bytes) -> Iterator[int]:
        """The places of ``text``, whose hashes these are, at which one of the strings begins and goes on."""
        places = np.flatnonzero(self.maybe[hashes >> self.shift])
        for at, value in zip(places.tolist(), hashes[places].tolist(), strict=True):
            if any(text.startswith(each, at) for each in self.by_hash.get(value, ())):
                yield at


def _together(texts: Sequence[bytes]) -> Iterator[tuple[int, int]]:
    """Ranges of texts of about ``TOGETHER_BYTES``."""
    begin = size = 0
    for at, text in enumerate(texts):
        size += len(text)
        if size >= TOGETHER_BYTES:
            yield begin, at + 1
            begin, size = at + 1, 0
    if begin < len(texts):
        yield begin, len(texts)


def _hashes(text: bytes) -> Iterator[NDArray[np.uint64]]:
    """For each of ``WINDOWS`` that fits: a hash of as many bytes from each place; equal bytes have equal hashes."""
    values: NDArray[np.uint64] = np.zeros(0, np.uint64)
    for size in WINDOWS:
        number = len(text) - size + 1
        if number < 1:
            return
        if size == WINDOWS[0]:
            values = np.ndarray((number,), dtype="<u8", buffer=text, strides=(1,)) * MIX[0]
        else:
            half = size // 2
            values = (values[:-half] ^ (values[:-half] >> np.uint64(29))) * MIX[1] + values[half:] * MIX[2]
        yield values
