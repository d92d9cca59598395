"""Training rows that appear in a golden or test set.

A row is contaminated when what its user says, all turns or one of them, or the whole of a document, equals an item's
question in its comparable form (``evalsuite.core.text``), or shares a run of 13 words with it, as in the GPT-3 paper
(Brown et al. 2020, arXiv:2005.14165, appendix C); a character of a script without spaces is half a word. A system turn
is so when it equals an item's question or, where that has 13 words or more, contains the whole of it: rows and items
may share other words of their instructions.

An item's question is all that its user says and, in an item of several turns, the last of them, if that has 4 words or
more: "Yes, please" asks nothing by itself. The turns before it are context.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from evalsuite.core.files import numbered_objects
from evalsuite.core.text import runs, whole_form, word_count, words_of

NGRAM_WORDS = 13
QUESTION_WORDS = 4
"""A last turn of fewer words is not a question by itself."""
TEXT_FIELDS = ("messages", "prompt", "question", "instruction", "text")


class Match(NamedTuple):
    """Where a training row was found again."""

    item: str
    """``file#id`` of the item."""
    how: str


def user_text(messages: Iterable[Mapping[str, Any]]) -> str:
    """What the user says, all turns."""
    return "\n".join(said_by("user", messages))


def said_by(role: str, messages: Iterable[Mapping[str, Any]]) -> list[str]:
    """The turns of one speaker."""
    return [str(message.get("content", "")) for message in messages if message.get("role") == role]


class HeldOut:
    """Every text under golden_sets, ready to be looked up."""

    def __init__(self, folder: Path) -> None:
        """Read every JSONL file below ``folder``."""
        self._exact: dict[str, str] = {}
        self._ngrams: dict[str, str] = {}
        self._long: dict[str, list[tuple[str, str]]] = {}
        """The first run of a question -> (its words, its item) of all questions that begin with it."""
        for path in sorted(folder.rglob("*.jsonl")):
            for item, questions in _questions(path):
                name = f"{path.relative_to(folder).as_posix()}#{item}"
                for text in questions:
                    self._exact.setdefault(whole_form(text), name)
                    words = words_of(text)
                    found = runs(words, NGRAM_WORDS)
                    for ngram in found:
                        self._ngrams.setdefault(ngram, name)
                    if found:
                        self._long.setdefault(found[0], []).append((_spaced(words), name))
        self._exact.pop("", None)
        # Most rows have the same few system turns.
        self._held_by = lru_cache(maxsize=64)(self._in_system_turn)

    def find(self, text: str) -> Match | None:
        """The item that a text of a user or a document repeats, or None."""
        form = whole_form(text)
        if form in self._exact:
            return Match(self._exact[form], "same text")
        for ngram in runs(words_of(text), NGRAM_WORDS):
            if ngram in self._ngrams:
                return Match(self._ngrams[ngram], f"a run of {NGRAM_WORDS} words")
        return None

    def find_row(self, messages: Sequence[Mapping[str, Any]]) -> Match | None:
        """The item that a conversation repeats in its user's turns, all or one, or in its system turn; or None."""
        turns = said_by("user", messages)
        found = self.find("\n".join(turns))
        # A run of words in one turn is one of the whole.
        for turn in turns if found is None and len(turns) > 1 else ():
            form = whole_form(turn)
            if form in self._exact:
                return Match(self._exact[form], "same turn")
        for text in said_by("system", messages) if found is None else ():
            found = found or self._held_by(text)
        return found

    def _in_system_turn(self, system: str) -> Match | None:
        form = whole_form(system)
        if form in self._exact:
            return Match(self._exact[form], "same text in the system turn")
        words = words_of(system)
        whole = _spaced(words)
        for ngram in runs(words, NGRAM_WORDS):
            for question, name in self._long.get(ngram, ()):
                if question in whole:
                    return Match(name, "whole in the system turn")
        return None


def _spaced(words: list[str]) -> str:
    return f" {' '.join(words)} "


def _questions(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Each field of each item, as all that asks by itself."""
    for number, row in numbered_objects(path, remedy=f"; bring it back with `git checkout {path}`"):
        item = str(row.get("id", row.get("question_id", row.get("key", number))))
        for field in TEXT_FIELDS:
            value = row.get(field)
            if isinstance(value, list):
                turns = said_by("user", (turn for turn in value if isinstance(turn, dict)))
                last = turns[-1:] if len(turns) > 1 and word_count(words_of(turns[-1])) >= QUESTION_WORDS else []
                yield item, ["\n".join(turns), *last]
            elif isinstance(value, str):
                yield item, [value]
