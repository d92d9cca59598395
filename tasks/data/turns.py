"""Turns of a conversation as strangers write them: OpenAI, TRL, axolotl, ShareGPT; one form comes out."""

from collections.abc import Mapping, Sequence
from typing import Any

from tasks.data.keys import MARKS, check_keys, is_empty, kind_of, mark, shown
from tasks.data.tools import read_calls, result_text

ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    **dict.fromkeys(("tool", "function", "observation", "tool_response", "ipython"), "tool"),
    **dict.fromkeys(("function_call", "tool_call"), "assistant"),
}
CALLS = ("function_call", "tool_call")
"""Roles of turns whose content is a call, in ShareGPT's files."""

Turn = dict[str, Any]
"""role (system, user, assistant or tool), content and, where the row has them: weight (0 or 1; assistant alone),
tool_calls (assistant), tool_call_id and name (tool)."""


def read_turns(entries: Any, name: str, unknown: set[str]) -> list[Turn]:
    """Turns in one form, not yet checked as a conversation.

    Args:
        entries: What the row has.
        name: The key that it stands under.
        unknown: Gets keys that nobody knows.

    Raises:
        ValueError: Says what is wrong with which turn.
    """
    if not isinstance(entries, list) or not entries:
        raise ValueError(f"{name} is not a list of turns")
    turns: list[Turn] = []
    for position, entry in enumerate(entries):
        turn = _read_turn(entry, position, unknown)
        if turns and "tool_calls" in turn and turns[-1]["role"] == "assistant" and not turn["content"]:
            _add_calls(turns[-1], turn, position)
        else:
            turns.append(turn)
    return turns


def _add_calls(before: Turn, turn: Turn, position: int) -> None:
    """Make one turn of a text and the calls that follow it, which ShareGPT writes as several."""
    if before.get("weight", 1) != turn.get("weight", 1):
        raise ValueError(f"turn {position} (assistant) goes on with the turn before it and has another weight")
    before["tool_calls"] = [*before.get("tool_calls", ()), *turn["tool_calls"]]


def _read_turn(data: Any, position: int, unknown: set[str]) -> Turn:
    if not isinstance(data, dict):
        raise ValueError(f"turn {position} is not an object")
    given = _either(data, "role", "from", position)
    role = ROLES.get(given) if isinstance(given, str) else None
    if role is None:
        raise ValueError(f"turn {position} has role {shown(given)}, expected {', '.join(ROLES)}")
    where = f"turn {position} ({role}) "
    own = {"assistant": ("tool_calls", "function_call"), "tool": ("tool_call_id", "name")}.get(role, ())
    check_keys(data, ("role", "from", "content", "value", *own, *MARKS), where, unknown)
    weight = mark(data, where)
    turn: Turn = {"role": role, **_said(data, given, position, where, unknown)}
    if weight is not None and role == "assistant":
        turn["weight"] = weight
    elif weight == 1:
        raise ValueError(f"{where}is marked to be learnt; only the assistant's turns are")
    return turn


def _said(data: Mapping[str, Any], role: Any, position: int, where: str, unknown: set[str]) -> Turn:
    """Content, and the calls or the call that is answered."""
    content = _either(data, "content", "value", position)
    if role in CALLS:
        return {"content": "", "tool_calls": _calls(content, where, unknown)}
    if ROLES[role] == "tool":
        text = content if _are_parts(content) else result_text("" if content is None else content).strip()
        said: Turn = {"content": text_of(text, where, unknown) if text else ""}
        call_id = data.get("tool_call_id")
        return said if is_empty(call_id) else {**said, "tool_call_id": str(call_id)}
    given = _either(data, "tool_calls", "function_call", position) if ROLES[role] == "assistant" else None
    if is_empty(given):
        return {"content": text_of(content, where, unknown)}
    text = "" if is_empty(content) else text_of(content, where, unknown)
    return {"content": text, "tool_calls": _calls(given, where, unknown)}


def _calls(given: Any, where: str, unknown: set[str]) -> list[dict[str, Any]]:
    calls = read_calls(given, where, unknown)
    if not calls:
        raise ValueError(f"{where}calls no tool")
    return calls


def _are_parts(content: Any) -> bool:
    return isinstance(content, list) and all(isinstance(part, dict) and part.get("type") == "text" for part in content)


def _either(data: Mapping[str, Any], key: str, other: str, position: int) -> Any:
    """The value under one of two names for the same thing."""
    if other not in data:
        return data.get(key)
    filled = [name for name in (key, other) if not is_empty(data.get(name))]
    if len(filled) == 2 and data[key] != data[other]:
        raise ValueError(f"turn {position} has different values for {key} and {other}")
    return data[filled[0]] if filled else None


def text_of(content: Any, where: str, unknown: set[str]) -> str:
    """A text, or text parts joined as chat templates join them: with nothing between.

    Raises:
        ValueError: No text, or something that is not text.
    """
    if isinstance(content, list) and content:
        content = "".join(_part(part, f"{where}content part {number} ", unknown) for number, part in enumerate(content))
    if is_empty(content) or (isinstance(content, str) and not content.strip()):
        raise ValueError(f"{where}has no text")
    if not isinstance(content, str):
        raise ValueError(f"{where.rstrip()}: content is {kind_of(content)}, expected text")
    if "\x00" in content:
        raise ValueError(f"{where}holds a NUL character")
    return content


def _part(part: Any, where: str, unknown: set[str]) -> str:
    if not isinstance(part, dict):
        raise ValueError(f"{where}is {kind_of(part)}, expected an object of type text")
    if part.get("type") != "text":
        raise ValueError(f"{where}is of type {shown(part.get('type'))}: only text is trained on")
    check_keys(part, ("type", "text"), where, unknown)
    text = part.get("text")
    if not isinstance(text, str):
        raise ValueError(f"{where}is {kind_of(text)}, expected text")
    return text


def with_system(turns: Sequence[Turn], system: Any, unknown: set[str]) -> list[Turn]:
    """The turns behind the system text that the row has beside them.

    Raises:
        ValueError: The turns begin with another one.
    """
    if is_empty(system):
        return list(turns)
    text = text_of(system, "system ", unknown)
    if not turns or turns[0]["role"] != "system":
        return [{"role": "system", "content": text}, *turns]
    if turns[0]["content"] != text:
        raise ValueError("system differs from the system turn; keep one of them")
    return list(turns)


def check_conversation(turns: Sequence[Turn]) -> None:
    """Refuse what no chat template renders, or what teaches nothing.

    Raises:
        ValueError: A system turn that is not the first, turns that do not alternate, a result without a call or a call
            without a result, no answer at the end, none learnt.
    """
    before: Turn | None = None
    alternate = True
    for position, turn in enumerate(turns):
        role = turn["role"]
        if role == "system":
            if position:
                raise ValueError(f"turn {position} is system; only the first may be")
            continue
        if role == "tool" or (before is not None and (before["role"] == "tool" or "tool_calls" in before)):
            _check_exchange(position, before, turn)
        elif role == ("assistant" if before is None else before["role"]):
            alternate = False
        before = turn
    if before is None or not alternate:
        speakers = [turn["role"] for turn in turns if turn["role"] not in ("system", "tool")]
        listed = ", ".join(speakers[:8]) + (", ..." if len(speakers) > 8 else "")
        raise ValueError(f"turns are {listed or 'absent'}; user and assistant must take turns, user first")
    if before["role"] != "assistant":
        raise ValueError("the last turn is not the assistant's")
    if not any(turn.get("weight", 1) for turn in turns if turn["role"] == "assistant"):
        raise ValueError("no answer is learnt: every assistant turn has weight 0 or train false")


def _check_exchange(position: int, before: Turn | None, turn: Turn) -> None:
    """Results follow calls, and the assistant speaks after them."""
    calls = before is not None and "tool_calls" in before
    follows = before is not None and before["role"] == "tool"
    if turn["role"] == "tool" and not (calls or follows):
        raise ValueError(f"turn {position} is a tool's result, and no call stands before it")
    if calls and turn["role"] != "tool":
        raise ValueError(f"turn {position} is {turn['role']}, and the call before it has no result")
    if follows and turn["role"] not in ("tool", "assistant"):
        raise ValueError(f"turn {position} is {turn['role']}; after a tool's result the assistant speaks")
