"""Training rows in the formats that teams have: chat, ShareGPT, prompt/completion, Alpaca; and plain documents.

A key that says what a row means is used, or makes the row bad; so does a key that nobody knows (``tasks.data.keys``).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from evalsuite.core.files import parse_json
from tasks.config.marks import is_mark
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
from tasks.data.quiet import quiet
from tasks.data.sources import read_entries
from tasks.data.turns import Turn, check_conversation, read_turns, with_system

SHAPES: tuple[tuple[str, ...], ...] = (
    ("messages",),
    ("conversations",),
    ("conversation",),
    ("prompt", "completion"),
    ("instruction", "output"),
)
"""Formats of rows; the first one applies that has its keys present and not all empty."""


class Row(NamedTuple):
    """A row that can be trained on."""

    source: str
    """``file:line``, or ``file#entry`` in a JSON array."""
    row_id: str
    format: str
    messages: tuple[Turn, ...]
    """Empty for a document."""
    fields: dict[str, Any]
    """The row as it was, for grouping."""
    text: str | None = None
    """A document; None for a conversation."""


class BadRow(NamedTuple):
    """A row that cannot."""

    source: str
    reason: str
    unknown: tuple[str, ...] = ()
    """Its keys that nobody knows."""


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
    """Whether the reasons of bad rows quote nothing of them (``tasks.data.quiet``)."""


def read_rows(path: Path, name: str, rules: RowRules = RowRules()) -> Iterator[Row | BadRow]:  # noqa: B008  immutable
    """Read JSONL or a JSON array, gzipped or not, row by row, whatever the file's size.

    Args:
        path: The file.
        name: How messages and row ids name it.
        rules: How its rows are read.

    Yields:
        A ``Row``, or a ``BadRow`` with the reason; blank lines are passed over.

    Raises:
        UsageError: The file has another format, or breaks off; says how to convert it.
    """
    for entry in read_entries(path, name, rules.max_bytes):
        if entry.raw is None:
            yield BadRow(
                entry.source,
                f"{entry.size:,} bytes, prepare.max_line_bytes is {rules.max_bytes:,}; raise it, or cut the row",
            )
        else:
            yield parse_row(entry.raw, entry.source, rules)


def parse_row(raw: bytes, source: str, rules: RowRules = RowRules()) -> Row | BadRow:  # noqa: B008  immutable
    """A row of JSON; a ``BadRow`` with the reason where it cannot be trained on."""
    row = _parsed(raw, source, rules)
    return BadRow(source, *quiet(row.reason, row.unknown)) if rules.quiet and isinstance(row, BadRow) else row


def _parsed(raw: bytes, source: str, rules: RowRules) -> Row | BadRow:
    try:
        data = parse_json(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return BadRow(source, f"not UTF-8 at byte {error.start}")
    except (ValueError, RecursionError) as error:
        too_deep = isinstance(error, RecursionError)
        return BadRow(source, f"not JSON ({'nested too deeply' if too_deep else getattr(error, 'msg', str(error))})")
    if not isinstance(data, dict):
        return BadRow(source, f"a JSON {type(data).__name__}, expected an object")
    name = source if is_empty(data.get("id")) else str(data["id"])
    read = {key: _without(value, rules.ignore_keys) for key, value in data.items() if key not in rules.ignore_keys}
    unknown: set[str] = set()
    try:
        if rules.documents:
            row = Row(source, name, "text", (), data, _document(read, rules, unknown))
        else:
            kind, turns = _conversation(read, rules, unknown)
            row = Row(source, name, kind, tuple(turns), data)
    except ValueError as error:
        return BadRow(source, str(error), tuple(sorted(unknown)))
    if unknown:
        return BadRow(source, unknown_reason(unknown), tuple(sorted(unknown)))
    return row


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
    check_keys(data, (*used, *rules.fields, *MARKS, *VERDICTS), "the row ", unknown)
    check_row_marks(data)
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


def _conversation(data: dict[str, Any], rules: RowRules, unknown: set[str]) -> tuple[str, list[Turn]]:
    """Format and turns.

    Raises:
        ValueError: Says what is wrong with the row.
    """
    present = [shape for shape in SHAPES if all(key in data for key in shape)]
    filled = [shape for shape in present if not all(is_empty(data[key]) for key in shape)]
    shape = next(iter(filled or present), ())
    more = {"completion": ("history",), "output": ("history", "input")}.get(shape[-1] if shape else "", ())
    _check_row(data, (*shape, *more, "system"), rules, unknown)
    if not shape:
        other = "; to train on plain documents, set prepare.objective: text" if "text" in data else ""
        unknown.clear()
        raise ValueError(
            f"{_keys(data)}: expected messages, conversations, or prompt and completion, or instruction and output"
            f"{other}"
        )
    if shape[-1] == "completion":
        kind, turns = "prompt_completion", _prompt_completion(data, unknown)
    elif shape[-1] == "output":
        pair = ({"role": "user", "content": _instruction(data)}, {"role": "assistant", "content": data["output"]})
        kind, turns = "alpaca", read_turns([*_history(data), *pair], "output", unknown)
    else:
        kind = "chat" if shape[0] == "messages" else "sharegpt"
        turns = read_turns(data[shape[0]], shape[0], unknown)
    turns = with_system(turns, data.get("system"), unknown)
    check_conversation(turns)
    return kind, turns


def _prompt_completion(data: dict[str, Any], unknown: set[str]) -> list[Turn]:
    """Texts, or TRL's lists of turns, of which the prompt's answers are context."""
    prompt, completion = data["prompt"], data["completion"]
    given = prompt if _are_turns(prompt) else [*_history(data), {"role": "user", "content": prompt}]
    if _are_turns(prompt) and not is_empty(data.get("history")):
        raise ValueError("history stands beside a prompt of turns; keep one of them")
    answer = completion if _are_turns(completion) else [{"role": "assistant", "content": completion}]
    turns = read_turns([*given, *answer], "prompt", unknown)
    if _are_turns(prompt):
        for turn in turns[: len(prompt)]:
            if turn["role"] == "assistant":
                turn.setdefault("weight", 0)
    return turns


def _are_turns(value: Any) -> bool:
    """Whether a list holds turns, and not the parts of one text."""
    return isinstance(value, list) and any(
        isinstance(entry, dict) and ("role" in entry or "from" in entry) for entry in value
    )


def _instruction(data: dict[str, Any]) -> str:
    """Alpaca's instruction and, behind it, its input."""
    texts = []
    for key in ("instruction", "input"):
        value = data.get(key)
        if not is_empty(value) and not isinstance(value, str):
            raise ValueError(f"{key} is {kind_of(value)}, expected text")
        texts += [value] if value else []
    return "\n\n".join(texts)


def _history(data: dict[str, Any]) -> list[Turn]:
    """Alpaca's earlier turns; LLaMA-Factory learns their answers too."""
    history = data.get("history")
    if is_empty(history):
        return []
    if not isinstance(history, list):
        raise ValueError(f"history is {kind_of(history)}, expected a list of [question, answer]")
    turns: list[Turn] = []
    for number, pair in enumerate(history):
        if not isinstance(pair, list) or len(pair) != 2:
            raise ValueError(f"history entry {number} is not [question, answer]")
        turns += [{"role": "user", "content": pair[0]}, {"role": "assistant", "content": pair[1]}]
    return turns


def _keys(data: dict[str, Any]) -> str:
    named = ", ".join(key if key.isidentifier() and len(key) < 60 else shown(key) for key in sorted(data)[:8])
    return f"keys {named or 'none'}"
