"""A conversation as exchanges: what the user asks, and all that the assistant says until the user speaks again."""

import json
from typing import NamedTuple

from tasks.config.train import Answers
from tasks.data.formats import Row


class Exchange(NamedTuple):
    """One question and its answer, as texts."""

    question: str
    answer: str
    """With calls of functions as JSON."""


def learnt_exchanges(row: Row, answers: Answers) -> list[Exchange]:
    """The exchanges of a conversation in which something is learnt, in their order."""
    found: list[Exchange] = []
    question: list[str] = []
    said: list[str] = []
    learnt = False
    for turn in (*row.messages, {"role": "user", "content": ""}):
        if turn["role"] == "user" and said:
            if learnt:
                found.append(Exchange("\n".join(question), "\n".join(said)))
            question, said, learnt = [], [], False
        if turn["role"] == "user":
            question.append(turn["content"])
        elif turn["role"] == "assistant":
            calls = [json.dumps(call["function"], ensure_ascii=False) for call in turn.get("tool_calls", ())]
            said += [text for text in (turn["content"], *calls) if text]
            learnt = learnt or turn.get("weight", 1) != 0
    return found if answers is Answers.ALL else found[-1:]
