"""A text as the tokens that tell which number it gives: numbers, signs, operators, currencies, magnitudes, words."""

import re
import unicodedata
from typing import NamedTuple

from evalsuite.core.text import EMPHASIS, UNSPACED

SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")
RAISED = re.compile("[⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
LOWERED = re.compile("(?<=[0-9])[₀-₉]+")
VULGAR = re.compile("(?<=[0-9])?[¼½¾⅐⅑⅒⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞]")
MINUS = "\u2212"
ALIKE = str.maketrans(
    {c: "-" for c in "\u2010\u2011\u2013\u2012\u02d7"}
    | {"\u066b": ".", "\u066c": ",", "\u2044": "/", "\u2215": "/", "\u066a": "%", "\u2015": "\u2014"}
    | {"\u2236": ":", "\ua789": ":", "\u2796": "-", "\u2795": "+", "\u00ac": "!"}
    | {c: "*" for c in "\u00d7\u00b7\u22c5\u2219\u2022\u2217\u2a09"}
    | {c: "<" for c in ">≤≥≠≪≫⩽⩾"}
    | {c: "…" for c in "~\u301c\u2053"}
)
NOT_PLAIN = "⊥"
"""Stands for what makes an expression of the numbers beside it: a root, a function, a constant."""
TAG = re.compile(r"<<[^<>\n]*>>|</?[A-Za-z][^<>\n]*>|<\|[^<>\n]*\|>")
"""Mark-up, special tokens, and the calculator's notes of GSM8K, which stand before the result."""
NEGATIVE = re.compile(r"(?:マイナス|零下|[负負]の?|마이너스\s?)(?=\d)")
QUOTE = re.compile(r"^[ \t]*>+[ \t]", re.MULTILINE)
ARROW = re.compile(r"(?<![-=])[-=]+>|[→⇒⟹]")
NESTED = r"\{((?:[^{}]|\{[^{}]*\})*)\}"
LATEX = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\{,\}", ","),
        (r"\\[()\[\]]|\\\\|\$\$", " "),
        (r"\\([$%#&_*+.-])", r"\1"),
        (r"\\[,;: ](?=\d{3}(?!\d))", "\u2009"),
        (r"\\[,;: ]", " "),
        (r"\\!", ""),
        (r"\\(?:left|right|displaystyle|[bB]igg?[lr]?)(?![A-Za-z])", ""),
        (r"\\(?:quad|qquad|item|newline|par|noindent|hline)(?![A-Za-z])", " "),
        (r"\^\s*\{?\s*\\circ\s*\}?", "°"),
        (r"(?<=\d)_\{[^{}]*\}|(?<=\d)_\d(?!\d\d(?!\d))", NOT_PLAIN),
        (r"_\{[^{}]*\}", "_0"),
        (r"\\(?:times|cdot|ast)(?![A-Za-z])", "*"),
        (r"\\pm(?![A-Za-z])", "±"),
        (r"\\(?:leq?|geq?|lt|gt|neq?|ll|gg|leqslant|geqslant)(?![A-Za-z])", "<"),
        (r"\\(?:approx|simeq?|equiv|to|rightarrow|Rightarrow|implies|therefore|iff)(?![A-Za-z])", "="),
        (r"\\sqrt\s*(?:\[[^\]]*\])?", NOT_PLAIN),
    )
)
FRACTION = re.compile(rf"(?P<after>\d)?\\[dtc]?frac\s*(?:{NESTED}\s*{NESTED}|(\d)\s*(\d))")
WRAPPER = re.compile(
    r"(?P<after>[^\W\d_])?\\(?:boxed|fbox|text(?:bf|it|rm|sf|tt)?|math(?:bf|rm|sf|it|bb)|emph|operatorname)\s*" + NESTED
)
TIMES = re.compile(r"(?<=[\d.)])\s*[xX]\s*(?=[-+(]?\.?\d)")
SCIENTIFIC = re.compile(rf"(?<=\d[eE]){MINUS}(?=\d)")
DOUBLE_STAR = re.compile(r"(?<=[\d)])\s?\*\*\s?(?=[\d(+-])")
MAX_NESTING = 20

LETTER = rf"(?:(?!{UNSPACED.pattern})[^\W\d_])"
VOWEL_SIGNS = "\u0300-\u036f\u0900-\u0963\u0971-\u0dff"
CURRENCY = r"(?:[A-Z]{1,3})?[$¢£¤¥֏؋฿៛\u20a0-\u20c0]|(?:USD|EUR|GBP|JPY|CNY|CHF|INR|CAD|AUD|Rs\.?)(?![A-Za-z])"
TOKEN = re.compile(
    r"(?P<end>\n)"
    r"|(?P<number>\d{1,3}(?P<group>[ '\u2019_])\d{3}(?:(?P=group)\d{3})*(?:[.,]\d+)?(?![\d_]|[.,]\d)"
    r"|(?:\d+(?:[.,]\d+)*|(?<![\d.])\.\d+)(?:[eE][-+]?\d+)?(?!\d))"
    rf"|(?P<currency>{CURRENCY})"
    r"|(?P<percent>[%\u2030]|(?:percent|per\s+cent|pct)(?![^\W_]))"
    r"|(?P<more>and\s+(?:a|one|two|three)\s+(?:hal(?:f|ves)|thirds?|quarters?|fifths?)(?![^\W_]))"
    rf"|(?P<word>\\[A-Za-z]+|{LETTER}(?:(?!{UNSPACED.pattern})[\w{VOWEL_SIGNS}]|['\u2019-](?=\w))*(?:\^\(?[-+]?\d+\)?)?)"
    r"|(?P<range>\.{2,}|…)"
    r"|(?P<dash>\u2014|--+)"
    r"|(?P<plusminus>±|\+/-)"
    r"|(?P<relation>[<>]=?|!=)"
    r"|(?P<other>\S)"
)
PLURAL = {
    "hundred": 1e2,
    "thousand": 1e3,
    "million": 1e6,
    "billion": 1e9,
    "trillion": 1e12,
    "lakh": 1e5,
    "crore": 1e7,
}
MAGNITUDES = (
    PLURAL
    | {f"{name}s": value for name, value in PLURAL.items()}
    | {"mio": 1e6, "mln": 1e6, "mrd": 1e9, "bn": 1e9, "tn": 1e12, "milliarden": 1e9, "millionen": 1e6, "tausend": 1e3}
    | {"milliards": 1e9, "milliard": 1e9, "millones": 1e6, "mille": 1e3, "mil": 1e3}
    | {"тысяч": 1e3, "тысячи": 1e3, "тысяча": 1e3, "миллион": 1e6, "миллиона": 1e6, "миллионов": 1e6}
    | {
        "миллиард": 1e9,
        "миллиарда": 1e9,
        "миллиардов": 1e9,
        unicodedata.normalize("NFKC", "हज़ार"): 1e3,
        "लाख": 1e5,
        unicodedata.normalize("NFKC", "करोड़"): 1e7,
    }
    | {"ألف": 1e3, "مليون": 1e6, "مليار": 1e9}
    | {"百": 1e2, "千": 1e3, "万": 1e4, "萬": 1e4, "亿": 1e8, "億": 1e8, "兆": 1e12}
    | {"백": 1e2, "천": 1e3, "만": 1e4, "억": 1e8, "조": 1e12}
)
SUFFIXES = {"k": 1e3, "K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}
"""Letters that multiply where they touch the number, or where a currency stands before it; T only there."""
JOINING = frozenset(
    {"to", "of", "or", "and", "plus", "minus", "negative", "times", "over", "through", "out", "divided", "by"}
    | {"mod", "modulo", "per", "choose", "up", "until", "till", "versus", "vs"}
    | {"bis", "von", "und", "oder", "mal", "sur", "sobre", "hasta", "\u00e0", "a", "moins", "menos", "meno"}
)
"""Words that make one expression of the numbers on both sides."""
FUNCTIONS = frozenset(
    ["sqrt", "root", "sin", "cos", "tan", "log", "ln", "lg", "exp", "abs", "pi", "π", "√", "∛", "∑", "∫", "∏"]
)
FRACTION_WORDS = re.compile(
    r"squared|cubed|factorial|hal(?:f|ves)|thirds?|quarters?|"
    r"(?:four|fif|six|seven|eigh|nin|ten|hundred|thousand|million|billion)ths"
)
SINGLE = {"+": "+", "-": "-", MINUS: "-", "*": "*", "/": "/", "^": "^", "!": "!", ":": ":", "÷": "÷"} | {
    "(": "(",
    ")": ")",
    "{": "(",
    "}": ")",
    NOT_PLAIN: NOT_PLAIN,
    "√": NOT_PLAIN,
    "∛": NOT_PLAIN,
}


class Token(NamedTuple):
    """A piece of a text."""

    kind: str
    """One character: ``n`` number, ``m`` magnitude, ``$``, ``%``, ``w`` joining word, ``W`` word, ``.`` a break, and
    operators and brackets as themselves (``d`` an em dash, ``…`` a range, ``<`` any inequality)."""
    text: str
    start: int
    end: int
    value: float | None = None
    """Of a number or a magnitude; None for a number that can be read in two ways."""


def tokens_of(text: str) -> list[Token]:
    """The text's tokens, in order; ``start`` and ``end`` tell which of them touch."""
    found: list[Token] = []
    plain = _plain(text)
    for match in TOKEN.finditer(plain):
        name = str(match.lastgroup if match.lastgroup != "group" else "number")
        found += _tokens(name, match[0], match.start(), found, plain)
    return found


def _tokens(name: str, text: str, start: int, before: list[Token], plain: str) -> list[Token]:
    end = start + len(text)
    if name == "number":
        return [Token("n", text, start, end, _literal(text))]
    if name == "word" or (name == "other" and text.isalpha()):
        return _word(text, start, before)
    if name == "other":
        kind = SINGLE.get(text, ".")
        if kind == ":" and plain[end : end + 1].isspace() and not plain[start - 1 : start].isspace():
            kind = "."  # "Answer: 5", "Step 3: 5"
        return [Token(kind, text, start, end)]
    kinds = {"end": ".", "currency": "$", "percent": "%", "range": "…", "dash": "d", "plusminus": "±", "relation": "<"}
    kinds["more"] = NOT_PLAIN
    return [Token(kinds[name], text, start, end)]


def _word(text: str, start: int, before: list[Token]) -> list[Token]:
    end = start + len(text)
    last = before[-1] if before else None
    folded = text.casefold()
    if last is not None and last.kind in "nm":
        touching = last.end == start
        if folded in MAGNITUDES:
            return [Token("m", text, start, end, MAGNITUDES[folded])]
        first = MAGNITUDES.get(text[0]) if touching and not text[0].isascii() else None
        if first is not None:
            return [Token("m", text[0], start, start + 1, first), Token("W", text[1:], start + 1, end)]
        paid = len(before) > 1 and before[-2].kind == "$"
        if last.kind == "n" and text in SUFFIXES and (paid or (touching and text != "T")):
            return [Token("m", text, start, end, SUFFIXES[text])]
        if FRACTION_WORDS.fullmatch(folded):
            return [Token(NOT_PLAIN, text, start, end)]
    if folded in JOINING:
        return [Token("w", folded, start, end)]
    if folded.lstrip("\\").partition("_")[0] in FUNCTIONS:
        return [Token(NOT_PLAIN, text, start, end)]
    return [Token("W", text, start, end)]


def _plain(text: str) -> str:
    """The text without LaTeX, Markdown and mark-up, in ASCII digits and one sign for each operator."""
    text = RAISED.sub(lambda match: "^" + match[0].translate(SUPERSCRIPTS), text).replace("⁻", "-").replace("⁺", "+")
    text = LOWERED.sub(NOT_PLAIN, text)
    text = VULGAR.sub(lambda match: f" {unicodedata.normalize('NFKC', match[0])}", text)
    text = NEGATIVE.sub(MINUS, text)
    text = QUOTE.sub("", TAG.sub(" ", text))
    for pattern, replacement in LATEX:
        text = pattern.sub(replacement, text)
    for _ in range(MAX_NESTING):
        unwrapped = FRACTION.sub(_fraction, WRAPPER.sub(_unwrapped, EMPHASIS.sub(r"\2", text)))
        if unwrapped == text:
            break
        text = unwrapped
    text = DOUBLE_STAR.sub("^", text).replace("**", " ").replace("`", " ")
    text = ARROW.sub(" = ", text)
    text = "".join(
        str(unicodedata.decimal(char)) if char.isdecimal() else char
        for char in unicodedata.normalize("NFKC", text).translate(ALIKE)
    )
    return SCIENTIFIC.sub("-", TIMES.sub("*", text))


def _fraction(match: "re.Match[str]") -> str:
    over, under = (match[2], match[3]) if match[4] is None else (match[4], match[5])
    whole = match["after"]
    return f"{whole} {over}/({under})" if whole and over.isdigit() else f"{whole or ''}({over})/({under})"


def _unwrapped(match: "re.Match[str]") -> str:
    return f"{match['after'] + ' ' if match['after'] else ''}{match[2]}"


COMMAS = re.compile(r"[1-9]\d{0,2}(?:,\d{3})+|[1-9]\d?(?:,\d{2})+,\d{3}")
POINTS = re.compile(r"[1-9]\d{0,2}(?:\.\d{3}){2,}|[1-9]\d{0,2}(?:\.\d{3})+(?=,)")
EXPONENT = r"(?:[eE][-+]?\d+)?"
PLAIN = re.compile(r"(?:\d+(?:\.\d*)?|\.\d+)" + EXPONENT)
LIST = re.compile(r"\d+(?:,\d+){2,}")
GROUPED = re.compile(r"[1-9]\d{0,2}(?:[ '\u2019_]\d{3})+(?:[.,]\d+)?")


def _literal(body: str) -> float | None:
    """A number without a sign; a list without spaces gives its last."""
    if PLAIN.fullmatch(body):
        return float(body)
    if GROUPED.fullmatch(body):
        return float(re.sub(r"[ '\u2019_]", "", body).replace(",", "."))
    commas, points = COMMAS.match(body), POINTS.match(body)
    if commas is not None and re.fullmatch(r"(?:\.\d*)?" + EXPONENT, body[commas.end() :]):
        return float(body.replace(",", ""))
    if points is not None and re.fullmatch(r"(?:,\d+)?" + EXPONENT, body[points.end() :]):
        return float(body.replace(".", "").replace(",", "."))
    if LIST.fullmatch(body) and not body.startswith("0,"):
        return float(body.rpartition(",")[2])
    return None
