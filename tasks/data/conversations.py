"""What a row says as a conversation, in the formats that teams have."""

from typing import Any, NamedTuple

from tasks.data.keys import is_empty, kind_of
from tasks.data.tools import Tool, check_tools, linked, read_tools
from tasks.data.turns import Turn, check_conversation, read_turns, with_system


class Shape(NamedTuple):
    """A format of rows: keys, of which all are there."""

    keys: tuple[str, ...]
    format: str
    more: tuple[str, ...] = ()
    """Keys that it may have beside them."""


SHAPES: tuple[Shape, ...] = (
    Shape(("messages",), "chat", ("tools", "functions")),
    Shape(("conversations",), "sharegpt", ("tools", "functions")),
    Shape(("conversation",), "sharegpt", ("tools", "functions")),
    Shape(("prompt", "completion"), "prompt_completion", ("history", "tools", "functions")),
    Shape(("instruction", "output"), "alpaca", ("input", "history")),
    Shape(("instruction", "response"), "alpaca", ("input", "context", "history")),
    Shape(("prompt", "response"), "question_answer", ("history",)),
    Shape(("question", "answer"), "question_answer", ("history",)),
    Shape(("query", "response"), "question_answer", ("history",)),
)
"""The first one applies that has its keys present and not all empty."""


class Conversation(NamedTuple):
    """What is read of a row."""

    format: str
    turns: list[Turn]
    tools: tuple[Tool, ...]
    rejected: tuple[Turn, ...] = ()
    """Of a preference pair: the turns that were rejected, in place of those behind the prompt."""


def shape_of(data: dict[str, Any]) -> Shape | None:
    """The format of a row by its keys."""
    first = None
    for shape in SHAPES:
        if all(key in data for key in shape.keys):
            if any(not is_empty(data[key]) for key in shape.keys):
                return shape
            first = first or shape
    return first


def read_conversation(data: dict[str, Any], shape: Shape, unknown: set[str]) -> Conversation:
    """Format, turns and tools.

    Args:
        data: The row.
        shape: Its format.
        unknown: Gets the keys of turns that nobody knows.

    Raises:
        ValueError: Says what is wrong with the row.
    """
    if shape.format == "prompt_completion":
        turns = _prompt_completion(data, unknown)
    elif shape.format in ("chat", "sharegpt"):
        turns = read_turns(data[shape.keys[0]], shape.keys[0], unknown)
    else:
        question, answer = shape.keys
        asked = instruction_of(data) if shape.format == "alpaca" else data[question]
        pair = ({"role": "user", "content": asked}, {"role": "assistant", "content": data[answer]})
        turns = read_turns([*history_of(data), *pair], answer, unknown)
    turns = with_system(turns, data.get("system"), unknown)
    check_conversation(turns)
    tools = read_tools(data)
    if any("tool_calls" in turn for turn in turns):
        check_tools(turns, tools)
        turns = linked(turns)
    return Conversation(shape.format, turns, tools)


def _prompt_completion(data: dict[str, Any], unknown: set[str]) -> list[Turn]:
    """Texts, or TRL's lists of turns, of which the prompt's answers are context."""
    prompt, completion = data["prompt"], data["completion"]
    given = prompt if are_turns(prompt) else [*history_of(data), {"role": "user", "content": prompt}]
    if are_turns(prompt) and not is_empty(data.get("history")):
        raise ValueError("history stands beside a prompt of turns; keep one of them")
    answer = completion if are_turns(completion) else [{"role": "assistant", "content": completion}]
    turns = read_turns([*given, *answer], "prompt", unknown)
    if are_turns(prompt):
        for turn in turns[: len(prompt)]:
            if turn["role"] == "assistant":
                turn.setdefault("weight", 0)
    return turns


def are_turns(value: Any) -> bool:
    """Whether a list holds turns, and not the parts of one text."""
    return isinstance(value, list) and any(
        isinstance(entry, dict) and ("role" in entry or "from" in entry) for entry in value
    )


def instruction_of(data: dict[str, Any]) -> str:
    """Alpaca's instruction and, behind it, its input, which Dolly calls context.

    Raises:
        ValueError: One of them is no text.
    """
    texts = []
    for key in ("instruction", "input", "context"):
        value = data.get(key)
        if not is_empty(value) and not isinstance(value, str):
            raise ValueError(f"{key} is {kind_of(value)}, expected text")
        texts += [value] if value else []
    return "\n\n".join(texts)


def history_of(data: dict[str, Any]) -> list[Turn]:
    """Alpaca's earlier turns; LLaMA-Factory learns their answers too.

    Raises:
        ValueError: They are no list of pairs.
    """
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
