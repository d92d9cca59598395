"""When two texts say the same: one form for scoring, one for duplicates, one for shared runs of words.

Letters, marks (vowel signs, accents), digits, symbols and signs tell texts apart; sentence punctuation, quotes, case
and white space do not when an answer is scored. Forms follow Unicode 15's normalisation (UAX #15) and case folding.
"""

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache

EMPHASIS = re.compile(
    r"(?<![\w*`])(?!__[a-z][a-z0-9_]*__(?!\w))(\*{1,3}|_{1,3}|`{1,3})(?=[^\s*_`,;:.!?)\]}])"
    r"([^\n]{0,2000}?[^\s*_`(\[{,])\1(?![\w*`])"
)
"""Markdown around a text: ``**B**``, ``_B_``, a pair of backticks; not the underscores of ``__init__``."""
ASIDE = re.compile(r"(?<!\w)\(([^()]*)\)(?!\w)")
JOINS = frozenset({"and", "or", "not", "nor", "xor", "iff", "if", "then", "implies", "unless", "without", "except"})
"""Words for which it matters what brackets hold together."""
IGNORABLE = re.compile("[\u00ad\u0640\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufe00-\ufe0f\ufeff]")
"""What is not seen and changes no word: soft hyphens, the lengthening of Arabic letters, zero-width spaces, directions,
the choice between a character's text and emoji form. The joiners U+200C and U+200D stay: they make other words in
Persian and Indic scripts, and other emoji."""
NON_JOINER = "\u200c"
"""Often left out when Persian is typed; lookups do without it."""
ALIKE = str.maketrans(
    {"\u2010": "-", "\u2011": "-", "\u2019": "'", "\u02bc": "'", "\u2018": "'", "\u066a": "%", "\u2044": "/"}
)
"""Hyphens, apostrophes, percent signs, slashes."""
MINUS = "\u2212"
SIGN_APART = re.compile(r"(^\s*|[=(]\s*)[\u2013\u2212]\s+(?=[\d$\u00a2-\u00a5\u20a0-\u20c0\u221e])")
"""A minus or an en dash that stands apart from the number whose sign it is."""
RAISED_LETTERS = frozenset("\u00aa\u00ba")
"""The ordinal signs of Spanish and Portuguese, which are also typed as letters."""
INNER = frozenset(".,:;!?")
"""Sentence punctuation that counts inside a number, a name, a list or an operator: 1.5, a.b, 12:30, !=."""
SILENT = re.compile(
    "[\u00a1\u00bf\u055a-\u055f\u0589\u05be-\u05c6\u05f3\u05f4\u060c\u061b-\u061f\u06d4\u0700-\u070d\u0964\u0965"
    "\u0e2f\u0e5a\u0e5b\u0f08-\u0f14\u104a\u104b\u1360-\u1368\u166e\u17d4-\u17d6\u17da\u1800-\u180a\u1b5a-\u1b60"
    "\u203c-\u203d\u2047-\u2049\u3001-\u3003\u300a-\u300f\u301d-\u301f\ua9c1-\ua9cd\u201a\u201e\u201b\u201f]"
)
"""Sentence punctuation and quotes of other scripts; every other punctuation mark is part of what is said."""
UNSPACED = re.compile(
    "[\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u1980-\u19ff\u1a20-\u1aaf\u1b00-\u1b7f\u3005-\u3007\u3021-"
    "\u3029\u3031-\u3035\u3040-\u30ff\u3100-\u312f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf"
    "\ua980-\ua9ff\uaa60-\uaa7f\uf900-\ufaff\U00020000-\U0003ffff]"
)
"""Scripts that write no spaces between words: Thai, Lao, Tibetan, Myanmar, Khmer, Tai, Balinese, Javanese, kana,
Bopomofo, Yi, Han."""
WORD = re.compile(r"\w+")
PLAIN = re.compile(r"\s*+(?:[A-Za-z0-9]++(?:'[A-Za-z]++)*+[.,?;:]?+(?:\s++|\Z))*+", re.ASCII)
"""Words and numbers with sentence punctuation behind them and nothing else, whose form is quickly made."""
PUNCTUATION = str.maketrans(".,?;:", "     ")
INDENT = re.compile("[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029](?=[^\\S\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029])")
"""The end of a line before a line that begins with white space (``str.splitlines``)."""
SAID_AS_IT_IS = re.compile(r"([\w\s]+)|.", re.DOTALL)
"""Letters, digits and white space, which are never punctuation, as one part; every other character by itself."""
LAST_WORD = re.compile(r"(?<!\w)([^\W\d_]+)[.,;:!?'\")\]\u2018-\u201f]*\s*\Z")
FIRST_WORD = re.compile(r"\s*['\"(\[\u2018-\u201f]*([^\W\d_]+)(?![\d_])")
MAX_SIGNS = 8
"""Dashes, quotes or exclamation marks in a row that are looked at together."""
NAME_DOT = "\u30fb"
BULLETS = frozenset("\u2022\u00b7\u2023\u2043")
WORD_OF_CHARACTERS = 0.5
"""Words that one character of such a script counts for."""


def comparable(text: str) -> str:
    """The form in which answers are scored: NFKC and case folding, with marks, symbols and signs.

    Dropped are sentence punctuation, quotes, Markdown emphasis, brackets around plain words, characters that are not
    seen, and white space beyond one blank. Idempotent. "" where nothing is left: such a form equals nothing.
    """
    while not PLAIN.fullmatch(text):
        form = _comparable_step(text)
        if form == text:
            return form
        text = form
    return " ".join(text.lower().translate(PUNCTUATION).split())


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
        opened = before in ("(", "[", "{") and not text[start - 2 : start - 1].isalnum()
        closed = after in (")", "]", "}")
        if (opened or not _joined(before, wanted[0])) and (closed or not _joined(wanted[-1], after)):
            return True
        start = text.find(wanted, start + 1)
    return False


def as_written(text: str) -> str:
    """The form in which rows and items are duplicates: NFC, with white space beyond one blank taken out.

    What an indented line begins with stays, behind a line break: in code it says where a block ends.
    """
    parts: list[str] = []
    text = unicodedata.normalize("NFC", text)
    if text.isprintable() or not INDENT.search(text):  # no line break is printable
        return " ".join(text.split())
    for line in text.splitlines():
        words = line.split()
        if words:
            indent = line[: len(line) - len(line.lstrip())]
            between = f"\n{indent}" if indent else " "
            parts += [between if parts else "", " ".join(words)]
    return "".join(parts)


def whole_form(text: str) -> str:
    """What is compared as a whole: the text as it is where its comparable form is empty."""
    return comparable(text).replace(NON_JOINER, "") or as_written(text)


def words_of(text: str) -> list[str]:
    """Words of the comparable form; a character with its marks where a script has no spaces.

    Brackets around words are left out, for an order of words says nothing of groups; those inside, ``f(x)``, stay.
    """
    bare = (_without_brackets(word) for word in comparable(text).split())
    return [unit for word in bare for unit in _units(word)]


def _without_brackets(word: str) -> str:
    while word[:1] == "(" and (word[-1:] == ")" or word.count("(") > word.count(")")):
        word = word[1:-1] if word[-1:] == ")" and word.count("(") == word.count(")") else word[1:]
    while word[-1:] == ")" and word.count(")") > word.count("("):
        word = word[:-1]
    return word


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
        found.append(" ".join(words[start:end]).replace(NON_JOINER, ""))
        total -= weights[start]
    return found


def _comparable_step(text: str) -> str:
    ascii_only = text.isascii()  # has one Unicode form, and nothing that is not seen
    form = text if ascii_only else IGNORABLE.sub("", unicodedata.normalize("NFKC", _scripts_apart(text)))
    if any(mark in form for mark in "*_`"):
        form = _without(EMPHASIS, r"\2", form)
    if ascii_only:
        form = form.lower()
    else:
        form = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", form).casefold())
        form = IGNORABLE.sub("", form).translate(ALIKE)
        form = SIGN_APART.sub(r"\1-", form)
    if "(" in form:
        form = _without(ASIDE, _aside, form)
    return unicodedata.normalize("NFKC", " ".join(_said(form).split()))


def _without(pattern: "re.Pattern[str]", inside: "str | Callable[[re.Match[str]], str]", text: str) -> str:
    """A text without what stands around its parts, however they are nested."""
    while (bare := pattern.sub(inside, text)) != text:
        text = bare
    return text


def _scripts_apart(text: str) -> str:
    """Superscripts as ``^2`` and subscripts as ``_2``, which NFKC would make plain digits; ``3\u00bd`` in two parts."""
    if text.isascii():
        return text
    out: list[str] = []
    at = 0
    while at < len(text):
        mark, end = _script(text[at]), at + 1
        if mark:
            while end < len(text) and _script(text[end]) == mark:
                end += 1
            part = text[at:end]
            closed = text[end : end + 1].isalnum()
            out.append(f"{mark}{{{part}}}" if closed else mark + part)
        elif unicodedata.decomposition(text[at]).startswith("<fraction>") and text[at - 1 : at].isdecimal():
            out.append(" " + text[at])
        else:
            out.append(text[at])
        at = end
    return "".join(out)


@lru_cache(maxsize=4096)
def _script(char: str) -> str:
    """``^`` for a superscript, ``_`` for a subscript, else nothing."""
    if char.isascii() or char in RAISED_LETTERS:
        return ""
    decomposition = unicodedata.decomposition(char)
    return "^" if decomposition.startswith("<super>") else "_" if decomposition.startswith("<sub>") else ""


def _aside(match: "re.Match[str]") -> str:
    """Brackets around an aside of words taken away; others group terms, call, or are a list or an interval."""
    inside, text = match[1], match.string
    words = WORD.findall(inside)
    if any(not (char.isalpha() or char.isspace() or char in ".!?'" or _is_mark(char)) for char in inside):
        return match[0]
    before, after = text[: match.start()].rstrip(), text[match.end() :].lstrip(" \t")
    if before and not (before[-1].isalpha() or _is_mark(before[-1]) or before[-1] in INNER):
        return match[0]
    if len(words) > 1:
        last = WORD.findall(before[-20:])[-1:]
        ends = not after or after[0] in ".,;:!?\n"
        if not ends or JOINS.intersection(words + last) or all(len(word) == 1 for word in words):
            return match[0]
    return f" {inside} "


def _said(form: str) -> str:
    """The form with a blank for punctuation that says nothing."""
    out: list[str] = []
    brackets = 0
    quotes = {"'": False, '"': False}
    for part in SAID_AS_IT_IS.finditer(form):
        at, char = part.start(), part[0]
        if part[1]:
            out.append(char)
            continue
        before, after = form[at - 1 : at] if at else "", form[at + 1 : at + 2]
        if char in "{[" or (char == "(" and before.isalnum()):
            brackets += 1
        elif char in "}])":
            brackets = max(0, brackets - 1)
        if char in quotes:
            out.append(_quote(form, at, quotes))
        elif char in ",:;" and brackets:
            out.append(f"{char} ")
        elif char == MINUS:
            out.append(" - " if before.isalpha() and after.isalpha() else "-")
        elif char in INNER:
            out.append(char if _is_inner(form, at, before, after) else " ")
        elif _is_dash(char):
            out.append(_dash(form, at))
        elif char in BULLETS or char == NAME_DOT:
            out.append(" " if _separates(form, at, before, after) else char)
        else:
            out.append(" " if _is_silent(char) else char)
    return "".join(out)


def _separates(form: str, at: int, before: str, after: str) -> bool:
    """Whether a dot stands before a list's item, or between the parts of a Japanese name."""
    if form[at] == NAME_DOT:
        return before.isalpha() and after.isalpha()
    return after.isspace() and not form[:at].rpartition("\n")[2].strip()


def _quote(form: str, at: int, is_open: dict[str, bool]) -> str:
    """An apostrophe, a prime or an inch mark stays; a quotation mark goes."""
    char, before, after = form[at], form[at - 1 : at] if at else "", form[at + 1 : at + 2]
    if not _ends_word(before) and before != char:
        is_open[char] = _ends_word(after) or is_open[char]
        return " "
    if char == "'" and before.isalnum() and after.isalpha():
        return char
    if is_open[char]:
        is_open[char] = False
        return " "
    first = at
    while first and at - first < MAX_SIGNS and form[first - 1] == char:
        first -= 1
    word = form[max(0, first - 2) : first]
    measured = word[-1:].isdigit() or (char == "'" and word[-1:].isalpha() and not word[:-1].isalnum())
    return char if measured else " "


def _dash(form: str, at: int) -> str:
    """A hyphen between letters and a dash between words are white space; a sign, a range or an operator stays."""
    first, last = at, at + 1
    while first and at - first < MAX_SIGNS and _is_dash(form[first - 1]):
        first -= 1
    while last < len(form) and last - at < MAX_SIGNS and _is_dash(form[last]):
        last += 1
    before, after = form[first - 1 : first] if first else "", form[last : last + 1]
    if form[at] == "-":
        alone = last - first == 1
        return " " if alone and before.isalpha() and after.isalpha() else "-"
    left, right = LAST_WORD.search(form[max(0, first - 40) : first]), FIRST_WORD.match(form[last : last + 40])
    if left is None or right is None or before.isspace() != after.isspace():
        return "-"
    return "-" if len(left[1]) == len(right[1]) == 1 and not UNSPACED.match(left[1]) else " "


def _is_inner(form: str, at: int, before: str, after: str) -> bool:
    char = form[at]
    if char == "!":
        return _is_operator(form, at, before, after)
    if char == ":" and (after == "=" or ":" in (before, after)):
        return after == "=" or _is_scope(form, at)
    told = _tells(before) and _tells(after)
    if char == ".":
        return told or (_tells(after) and (not before or before.isspace()))
    return told and not (before.isalpha() and after.isalpha())


def _is_operator(form: str, at: int, before: str, after: str) -> bool:
    """Whether an exclamation mark is a negation or a factorial rather than the end of a sentence."""
    if after == "=" or (after and (after.isalnum() or after in "(_") and not before.isalnum()):
        return True
    start = at
    while start and at - start < MAX_SIGNS and form[start - 1] == "!":
        start -= 1
    word, rest = form[max(0, start - 2) : start], form[at:].lstrip("! ")
    base = word[-1:]
    counted = base.isdigit() or base in (")", "]") or (base.isalpha() and not word[:-1].isalnum())
    if not base or not counted or UNSPACED.match(base):
        return False
    if rest:
        return not rest[0].isalnum() and not _is_silent(rest[0]) and rest[0] not in ".,;:?'\""
    return " " not in form[:at].strip()


def _is_scope(form: str, at: int) -> bool:
    """``std::a``: two colons between names."""
    first = at - 1 if form[at - 1 : at] == ":" and at else at
    pair = form[first : first + 2] == "::"
    return pair and form[first + 2 : first + 3].isalnum() and (not first or form[first - 1] != ":")


def _tells(char: str) -> bool:
    """Whether a character is more than white space, a bracket or sentence punctuation."""
    if not char or char.isspace() or char in INNER or char in "'\"" or _is_silent(char):
        return False
    return unicodedata.category(char) not in ("Ps", "Pe", "Pd")


def _ends_word(char: str) -> bool:
    """Whether a closing quotation mark may follow."""
    return bool(char) and not char.isspace() and char not in "([{'\"" and unicodedata.category(char) != "Pi"


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
    if word.isascii():
        return [word] if word else []
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
def _is_silent(char: str) -> bool:
    """Sentence punctuation or a quote, of any script."""
    category = unicodedata.category(char)
    return category in ("Pi", "Pf") or (category.startswith("P") and bool(SILENT.match(char)))


def _is_mark(char: str) -> bool:
    return unicodedata.category(char).startswith("M")


@lru_cache(maxsize=256)
def _is_dash(char: str) -> bool:
    return unicodedata.category(char) == "Pd"
