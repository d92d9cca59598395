"""What a model replied, read as the hostile text that it may be."""

import re

from evalsuite.core.files import parse_json
from tasks.served.answers import ChatAnswer
from tasks.synthesis.kinds import WORDINGS, Kind

MAX_CHARACTERS = 20_000
"""Of a reply; a longer one is a runaway, and no row of a training set."""
FENCED = re.compile(r"```(?:json)?[ \t]*\n(.*)\n[ \t]*```", re.DOTALL | re.IGNORECASE)
THOUGHT, THOUGHT_ENDS = "<think>", "</think>"
"""Around what a reasoning model writes before it replies, where its server leaves it in."""
UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, those that turn the direction of text, and halves of characters."""
TEMPLATE_MARKS = re.compile(r"<\|[^<>|\n]{1,40}\|>|<(?:start|end)_of_turn>|\[/?INST\]|</?s>|<<SYS>>")
"""They would end the turn when the row is written by a chat template."""


class UnusableError(ValueError):
    """A reply that makes no row; says why in the same words for all such replies, and nothing of the reply."""


def read_reply(kind: Kind, answer: ChatAnswer) -> dict[str, str]:
    """What the model wrote, by the keys of the kind's wording.

    Where one text is asked for, plain text is taken for it.

    Raises:
        UnusableError: There is no such text, or it is none to learn from.
    """
    if answer.text is None:
        raise UnusableError(answer.fault)
    if len(answer.text) > MAX_CHARACTERS:
        raise UnusableError(f"longer than {MAX_CHARACTERS:,} characters")
    if not answer.finished:
        raise UnusableError("cut off by max_tokens")
    said = {key: text.replace("\r\n", "\n").strip() for key, text in _texts(kind, answer.text).items()}
    for text in said.values():
        if not text:
            raise UnusableError("empty")
        if UNSEEN.search(text):
            raise UnusableError("holds control characters")
        if TEMPLATE_MARKS.search(text):
            raise UnusableError("holds marks of a chat template")
    return said


def _texts(kind: Kind, reply: str) -> dict[str, str]:
    text, keys = reply.strip(), WORDINGS[kind].keys
    if text.startswith(THOUGHT):
        text = text.partition(THOUGHT_ENDS)[2].strip()
    fenced = FENCED.fullmatch(text)
    inside = fenced[1].strip() if fenced else text
    if not inside.startswith(("{", "[")):
        if len(keys) == 1:
            return {keys[0]: text}
        raise UnusableError("not in the form that was asked for")
    try:
        data = parse_json(inside)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict) or not all(isinstance(data.get(key), str) for key in keys):
        raise UnusableError("not in the form that was asked for")
    return {key: data[key] for key in keys}
