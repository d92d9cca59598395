"""Which languages a sample of texts is written in, by langdetect (n-grams of characters, Nakatani 2010).

It is slow and unsure of short texts, so that a sample is looked at, and what is too short is told apart.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

SAMPLE = 200
"""Texts that are looked at."""
LEAST_LETTERS = 40
"""In fewer letters a language is a guess."""
LONGEST = 300
"""Characters of a text that are looked at."""
SURE = 0.8
"""Least probability of the likeliest language."""
UNSURE, SHORT = "not sure", "too short to tell"


@dataclass(frozen=True)
class Languages:
    """How many texts of a sample are in which language."""

    num_sampled: int
    counts: tuple[tuple[str, int], ...]
    """ISO 639-1 code, ``not sure`` or ``too short to tell`` -> texts; the commonest first, these two last."""

    def percent(self, count: int) -> float:
        """Of the sample (0..100)."""
        return 100.0 * count / self.num_sampled if self.num_sampled else 0.0


def languages_of(texts: Sequence[str]) -> Languages:
    """Look at every text; whoever has many gives a sample."""
    counts = Counter(language_of(text) for text in texts)
    last = (UNSURE, SHORT)
    ranked = sorted(counts.items(), key=lambda each: (each[0] in last, -each[1], each[0]))
    return Languages(len(texts), tuple(ranked))


def language_of(text: str) -> str:
    """The language of one text, always the same for the same text."""
    from langdetect.lang_detect_exception import LangDetectException

    text = text[:LONGEST]
    if sum(char.isalpha() for char in text) < LEAST_LETTERS:
        return SHORT
    detector = _factory().create()
    detector.append(text)
    try:
        best = detector.get_probabilities()[:1]
    except LangDetectException:  # no letters that it knows
        return UNSURE
    return str(best[0].lang) if best and best[0].prob >= SURE else UNSURE


@cache
def _factory() -> Any:
    """The detector's profiles, with a seed of our own: its module's is shared with whoever else uses it."""
    from langdetect.detector_factory import PROFILES_DIRECTORY, DetectorFactory

    factory = DetectorFactory()
    factory.set_seed(0)
    factory.load_profile(PROFILES_DIRECTORY)
    return factory
