"""Tools of a conversation as strangers write them; OpenAI's form comes out, as chat templates read it.

Definitions are ``{"type": "function", "function": {...}}``, a call's arguments an object. An id that is not of nine
letters and digits, the only ones that Mistral's templates take, is replaced by nine of its hash: ids are opaque.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from evalsuite.core.files import parse_json
from tasks.data.keys import check_keys, check_nested, is_empty, kind_of, shown

CALL_ID = re.compile(r"[A-Za-z0-9]{9}", re.ASCII)
Tool = dict[str, Any]


def read_tools(data: Mapping[str, Any]) -> tuple[Tool, ...]:
    """The definitions that a row has under ``tools``, or under ``functions`` as in OpenAI's older files.

    Raises:
        ValueError: They are no list of functions, or one has no name.
    """
    key = "functions" if is_empty(data.get("tools")) else "tools"
    given = _parsed(data.get(key), key)
    if is_empty(given):
        return ()
    if not isinstance(given, list):
        raise ValueError(f"{key} is {kind_of(given)}, expected a list of functions")
    return tuple(_definition(tool, f"{key} entry {number}") for number, tool in enumerate(given))


def _definition(tool: Any, where: str) -> Tool:
    tool = _parsed(tool, where)
    if isinstance(tool, dict) and "function" in tool:
        if tool.get("type", "function") != "function":
            raise ValueError(f"{where} is of type {shown(tool['type'])}, expected function")
        tool = tool["function"]
    if not isinstance(tool, dict) or not isinstance(tool.get("name"), str) or not tool["name"].strip():
        raise ValueError(f"{where} is no function with a name")
    check_nested(tool, where)
    return {"type": "function", "function": tool}


def read_calls(entries: Any, where: str, unknown: set[str]) -> list[dict[str, Any]]:
    """Calls of an assistant's turn: OpenAI's ``tool_calls``, or objects with ``name`` and ``arguments``.

    Raises:
        ValueError: One has no name, or arguments that are no object.
    """
    entries = _parsed(entries, f"{where}calls")
    listed = entries if isinstance(entries, list) else [entries]
    return [_call(_parsed(call, f"{where}call {n}"), f"{where}call {n} ", unknown) for n, call in enumerate(listed)]


def _call(call: Any, where: str, unknown: set[str]) -> dict[str, Any]:
    if not isinstance(call, dict):
        raise ValueError(f"{where}is {kind_of(call)}, expected an object with name and arguments")
    outer: Mapping[str, Any] = call
    if "function" in call:
        check_keys(call, ("id", "type", "index", "function"), where, unknown)
        if call.get("type") not in (None, "function"):
            raise ValueError(f"{where}is of type {shown(call['type'])}, expected function")
        call = call["function"]
    if not isinstance(call, dict) or not isinstance(call.get("name"), str) or not call["name"].strip():
        raise ValueError(f"{where}has no name of a function")
    check_keys(call, ("id", "name", "arguments", "parameters"), where, unknown)
    given = call.get("arguments") if "arguments" in call else call.get("parameters")
    arguments = {} if is_empty(given) else _parsed(given, f"{where}arguments")
    if not isinstance(arguments, dict):
        raise ValueError(f"{where}has arguments that are {kind_of(arguments)}, expected an object")
    check_nested(arguments, f"{where}arguments")
    found = {"type": "function", "function": {"name": call["name"], "arguments": arguments}}
    own = outer.get("id")
    return found if is_empty(own) else {"id": str(own), **found}


def _parsed(value: Any, where: str) -> Any:
    """JSON that was written as a text."""
    if not isinstance(value, str) or not value.strip():
        return value
    try:
        return parse_json(value)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where.strip()}: not JSON ({getattr(error, 'msg', 'nested too deeply')})") from None


def result_text(content: Any) -> str:
    """What a tool gave back; objects as JSON.

    Raises:
        ValueError: It is no JSON, or nested too deeply.
    """
    check_nested(content, "the content")
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)


def linked(turns: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The turns with an id for each call, and each result with the id and the name of the call that it answers.

    Raises:
        ValueError: A result answers no call.
    """
    found: list[dict[str, Any]] = []
    waiting: dict[str, tuple[str, str]] = {}
    """Id in the row of each call without a result -> (id, name)."""
    for position, turn in enumerate(turns):
        if turn["role"] == "assistant":
            waiting = {}
            if "tool_calls" in turn:
                calls = [_with_id(call, position, number) for number, call in enumerate(turn["tool_calls"])]
                for number, (given, call) in enumerate(zip(turn["tool_calls"], calls, strict=True)):
                    key = given.get("id", f"\x00{number}")
                    if key in waiting:
                        raise ValueError(f"turn {position} (assistant) has two calls with id {shown(key)}")
                    waiting[key] = (call["id"], call["function"]["name"])
                turn = {**turn, "tool_calls": calls}
        elif turn["role"] == "tool":
            own = turn.get("tool_call_id")
            key = str(own) if own is not None else next(iter(waiting), "")
            if key not in waiting:
                what = "no call that waits for one" if own is None else f"{shown(own)}, which waits for none"
                raise ValueError(f"turn {position} (tool) is a result of {what}")
            call_id, name = waiting.pop(key)
            turn = {"role": "tool", "content": turn["content"], "tool_call_id": call_id, "name": name}
        found.append(turn)
    return found


def _with_id(call: dict[str, Any], position: int, number: int) -> dict[str, Any]:
    given = call.get("id", f"{position}.{number} {json.dumps(call['function'], sort_keys=True)}")
    own = given if CALL_ID.fullmatch(given) else hashlib.sha256(given.encode()).hexdigest()[:9]
    return {"id": own, "type": "function", "function": call["function"]}


def check_tools(turns: Sequence[Mapping[str, Any]], tools: Sequence[Tool]) -> None:
    """Refuse a call of a function that the row does not define.

    Raises:
        ValueError: Names the function.
    """
    known = {tool["function"]["name"] for tool in tools}
    for position, turn in enumerate(turns):
        for call in turn.get("tool_calls", ()) if known else ():
            if call["function"]["name"] not in known:
                raise ValueError(
                    f"turn {position} (assistant) calls {shown(call['function']['name'])}, which tools does not define"
                )
