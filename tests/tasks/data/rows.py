"""Rows as the bytes of a file."""

import json
from typing import Any

from tasks.data.formats import BadRow, Row, RowRules, parse_row

TURNS = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]


def as_bytes(row: Any) -> bytes:
    """One line of JSON."""
    return json.dumps(row).encode()


def parsed(row: Any, **rules: Any) -> Row | BadRow:
    """What is read of a row."""
    return parse_row(as_bytes(row), "f:1", RowRules(**rules))


def good(row: Any, **rules: Any) -> Row:
    """A row that can be trained on."""
    found = parsed(row, **rules)
    assert isinstance(found, Row), found
    return found


def reason(row: Any, **rules: Any) -> str:
    """Why a row cannot be trained on."""
    found = parsed(row, **rules)
    assert isinstance(found, BadRow), found
    return found.reason
