"""What the keys of strangers' rows mean: used, harmless, not learnt by this trainer, or unknown and therefore named."""

import difflib
import reprlib
from collections.abc import Collection, Mapping
from typing import Any

from evalsuite.core.yaml_file import dump_yaml

MARKS = ("weight", "train", "training")
"""Whether something is learnt: OpenAI's ``weight``; axolotl's ``train``, ``training`` in its older files."""
MARK_KEYS = frozenset(MARKS)
VERDICTS = ("label", "kto_tag")
"""Whether the answer is a good example (KTO, as TRL and LLaMA-Factory write it)."""
TOOLS = "tool calls are not trained on"
REASONING = "reasoning beside the answer is not trained on; write it into the answer as the chat template does"
MEDIA = "only text is trained on"
PREFERENCE = "preference pairs are not trained on; give the good answer alone"
NOT_LEARNT = {
    **dict.fromkeys(("tools", "functions", "tool_calls", "tool_call_id", "function_call"), TOOLS),
    **dict.fromkeys(("reasoning", "reasoning_content", "thinking"), REASONING),
    **dict.fromkeys(("image", "images", "video", "videos", "audio", "audios", "file", "files"), MEDIA),
    **dict.fromkeys(("chosen", "rejected", "rejected_response"), PREFERENCE),
    "train_detail": "parts of a turn cannot be marked; mark the whole turn with train",
    "name": "names of speakers are not trained on; write them into the text",
    "refusal": "refusals beside the answer are not trained on; write the text into the answer",
    "contents": "Gemini's rows are not read; write messages with role and content",
}
"""Keys that carry what a row means and that this trainer cannot learn, with the reason why such a row is bad."""
METADATA = frozenset(
    (
        *("id", "_id", "uuid", "idx", "index", "hash", "row_id", "doc_id", "question_id", "prompt_id", "num_tokens"),
        *("conversation_id", "session_id", "created", "created_at", "date", "timestamp", "source", "url", "dataset"),
        *("category", "domain", "subject", "topic", "group", "lang", "language", "licence", "license"),
    )
)
"""Keys that say where a row comes from, not what it teaches; passed over while their value is plain."""
NESTED_EMPTY = ("[]", "{}", "null")
MAX_SHOWN = 60
MAX_NAMED = 40
KNOWN = (
    *("messages", "conversations", "prompt", "completion", "instruction", "input", "output", "history", "system"),
    *("role", "content", "text", *MARKS, *VERDICTS, *NOT_LEARNT),
)
"""What a misspelt key may have meant."""


def is_empty(value: Any) -> bool:
    """Whether a value carries nothing: null, an empty text, list or object; false and 0 do carry something."""
    return value is None or value in ("", [], {})


def shown(value: Any) -> str:
    """A hostile value, short enough for a message."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = MAX_SHOWN
    return short.repr(value)


def kind_of(value: Any) -> str:
    """The JSON type of a value, as people call it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "a list" if isinstance(value, list) else "an object" if isinstance(value, dict) else "null"


def check_keys(data: Mapping[str, Any], used: Collection[str], where: str, unknown: set[str]) -> None:
    """Collect the keys that nobody knows into ``unknown``.

    Args:
        data: A row, a turn or a part of its content.
        used: Keys that the caller reads.
        where: Begins the message; ends with a space where it is not empty.
        unknown: Gets the others; the row is bad if there are any.

    Raises:
        ValueError: A key carries what cannot be learnt.
    """
    for key, value in data.items():
        if key in used or is_empty(value):
            continue
        if key in NOT_LEARNT:
            if not (isinstance(value, str) and value.strip() in NESTED_EMPTY):
                raise ValueError(f"{where}has {key}: {NOT_LEARNT[key]}")
        elif key not in METADATA or not _is_plain(value):
            unknown.add(key)


def _is_plain(value: Any) -> bool:
    entries = value if isinstance(value, list) else [value]
    return not any(isinstance(entry, list | dict) for entry in entries)


def mark(data: Mapping[str, Any], where: str) -> int | None:
    """1 for what is marked to be learnt, 0 for what is marked not to be, None without a mark.

    Raises:
        ValueError: A mark is neither 0, 1, true nor false, or two marks contradict each other.
    """
    found: dict[str, int] = {}
    for key in MARKS if data.keys() & MARK_KEYS else ():
        value = data.get(key)
        if is_empty(value):
            continue
        if not isinstance(value, int | float) or value not in (0, 1):
            raise ValueError(f"{where}has {key} {shown(value)}, expected 0, 1, true or false")
        found[key] = int(value)
    if len(set(found.values())) > 1:
        raise ValueError(f"{where}has {' and '.join(found)} that contradict each other")
    return next(iter(found.values()), None)


def check_row_marks(data: Mapping[str, Any], unknown: set[str]) -> None:
    """Refuse a row that is marked as a whole not to be learnt.

    Raises:
        ValueError: A mark is 0 or false, the answer is labelled a bad one, or a mark says something else.
    """
    if mark(data, "the row ") == 0:
        key = next(key for key in MARKS if not is_empty(data.get(key)))
        raise ValueError(f"{key} is {shown(data[key])}: nothing of the row is to be learnt")
    for key in VERDICTS:
        value = data.get(key)
        if value is False:
            raise ValueError(f"{key} is false: the answer is an example of what not to say")
        if not is_empty(value) and value is not True:
            unknown.add(key)


def unknown_reason(unknown: Collection[str]) -> str:
    """Why a row with such keys is bad."""
    named = []
    for key in sorted(unknown)[:MAX_NAMED]:
        near = difflib.get_close_matches(key[:MAX_SHOWN].lower(), KNOWN, n=1, cutoff=0.85)
        named.append(f"{shown(key)} (did you mean {near[0]}?)" if near and near[0] != key else shown(key))
    more = f" and {len(unknown) - MAX_NAMED} more" if len(unknown) > MAX_NAMED else ""
    return f"unknown key{'s' * (len(unknown) > 1)} {', '.join(named)}{more}"


def ignore_advice(unknown: Collection[str], ignored: Collection[str]) -> str:
    """The one line of params.yaml with which rows with these keys are read."""
    keys = sorted({*unknown, *ignored})
    short = [key for key in keys if len(key) <= MAX_SHOWN][:MAX_NAMED]
    line = dump_yaml(short, in_one_line=True).strip()
    more = f" (and {len(keys) - len(short)} more)" if len(keys) > len(short) else ""
    return (
        f"where they say nothing about what is learnt, set prepare.ignore_keys: {line}{more}; else use the keys of "
        "docs/data.md"
    )
