"""Preference pairs: what was preferred is the row's conversation, what was rejected stays beside it.

Read are TRL's pairs (``prompt``, ``chosen``, ``rejected``, or both answers as whole conversations), those of
LLaMA-Factory, transcripts of Human and Assistant as in Anthropic's hh-rlhf, OpenAI's ``preferred_output``, and several
answers with a rank or a score (``tasks.data.ranked_answers``). What both conversations begin with is the prompt, and
its answers are context: the prompt ends before the first answer that is learnt.
"""

import re
from collections.abc import Sequence
from typing import Any

from evalsuite.core.text import as_written
from tasks.data.conversations import Conversation, Shape, are_turns, history_of, instruction_of
from tasks.data.keys import check_keys, check_number, is_empty, kind_of
from tasks.data.ranked_answers import ANSWERS, PLACES, best_and_worst
from tasks.data.tools import check_tools, linked, read_tools
from tasks.data.turns import Turn, check_conversation, read_turns, with_system

TEXT_PROMPTS = ("prompt", "question", "query", "instruction", "input")
TURN_PROMPTS = ("messages", "conversations", "conversation")
SCORES = (
    ("score_chosen", "score_rejected"),
    ("chosen_score", "rejected_score"),
    ("chosen_rating", "rejected_rating"),
    ("chosen-rating", "rejected-rating"),
)
"""What both answers were given, as UltraFeedback's binarised copies write it; the better one is higher."""
ABOUT = ("chosen_model", "rejected_model", "chosen-model", "rejected-model")
"""Who wrote the answers: nothing to learn."""
BESIDE = ("history", "tools", "functions")
PAIR = Shape(
    ("chosen", "rejected"),
    "preference",
    (*TEXT_PROMPTS, *TURN_PROMPTS, *BESIDE, *(key for pair in SCORES for key in pair), *ABOUT),
)
OPENAI = Shape(("preferred_output", "non_preferred_output"), "preference_openai", ("input",))
RANKED = tuple(Shape((key,), "ranked", (*TEXT_PROMPTS, *TURN_PROMPTS, *BESIDE, *PLACES)) for key in ANSWERS)
SHAPES = (PAIR, OPENAI, *RANKED)
TELLING = frozenset(key for shape in SHAPES for key in shape.keys)
"""Most rows have none of these keys, and are passed over at once."""
SPEAKER = re.compile(r"\n\n(Human|Assistant):")
"""How a turn of a transcript begins."""
FIRST = "\n\nHuman:"


def preference_shape(data: dict[str, Any]) -> Shape | None:
    """The kind of pair that a row holds; None for a row that is no pair."""
    if TELLING.isdisjoint(data):
        return None
    for shape in (PAIR, OPENAI):
        if all(key in data for key in shape.keys) and any(not is_empty(data[key]) for key in shape.keys):
            return shape
    asks = any(not is_empty(data.get(key)) for key in (*TEXT_PROMPTS, *TURN_PROMPTS))
    lists = [key for key in ANSWERS if isinstance(data.get(key), list) and data[key]]
    return next((shape for shape in RANKED if asks and shape.keys[0] in lists), None)


def read_preference(data: dict[str, Any], shape: Shape, unknown: set[str]) -> Conversation:
    """The conversation with the preferred answer, and the turns that were rejected.

    Args:
        data: The row.
        shape: What ``preference_shape`` found.
        unknown: Gets the keys of turns and answers that nobody knows.

    Raises:
        ValueError: Says what is wrong with the row: a tie, equal answers, answers of different prompts, or turns that
            are no conversation.
    """
    if shape is OPENAI:
        data = _flat(data, unknown)
    elif shape is PAIR:
        _check_scores(data)
    else:
        chosen, rejected = best_and_worst(data, shape.keys[0], unknown)
        data = {**data, "chosen": chosen, "rejected": rejected}
    tools = read_tools(data)
    prompts = _prompts(data, unknown)
    given = {key: _answer(data[key], key, unknown) for key in PAIR.keys}
    whole = {key: _whole(turns, key, prompts, data.get("system"), unknown) for key, turns in given.items()}
    for turn in whole["rejected"]:
        turn.pop("weight", None)
    preferred, other = (_checked(whole[key], key, tools) for key in PAIR.keys)
    parting = _parting(preferred, other)
    for position, turn in enumerate(preferred[: parting + 1]):
        if turn["role"] == "assistant":
            _mark(turn, position, parting)
    check_conversation(preferred)
    form = shape.format if shape is not PAIR else _form(data["chosen"], given["chosen"])
    return Conversation(form, preferred, tools, tuple(other[parting:]))


def _form(chosen: Any, turns: Sequence[Turn]) -> str:
    """How a pair was written."""
    if isinstance(chosen, str) and chosen.startswith(FIRST):
        return "preference_transcripts"
    return "preference" if turns[0]["role"] == "assistant" else "preference_conversations"


def _flat(data: dict[str, Any], unknown: set[str]) -> dict[str, Any]:
    """OpenAI's pair with the keys of the others."""
    given = data.get("input")
    if not isinstance(given, dict):
        raise ValueError(f"input is {kind_of(given)}, expected an object with messages")
    check_keys(given, ("messages", "tools", "parallel_tool_calls"), "input ", unknown)
    answers = dict(zip(PAIR.keys, (data[key] for key in OPENAI.keys), strict=True))
    return {"messages": given.get("messages"), "tools": given.get("tools"), "system": data.get("system"), **answers}


def _check_scores(data: dict[str, Any]) -> None:
    """Refuse a pair whose scores say that neither answer, or the rejected one, is better."""
    for keys in SCORES:
        if any(is_empty(data.get(key)) for key in keys):
            continue
        for key in keys:
            check_number(data[key], key)
        better, worse = (data[key] for key in keys)
        if better == worse:
            raise ValueError(f"{keys[0]} equals {keys[1]}: a tie, which prefers neither answer")
        if better < worse:
            raise ValueError(f"{keys[0]} is below {keys[1]}: the rejected answer would be the better one")


def _prompts(data: dict[str, Any], unknown: set[str]) -> dict[str, list[Turn]]:
    """Key -> the turns that it holds, of each key that may hold the prompt."""
    found = {}
    texts = [key for key in TEXT_PROMPTS if not is_empty(data.get(key))]
    if "instruction" in texts and "input" in texts:
        texts.remove("input")
    for key in texts:
        value = data[key]
        spoken = _transcript(value)
        if spoken is not None and spoken[-1] == {"role": "assistant", "content": ""}:
            spoken = spoken[:-1]  # a transcript's prompt ends where the answer begins
        turns = value if are_turns(value) else spoken
        if turns is None:
            turns = [{"role": "user", "content": instruction_of(data) if key == "instruction" else value}]
        found[key] = read_turns([*history_of(data), *turns], key, unknown)
    for key in TURN_PROMPTS:
        if not is_empty(data.get(key)):
            found[key] = read_turns(data[key], key, unknown)
    if not is_empty(data.get("history")) and (len(texts) != 1 or len(found) != 1 or are_turns(data[texts[0]])):
        raise ValueError("history stands beside no single prompt of text; write its turns into the conversation")
    return found


def _transcript(value: Any) -> list[Turn] | None:
    """Turns of a text in which Human and Assistant speak; None for anything else."""
    if not isinstance(value, str) or not value.startswith(FIRST):
        return None
    _, *parts = SPEAKER.split(value)
    roles = {"Human": "user", "Assistant": "assistant"}
    return [{"role": roles[who], "content": said.strip()} for who, said in zip(parts[::2], parts[1::2], strict=True)]


def _answer(value: Any, key: str, unknown: set[str]) -> list[Turn]:
    """What ``chosen`` or ``rejected`` holds, as turns: an answer, or the whole conversation."""
    turns = _transcript(value)
    if turns is None:
        turns = [value] if isinstance(value, dict) else value if are_turns(value) else None
    if turns is None:
        turns = [{"role": "assistant", "content": value}]
    try:
        return read_turns(turns, key, unknown)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None


def _whole(turns: list[Turn], key: str, prompts: dict[str, list[Turn]], system: Any, unknown: set[str]) -> list[Turn]:
    """The conversation up to the end of an answer; turns of its own."""
    if turns[0]["role"] in ("system", "user"):
        for name, prompt in prompts.items():
            same_start = _common(_without_system(turns), _without_system(prompt)) == len(_without_system(prompt))
            if not same_start and not (key == "rejected" and name in TURN_PROMPTS):
                raise ValueError(f"{key} does not begin with {name}; keep the one that is right")
        return with_system(turns, system, unknown)
    if len(prompts) != 1:
        named = " and ".join(prompts) or "no prompt"
        raise ValueError(f"the row has {named}: an answer alone needs one prompt, such as under prompt or messages")
    [prompt] = prompts.values()
    return with_system([*(dict(turn) for turn in prompt), *turns], system, unknown)


def _without_system(turns: list[Turn]) -> list[Turn]:
    return turns[1:] if turns and turns[0]["role"] == "system" else turns


def _checked(turns: list[Turn], key: str, tools: Sequence[Any]) -> list[Turn]:
    """The turns, which are a conversation, with their calls and results linked."""
    try:
        check_conversation([{name: value for name, value in turn.items() if name != "weight"} for turn in turns])
        if any("tool_calls" in turn for turn in turns):
            check_tools(turns, tools)
            return linked(turns)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None
    return turns


def _common(turns: Sequence[Turn], others: Sequence[Turn]) -> int:
    """How many turns both begin with."""
    pairs = zip(turns, others, strict=False)
    return next((at for at, (one, two) in enumerate(pairs) if not _same(one, two)), min(len(turns), len(others)))


def _same(one: Turn, two: Turn) -> bool:
    """Whether two turns say the same but for white space and Unicode's form."""
    if any(one.get(key) != two.get(key) for key in ("role", "tool_calls", "tool_call_id")):
        return False
    return bool(one["content"] == two["content"] or as_written(one["content"]) == as_written(two["content"]))


def _parting(preferred: Sequence[Turn], other: Sequence[Turn]) -> int:
    """Where the answers begin, behind the prompt that both share."""
    at = _common(preferred, other)
    if at == len(preferred) == len(other):
        raise ValueError("chosen and rejected are the same, so that nothing is preferred")
    if not any(turn["role"] == "user" for turn in preferred[:at]):
        raise ValueError("chosen and rejected do not begin with the same prompt")
    parts = [turns[at]["role"] if at < len(turns) else "absent" for turns in (preferred, other)]
    if parts != ["assistant", "assistant"]:
        raise ValueError(
            f"chosen and rejected part at turn {at}, which is {parts[0]} in one and {parts[1]} in the other; they must "
            "be answers to the same turn"
        )
    return at


def _mark(turn: Turn, position: int, parting: int) -> None:
    """Answers of the prompt are context, and the preferred one is learnt: a mark that says otherwise is refused."""
    weight = turn.get("weight")
    if position < parting:
        if weight == 1:
            raise ValueError(f"turn {position} (assistant) is marked to be learnt, and stands in the prompt of a pair")
        turn["weight"] = 0
    elif weight == 0:
        raise ValueError(f"turn {position} (assistant) is the preferred answer, and marked not to be learnt")
