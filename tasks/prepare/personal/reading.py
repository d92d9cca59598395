"""How texts are read in search of personal data: signs that hide it are passed over, long texts are read in pieces."""

import re
from bisect import bisect, insort
from collections.abc import Iterator, Sequence
from typing import NamedTuple

PIECE, OVERLAP = 50_000, 13_000
"""Characters. A piece begins so far before the end of the one before it that what crosses the border is whole in one of
them: the longest, a private key, has 12,000."""

UNSEEN = re.compile(
    r"[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufe00-\ufe0f\ufeff]"
)
"""Signs of no width: soft hyphens, joiners, marks of direction, variants, byte order marks."""
AS_ASCII = str.maketrans(
    {chr(sign): chr(sign - 0xFEE0) for sign in range(0xFF01, 0xFF5F)}
    | dict.fromkeys("\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000", " ")
    | dict.fromkeys(map(chr, range(0xD800, 0xE000)), "\ufffd")
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2212\ufe58\ufe63", "-")
)
"""Full-width signs, spaces, hyphens and lone surrogates, each by one sign, so that places in the text stay."""
PLACEHOLDER = re.compile(
    r"\{\{[^{}\n]{1,100}\}\}|\$\{[^{}\n]{1,60}\}|<[A-Z][A-Z0-9_]{1,40}>|\[[A-Z][A-Z0-9_ ]{1,40}\]", re.ASCII
)
"""What stands in data where something is to be filled in: {{Order Number}}, ${name}, <PERSON>, [NAME]."""


class Found(NamedTuple):
    """Personal data in a text."""

    entity: str
    start: int
    end: int
    score: float
    """How sure it is (0..1)."""


class Read(NamedTuple):
    """A text as recognisers read it."""

    text: str
    places: Sequence[int] | None
    """Place of each sign in the text as it is written; None where they are the same."""

    def as_written(self, found: Found) -> Found:
        """The same place in the text as it is written, with the unseen signs inside it."""
        if self.places is None:
            return found
        return found._replace(start=self.places[found.start], end=self.places[found.end - 1] + 1)


def as_read(text: str) -> Read:
    """A text without unseen signs, with full-width signs, spaces and hyphens as ASCII has them."""
    if text.isascii():
        return Read(text, None)
    plain = text.translate(AS_ASCII)
    if not UNSEEN.search(plain):
        return Read(plain, None)
    places = [at for at, sign in enumerate(plain) if not UNSEEN.match(sign)]
    return Read("".join(plain[at] for at in places), places)


def pieces(text: str) -> Iterator[tuple[int, str]]:
    """(place, piece) of a text, cut at white space where there is some."""
    start = 0
    while True:
        end = start + PIECE
        if end >= len(text):
            yield start, text[start:]
            return
        end = _at_space(text, end - OVERLAP // 2, end)
        yield start, text[start:end]
        start = _at_space(text, end - OVERLAP, end - OVERLAP // 2)


def _at_space(text: str, first: int, last: int) -> int:
    """Behind the last white space between two places; the last place where there is none."""
    return next((at for at in range(last, first, -1) if text[at - 1].isspace()), last)


def settled(found: Sequence[Found], text: str, guesses: frozenset[str] = frozenset()) -> list[Found]:
    """What to hide, in order and with no overlap: where two overlap, the rest of the less sure one stays found.

    Args:
        found: What the recognisers found.
        text: The text as it is written.
        guesses: Entities that the others and placeholders of the data are cut out of: what a model guessed.
    """
    kept: list[Found] = []
    placeholders = [match.span() for match in PLACEHOLDER.finditer(text)]
    taken: list[tuple[int, int]] = []
    for each in sorted(found, key=lambda one: _rank(one, guesses)):
        free = _rest(each.start, each.end, placeholders) if each.entity in guesses else [(each.start, each.end)]
        for start, end in [part for place in free for part in _rest(*place, taken)]:
            part = _trimmed(each._replace(start=start, end=end), text)
            if part is not None:
                kept.append(part)
                insort(taken, (part.start, part.end))
    return sorted(kept, key=lambda one: one.start)


def _rank(one: Found, guesses: frozenset[str]) -> tuple[bool, bool, int, float, int, str]:
    """Sure ones come first, then long ones."""
    return one.entity in guesses, one.score < 0.9, one.start - one.end, -one.score, one.start, one.entity


def _rest(start: int, end: int, taken: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """What is left of a place when others, in order and with no overlap, are taken out of it."""
    left = []
    at = max(bisect(taken, (start, start)) - 1, 0)
    while at < len(taken) and taken[at][0] < end:
        first, last = taken[at]
        if last > start:
            left.append((start, first))
            start = last
        at += 1
    return [(first, last) for first, last in [*left, (start, end)] if first < last]


def _trimmed(one: Found, text: str) -> Found | None:
    """Without white space and punctuation around it that is no part of a guess; None where nothing is left."""
    start, end = one.start, one.end
    while start < end and not (text[start].isalnum() or text[start] in "+(-[<"):
        start += 1
    while end > start and text[end - 1] in " \t\r\n,;:.\"'!?":
        end -= 1
    left = any(text[at].isalnum() for at in range(start, end))
    return one._replace(start=start, end=end) if left else None
