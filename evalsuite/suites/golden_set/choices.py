"""The option that a text chooses, by its letter or its text."""

import re
import string
import unicodedata
from collections.abc import Sequence

from evalsuite.core.text import EMPHASIS, same_answer

WRAPPED = re.compile(r"\\(?:boxed|fbox|text|textbf|mathbf|mathrm|mathsf|emph)\s*\{([^{}]*)\}")
BOXED = re.compile(r"\\(?:boxed|fbox)\s*\{((?:[^{}]|\{[^{}]*\})*)\}")
ALONE = re.compile(r"[\s(\[{\"'\u201c]*([A-Za-z])[\s)\]}\"'\u201d.,:;!]*")
LEADING = re.compile(r"[(\[]?([A-Za-z])[)\]]?[).:](?:\s|$)|[(\[]([A-Za-z])[)\]](?:\s|$)")
LETTER = re.compile(r"(?<![\w'\u2019-])([A-Z])(?![\w'\u2019]|-\w)")
STATED = re.compile(
    r"\banswer(?:\s+(?:is|would be|should be))?\b[\s:=\-\u2013\u2014(\[\"'$]*|\b(?:option|choice)\b[\s:(\[\"'$]*",
    re.IGNORECASE,
)
CORRECT = re.compile(r"(?<![\w'\u2019-])([A-Z])[)\]]?\s+is\s+(?:the\s+)?(?:correct|right|best|answer)\b")
LAST_LABEL = re.compile(r"[:\uff1a=]\s*[(\[]?([A-Z])[)\]]?[\s.\u3002!]*\Z")
SEVERAL = re.compile(r"[)\]]?\s*(?:,|/|&|\band\b|\bor\b)\s*(?:and\s+|or\s+)?[(\[]?([A-Z])(?![\w'\u2019])")
WORDS = {"A", "I"}
"""Letters that are words too: an article, a pronoun. They are letters where no other word follows."""


def chosen_letter(text: str, options: Sequence[str]) -> str | None:
    r"""The letter that a text chooses; None where it chooses none, or several.

    Read in this order, Markdown and LaTeX around a letter aside: the last ``\boxed{}``; the text is one letter, or an
    option's text; it begins with a letter and one of ``.):``; the last place where it says "answer is X", "answer: X",
    "option X" or "X is correct"; it ends with a colon and a letter.
    """
    letters = string.ascii_uppercase[: len(options)]
    text = unicodedata.normalize("NFKC", text)
    boxed = BOXED.findall(text)
    if boxed:
        return _direct(_bare(boxed[-1]), options, letters)
    bare = _bare(text)
    direct = _direct(bare, options, letters)
    if direct is not None:
        return direct
    leading = LEADING.match(bare)
    if leading:
        letter = (leading[1] or leading[2]).upper()
        if letter in letters:
            return letter
    stated = _stated(bare, letters)
    if stated is not None:
        return stated or None
    last = LAST_LABEL.search(bare)
    return last[1] if last and last[1] in letters else None


def _bare(text: str) -> str:
    """A text without Markdown and LaTeX around its words."""
    before = None
    while before != text:
        before = text
        text = EMPHASIS.sub(r"\2", WRAPPED.sub(r"\1", text))
    return text.replace("$", " ").replace("\\(", "(").replace("\\)", ")").strip().lstrip("#> ").strip()


def _direct(bare: str, options: Sequence[str], letters: str) -> str | None:
    alone = ALONE.fullmatch(bare)
    if alone and alone[1].upper() in letters:
        return alone[1].upper()
    named = [letter for letter, option in zip(letters, options, strict=True) if same_answer(option, bare)]
    return named[0] if len(named) == 1 else None


def _stated(bare: str, letters: str) -> str | None:
    """The letter of the last statement; "" where that one names several, None where there is no statement."""
    places = [(match.end(), match) for match in STATED.finditer(bare)]
    correct = [(match.start(), match[1]) for match in CORRECT.finditer(bare) if match[1] in letters]
    found: list[tuple[int, str]] = list(correct)
    for end, _ in places:
        rest = bare[end:].split("\n\n")[0]
        letter = _first_letter(rest, letters)
        if letter is not None:
            found.append((end, letter))
    return max(found)[1] if found else None


def _first_letter(rest: str, letters: str) -> str | None:
    """The letter that a statement goes on with, or its only one; "" for several."""
    found = [match for match in LETTER.finditer(rest) if match[1] in letters and not _is_word(rest, match)]
    if not found:
        return None
    first = found[0]
    if SEVERAL.match(rest, first.end()):
        return ""
    if not rest[: first.start()].strip(" \t\r\n([\"'"):
        return first[1]
    distinct = {match[1] for match in found}
    return first[1] if len(distinct) == 1 else None


def _is_word(rest: str, match: "re.Match[str]") -> bool:
    after = rest[match.end() :]
    return (
        match[1] in WORDS
        and bool(re.match(r"\s+[^\W\d_]", after))
        and not re.match(r"\s+(?:and|or)\s+[(\[]?[A-Z]\b", after)
    )
