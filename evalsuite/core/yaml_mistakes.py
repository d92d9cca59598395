"""What a YAML parser stumbled over, in words that say how to fix it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml.nodes import ScalarNode

from evalsuite.core.errors import UsageError

SIMPLE_KEY = re.compile(r"\s*(?:- +)*([^\s:#{}\[\],][^:#{}\[\],]*): +(\S.*?)\s*$")
"""A line of one key and a value."""
PAIR_BEFORE = re.compile(r"([^\s:,{}\[\]][^:,{}\[\]]*): *$")
"""The key whose value starts where a text ends."""
COMMA_NUMBER = re.compile(r"[-+]?[0-9][0-9.]*(?:, *[0-9.]+)+(?:[eE][-+]?[0-9]+)?")
"""0,02 and 10,000: numbers as people write them, and as YAML does not."""
PART = re.compile(r"[0-9][0-9.]*(?:[eE][-+]?[0-9]+)?")
"""What YAML takes for a key of its own behind such a comma."""
ADVICE = "write numbers with a decimal point and without thousands separators"
RESERVED = "@`%*&"
MAX_SHOWN = 60
MAX_WORDS = 200


def place(mark: Any, where: Path | str) -> str:
    """``FILE:LINE:COLUMN``, counted from 1."""
    return f"{where}:{mark.line + 1}:{mark.column + 1}"


def explain_mistake(error: Exception, text: str, where: Path | str) -> str:
    """File, line, column, what is wrong, and the fix.

    Args:
        error: What ruamel.yaml raised.
        text: The document.
        where: The file's name.
    """
    mark: Any = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is None:
        return _unreadable(error, text, where)
    problem, context = str(getattr(error, "problem", "") or ""), str(getattr(error, "context", "") or "")
    start: Any = getattr(error, "context_mark", None)
    lines = text.splitlines() or [""]
    line = lines[min(mark.line, len(lines) - 1)]
    unclosed = start is not None and start.line < mark.line and ("flow" in context or "quoted" in context)
    if unclosed or "end of stream" in problem:
        opened = start if start is not None else mark
        return f"{place(opened, where)}: not YAML: this bracket or quote is never closed; {_closing(lines, opened)}"
    if "scanning an a" in context and start is not None:
        mark = start  # of an alias or anchor that is none: where the value starts
    words = f"{problem.removeprefix('but ')} {context}".strip()
    said = printable("; ".join(part for part in (words[:MAX_WORDS], _fix(words, line, mark, start)) if part))
    return f"{place(mark, where)}: not YAML: {said}"


def comma_advice(text: str, whole: bool = False) -> str:
    """How to write a number that has a decimal comma or thousands separators; "" where the text is no such number.

    Args:
        text: 0,02 or 10,000.
        whole: Whether a whole number is expected, so that a comma separates thousands.
    """
    text = text.strip().replace(" ", "")
    if len(text) > MAX_SHOWN or not COMMA_NUMBER.fullmatch(text):
        return ""
    thousands, decimal = "", ""
    if re.fullmatch(r"[-+]?[1-9][0-9]{0,2}(,[0-9]{3})+(\.[0-9]+)?", text):
        thousands = text.replace(",", "")
    elif re.fullmatch(r"[-+]?[0-9]{1,3}(\.[0-9]{3})+,[0-9]+", text):
        thousands = text.replace(".", "").replace(",", ".")
    if text.count(",") == 1 and "." not in text and not whole:
        decimal = text.replace(",", ".")
    forms = " or ".join(each for each in (thousands, decimal) if each)
    return ADVICE + f": {forms}" * bool(forms)


def check_commas(node: Any, where: Path | str) -> None:
    """Refuse a number that a comma cuts in two inside brackets: ``{margin: 0,02}`` has a key 2 and no margin of 0.02.

    Args:
        node: A mapping or a list, as the parser composed it.
        where: The file's name.

    Raises:
        UsageError: With the number, its place and how to write it.
    """
    entries = [pair if isinstance(pair, tuple) else (None, pair) for pair in node.value]
    for number, (_, first) in enumerate(entries):
        if _is_plain(first) and re.fullmatch(r"[-+]?[0-9][0-9.]*", first.value):
            parts = list(_parts_behind(entries, number))
            if parts:
                text = ",".join([first.value, *parts])
                shown = text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "..."
                raise UsageError(
                    f"{place(first.start_mark, where)}: {shown} is split at its comma: {comma_advice(text) or ADVICE}"
                )


def _parts_behind(entries: list[tuple[Any, Any]], number: int) -> Iterator[str]:
    """The entries that continue the number before them, each with what ends before it."""
    before = entries[number][1]
    for key, value in entries[number + 1 :]:
        part = _continued(key, value, before)
        if not part:
            return
        yield part
        before = value if key is None else key


def _continued(key: Any, value: Any, before: Any) -> str:
    """The digits of an entry that is the rest of a number: a key without a value, or 02 right behind a list's comma."""
    if key is not None:
        rest = _is_plain(key) and _is_plain(value) and not value.value and PART.fullmatch(key.value)
        return str(key.value) if rest else ""
    adjacent = (value.start_mark.line, value.start_mark.column) == (before.end_mark.line, before.end_mark.column + 1)
    rest = adjacent and _is_plain(value) and PART.fullmatch(value.value) and re.match(r"0[0-9eE]", value.value)
    return str(value.value) if rest else ""


def _is_plain(node: Any) -> bool:
    return isinstance(node, ScalarNode) and not node.style


def printable(text: str) -> str:
    """The text with what could move a terminal's cursor spelt out."""
    return "".join(each if each.isprintable() else f"\\u{ord(each):04x}" for each in text)


def _fix(problem: str, line: str, mark: Any, start: Any) -> str:
    """How to write what was meant, as far as that can be told."""
    rest = line[mark.column :]
    if rest.startswith("\t") or (line[: mark.column + 1].strip() == "" and "\t" in line[: mark.column + 1]):
        return "use spaces in place of the tab"
    if "unexpected ':'" in problem and start is not None and start.line == mark.line:
        return _quote(line, start.column, ",]}")
    if "mapping values are not allowed" in problem:
        pair = SIMPLE_KEY.match(line)
        return f"quote the value: {pair[1]}: {_quoted(pair[2])}" if pair and ":" in pair[2] else _indentation(line)
    if "duplicate key" in problem:
        return "keep one of the two"
    if "another document" in problem:
        return "keep one document: remove the line `---` and the other document"
    if "unhashable key" in problem:
        return "a text that starts with a brace needs quotes"
    if "incompatible YAML" in problem:
        return "take the line out"
    if "could not determine a constructor" in problem or rest.startswith("!"):
        return "tags are not accepted: remove the tag, or quote the value"
    if "undefined alias" in problem or rest[:1] in RESERVED or (start is not None and line[start.column :][:1] in "*&"):
        return _quote(line, start.column if start is not None and start.line == mark.line else mark.column, ",]}")
    if "could not find expected ':'" in problem:
        return "a key needs a colon and a space after it"
    if "block" in problem:
        return _indentation(line)
    return ""


def _indentation(line: str) -> str:
    return f"look at the indentation of this line and the one above it: {line.strip()[:MAX_SHOWN]!r}"


def _quote(line: str, column: int, ends: str) -> str:
    """The value that starts at a column, in quotes, behind its key; inside braces it ends at one of ``ends``."""
    inside = any(bracket in line[:column] for bracket in "{[")
    value = line[column:]
    if inside:
        value = re.split(f"[{re.escape(ends)}]", value, maxsplit=1)[0]
    value = value.split(" #")[0].strip()
    key = PAIR_BEFORE.search(line[:column])
    return f"quote the value: {f'{key[1].strip()}: ' if key else ''}{_quoted(value)}"


def _quoted(value: str) -> str:
    shown = value if len(value) <= MAX_SHOWN else value[:MAX_SHOWN] + "..."
    # Nothing but a doubled quote is special inside single quotes.
    return "'" + shown.replace("'", "''") + "'" if '"' in shown or "\\" in shown else f'"{shown}"'


def _closing(lines: list[str], mark: Any) -> str:
    opened = lines[mark.line][mark.column :][:1] if mark.line < len(lines) else ""
    wanted = {"{": "}", "[": "]", '"': '"', "'": "'"}.get(opened)
    return f"add the missing {wanted}" if wanted else "close the bracket or the quotes"


def _unreadable(error: Exception, text: str, where: Path | str) -> str:
    """A character that no YAML may hold."""
    position = getattr(error, "position", None)
    reason = " ".join(str(error).split())
    if isinstance(position, int):
        # The C parser counts bytes.
        before = text.encode("utf-8", "surrogatepass")[:position].decode("utf-8", "replace")
        character = getattr(error, "character", None)
        named = f"#x{character:04x}" if isinstance(character, int) else "a control character"
        column = len(before) - before.rfind("\n")
        return f"{where}:{before.count(chr(10)) + 1}:{column}: not YAML: {named} is not allowed in text; remove it"
    return f"{where}: not YAML: {printable(reason)[:MAX_WORDS]}"
