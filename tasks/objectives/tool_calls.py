"""Whether a chat template wrote the tools, calls and results of a conversation, or left them out in silence."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def plain_turn(turn: Mapping[str, Any]) -> dict[str, Any]:
    """What a chat template gets of a turn."""
    plain: dict[str, Any] = {"role": str(turn["role"]), "content": str(turn["content"])}
    return plain | {key: turn[key] for key in ("tool_calls", "tool_call_id", "name") if key in turn}


def unwritten(tools: Sequence[Mapping[str, Any]], turns: Sequence[Mapping[str, Any]], text: str) -> str | None:
    """What of tools, calls and results a rendering lacks, in words; None where all is there.

    Args:
        tools: Definitions, of which the names are looked for.
        turns: The turns that ``text`` was rendered from.
        text: The rendering.
    """
    for tool in tools:
        if tool["function"]["name"] not in text:
            return f"the tools of the row (such as {tool['function']['name']!r})"
    for turn in turns:
        if turn["role"] == "tool" and not _is_in(turn["content"].strip(), text):
            return f"the result of {turn.get('name', 'a tool')!r}, or changes it"
        lacking = unwritten_call(turn, text)
        if lacking is not None:
            return lacking
    return None


def unwritten_call(turn: Mapping[str, Any], text: str) -> str | None:
    """The first call of a turn of which a name, a key or a value is not in ``text``; None where all is there."""
    for call in turn.get("tool_calls", ()):
        function = call["function"]
        if not all(_is_in(leaf, text) for leaf in (function["name"], *_leaves(function["arguments"]))):
            return f"the call of {function['name']!r} with its arguments"
    return None


def _leaves(value: Any) -> Iterator[Any]:
    """Every key and every value that holds no other."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield key
            yield from _leaves(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _leaves(inner)
    else:
        yield value


def _is_in(value: Any, text: str) -> bool:
    """Whether a text holds a value, as it is or as JSON writes it."""
    if isinstance(value, str):
        return value in text or any(
            json.dumps(value, ensure_ascii=ascii_only)[1:-1] in text for ascii_only in (False, True)
        )
    return json.dumps(value) in text or str(value) in text
