"""The number that a text gives, read as people write numbers; none rather than a wrong one where it is ambiguous."""

import math
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from evalsuite.suites.golden_set.number_tokens import MINUS, NOT_PLAIN, Token, tokens_of

MATERIAL = frozenset("n+-d*/÷^!:…±<()$%mw" + NOT_PLAIN)
FORM = re.compile(
    r"(?P<sign>[-+]?)\$?(?P<inner>[-+]?)\$?"
    r"(?:(?P<scaled>(?:n\*)?n\^[-+]?n)|(?P<fraction>nn/n|n/n)|(?P<compound>(?:nm+)+n|(?:nm+){2,})|n)"
    r"(?P<magnitude>m*)\$?(?P<percent>%?)\$?"
)
"""What is one number, in kinds of tokens."""
SAYING = frozenset(
    {"is", "are", "was", "be", "equals", "equal", "gives", "makes", "returns", "ist", "sind", "est", "es"}
)
"""Words after which a minus that stands apart is a sign."""
NEAR = frozenset({"about", "approximately", "around", "at", "exactly", "nearly", "roughly", "than"})
"""Words after which the word minus is a sign too."""
NUMBER_WORDS = frozenset(
    {"one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "twenty"}
    | {"thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety", "hundred", "thousand", "million"}
    | {"half", "third", "quarter", "square", "cube", "root", "logarithm", "sine", "cosine", "factorial"}
)
"""Words that make one expression with the number after "of" or "to"."""
VARIABLES = frozenset("xyznijeπ")
MAX_RUN = 64
"""Tokens; no plain number is longer."""
MAX_POWER = 300
"""Powers of ten beyond are no number: the larger ones have no float."""


class Number(NamedTuple):
    """A number that a text gives."""

    value: float
    is_percent: bool


def last_number(text: str) -> Number | None:
    r"""The last number of a text: the last run of numbers, signs and operators, where that is one plain number.

    Read are signs (also apart, before a currency, or as the word minus), a leading point, thousands separated by
    commas, points, apostrophes, underscores or spaces, decimal commas after such groups, powers of ten, fractions
    (``\frac`` too), magnitudes (5k, 3 million, 3億), percent, and the digits of every script.

    Returns:
        None where there is none, and where the last run may be read in two ways or is an expression: a range (10-20,
        3 to 5), a ratio, a date, a version, a lone decimal comma (12,5), a sum, a root, a power other than of ten.
    """
    tokens = tokens_of(text)
    last = max((at for at, token in enumerate(tokens) if token.kind == "n"), default=None)
    if last is None:
        return None
    start, end = last, last + 1
    while start and tokens[start - 1].kind in MATERIAL and not _apart(tokens[start - 1], tokens[start]):
        start -= 1
    while end < len(tokens) and tokens[end].kind in MATERIAL and not _apart(tokens[end - 1], tokens[end]):
        end += 1
    if end - start > MAX_RUN or _between_bars(tokens, start, end):
        return None
    run = _begun(tokens, start, end)
    run = None if run is None else _ended(tokens, run, start, end)
    return None if run is None else _read(_without_outer_brackets(run))


def _apart(one: Token, other: Token) -> bool:
    """Whether a bracket begins or ends an aside there: ``5 (five)``, ``(1) 5``."""
    spaced = one.end != other.start
    return spaced and ((other.kind == "(" and one.kind in "n%m$)") or (one.kind == ")" and other.kind in "n$"))


def _between_bars(tokens: Sequence[Token], start: int, end: int) -> bool:
    """Whether a number with a sign stands between touching bars, which take an absolute value."""
    if not start or end >= len(tokens) or tokens[start].kind not in "+-":
        return False
    one, other = tokens[start - 1], tokens[end]
    return one.text == other.text == "|" and one.end == tokens[start].start and tokens[end - 1].end == other.start


def _begun(tokens: Sequence[Token], start: int, end: int) -> list[Token] | None:
    """The run without what only leads to it; None where its beginning is part of an expression."""
    run = list(tokens[start:end])
    left = tokens[start - 1] if start and tokens[start - 1].text != "\n" else None
    while run:
        first, rest = run[0], run[1:]
        after = rest[0] if rest else None
        word = left if left is not None and left.kind == "W" else None
        touches_word = word is not None and word.end == first.start
        if first.kind in "+-":
            return run if after is not None and _is_sign(tokens, first, after, left) else None
        if first.kind == "d":
            even = after is not None and touches_word == (first.end == after.start)
            if word is None or not even:
                return None
        elif first.kind == "w" and first.text in ("minus", "moins", "menos", "meno", "negative", "plus"):
            if first.text != "negative" and word is not None and word.text.casefold() not in SAYING | NEAR:
                return None  # "a value minus 12"
            sign = "+" if first.text == "plus" else "-"
            return [first._replace(kind=sign), *rest]
        elif first.kind == "w":
            if word is not None and word.text.casefold() in NUMBER_WORDS:
                return None
        elif first.kind == "*":
            if left is not None:
                return None  # else a bullet
        elif first.kind == "(":
            return None if touches_word else run
        elif first.kind not in "!:…%m":
            return run if first.kind in "n$" and not _multiplies(word, first) else None
        left, run = first if first.kind != "w" else left, rest
    return None


def _is_sign(tokens: Sequence[Token], sign: Token, after: Token, left: Token | None) -> bool:
    """Whether a plus or minus at the beginning of a run is a sign rather than an operator, a hyphen or a bullet."""
    word = left if left is not None and left.kind == "W" else None
    if sign.end == after.start:
        return word is None or (word.end != sign.start and not _is_variable(word))
    if left is None:
        return sign.text in ("+", MINUS) or sum(token.kind in "nW" for token in tokens) == 1
    if word is not None:
        return word.text.casefold() in SAYING
    return left.text in "=:([,;≈→"


def _is_variable(word: Token) -> bool:
    return (len(word.text) == 1 and word.text.isalpha() and word.text.isascii()) or word.text.startswith("\\")


def _multiplies(word: Token | None, first: Token) -> bool:
    """Whether a LaTeX command stands before the number: a function, a constant."""
    return word is not None and word.text.startswith("\\") and first.kind == "n"


def _ended(tokens: Sequence[Token], run: list[Token], start: int, end: int) -> list[Token] | None:
    """The run without what only follows it; None where its end is part of an expression."""
    right = tokens[end] if end < len(tokens) and tokens[end].text != "\n" else None
    while run:
        last = run[-1]
        word = right if right is not None and right.kind == "W" else None
        if last.kind in "nm":
            touching = word is not None and word.end != word.start and word.start == last.end
            glued = word.text if touching and word is not None else ""
            return None if glued in VARIABLES or any(char.isdigit() for char in glued.partition("^")[0]) else run
        if last.kind in "%$)":
            return run
        if last.kind == "!" and not _ends_sentence(tokens, start, run):
            return None
        if last.kind in "-/" and word is not None and _is_variable(word) and word.text not in "hsdmlgLA":
            return None
        if last.kind in "^±<÷+" + NOT_PLAIN or (last.kind == "*" and right is not None):
            return None
        if last.kind == "(" and len(run) > 1 and run[-2].end == last.start:
            return None
        right, run = right if last.kind in "-/d" else last, run[:-1]
    return None


def _ends_sentence(tokens: Sequence[Token], start: int, run: Sequence[Token]) -> bool:
    """Whether an exclamation mark ends a sentence; it is a factorial where no word leads to the number."""
    left = tokens[start - 1] if start else None
    return left is not None and left.kind == "W" and not _is_variable(left) and run[-1].kind == "!"


def _without_outer_brackets(run: list[Token]) -> list[Token]:
    """The run without brackets around the whole, and without those whose partner stands outside."""
    while run:
        if run[0].kind == "(" and (_partner(run) is None or _partner(run) == len(run) - 1):
            run = run[1:] if _partner(run) is None else run[1:-1]
        elif run[-1].kind == ")" and sum((t.kind == "(") - (t.kind == ")") for t in run) < 0:
            run = run[:-1]
        else:
            break
    return run


def _partner(run: Sequence[Token]) -> int | None:
    depth = 0
    for at, token in enumerate(run):
        depth += (token.kind == "(") - (token.kind == ")")
        if not depth:
            return at
    return None


def _read(run: list[Token]) -> Number | None:
    """One number; None for any other expression."""
    run = _without_inner_brackets(run)
    kinds = "".join(token.kind for token in run)
    form = FORM.fullmatch(kinds)
    if form is None or (form["sign"] and form["inner"]):
        return None
    if any(token.kind == "n" and token.value is None for token in run):
        return None
    numbers = [float(token.value or 0.0) for token in run if token.kind == "n"]
    if form["scaled"]:
        value = _scaled(numbers, negative="^-" in kinds)
    elif form["fraction"]:
        value = _fraction(numbers)
    elif form["compound"]:
        value = _compound(run)
    else:
        value = numbers[0]
    if value is None:
        return None
    if not form["compound"]:
        value *= math.prod(float(token.value or 0.0) for token in run if token.kind == "m")
    if "-" in (form["sign"], form["inner"]):
        value = -value
    if any(token.text == "\u2030" for token in run):
        value /= 10
    return Number(value, bool(form["percent"])) if math.isfinite(value) else None


def _without_inner_brackets(run: list[Token]) -> list[Token]:
    """``(5)`` and ``(-5)`` as one number each."""
    out: list[Token] = []
    for token in run:
        out.append(token)
        for signs in (0, 1):
            kinds = "".join(each.kind for each in out[-3 - signs :])
            if re.fullmatch(r"\([-+]n\)" if signs else r"\(n\)", kinds):
                number = out[-2]
                negative = signs and out[-3].kind == "-"
                value = -number.value if negative and number.value is not None else number.value
                out[-3 - signs :] = [number._replace(value=value)]
    return out


def _scaled(numbers: Sequence[float], negative: bool) -> float | None:
    """A power of ten, times a factor."""
    factor, base, power = [1.0, *numbers][-3:]
    if base != 10.0 or not power.is_integer() or abs(power) > MAX_POWER:
        return None
    mantissa, _, exponent = repr(factor).partition("e")
    return float(f"{mantissa}e{int(exponent or 0) + int(-power if negative else power)}")


def _fraction(numbers: Sequence[float]) -> float | None:
    *whole, numerator, denominator = numbers
    if not denominator or (whole and not (whole[0].is_integer() and 0 <= numerator < denominator)):
        return None
    return (whole or [0.0])[0] + numerator / denominator


def _compound(run: Sequence[Token]) -> float | None:
    """``1億2000万``: parts of falling magnitude, added."""
    parts: list[tuple[float, float]] = []
    for token in run:
        if token.kind == "n":
            parts.append((float(token.value or 0.0), 1.0))
        elif token.kind == "m":
            parts[-1] = (parts[-1][0], parts[-1][1] * float(token.value or 0.0))
    for (_, larger), (number, smaller) in pairwise(parts):
        if number * smaller >= larger:
            return None
    return math.fsum(number * magnitude for number, magnitude in parts)


def agrees(found: Number, expected: Number, tolerance: float, relative_tolerance: float) -> bool:
    """Whether two numbers are the same within the larger tolerance.

    A percent sign on one side alone is a unit (5% is 5) where the number without it is larger than 1, a hundredth where
    it is smaller (50% is 0.5, and 0.5% is not 0.5), and either where it is 1 (1% and 100%).
    """
    value, wanted = found.value, expected.value
    readings = [(value, wanted)]
    if found.is_percent != expected.is_percent:
        bare = abs(wanted if found.is_percent else value)
        hundredth = (value / 100, wanted) if found.is_percent else (value, wanted / 100)
        readings = [*readings, hundredth] if bare == 1.0 else [hundredth] if bare < 1.0 else readings
    return any(abs(one - other) <= max(tolerance, relative_tolerance * abs(other)) for one, other in readings)
