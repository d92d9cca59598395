"""Training rows that appear in a golden, dev or benchmark item.

A row is contaminated when what its user says, all turns or one of them, or the whole of a document,

- equals an item's question in its comparable form (``evalsuite.core.text``), or
- shares a run of 13 words with it, as in the GPT-3 paper (Brown et al. 2020, arXiv:2005.14165, appendix C), or
- shares runs of 8 words with it in which more than half of the question's words lie, as in Tulu 3 (Lambert et al. 2024,
  arXiv:2411.15124, section 3.2), which counts, as here, the words that one training text covers; PaLM's rule of 70% of
  an item's 8-grams (Chowdhery et al. 2022, arXiv:2204.02311) counts all training texts together, and the stage
  ``contamination`` applies it.

A character of a script without spaces is half a word. A system turn is contaminated when it equals an item's question,
and a system turn or an answer where the question has 13 words or more and stands in it whole: rows and items may share
other words of their instructions, answers those of what they are about, and "yes" is a common answer.

An item's question is all that its user says and, in an item of several turns, the last of them, if that has 4 words or
more: "Yes, please" asks nothing by itself. The turns before it are context.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from evalsuite.contamination.text_index import Seen, TextIndex, Wanted
from evalsuite.core.text import runs, whole_form, words_of
from tasks.data.held_out_items import questions_below

NGRAM_WORDS = 13
SHARE_WORDS = 8
SHARE = 0.5
"""Share of a question's words that lie in shared runs, above which it is given away (fraction 0..1)."""


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


class _Question(NamedTuple):
    """A question as runs of words."""

    item: str
    num_words: int
    eights: tuple[str, ...]
    """Each run of 8 words, by the place of its first word."""

    def covered(self, shared: set[str]) -> float:
        """Share of its words that lie in one of these runs."""
        places = {
            place
            for start, run in enumerate(self.eights)
            if run in shared
            for place in range(start, start + run.count(" ") + 1)
        }
        return len(places) / self.num_words


class HeldOut:
    """Every question of the held-out items, ready to be looked up."""

    def __init__(
        self,
        root: Path,
        folders: Sequence[str] = (".",),
        share: float | None = SHARE,
        more: Iterable[tuple[str, str]] = (),
    ) -> None:
        """Read every file of items below ``folders``.

        Args:
            root: The project.
            folders: Relative to it; one that is absent holds nothing.
            share: Share of a question's words in shared runs of 8 above which a row is found; None looks for no such
                runs.
            more: Further items and their questions.

        Raises:
            UsageError: A file of items cannot be read.
        """
        self._share = share
        self._exact: dict[str, str] = {}
        self._ngrams: dict[str, str] = {}
        self._long: dict[str, list[tuple[str, str]]] = {}
        """The first run of a question -> (its words, its item) of all questions that begin with it."""
        self._questions: list[_Question] = []
        self._eights: dict[str, list[int]] = {}
        """A run of 8 words -> the questions that hold it."""
        lengths = (NGRAM_WORDS,) if share is None else (NGRAM_WORDS, SHARE_WORDS)
        wanted = []
        for name, text in chain(questions_below(root, folders), more):
            self._add(name, text)
            wanted.append(Wanted(text, lengths))
        self._index = TextIndex(wanted)
        self._long_index = TextIndex(Wanted(run, (NGRAM_WORDS,)) for run in self._long)
        """Of the first runs alone: answers are long, and few of them hold one."""
        # Most rows have the same few system turns.
        self._held_by = lru_cache(maxsize=64)(self._in_system_turn)

    def _add(self, name: str, text: str) -> None:
        self._exact.setdefault(whole_form(text), name)
        words = words_of(text)
        found = runs(words, NGRAM_WORDS)
        for ngram in found:
            self._ngrams.setdefault(ngram, name)
        if found:
            self._long.setdefault(found[0], []).append((_spaced(words), name))
        eights = () if self._share is None else tuple(runs(words, SHARE_WORDS))
        if eights:
            for run in set(eights):
                self._eights.setdefault(run, []).append(len(self._questions))
            self._questions.append(_Question(name, len(words), eights))

    def may_find(self, texts: Sequence[str]) -> list[bool]:
        """For each text of a user or a system whether it may repeat an item: quickly told for many at once."""
        return self._index.may_hold(texts)

    def may_quote(self, answers: Sequence[str]) -> list[bool]:
        """The same of answers."""
        return self._long_index.may_hold(answers)

    def find(self, text: str) -> Match | None:
        """The item that a text of a user or a document repeats, or None."""
        seen = self._index.seen_in(text)
        if seen.form is not None:
            return Match(self._exact[seen.form], "same text")
        for ngram in seen.runs.get(NGRAM_WORDS, ()):
            return Match(self._ngrams[ngram], f"a run of {NGRAM_WORDS} words")
        return self._by_share(seen)

    def find_row(self, messages: Sequence[Mapping[str, Any]]) -> Match | None:
        """The item that a conversation repeats in its user's turns, in its system turn or in an answer; or None."""
        turns = said_by("user", messages)
        found = self.find("\n".join(turns))
        # A run of words in one turn is one of the whole.
        for turn in turns if found is None and len(turns) > 1 else ():
            form = self._index.form_of(turn)
            if form is not None:
                return Match(self._exact[form], "same turn")
        for text in said_by("system", messages) if found is None else ():
            found = found or self._held_by(text)
        for text in said_by("assistant", messages) if found is None else ():
            found = found or self._whole_in(text, "an answer", self._long_index)
        return found

    def _by_share(self, seen: Seen) -> Match | None:
        shared = set(seen.runs.get(SHARE_WORDS, ()))
        for number in sorted({number for run in shared for number in self._eights[run]}):
            question = self._questions[number]
            share = question.covered(shared)
            if self._share is not None and share > self._share:
                return Match(question.item, f"{share:.0%} of the words in runs of {SHARE_WORDS}")
        return None

    def _in_system_turn(self, text: str) -> Match | None:
        form = self._index.form_of(text)
        if form is not None:
            return Match(self._exact[form], "same text in the system turn")
        return self._whole_in(text, "the system turn", self._index)

    def _whole_in(self, text: str, where: str, index: TextIndex) -> Match | None:
        seen = index.seen_in(text)
        whole = _spaced(words_of(text)) if seen.runs else ""
        for ngram in seen.runs.get(NGRAM_WORDS, ()):
            for question, name in self._long.get(ngram, ()):
                if question in whole:
                    return Match(name, f"whole in {where}")
        return None


def _spaced(words: list[str]) -> str:
    return f" {' '.join(words)} "
