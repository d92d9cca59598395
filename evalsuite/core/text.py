"""When two texts say the same: one form for scoring, one for duplicates, one for shared runs of words.

Letters, marks (vowel signs, accents), digits, symbols and signs tell texts apart; sentence punctuation, quotes, case
and white space do not when an answer is scored. Forms follow Unicode 15's normalisation (UAX #15) and case folding.
"""

import re
import unicodedata
from functools import lru_cache

EMPHASIS = re.compile(r"(?<![\w*`])(\*{1,3}|_{1,3}|`{1,3})(?=[^\s*_`])([^\n]*?[^\s*_`])\1(?![\w*`])")
"""Markdown around a text: ``**B**``, ``_B_``, a pair of backticks."""
ASIDE = re.compile(r"(?<!\w)\(([^()\d=<>+*/^%#&@|~\\-]*)\)(?!\w)")
"""Round brackets around plain words; other brackets may be a call, an interval or a list."""
IGNORABLE = re.compile("[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufe00-\ufe0f\ufeff]")
"""What is not seen and changes no word: soft hyphens, zero-width spaces, directions, the choice between a character's
text and emoji form. The joiners U+200C and U+200D stay: they make other words in Persian and Indic scripts, and other
emoji."""
ALIKE = str.maketrans({"\u2212": "-", "\u2010": "-", "\u2011": "-", "\u2019": "'", "\u02bc": "'", "\u2018": "'"})
"""Minus and hyphens, apostrophes."""
TELLING = frozenset("#%&@*/\\_\u2030\u2031\u2032\u2033\u00a7\u00b6")
"""Punctuation, by its category, that is part of what is said: C#, 5%, and/or, a path."""
INNER = frozenset(".,:;!?")
"""Sentence punctuation that counts inside a number, a name or an operator: 1.5, a.b, 12:30, !=."""
UNSPACED = re.compile(
    "[\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u19e0-\u19ff\u1a20-\u1aaf\u3005-\u3007\u3021-\u3029\u3031-"
    "\u3035\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua9e0-\ua9ff\uaa60-\uaa7f\uf900-\ufaff"
    "\U00020000-\U0003ffff]"
)
"""Scripts that write no spaces between words: Thai, Lao, Tibetan, Myanmar, Khmer, Tai, kana, Han."""
WORD_OF_CHARACTERS = 0.5
"""Words that one character of such a script counts for."""


def comparable(text: str) -> str:
    """The form in which answers are scored: NFKC and case folding, with marks, symbols and signs.

    Dropped are sentence punctuation, quotes, Markdown emphasis, brackets around plain words, characters that are not
    seen, and white space beyond one blank. Idempotent. "" where nothing is left: such a form equals nothing.
    """
    form = _comparable_step(text)
    while (again := _comparable_step(form)) != form:
        form = again
    return form


def same_answer(one: str, other: str) -> bool:
    """Whether two texts have the same comparable form, or, where nothing is left of them, are the same text."""
    form = comparable(one)
    if form:
        return form == comparable(other)
    return bool(one.strip()) and one.strip() == other.strip()


def occurs(part: str, whole: str) -> bool:
    """Whether the comparable form of ``part`` stands in that of ``whole`` as whole words.

    Where a script has no spaces any place will do, but never in the middle of a character and its marks.
    """
    wanted, text = comparable(part), comparable(whole)
    if not wanted:
        return bool(part.strip()) and part.strip() in whole
    start = text.find(wanted)
    while start >= 0:
        end = start + len(wanted)
        before, after = text[start - 1 : start], text[end : end + 1]
        if not _joined(before, wanted[0]) and not _joined(wanted[-1], after):
            return True
        start = text.find(wanted, start + 1)
    return False


def as_written(text: str) -> str:
    """The form in which rows and items are duplicates: NFC, with white space beyond one blank taken out.

    What an indented line begins with stays, behind a line break: in code it says where a block ends.
    """
    parts: list[str] = []
    for line in unicodedata.normalize("NFC", text).splitlines():
        words = line.split()
        if words:
            indent = line[: len(line) - len(line.lstrip())]
            between = f"\n{indent}" if indent else " "
            parts += [between if parts else "", " ".join(words)]
    return "".join(parts)


def whole_form(text: str) -> str:
    """What is compared as a whole: the text as it is where its comparable form is empty."""
    return comparable(text) or as_written(text)


def words_of(text: str) -> list[str]:
    """Words of the comparable form; a character with its marks where a script has no spaces."""
    return [unit for word in comparable(text).split() for unit in _units(word)]


def word_count(words: list[str]) -> float:
    """Length in words; a character of a script without spaces is half a word."""
    return sum(map(_weight, words))


def runs(words: list[str], num_words: int) -> list[str]:
    """Every shortest run of at least ``num_words`` words in a row (``word_count``), as texts."""
    weights = [_weight(word) for word in words]
    found, end, total = [], 0, 0.0
    for start in range(len(words)):
        while end < len(words) and total < num_words:
            total += weights[end]
            end += 1
        if total < num_words:
            break
        found.append(" ".join(words[start:end]))
        total -= weights[start]
    return found


def _comparable_step(text: str) -> str:
    form = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    form = IGNORABLE.sub("", form).translate(ALIKE)
    form = EMPHASIS.sub(r"\2", form)
    form = ASIDE.sub(r" \1 ", form)
    form = "".join(_kept(form, at) for at in range(len(form)))
    return unicodedata.normalize("NFKC", " ".join(form.split()))


def _kept(form: str, at: int) -> str:
    """A character, or a blank where it is punctuation that says nothing."""
    char = form[at]
    if char.isalnum() or not _is_punctuation(char) or char in TELLING:
        return char
    before, after = form[at - 1 : at] if at else "", form[at + 1 : at + 2]
    if _is_dash(char):
        return _dash(char, before, after)
    if char == "'":
        return char if before.isalnum() and (after.isalpha() or before.isdigit()) else " "
    if char in INNER:
        return char if _is_inner(form, char, before, after) else " "
    return char if unicodedata.category(char) in ("Ps", "Pe") and char in "()[]{}" else " "


def _dash(char: str, before: str, after: str) -> str:
    """A hyphen between letters and a dash between words are white space; a sign, a range or an operator stays."""
    digits = before.isdigit() or after.isdigit()
    if char != "-":
        return "-" if digits else " "
    return " " if before.isalpha() and after.isalpha() else char


def _is_inner(form: str, char: str, before: str, after: str) -> bool:
    if char == "!" and before.isdigit() and not after:
        return " " not in form  # a factorial, not a sentence
    if char in "!:" and after == "=":
        return True
    told = _tells(before) and _tells(after)
    if char == ".":
        return told or (_tells(after) and (not before or before.isspace()))
    return told and not (before.isalpha() and after.isalpha())


def _tells(char: str) -> bool:
    """Whether a character is more than white space or sentence punctuation."""
    return bool(char) and not char.isspace() and (not _is_punctuation(char) or char in TELLING)


def _joined(one: str, other: str) -> bool:
    """Whether two neighbouring characters belong to one word."""
    if not one or not other or one.isspace() or other.isspace():
        return False
    if unicodedata.category(other).startswith("M"):
        return True
    return not _stands_alone(one) and not _stands_alone(other)


def _stands_alone(char: str) -> bool:
    return bool(UNSPACED.match(char)) or unicodedata.category(char) == "So"


def _units(word: str) -> list[str]:
    units: list[str] = []
    for char in word:
        if units and (unicodedata.category(char).startswith("M") or not (UNSPACED.match(char) or _alone(units[-1]))):
            units[-1] += char
        else:
            units.append(char)
    return units


def _alone(unit: str) -> bool:
    return bool(UNSPACED.match(unit[0]))


def _weight(word: str) -> float:
    return WORD_OF_CHARACTERS if _alone(word) else 1.0


@lru_cache(maxsize=4096)
def _is_punctuation(char: str) -> bool:
    return unicodedata.category(char).startswith("P")


@lru_cache(maxsize=256)
def _is_dash(char: str) -> bool:
    return unicodedata.category(char) == "Pd"
