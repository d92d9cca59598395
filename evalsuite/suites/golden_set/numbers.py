"""The number that a text gives, read as people write numbers; none rather than a wrong one where it is ambiguous."""

import math
import re
import unicodedata
from typing import NamedTuple

SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")
RAISED = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻]+")
VULGAR = re.compile("[¼½¾⅐⅑⅒⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞]")
ALIKE = str.maketrans(
    {c: "-" for c in "\u2212\u2010\u2011\u2013\u2012\ufe63"} | {"\u066b": ".", "\u066c": ",", "\u2044": "/"}
)
THIN = re.compile(r"(?<=\d)[\u00a0\u2009\u202f\u2007'\u2019_](?=\d{3}(?!\d))")
"""Separators of thousands that are nothing else."""
POWER = re.compile(
    r"(?:(?P<factor>\d+(?:\.\d+)?|\.\d+)\s*[\u00d7x*·⋅]\s*)?(?<![\d.])10\s?(?:\^|\*\*)\s?\{?(?P<power>[-+]?\d+)\}?"
)
GROUPED = re.compile(r"\D*\d{1,3}(?: \d{3})+(?:[.,]\d+)?\D*")
MIXED = re.compile(r"(?<![\w.,/])(\d+) (\d+)/(\d+)(?![\w/])")
TOKEN = re.compile(r"(?<![\w^])(?:[-+])?(?:\d|\.\d)(?:[\d.,/:^-]*\d)?(?:[eE][-+]?\d+)?(?![\d^])")
COMMAS = re.compile(r"\d{1,3}(?:,\d{3})+|\d{1,2}(?:,\d{2})+,\d{3}")
POINTS = re.compile(r"\d{1,3}(?:\.\d{3}){2,}|\d{1,3}(?:\.\d{3})+(?=,)")
EXPONENT = r"(?:[eE][-+]?\d+)?"
PLAIN = re.compile(r"(?:\d+(?:\.\d*)?|\.\d+)" + EXPONENT)
LIST = re.compile(r"\d+(?:,\d+){2,}")


class Number(NamedTuple):
    """A number that a text gives."""

    value: float
    is_percent: bool


def last_number(text: str) -> Number | None:
    """The last number of a text.

    Read are signs (U+2212 too), a leading point, thousands separated by commas, points, apostrophes, underscores or
    narrow spaces, decimal commas after such groups, powers of ten, fractions, and the digits of every script. A hyphen
    after a digit is no sign.

    Returns:
        None where there is none, and where the last one may be read in two ways: a range (10-20), a date, a version, a
        lone decimal comma (12,5), a power other than of ten.
    """
    plain = _plain(text)
    found = list(TOKEN.finditer(plain))
    if not found:
        return None
    last = found[-1]
    value = _value(_unsigned_after_word(plain, last))
    if value is None or not math.isfinite(value):
        return None
    return Number(value, plain[last.end() :].lstrip().startswith("%"))


def _plain(text: str) -> str:
    """The text in ASCII digits and signs, fractions and powers of ten worked out."""
    text = RAISED.sub(lambda match: "^" + match[0].translate(SUPERSCRIPTS), text)
    text = VULGAR.sub(lambda match: f" {unicodedata.normalize('NFKC', match[0])} ", text)
    text = THIN.sub("", text)
    text = "".join(
        str(unicodedata.decimal(char)) if char.isdecimal() else char
        for char in unicodedata.normalize("NFKC", text).translate(ALIKE)
    )
    if GROUPED.fullmatch(text):
        text = re.sub(r"(?<=\d) (?=\d{3})", "", text)
    text = MIXED.sub(_mixed, text)
    return POWER.sub(lambda match: f"{match['factor'] or 1}e{int(match['power']):d}", text)


def _mixed(match: "re.Match[str]") -> str:
    whole, numerator, denominator = (int(part) for part in match.groups())
    return f"{whole + numerator / denominator!r}" if denominator else match[0]


def _unsigned_after_word(text: str, match: "re.Match[str]") -> str:
    """The token, without a sign that is an operator or a hyphen there."""
    token, before = match[0], text[: match.start()].rstrip()[-1:]
    spaced = text[: match.start()].endswith(" ")
    if token[0] in "+-" and (before.isalnum() or before in (")", "]", "%")) and before:
        return token if spaced and before.isalpha() else token[1:]
    return token


def _value(token: str) -> float | None:
    sign = -1.0 if token.startswith("-") else 1.0
    body = token.lstrip("+-")
    if "/" in body:
        parts = [_unsigned(part) for part in body.split("/")]
        if len(parts) != 2 or None in parts or not parts[1]:
            return None
        return sign * float(parts[0] or 0.0) / float(parts[1])
    value = _unsigned(body)
    return None if value is None else sign * value


def _unsigned(body: str) -> float | None:
    """A number without a sign; a list without spaces gives its last."""
    if PLAIN.fullmatch(body):
        return float(body)
    commas, points = COMMAS.match(body), POINTS.match(body)
    if commas is not None and re.fullmatch(r"(?:\.\d*)?" + EXPONENT, body[commas.end() :]):
        return float(body.replace(",", ""))
    if points is not None and re.fullmatch(r"(?:,\d+)?" + EXPONENT, body[points.end() :]):
        return float(body.replace(".", "").replace(",", "."))
    if LIST.fullmatch(body):
        return float(body.rpartition(",")[2])
    return None


def agrees(found: Number, expected: Number, tolerance: float, relative_tolerance: float) -> bool:
    """Whether two numbers are the same within the larger tolerance.

    A percent sign on one side alone is a unit (5% is 5) where the number without it is larger than 1, and a hundredth
    where it is not (50% is 0.5, and 0.5% is not 0.5).
    """
    value, wanted = found.value, expected.value
    if found.is_percent != expected.is_percent:
        bare = wanted if found.is_percent else value
        if abs(bare) <= 1.0:
            value, wanted = (value / 100, wanted) if found.is_percent else (value, wanted / 100)
    return abs(value - wanted) <= max(tolerance, relative_tolerance * abs(wanted))
