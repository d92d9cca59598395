"""Training rows that appear in a golden or test set.

A row is contaminated when its user text, or the whole of a document, equals an item's in its comparable form
(``evalsuite.core.text``), or shares a run of 13 words with it, as in the GPT-3 paper (Brown et al. 2020,
arXiv:2005.14165, appendix C); a character of a script without spaces is half a word.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from evalsuite.core.files import numbered_objects
from evalsuite.core.text import runs, whole_form, words_of

NGRAM_WORDS = 13
TEXT_FIELDS = ("messages", "prompt", "question", "instruction", "text")


class Match(NamedTuple):
    """Where a training row was found again."""

    item: str
    """``file#id`` of the item."""
    how: str


def user_text(messages: Iterable[Mapping[str, Any]]) -> str:
    """What the user says, all turns."""
    return "\n".join(str(message.get("content", "")) for message in messages if message.get("role") == "user")


class HeldOut:
    """Every text under golden_sets, ready to be looked up."""

    def __init__(self, folder: Path) -> None:
        """Read every JSONL file below ``folder``."""
        self._exact: dict[str, str] = {}
        self._ngrams: dict[str, str] = {}
        for path in sorted(folder.rglob("*.jsonl")):
            for item, text in _texts(path):
                name = f"{path.relative_to(folder).as_posix()}#{item}"
                self._exact.setdefault(whole_form(text), name)
                for ngram in runs(words_of(text), NGRAM_WORDS):
                    self._ngrams.setdefault(ngram, name)
        self._exact.pop("", None)

    def find(self, text: str) -> Match | None:
        """The item that a training row's user text repeats, or None."""
        form = whole_form(text)
        if form in self._exact:
            return Match(self._exact[form], "same text")
        for ngram in runs(words_of(text), NGRAM_WORDS):
            if ngram in self._ngrams:
                return Match(self._ngrams[ngram], f"a run of {NGRAM_WORDS} words")
        return None


def _texts(path: Path) -> Iterator[tuple[str, str]]:
    for number, row in numbered_objects(path, remedy=f"; bring it back with `git checkout {path}`"):
        item = str(row.get("id", row.get("question_id", row.get("key", number))))
        for field in TEXT_FIELDS:
            value = row.get(field)
            if isinstance(value, list):
                yield item, user_text(value)
            elif isinstance(value, str):
                yield item, value
