"""Texts of a row: where personal data may stand, and the row with other texts in their places."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from tasks.data.formats import Row

NO_TEXT = frozenset(("role", "from", "type", "weight", "tool_call_id", "name"))
"""Keys of turns that say what a turn is."""
OF_CALLS = frozenset(("id", "type", "name"))
"""Keys of calls and of their functions that a program wrote; whatever stands in ``arguments`` may be personal."""
OF_TOOLS = frozenset(("name", "type", "required", "$ref"))
"""Keys of definitions of tools that a program reads, unless a mapping stands under them: that defines a parameter."""
VALUES = frozenset(("default", "enum", "const", "examples"))
"""Keys of definitions of tools under which values stand as calls have them."""
IDS = frozenset(("id", "tool_call_id"))
"""Keys of what is passed over that name nothing."""
ALL: frozenset[str] = frozenset()


def texts_of(row: Row, roles: Sequence[str], fields: Sequence[str]) -> list[str]:
    """Every text of the row's document, of its turns of these roles, and of these fields."""
    found = [] if row.text is None else [row.text]
    for value in _parts(row, roles, fields):
        found += _texts(value, NO_TEXT)
    return found


def texts_of_tools(row: Row) -> list[str]:
    """Descriptions, defaults and other texts of the definitions of a row's tools."""
    return list(_texts(row.tools, OF_TOOLS))


def names_of(row: Row, roles: Sequence[str], fields: Sequence[str]) -> list[str]:
    """Names of functions and parameters, and keys, in the same places: they link definition, call and result."""
    return [
        *(name for value in _parts(row, roles, fields) for name in _names(value, NO_TEXT)),
        *_names(row.tools, OF_TOOLS),
    ]


def _parts(row: Row, roles: Sequence[str], fields: Sequence[str]) -> Iterator[Any]:
    """The turns and fields that are looked through."""
    yield from (turn for turn in row.messages if turn["role"] in roles)
    yield from _own(row, fields).values()


def _texts(value: Any, passed_over: frozenset[str]) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            if key not in _within(value, passed_over):
                yield from _texts(inner, _below(key, passed_over))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner, passed_over)


def _names(value: Any, passed_over: frozenset[str]) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            if key not in _within(value, passed_over):
                yield from _names(inner, _below(key, passed_over))
            elif key not in IDS:
                yield from _texts(inner, ALL)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _names(inner, passed_over)


def _within(value: Mapping[str, Any], passed_over: frozenset[str]) -> frozenset[str]:
    """Keys that are passed over in a mapping: those of turns only where it is one."""
    if passed_over == OF_TOOLS:
        return frozenset(key for key in passed_over if not isinstance(value.get(key), dict))
    is_turn = value.keys() >= {"role", "content"} or value.keys() >= {"from", "value"}
    return ALL if passed_over == NO_TEXT and not is_turn else passed_over


def _below(key: str, passed_over: frozenset[str]) -> frozenset[str]:
    """Keys that are passed over in what stands under a key."""
    if passed_over == NO_TEXT and key == "tool_calls":
        return OF_CALLS
    values = (passed_over == OF_CALLS and key == "arguments") or (passed_over == OF_TOOLS and key in VALUES)
    return ALL if values else passed_over


def with_texts(
    row: Row, roles: Sequence[str], fields: Sequence[str], change: Callable[[str], str], in_tools: Callable[[str], str]
) -> Row:
    """The row with each of those texts changed, and with each of its tools' by ``in_tools``."""
    text = None if row.text is None else change(row.text)
    turns = tuple(_changed(turn, change, NO_TEXT) if turn["role"] in roles else turn for turn in row.messages)
    tools = tuple(_changed(tool, in_tools, OF_TOOLS) for tool in row.tools)
    before = _own(row, fields)
    own = {name: _changed(value, change, NO_TEXT) for name, value in before.items()}
    return row._replace(
        text=text, messages=turns, tools=tools, fields=row.fields if own == before else row.fields | own
    )


def without_originals(row: Row, read: Collection[str | None]) -> Row:
    """The row without its fields as they were, but those that are still read: somebody might write them down."""
    return row._replace(fields={key: value for key, value in row.fields.items() if key in read})


def _own(row: Row, fields: Sequence[str]) -> dict[str, Any]:
    return {name: row.fields[name] for name in fields if name in row.fields}


def _changed(value: Any, change: Callable[[str], str], passed_over: frozenset[str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {
            key: inner if key in _within(value, passed_over) else _changed(inner, change, _below(key, passed_over))
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [_changed(inner, change, passed_over) for inner in value]
    return value
