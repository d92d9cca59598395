"""Training rows: conversations in the formats that teams have (``tasks.data.conversations``), and plain documents.

A key that says what a row means is used, or makes the row bad; so does a key that nobody knows (``tasks.data.keys``).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from evalsuite.core.files import parse_json
from tasks.config.marks import is_mark
from tasks.data.conversations import Conversation, read_conversation, shape_of
from tasks.data.exports import export_of
from tasks.data.files.entries import Entry
from tasks.data.files.foreign import not_utf8
from tasks.data.files.reading import read_entries
from tasks.data.keys import (
    MARKS,
    VERDICTS,
    check_keys,
    check_row_marks,
    is_empty,
    kind_of,
    shown,
    unknown_reason,
)
from tasks.data.preferences import preference_shape, read_preference
from tasks.data.quiet import quiet
from tasks.data.synthetic import KEY as SYNTHETIC
from tasks.data.synthetic import check_synthetic
from tasks.data.tools import Tool
from tasks.data.turns import Turn

REJECTED = "rejected"
"""The field of a preference pair's row with the rejected turns, which an objective may read."""


class Row(NamedTuple):
    """A row that can be trained on."""

    source: str
    """``file:line``, or ``file#entry`` in a JSON array."""
    row_id: str
    format: str
    messages: tuple[Turn, ...]
    """Empty for a document."""
    fields: dict[str, Any]
    """The row as it was, for grouping; of a preference pair with the rejected turns (``REJECTED``)."""
    text: str | None = None
    """A document; None for a conversation."""
    tools: tuple[Tool, ...] = ()
    """Functions that the assistant may call."""


class BadRow(NamedTuple):
    """A row that cannot."""

    source: str
    reason: str
    unknown: tuple[str, ...] = ()
    """Its keys that nobody knows."""
    raw: bytes | None = None
    """What the file has there; None where it is too long, or must not be kept."""


class RowRules(NamedTuple):
    """How rows are read."""

    documents: bool = False
    """Whether rows are documents (``text``) instead of conversations."""
    ignore_keys: frozenset[str] = frozenset()
    """Keys of rows, turns and parts that are passed over."""
    group_by: str | None = None
    """A key of rows that is known because the split reads it."""
    max_bytes: int | None = 1_000_000
    """Longer lines are bad rows; no limit when None."""
    fields: tuple[str, ...] = ()
    """Keys of rows that the objective reads itself."""
    quiet: bool = False
    """Whether bad rows are named by their place alone, and nothing of them is kept or quoted (``tasks.data.quiet``)."""


def read_rows(path: Path, name: str, rules: RowRules = RowRules()) -> Iterator[Row | BadRow]:  # noqa: B008  immutable
    """Read a file row by row, whatever its size and the format that its first bytes tell.

    Args:
        path: The file.
        name: How messages and row ids name it.
        rules: How its rows are read.

    Returns:
        A ``Row``, or a ``BadRow`` with the reason; blank lines are passed over.

    Raises:
        UsageError: The file has another format, or breaks off; says how to convert it.
    """
    return (row_of(entry, rules) for entry in read_entries(path, name, rules.max_bytes))


def row_of(entry: Entry, rules: RowRules) -> Row | BadRow:
    """The row of what a file has in one place, or why there is none."""
    if entry.problem:
        return _quiet(BadRow(entry.source, entry.problem, raw=entry.raw), rules)
    if entry.raw is None:
        return BadRow(
            entry.source,
            f"{entry.size:,} bytes, prepare.max_line_bytes is {rules.max_bytes:,}; raise it, or cut the row",
        )
    read = parse_row(entry.raw, entry.source, rules)
    return read._replace(raw=entry.raw) if isinstance(read, BadRow) and not rules.quiet else read


def parse_row(raw: bytes, source: str, rules: RowRules = RowRules()) -> Row | BadRow:  # noqa: B008  immutable
    """A row of JSON; a ``BadRow`` with the reason where it cannot be trained on."""
    row = _parsed(raw, source, rules)
    return _quiet(row, rules) if isinstance(row, BadRow) else row


def _quiet(row: BadRow, rules: RowRules) -> BadRow:
    if not rules.quiet:
        return row
    reason, unknown = quiet(row.reason, row.unknown)
    return row._replace(reason=reason, unknown=unknown, raw=None)


def _parsed(raw: bytes, source: str, rules: RowRules) -> Row | BadRow:
    try:
        data = parse_json(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return BadRow(source, not_utf8(raw, error))
    except (ValueError, RecursionError) as error:
        too_deep = isinstance(error, RecursionError)
        return BadRow(source, f"not JSON ({'nested too deeply' if too_deep else getattr(error, 'msg', str(error))})")
    if not isinstance(data, dict):
        return BadRow(source, f"a JSON {type(data).__name__}, expected an object")
    try:
        export = export_of(data)
    except ValueError as error:
        return BadRow(source, str(error))
    if export is not None:
        data = export.row
    fields = data if export is None else {**export.about, **data}
    name = source if is_empty(data.get("id")) else str(data["id"])
    read = {key: _without(value, rules.ignore_keys) for key, value in data.items() if key not in rules.ignore_keys}
    unknown: set[str] = set()
    try:
        if rules.documents:
            row = Row(source, name, "text", (), fields, _document(read, rules, unknown))
        else:
            kind, turns, tools, rejected = _conversation(read, rules, unknown)
            own = fields | {REJECTED: list(rejected)} if rejected else fields
            row = Row(source, name, kind, tuple(turns), own, tools=tools)
    except ValueError as error:
        return BadRow(source, str(error), tuple(sorted(unknown)))
    if unknown:
        return BadRow(source, unknown_reason(unknown), tuple(sorted(unknown)))
    return row if export is None else row._replace(format=export.format)


def _without(value: Any, keys: frozenset[str]) -> Any:
    """The turns and content parts of a row without the keys that are passed over."""
    if not keys or not isinstance(value, list):
        return value
    return [
        {key: _without(inner, keys) for key, inner in entry.items() if key not in keys}
        if isinstance(entry, dict)
        else entry
        for entry in value
    ]


def _check_row(data: dict[str, Any], used: tuple[str, ...], rules: RowRules, unknown: set[str]) -> None:
    """Refuse keys and marks of the row itself; the key of the groups is known here, and not in the turns."""
    check_keys(data, (*used, *rules.fields, *MARKS, *VERDICTS, SYNTHETIC), "the row ", unknown)
    check_row_marks(data)
    check_synthetic(data.get(SYNTHETIC))
    if rules.group_by is not None and not is_mark(rules.group_by):
        unknown.discard(rules.group_by)


def _document(data: dict[str, Any], rules: RowRules, unknown: set[str]) -> str:
    """A row's text.

    Raises:
        ValueError: Says what is wrong with the row.
    """
    if "text" not in data:
        raise ValueError(f"{_keys(data)}: expected text (prepare.objective is text)")
    _check_row(data, ("text",), rules, unknown)
    text = data["text"]
    if is_empty(text) or (isinstance(text, str) and not text.strip()):
        raise ValueError("text is empty")
    if not isinstance(text, str):
        raise ValueError(f"text is {kind_of(text)}, expected text")
    if "\x00" in text:
        raise ValueError("text holds a NUL character")
    return text


def _conversation(data: dict[str, Any], rules: RowRules, unknown: set[str]) -> Conversation:
    """Format, turns, tools and what was rejected.

    Raises:
        ValueError: Says what is wrong with the row.
    """
    pair = preference_shape(data)
    shape = pair or shape_of(data)
    if shape is None:  # no key is unknown: one of them may be the question
        check_keys(data, ("system", *rules.fields, *MARKS, *VERDICTS, SYNTHETIC), "the row ", set())
        other = "; to train on plain documents, set prepare.objective: text" if "text" in data else ""
        raise ValueError(
            f"{_keys(data)}: expected messages, conversations, or prompt and completion, or instruction and output, or "
            f"question and answer, or a prompt with chosen and rejected{other}"
        )
    _check_row(data, (*shape.keys, *shape.more, "system"), rules, unknown)
    return read_conversation(data, shape, unknown) if pair is None else read_preference(data, pair, unknown)


def _keys(data: dict[str, Any]) -> str:
    named = ", ".join(key if key.isidentifier() and len(key) < 60 else shown(key) for key in sorted(data)[:8])
    return f"keys {named or 'none'}"
