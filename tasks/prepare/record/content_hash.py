"""A hash of what is learnt of a row, by which it is known again in other versions of the data."""

import hashlib
import json
import unicodedata
from collections.abc import Mapping
from typing import Any

HASH_BYTES = 16
BLANKS = bytes(char for char in range(128) if chr(char).isspace())
PLAIN_TURN = frozenset({"role", "content", "weight"})


def content_hash(learnt: Mapping[str, Any]) -> str:
    """128 bits of the sha256 of what is learnt of a row, in hex.

    Equal for rows that are the same but for white space, Unicode's form, format and the order of keys. Lists of hashes
    outlive this version: what it does to a text may never change.

    Args:
        learnt: As train.jsonl has it (``tasks.prepare.rows.content``): ``messages`` or ``text``, and whatever else.
    """
    parts = [_turn(turn) for turn in learnt.get("messages", ())]
    others = {key: _bare(value) for key, value in learnt.items() if key != "messages"}
    # No text of a row has a NUL (tasks.data), and JSON writes none.
    return hashlib.sha256(b"\0".join([*parts, _as_json(others)])).hexdigest()[: 2 * HASH_BYTES]


def _turn(turn: Mapping[str, Any]) -> bytes:
    more = {key: _bare(value) for key, value in turn.items() if key not in PLAIN_TURN}
    said = f"{turn['role']}{turn.get('weight', 1)}:".encode() + _without_blanks(turn.get("content") or "")
    return said + _as_json(more)


def _as_json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, ensure_ascii=False).encode() if value else b""


def _bare(value: Any) -> Any:
    """A value whose texts have no white space."""
    if isinstance(value, str):
        return _without_blanks(value).decode()
    if isinstance(value, Mapping):
        return {key: _bare(inner) for key, inner in value.items()}
    return [_bare(inner) for inner in value] if isinstance(value, list | tuple) else value


def _without_blanks(text: str) -> bytes:
    if text.isascii():  # five times as fast, and the same
        return text.encode().translate(None, BLANKS)
    return "".join(unicodedata.normalize("NFC", text).split()).encode()
