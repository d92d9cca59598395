"""The option that a text chooses, by its letter or its text."""

import re
import string
import unicodedata
from collections.abc import Sequence
from itertools import pairwise

from evalsuite.core.text import EMPHASIS, UNSPACED, as_written, same_answer
from evalsuite.suites.golden_set.denials import denied

WRAPPED = re.compile(r"\\(?:boxed|fbox|text|textbf|mathbf|mathrm|mathsf|emph)\s*\{([^{}]*)\}")
BOXED = re.compile(r"\\(?:boxed|fbox)\s*\{((?:[^{}]|\{[^{}]*\})*)\}")
ALONE = re.compile(r"[\s(\[{\"'\u201c\u2018]*([A-Za-z])[\s)\]}\"'\u201d\u2019.,:;!\u3002]*")
LETTER = re.compile(
    rf"(?:(?<![\w-])|(?<={UNSPACED.pattern}))(?<!\w['\u2019])([A-Za-z])"
    rf"(?:(?![\w#]|\+\+|['\u2019]\w|-\w|\.\w)|(?={UNSPACED.pattern}))"
)
OPENING = " \t\r\n([{\"'\u201c\u2018:=$"
CLOSING = r"[)\]}\"'\u201d\u2019]*"
LIST_WORDS = r"and|or|und|oder|et|ou|y|o|e"
JOINED = re.compile(
    rf"{CLOSING}[ \t]*(?:[,;/&+|\u3001\u548c\u6216]|\b(?:{LIST_WORDS})\b|[ \t])[ \t]*(?:\b(?:{LIST_WORDS})\b[ \t]*)?"
    rf"(?:options?[ \t]+)?[(\[{{\"'\u201c\u2018]*"
)
"""What stands between two letters of one list."""
CONNECTOR = re.compile(
    r"\s+(?:because|since|as|for|is|was|would|are|and|or|not|but|due|which|by|given|with|from|has|seems|must|weil|da|und|"
    r"oder|car|parce|porque|et|ou)\b",
    re.IGNORECASE,
)
"""Words that follow a letter; after an article or a pronoun they cannot."""
BE = r"(?:(?:is|was|are)\b|(?:would|should|could|must|might|may|will|can|has to|seems to|appears to)\s+be\b|=|:|\uff1a)"
STATED = re.compile(
    rf"\banswers?(?:\s+(?:to|for|of)\b[^.\n:]{{0,80}}?|,[^.,\n]{{0,40}},|\s+choice|\s+option|\s+letter)?\s*[*_]*{BE}"
    r"|\banswer(?=\s+(?:cannot|can't|can\u2019t|isn't|isn\u2019t|wasn't|won't|couldn't)\b)"
    rf"|\b(?:correct|right|best|final)\s+(?:option|choice|letter|one)\s*[*_]*{BE}"
    r"|\b(?:antwort|l\u00f6sung|r\u00e9ponse|respuesta|risposta|resposta|antwoord|svar|svaret|\u043e\u0442\u0432\u0435\u0442)"
    r"(?:\s+(?:ist|lautet|est|es|\u00e8|\u00e9|is|\u00e4r|er)\b|\s*[:=-])"
    r"|(?:\u7b54\u6848|\u6b63\u89e3|\u7b54\u3048|\u6b63\u7b54|\u9009\u62e9|\ub2f5|\uc815\ub2f5)"
    r"(?:\u662f|\u4e3a|\u70ba|\u306f|\uc740|\ub294|\s*[:\uff1a=])",
    re.IGNORECASE,
)
NAMED = re.compile(r"\b(?:option|choice|answer)\b", re.IGNORECASE)
CORRECT = re.compile(
    rf"{CLOSING}\s+is\s+(?:(?:clearly|definitely|probably|indeed|therefore|thus|also)\s+)?(?:the\s+)?"
    r"(?:only\s+|most\s+)?(?:correct|right|best|true|answer)\b",
    re.IGNORECASE,
)
LEADING = re.compile(
    rf"(?:[(\[{{\"'\u201c]?([A-Za-z])[)\]}}\"'\u201d]*(?:[).:](?=\s|$))|[(\[]([A-Za-z])[)\]](?=\s|$)"
    rf"|([A-Z])(?=\s*\n|,\s|\s+[-\u2013\u2014]\s|{CONNECTOR.pattern}))"
)
LABEL_LINE = re.compile(r"^[ \t>*-]*[(\[]?([A-Z])[)\]]?[.):](?:\s|\Z)", re.MULTILINE)
LAST_LABEL = re.compile(r"(\w{0,20})\s{0,3}[:\uff1a=]\s*[(\[]?([A-Z])[)\]]?[\s.\u3002!]*\Z")
MAX_STATEMENTS = 100
"""The last statements, which are the ones that are read."""
NAMED_REACH = 120
"""Characters after "option" in which its letters stand."""
WORDS = {"A", "I", "a", "i"}
"""Letters that are words too: an article, a pronoun. They are letters where no other word follows."""
SEVERAL = ""
"""Stands for a text that names several letters, or none but denied ones."""


def chosen_letter(text: str, options: Sequence[str]) -> str | None:
    r"""The letter that a text chooses; None where it chooses none, or several.

    Read in this order, Markdown and LaTeX around a letter aside: the last ``\boxed{}``; the text is one letter, or an
    option's text; the last place where it says "answer is X", "answer: X" or "X is correct", X being a letter or an
    option's text; it begins with a letter; it names one "option X"; it ends with a colon and a letter. A letter that is
    denied ("not B", "B is wrong") never counts.
    """
    letters = string.ascii_uppercase[: len(options)]
    text = _plain(text)
    boxed = list(BOXED.finditer(text))
    if boxed:
        return _boxed(text, boxed, options, letters)
    bare = _bare(text)
    found = _read(text, options, letters)
    bare = _without_own_text(bare, options, letters)
    if found is None:
        found = _stated(bare, options, letters)
    if found is None:
        found = _leading(bare, letters)
    if found is None:
        found = _named(bare, letters)
    if found is None:
        last = LAST_LABEL.search(bare)
        found = last[2] if last and last[2] in letters and not denied(last[1], "") else None
    return found or None


def _plain(text: str) -> str:
    """The text in plain letters; superscripts and fractions, which tell options apart, as they are."""
    if text.isascii():
        return text
    kept = ("<super>", "<sub>", "<fraction>")
    return "".join(
        char if unicodedata.decomposition(char).startswith(kept) else unicodedata.normalize("NFKC", char)
        for char in unicodedata.normalize("NFC", text)
    )


def _bare(text: str) -> str:
    """A text without Markdown and LaTeX around its words."""
    before = None
    while before != text:
        before = text
        text = EMPHASIS.sub(r"\2", WRAPPED.sub(r"\1", text))
    return text.replace("$", " ").replace("\\(", "(").replace("\\)", ")").strip().lstrip("#> ").strip()


def _boxed(text: str, boxed: Sequence["re.Match[str]"], options: Sequence[str], letters: str) -> str | None:
    def read(box: "re.Match[str]") -> str | None:
        inside = _bare(box[1])
        return _read(box[1], options, letters) or _leading(_without_own_text(inside, options, letters), letters) or None

    last = boxed[-1]
    chosen = read(last)
    if chosen is None or denied(text[: last.start()], text[last.end() :]):
        return None
    if len(boxed) > 1 and JOINED.fullmatch(text[boxed[-2].end() : last.start()].replace("$", " ")):
        return chosen if read(boxed[-2]) == chosen else None
    return chosen


def _read(text: str, options: Sequence[str], letters: str) -> str | None:
    """The letter that a whole text is, or whose option it is, dollars and all."""
    bare = _bare(text)
    written = None if ALONE.fullmatch(bare) else _verbatim(text, options, letters)
    return written or _direct(bare, options, letters)


def _verbatim(text: str, options: Sequence[str], letters: str) -> str | None:
    """The one option that a text of more than a letter is, dollars and all."""
    written = as_written(text)
    named = [letter for letter, option in zip(letters, options, strict=True) if as_written(_plain(option)) == written]
    if not named and len(written) > 1:
        named = [letter for letter, option in zip(letters, options, strict=True) if same_answer(option, text)]
    return named[0] if len(named) == 1 and not ALONE.fullmatch(text) else None


def _without_own_text(bare: str, options: Sequence[str], letters: str) -> str:
    """A text without each option that its own letter stands before: ``B. False`` is ``B.``, and denies nothing."""
    for letter, option in zip(letters, options, strict=True):
        own = _bare(_plain(option))
        if len(own) > 1 and own.casefold() in bare.casefold():
            repeated = rf"(?<!\w)({letter}[)\].:,\"'*]*)\s+(?:[-\u2013\u2014]\s+)?{re.escape(own)}(?!\w)"
            bare = re.sub(repeated, r"\1", bare, flags=re.IGNORECASE)
    return bare


def _direct(bare: str, options: Sequence[str], letters: str) -> str | None:
    alone = ALONE.fullmatch(bare)
    if alone and alone[1].upper() in letters:
        return alone[1].upper()
    chosen = _verbatim(bare, options, letters)
    if chosen is not None or len(options) != len({_bare(option) for option in options}):
        return chosen
    return _verbatim(bare, [_bare(_plain(option)) for option in options], letters)


def _stated(bare: str, options: Sequence[str], letters: str) -> str | None:
    """The letter of the last statement; SEVERAL where that one names several or takes it back, None without any."""
    statements = list(STATED.finditer(bare))[-MAX_STATEMENTS:]
    ends = [match.start() for match in statements[1:]] + [len(bare)]
    found: list[tuple[int, str, frozenset[str]]] = []
    for match, end in zip(statements, ends, strict=False):
        rest = bare[match.end() : end].lstrip(" \t\r\n*_:").split("\n\n")[0]
        letter, against = _said(rest, letters)
        if letter is None and not against:
            letter = _direct(re.split(r"(?<=\S)[.!?\u3002](?:\s|$)|\n", rest, maxsplit=1)[0], options, letters)
        if letter is not None or against:
            found.append((match.end(), letter or SEVERAL if letter is not None else "?", against))
    found += _correct(bare, letters)
    chosen: str | None = None
    for _, letter, against in sorted(found, key=lambda each: each[0]):
        if letter != "?":
            chosen = letter
        elif chosen is None or chosen in against:
            chosen = SEVERAL
    return chosen


def _correct(bare: str, letters: str) -> list[tuple[int, str, frozenset[str]]]:
    """Places that say "X is correct"."""
    found: list[tuple[int, str, frozenset[str]]] = []
    places = _letters(bare, letters)
    for at, match in enumerate(places):
        if not CORRECT.match(bare, match.end()) or not match[1].isupper():
            continue
        if denied(bare[: match.start()], ""):
            found.append((match.start(), "?", frozenset(match[1])))
        else:
            joined = at and JOINED.fullmatch(bare[places[at - 1].end() : match.start()])
            found.append((match.start(), SEVERAL if joined else match[1], frozenset()))
    return found


def _said(rest: str, letters: str) -> tuple[str | None, frozenset[str]]:
    """What a statement goes on with: the letter, SEVERAL or None, and the letters that it denies."""
    places = _letters(rest, letters)
    kept: list[re.Match[str]] = []
    against: set[str] = set()
    before, last = 0, None
    for match in places:
        between = rest[before : match.start()]
        carried = last is not None and JOINED.fullmatch(between) is not None and last in against
        direct = not kept and not between.strip(OPENING)
        if (carried and "but" not in between) or denied(between, rest[match.end() :]):
            against.add(match[1].upper())
        elif match[1].isupper() or direct or _joins(kept, rest, match):
            kept.append(match)
        before, last = match.end(), match[1].upper()
    if not kept:
        return None, frozenset(against)
    first = kept[0]
    distinct = {match[1].upper() for match in kept}
    if len(distinct) == 1:
        return first[1].upper(), frozenset(against)
    is_list = any(JOINED.fullmatch(rest[one.end() : two.start()]) for one, two in pairwise(kept))
    if is_list and _joins(kept[:1], rest, kept[1]):
        return SEVERAL, frozenset(against)
    is_first = not rest[: first.start()].strip(OPENING)
    return (first[1].upper() if is_first else SEVERAL), frozenset(against)


def _joins(kept: Sequence["re.Match[str]"], rest: str, match: "re.Match[str]") -> bool:
    return bool(kept) and JOINED.fullmatch(rest[kept[-1].end() : match.start()]) is not None


def _letters(text: str, letters: str) -> list["re.Match[str]"]:
    """The places of letters, words left out; a small one only where it ends a statement or stands in brackets."""
    return [match for match in LETTER.finditer(text) if match[1].upper() in letters and _is_letter(text, match)]


def _is_letter(text: str, match: "re.Match[str]") -> bool:
    after = text[match.end() :]
    followed = re.match(r"\s+[^\W\d_]", after) is not None
    if match[1] in WORDS and followed and not CONNECTOR.match(after) and not re.match(r"\s+[A-Z](?!\w)", after):
        return False
    if match[1] == "I" and followed and not re.match(r"\s+(?:because|since|is|and\s+[A-Z]\b|or\s+[A-Z]\b)", after):
        return False
    return match[1].isupper() or not followed or CONNECTOR.match(after) is not None


def _leading(bare: str, letters: str) -> str | None:
    """The letter that a text begins with; SEVERAL where it begins with a list of them."""
    match = LEADING.match(bare)
    letter = next((each for each in match.groups() if each), "").upper() if match else ""
    if match is None or letter not in letters or not letter:
        return None
    place = LETTER.search(bare)
    if place is None or not _is_letter(bare, place) or denied("", bare[match.end() :].lstrip(" .:)-,")):
        return SEVERAL if place is not None and _is_letter(bare, place) else None
    following = _letters(bare, letters)[1:2]
    joined = following and JOINED.fullmatch(bare[place.end() : following[0].start()])
    lines = {label for label in LABEL_LINE.findall(bare) if label in letters}
    return SEVERAL if joined or len(lines | {letter}) > 1 else letter


def _named(bare: str, letters: str) -> str | None:
    """The one letter that stands after "option" and the like, undenied."""
    named: set[str] = set()
    for match in NAMED.finditer(bare):
        rest = bare[match.end() : match.end() + NAMED_REACH].split("\n\n")[0]
        place = next(iter(_letters(rest, letters)), None)
        if place is None or rest[: place.start()].strip(OPENING + "-\u2013\u2014"):
            continue
        if not denied(bare[: match.start()], rest[place.end() :]):
            letter, _ = _said(rest, letters)
            named.add(place[1].upper() if letter != SEVERAL else SEVERAL)
    return None if not named else named.pop() if len(named) == 1 else SEVERAL
