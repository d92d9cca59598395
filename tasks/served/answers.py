"""What a server answered, read as the untrusted text that it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evalsuite.core.files import parse_json

MAX_CHARACTERS = 200_000
"""A longer text is no answer: the server ignores ``max_tokens``."""
MAX_PLACES = 16
"""Tokens from the start whose alternatives are kept."""
MAX_ALTERNATIVES = 20
MAX_TOKEN_CHARACTERS = 32

Alternatives = tuple[tuple[str, float], ...]
"""The likeliest tokens at one place, with their log-probabilities (natural)."""


@dataclass(frozen=True)
class ChatAnswer:
    """One answer, or the kind of fault that there is instead."""

    text: str | None
    """None where there is none."""
    fault: str = ""
    """Why there is no text, in the same words for all such faults; none of the server's own sentences."""
    finished: bool = True
    """Whether the model ended it, and not ``max_tokens``."""
    places: tuple[Alternatives, ...] = ()
    """Of the first tokens, where the server gave log-probabilities."""


def read_answer(body: bytes) -> ChatAnswer:
    """The first choice of a chat completion."""
    try:
        choice = parse_json(body)["choices"][0]
        text = choice["message"]["content"]
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        return ChatAnswer(None, "the reply is not a chat completion")
    if not isinstance(text, str):
        return ChatAnswer(None, "the reply has no text")
    if len(text) > MAX_CHARACTERS:
        return ChatAnswer(None, f"the reply is longer than {MAX_CHARACTERS:,} characters")
    return ChatAnswer(text, finished=choice.get("finish_reason") != "length", places=_places(choice.get("logprobs")))


def restored(stored: Mapping[str, Any]) -> ChatAnswer:
    """An answer as it was before it was kept as JSON."""
    places = tuple(tuple((token, value) for token, value in place) for place in stored["places"])
    return ChatAnswer(stored["text"], stored["fault"], stored["finished"], places)


def _places(logprobs: Any) -> tuple[Alternatives, ...]:
    """The alternatives of the first tokens; empty where the server names none, or something else."""
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not isinstance(content, list):
        return ()
    return tuple(_alternatives(each) for each in content[:MAX_PLACES])


def _alternatives(place: Any) -> Alternatives:
    top = place.get("top_logprobs") if isinstance(place, dict) else None
    found = []
    for each in top[:MAX_ALTERNATIVES] if isinstance(top, list) else ():
        token: Any = each.get("token") if isinstance(each, dict) else None
        value: Any = each.get("logprob") if isinstance(each, dict) else None
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if isinstance(token, str) and len(token) <= MAX_TOKEN_CHARACTERS and number and -1e4 < value < 0.01:
            found.append((token, float(value)))
    return tuple(found)
