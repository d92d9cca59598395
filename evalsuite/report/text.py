"""How untrusted text and numbers are shown to a reader."""

import math
import unicodedata

HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Control, format (bidi overrides, zero width), surrogate, and line and paragraph separators."""
ABSENT = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
MAX_CHARS = 1500
MAX_HEAD = 400


def visible(text: str) -> str:
    """Text in which no character can hide, move or reverse others: each such one becomes its code point.

    Line feed and tab stay. A right-to-left script stays as it is; only overrides and marks are spelt out.
    """
    if text.isascii() and text.replace("\n", "").replace("\t", "").isprintable():
        return text
    hidden = {char for char in set(text) if unicodedata.category(char) in HIDDEN_CATEGORIES} - {"\n", "\t"}
    return text.translate({ord(char): f"⟨U+{ord(char):04X}⟩" for char in hidden}) if hidden else text


def clip(text: str, limit: int = MAX_CHARS) -> str:
    """The first and the last part of a long text, with the number of characters left out between them.

    The tail is the longer part, since a few-shot prompt ends with the question.
    """
    if len(text) <= limit:
        return text
    head = min(MAX_HEAD, limit // 2)
    left_out = len(text) - limit
    return f"{text[:head]}\n[… {left_out:,} characters left out …]\n{text[len(text) - (limit - head) :]}"


def number(value: float | None) -> str:
    """Three decimals, two digits of something smaller, thousands separated."""
    if value is None:
        return ABSENT
    if math.isfinite(value) and value != 0.0 and abs(value) < 0.0005:
        return f"{value:.2g}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3f}"


def signed(value: float | None) -> str:
    """A difference with its sign; a true minus, so that it lines up."""
    if value is None:
        return ABSENT
    text = number(abs(value))
    return text if value == 0.0 else f"{'+' if value > 0 else MINUS}{text}"


def interval(lower: float | None, upper: float | None, with_sign: bool = True) -> str:
    """``[lower, upper]``; an end that is None is infinite."""
    show = signed if with_sign else number
    return f"[{MINUS + '∞' if lower is None else show(lower)}, {'∞' if upper is None else show(upper)}]"


def duration(seconds: float | None) -> str:
    """Seconds, minutes or hours, whichever reads best."""
    if seconds is None:
        return ABSENT
    if seconds < 120:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def size(num_bytes: float | None) -> str:
    """Bytes in binary units."""
    if num_bytes is None:
        return ABSENT
    value = float(num_bytes)
    for unit in ("B", "KiB", "MiB"):
        if abs(value) < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.2f} GiB"


def money(amount: float | None, currency: str) -> str:
    """An amount with enough digits for a fraction of a cent."""
    if amount is None:
        return ABSENT
    digits = 2 if amount >= 1.0 or amount == 0.0 else 3 if amount >= 0.01 else 5
    return f"{amount:,.{digits}f} {currency}"


def count(value: int | None) -> str:
    """A whole number with its thousands separated."""
    return ABSENT if value is None else f"{value:,}"


def named_value(name: str, value: float | int) -> str:
    """A number in the unit that its name ends with."""
    if name.endswith("_bytes"):
        return size(value)
    if name.endswith("_seconds"):
        return duration(value)
    if name.endswith("_fraction"):
        return f"{100 * value:.1f}%"
    return count(value) if isinstance(value, int) else f"{value:,.6g}"
