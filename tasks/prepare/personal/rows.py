"""Texts of a row: where personal data may stand, and the row with other texts in their places."""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from tasks.data.formats import SHAPES, Row

NO_TEXT = frozenset(("role", "from", "type", "weight"))
"""Keys of turns that say what a turn is."""
TEXTS = frozenset((*(key for shape in SHAPES for key in shape), "history", "input", "system", "text"))
"""Keys of rows that turns and documents come from."""


def texts_of(row: Row, roles: Sequence[str], fields: Sequence[str]) -> list[str]:
    """Every text of the row's document, of its turns of these roles, and of these fields."""
    found = [] if row.text is None else [row.text]
    for turn in row.messages:
        if turn["role"] in roles:
            found += _texts(turn)
    for name in fields:
        found += _texts(row.fields.get(name))
    return found


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            if key not in NO_TEXT:
                yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)


def with_texts(row: Row, roles: Sequence[str], fields: Sequence[str], change: Callable[[str], str]) -> Row:
    """The row with each of those texts changed."""
    text = None if row.text is None else change(row.text)
    turns = tuple(_changed(turn, change) if turn["role"] in roles else turn for turn in row.messages)
    own = {name: _changed(value, change) for name, value in _own(row, fields).items()}
    return row._replace(text=text, messages=turns, fields=row.fields if own == _own(row, fields) else row.fields | own)


def without_originals(row: Row, read: Collection[str | None]) -> Row:
    """The row without its texts as they were, but those that are still read: somebody might write them down."""
    return row._replace(fields={key: value for key, value in row.fields.items() if key in read or key not in TEXTS})


def _own(row: Row, fields: Sequence[str]) -> dict[str, Any]:
    return {name: row.fields[name] for name in fields if name in row.fields}


def _changed(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: inner if key in NO_TEXT else _changed(inner, change) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_changed(inner, change) for inner in value]
    return value
