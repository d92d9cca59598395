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
OTHERS, UNSURE, SHORT = "others", "not sure", "too short to tell"
MOST_SHOWN = 15
"""Languages that are told by name."""

Tell = Callable[[str], tuple[str, float]]
"""A text -> the code of its likeliest language, and how sure that is (fraction 0..1)."""


@dataclass(frozen=True)
class Languages:
    """How many texts of a sample are in which language."""

    num_sampled: int
    counts: tuple[tuple[str, int], ...]
    """Code of a language, ``others``, ``not sure`` or ``too short to tell`` -> texts; the commonest first."""

    def percent(self, count: int) -> float:
        """Of the sample (0..100)."""
        return 100.0 * count / self.num_sampled if self.num_sampled else 0.0


def languages_of(texts: Sequence[str], tell: Tell) -> Languages:
    """Look at every text; whoever has many gives a sample."""
    counts = Counter(_language_of(text, tell) for text in texts)
    last = [(name, counts.pop(name)) for name in (UNSURE, SHORT) if name in counts]
    ranked = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    others = sum(count for _, count in ranked[MOST_SHOWN:])
    rest = [(OTHERS, others)] if others else []
    return Languages(len(texts), (*ranked[:MOST_SHOWN], *rest, *last))


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
