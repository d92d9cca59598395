"""Who was found once in a conversation is found everywhere in it."""

import re
from collections.abc import Mapping

from tasks.prepare.personal.reading import PLACEHOLDER, Found

WORD = re.compile(r"[^\W\d_]{3,}")
LIKE_A_NAME = 0.85
"""How sure the first finding must be."""


def named_again(found: Mapping[str, list[Found]]) -> dict[str, list[Found]]:
    """The other places in a row's texts where a part of a person's name stands that was found in one of them.

    A part counts as it is written, with a capital, and only where no text of the row has it as a word in lower case:
    `Will` may be somebody, and the `will` of the same row says that it may be none.

    Args:
        found: Each text of a row and what it holds, in order and with no overlap.
    """
    names = {
        word
        for text, places in found.items()
        for one in places
        if one.entity == "PERSON" and one.score >= LIKE_A_NAME
        for word in WORD.findall(text[one.start : one.end])
        if word[0].isupper()
    }
    if not names:
        return {}
    words = {text: list(WORD.finditer(text)) for text in found}
    ordinary = {word[0] for each in words.values() for word in each if word[0].islower()}
    names = {name for name in names if name.lower() not in ordinary}
    again = {}
    for text, each in words.items():
        taken = [(one.start, one.end) for one in found[text]] + [match.span() for match in PLACEHOLDER.finditer(text)]
        again[text] = [
            Found("PERSON", *word.span(), LIKE_A_NAME)
            for word in each
            if word[0] in names and not any(start < word.end() and word.start() < end for start, end in taken)
        ]
    return {text: places for text, places in again.items() if places}
