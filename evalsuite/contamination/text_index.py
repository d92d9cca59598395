"""A few texts, ready to be found again in very many others: the same text, or shared runs of words.

Both sides of decontamination ask it: ``prepare`` looks every training row up among the held-out items, and the stage
``contamination`` looks for every gated item in the training rows. What counts is decided on words and forms
(``evalsuite.core.text``). Most texts share nothing, and are passed over by their letters and digits alone: what has the
same form, or a run of words in common, has the same letters in the same order.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evalsuite.core.text import runs, whole_form, words_of

SILENT_BYTES = bytes(sorted(set(range(128)) - set(b"0123456789abcdefghijklmnopqrstuvwxyz")))
SILENT = re.compile("[\\W_\u0640\u02bc]+")
"""All but letters and digits; the lengthening of Arabic letters and the apostrophe that is a letter say nothing."""
WINDOWS = (32, 16, 8)
"""Lengths in bytes: a run of words is looked for by as many of its first bytes as it has."""
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

    def seen_in(self, text: str) -> Seen:
        """What of the wanted texts another text holds."""
        own = letters(text)
        form = self._form(text, own)
        if not self._beginnings.occur_in(own):
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
        self._short = sorted(each for each in wanted if len(each) < WINDOWS[-1])
        """Such as a run of signs with few letters among them."""
        self._long: list[_Window] = []
        for window, longer in zip(WINDOWS, (None, *WINDOWS), strict=False):
            found = sorted(each for each in wanted if len(each) >= window and (longer is None or len(each) < longer))
            if found:
                self._long.append(_Window.of(found, window))

    def occur_in(self, text: bytes) -> bool:
        """Whether one of the strings is a part of ``text``."""
        return any(each in text for each in self._short) or any(each.occurs_in(text) for each in self._long)


class _Window(NamedTuple):
    """Byte strings by the hash of their first bytes."""

    size: int
    """How many bytes that are."""
    maybe: NDArray[np.bool_]
    """Whether a hash may be one of theirs, by its first bits."""
    shift: np.uint64
    by_hash: dict[int, list[bytes]]

    @classmethod
    def of(cls, found: Sequence[bytes], size: int) -> "_Window":
        hashes = _hashes(b"".join(each[:size] for each in found), size)[::size]
        by_hash: defaultdict[int, list[bytes]] = defaultdict(list)
        for each, value in zip(found, hashes.tolist(), strict=True):
            by_hash[value].append(each)
        bits = len(by_hash).bit_length() + 5
        shift = np.uint64(64 - bits)
        maybe = np.zeros(1 << bits, dtype=np.bool_)
        maybe[hashes >> shift] = True
        return cls(size, maybe, shift, dict(by_hash))

    def occurs_in(self, text: bytes) -> bool:
        if len(text) < self.size:
            return False
        hashes = _hashes(text, self.size)
        places = np.flatnonzero(self.maybe[hashes >> self.shift])
        return any(
            text.startswith(each, at)
            for at, value in zip(places.tolist(), hashes[places].tolist(), strict=True)
            for each in self.by_hash.get(value, ())
        )


def _hashes(text: bytes, window: int) -> NDArray[np.uint64]:
    """A hash of the ``window`` bytes that begin at each place; equal bytes have equal hashes."""
    size = 8
    values: NDArray[np.uint64] = (
        np.ndarray((len(text) - size + 1,), dtype="<u8", buffer=text, strides=(1,)).astype(np.uint64) * MIX[0]
    )
    while size < window:
        values = (values[:-size] ^ (values[:-size] >> np.uint64(29))) * MIX[1] + values[size:] * MIX[2]
        size *= 2
    return values
