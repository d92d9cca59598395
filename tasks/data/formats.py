"""Training rows in the formats that teams have: chat, prompt/completion, Alpaca; and plain documents."""

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from evalsuite.files import parse_json

ROLES = ("system", "user", "assistant")
MAX_LINE_CHARACTERS = 1_000_000


class Row(NamedTuple):
    """A row that can be trained on."""

    source: str
    """``file:line``."""
    row_id: str
    format: str
    messages: tuple[dict[str, str], ...]
    """Empty for a document."""
    fields: dict[str, Any]
    """The row as it was, for grouping."""
    text: str | None = None
    """A document; None for a conversation."""


class BadRow(NamedTuple):
    """A row that cannot."""

    source: str
    reason: str


def read_rows(path: Path, name: str, documents: bool = False) -> Iterator[Row | BadRow]:
    """Read a JSONL file line by line, whatever its size.

    Args:
        path: The file.
        name: How messages and row ids name it.
        documents: Whether rows are documents (``text``) instead of conversations.

    Yields:
        A ``Row``, or a ``BadRow`` with the reason; blank lines are passed over.
    """
    with path.open("rb") as stream:
        for number, raw in enumerate(stream, 1):
            source = f"{name}:{number}"
            if raw.strip():
                yield _parse(raw, source, documents)


def _parse(raw: bytes, source: str, documents: bool = False) -> Row | BadRow:
    if len(raw) > MAX_LINE_CHARACTERS:
        return BadRow(source, f"line of {len(raw):,} bytes, at most {MAX_LINE_CHARACTERS:,}")
    try:
        data = parse_json(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return BadRow(source, f"not UTF-8 at byte {error.start}")
    except (json.JSONDecodeError, RecursionError) as error:
        return BadRow(source, f"not JSON ({getattr(error, 'msg', 'nested too deeply')})")
    if not isinstance(data, dict):
        return BadRow(source, f"a JSON {type(data).__name__}, expected an object")
    name = str(data.get("id", source))
    try:
        if documents:
            return Row(source, name, "text", (), data, _document(data))
        kind, messages = _messages(data)
    except ValueError as error:
        return BadRow(source, str(error))
    return Row(source, name, kind, messages, data)


def _document(data: dict[str, Any]) -> str:
    """A row's text.

    Raises:
        ValueError: Says what is wrong with the row.
    """
    if "text" not in data:
        keys = ", ".join(sorted(map(str, data))[:8]) or "none"
        raise ValueError(f"keys {keys}: expected text (prepare.objective is text)")
    text = data["text"]
    if not isinstance(text, str) or not text.strip():
        raise ValueError("text is empty or no text")
    if "\x00" in text:
        raise ValueError("text holds a NUL character")
    return text


def _messages(data: dict[str, Any]) -> tuple[str, tuple[dict[str, str], ...]]:
    """Normalise to chat turns.

    Raises:
        ValueError: Says what is wrong with the row.
    """
    if "messages" in data:
        return "chat", _chat(data["messages"])
    if "prompt" in data and "completion" in data:
        pair = (("user", data["prompt"]), ("assistant", data["completion"]))
        return "prompt_completion", _chat([{"role": role, "content": content} for role, content in pair])
    if "instruction" in data and "output" in data:
        extra = data.get("input") or ""
        if not isinstance(extra, str):
            raise ValueError("input is not text")
        user = f"{data['instruction']}\n\n{extra}" if extra else data["instruction"]
        system = [{"role": "system", "content": data["system"]}] if data.get("system") else []
        turns = [{"role": "user", "content": user}, {"role": "assistant", "content": data["output"]}]
        return "alpaca", _chat([*system, *turns])
    keys = ", ".join(sorted(map(str, data))[:8]) or "none"
    other = "; to train on plain documents, set prepare.objective: text" if "text" in data else ""
    raise ValueError(f"keys {keys}: expected messages, or prompt and completion, or instruction and output{other}")


def _chat(messages: Any) -> tuple[dict[str, str], ...]:
    if not isinstance(messages, list) or not messages:
        raise ValueError("messages is not a list of turns")
    turns = []
    for position, message in enumerate(messages):
        if not isinstance(message, dict):
            raise ValueError(f"turn {position} is not an object")
        role, content = message.get("role"), message.get("content")
        if role not in ROLES:
            raise ValueError(f"turn {position} has role {role!r}, expected {', '.join(ROLES)}")
        if not isinstance(content, str) or not content.strip():
            raise ValueError(f"turn {position} ({role}) has no text")
        if "\x00" in content:
            raise ValueError(f"turn {position} ({role}) holds a NUL character")
        if role == "system" and position != 0:
            raise ValueError(f"turn {position} is system; only the first may be")
        turns.append({"role": role, "content": content})
    speakers = [turn["role"] for turn in turns if turn["role"] != "system"]
    if speakers[:1] != ["user"] or any(a == b for a, b in pairwise(speakers)):
        raise ValueError(f"turns are {', '.join(speakers) or 'absent'}; user and assistant must take turns, user first")
    if speakers[-1] != "assistant":
        raise ValueError("the last turn is not the assistant's")
    return tuple(turns)
