"""What the keys of strangers' rows mean: used, harmless, not learnt by this trainer, or unknown and therefore named."""

import difflib
import math
import reprlib
from collections.abc import Collection, Mapping
from typing import Any

from evalsuite.core.yaml_file import dump_yaml
from tasks.config.marks import MARK_WORDS, VERDICT_WORDS, words_of_key

MARKS = ("weight", "train", "training")
"""Whether something is learnt: OpenAI's ``weight``; axolotl's ``train``, ``training`` in its older files."""
MARK_KEYS = frozenset(MARKS)
VERDICTS = ("label", "kto_tag")
"""Whether the answer is a good example (KTO, as TRL and LLaMA-Factory write it)."""
TOOLS = (
    "tools stand beside the turns (tools), calls in the assistant's turns (tool_calls), results in turns with the role "
    "tool"
)
REASONING = "reasoning beside the answer is not trained on; write it into the answer as the chat template does"
MEDIA = "only text is trained on"
PREFERENCE = "a preference pair has both chosen and rejected, beside a prompt or as whole conversations"
NOT_LEARNT = {
    **dict.fromkeys(("tools", "functions", "tool_calls", "tool_call_id", "function_call"), TOOLS),
    "tool_choice": "a choice that was forced is not trained on; leave it out where the model chose by itself",
    **dict.fromkeys(("reasoning", "reasoning_content", "thinking"), REASONING),
    **dict.fromkeys(("image", "images", "video", "videos", "audio", "audios", "file", "files"), MEDIA),
    **dict.fromkeys(("chosen", "rejected", "rejected_response", "rejected_completion"), PREFERENCE),
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
        *("parallel_tool_calls", "annotator", "annotation_id", "updated_at", "lead_time"),
    )
)
"""Keys that say where a row comes from, not what it teaches; passed over while their value is plain."""
SAYING = (
    (
        MARK_WORDS,
        "mark what is learnt by weight (0 or 1), or by train or training (true or false), on a turn or a row",
    ),
    (
        VERDICT_WORDS,
        "mark a good or bad example by label or kto_tag (true or false) on a row; rename a label that is a class, such "
        "as to category",
    ),
    (frozenset(("chosen", "rejected", "reject", "preferred", "dispreferred")), PREFERENCE),
    (frozenset(("tool", "tools", "function", "functions")), TOOLS),
    (frozenset(("image", "images", "video", "videos", "audio", "audios")), MEDIA),
    (frozenset(("reasoning", "thinking")), REASONING),
)
"""Words in other keys that may say what is learnt, and how it is said here: no message advises to ignore such a key."""
NESTED_EMPTY = ("[]", "{}", "null")
MAX_SHOWN = 60
MAX_NAMED = 40
MAX_EXAMINED = 1000
MAX_DEPTH = 100
"""Levels of a tool's definition or of a call's arguments; a schema has some ten."""
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


def check_number(value: Any, what: str) -> None:
    """Refuse what is no number, and what is infinite or not a number.

    Raises:
        ValueError: Names it by ``what``.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{what} is {kind_of(value)}, expected a number")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{what} is {value}, expected a finite number")


def check_nested(value: Any, what: str, depth: int = MAX_DEPTH) -> None:
    """Refuse a JSON value that no file of JSON may hold, or that is nested too deeply to be worked on.

    Raises:
        ValueError: Names it by ``what``.
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{what} holds {value}, which is no JSON; write a finite number or null")
    if isinstance(value, dict | list):
        if not depth:
            raise ValueError(f"{what} is nested too deeply, more than {MAX_DEPTH} levels")
        for inner in value.values() if isinstance(value, dict) else value:
            check_nested(inner, what, depth - 1)


def kind_of(value: Any) -> str:
    """The JSON type of a value, as people call it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "a list" if isinstance(value, list) else "an object" if isinstance(value, dict) else "null"


def _near(key: str) -> str | None:
    """The known key that a misspelt one may have meant."""
    near = difflib.get_close_matches(key[:MAX_SHOWN].lower(), KNOWN, n=1, cutoff=0.85)
    return near[0] if near and near[0] != key else None


def _meaning(key: str) -> str | None:
    """How that is said which an unknown key may say about what is learnt; None where its name says no such thing."""
    words = words_of_key(key) | words_of_key(_near(key) or "")
    return next((how for saying, how in SAYING if words & saying), None) or NOT_LEARNT.get(_near(key) or "")


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
        if key in VERDICTS:
            raise ValueError(f"{where}has {key}: mark good and bad examples on the whole row instead")
        if key in MARK_KEYS:
            raise ValueError(f"{where}has {key}: parts of a turn cannot be marked; mark the whole turn with {key}")
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


def check_row_marks(data: Mapping[str, Any]) -> None:
    """Refuse a row that is marked as a whole not to be learnt.

    Raises:
        ValueError: A mark is 0 or false, the answer is labelled a bad one, or a mark says something else.
    """
    if mark(data, "the row ") == 0:
        key = next(key for key in MARKS if not is_empty(data.get(key)))
        raise ValueError(f"{key} is {shown(data[key])}: nothing in the row may be learnt")
    for key in VERDICTS:
        value = data.get(key)
        if value is False:
            raise ValueError(f"{key} is false: the answer is an example of what not to say")
        if not is_empty(value) and value is not True:
            raise ValueError(
                f"{key} is {shown(value)}, expected true (a good example) or false (a bad one); rename a label "
                "that is a class, such as to category"
            )


def unknown_reason(unknown: Collection[str]) -> str:
    """Why a row with such keys is bad."""
    named = []
    for key in sorted(unknown)[:MAX_NAMED]:
        near, meaning = _near(key), _meaning(key)
        hint = f" (did you mean {near}?)" if near else f" ({meaning})" if meaning else ""
        named.append(shown(key) + hint)
    more = f" and {len(unknown) - MAX_NAMED} more" if len(unknown) > MAX_NAMED else ""
    return f"unknown key{'s' * (len(unknown) > 1)} {', '.join(named)}{more}"


def ignore_advice(unknown: Collection[str], ignored: Collection[str]) -> str:
    """The one line of params.yaml with which rows with these keys are read, and the keys that no line helps.

    A key whose name may say what is learnt is never in that line: ignored, bad answers would be learnt.
    """
    examined = sorted(unknown)[:MAX_EXAMINED]
    telling = [key for key in examined if _meaning(key)]
    parts = []
    if telling:
        more = f" and {len(telling) - MAX_NAMED} more" if len(telling) > MAX_NAMED else ""
        named = ", ".join(map(shown, telling[:MAX_NAMED]))
        parts.append(f"{named}{more} may mark what is learnt: mark it with the keys of `ratchet help data`")
    if len(telling) < len(examined):
        keys = sorted({*unknown, *ignored} - set(telling))
        short = [key for key in sorted({*examined, *ignored} - set(telling)) if len(key) <= MAX_SHOWN][:MAX_NAMED]
        line = dump_yaml(short, in_one_line=True).strip()
        more = f" (and {len(keys) - len(short)} more)" if len(keys) > len(short) else ""
        parts.append(
            f"where {'the others' if telling else 'they'} do not affect what is learnt, set prepare.ignore_keys: "
            f"{line}{more}; otherwise use the keys of `ratchet help data`"
        )
    return "; ".join(parts)
