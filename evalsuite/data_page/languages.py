"""Which languages a sample of texts is written in."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

SAMPLE = 5000
"""Texts that are looked at."""
LEAST_LETTERS = 20
"""In fewer letters a language is a guess."""
SURE = 0.6
"""Least score of the likeliest language (fraction 0..1)."""
UNSURE, SHORT = "not sure", "too short to tell"

Tell = Callable[[str], tuple[str, float]]
"""A text -> the code of its likeliest language, and how sure that is (fraction 0..1)."""


@dataclass(frozen=True)
class Languages:
    """How many texts of a sample are in which language."""

    num_sampled: int
    counts: tuple[tuple[str, int], ...]
    """Code of a language, ``not sure`` or ``too short to tell`` -> texts; the commonest first, these two last."""

    def percent(self, count: int) -> float:
        """Of the sample (0..100)."""
        return 100.0 * count / self.num_sampled if self.num_sampled else 0.0


def languages_of(texts: Sequence[str], tell: Tell) -> Languages:
    """Look at every text; whoever has many gives a sample."""
    counts = Counter(_language_of(text, tell) for text in texts)
    last = (UNSURE, SHORT)
    ranked = sorted(counts.items(), key=lambda each: (each[0] in last, -each[1], each[0]))
    return Languages(len(texts), tuple(ranked))


def _language_of(text: str, tell: Tell) -> str:
    letters = 0
    for char in text:
        letters += char.isalpha()
        if letters == LEAST_LETTERS:
            break
    else:
        return SHORT
    language, score = tell(text)
    return language if score >= SURE else UNSURE
