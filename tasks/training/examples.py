"""Prepared rows as token ids with a loss on the assistant's tokens only."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from evalsuite.errors import MissingArtifactError, UsageError

IGNORED = -100
"""Label of a token that carries no loss (the value that PyTorch's cross entropy ignores)."""


class Example(NamedTuple):
    """One training sequence."""

    input_ids: list[int]
    labels: list[int]
    """``input_ids`` where the assistant speaks in its last turn, IGNORED elsewhere."""


def read_examples(path: Path, tokenizer: Any, max_length_tokens: int) -> list[Example]:
    """Tokenise data/prepared/{train,dev}.jsonl.

    Raises:
        MissingArtifactError: The file is absent.
        UsageError: It is empty, or a row cannot be trained on; the row's id is named.
    """
    if not path.is_file():
        raise MissingArtifactError(f"no prepared rows at {path}; make them with `ratchet stage prepare`")
    examples = [
        tokenize(row["id"], row["messages"], tokenizer, max_length_tokens) for row in map(json.loads, _lines(path))
    ]
    if not examples:
        raise UsageError(f"{path} has no rows; give data/raw more rows and run `ratchet stage prepare`")
    return examples


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8") as stream:
        yield from (line for line in stream if line.strip())


def tokenize(name: str, messages: Sequence[dict[str, str]], tokenizer: Any, max_length_tokens: int) -> Example:
    """One conversation; the end-of-turn token is learnt with the answer.

    Raises:
        UsageError: The chat template renders the prompt otherwise with the answer than without it, drops the answer,
            or the row is longer than ``max_length_tokens``.
    """
    prompt = tokenizer.apply_chat_template(list(messages[:-1]), tokenize=False, add_generation_prompt=True)
    whole = tokenizer.apply_chat_template(list(messages), tokenize=False)
    if not whole.startswith(prompt):
        raise UsageError(
            f"row {name!r}: the chat template changes the prompt when an answer follows; use another template"
        )
    bos = tokenizer.bos_token
    special = not (bos and whole.startswith(bos))
    prompt_ids = tokenizer(prompt, add_special_tokens=special)["input_ids"]
    ids = prompt_ids + tokenizer(whole[len(prompt) :], add_special_tokens=False)["input_ids"]
    end = tokenizer.eos_token_id
    if end is not None and end in ids[len(prompt_ids) :]:
        # What templates put after the end of the turn (a line break) is never generated, so it is not learnt either.
        ids = ids[: len(ids) - ids[::-1].index(end)]
    if len(ids) > max_length_tokens:
        raise UsageError(
            f"row {name!r} has {len(ids)} tokens, train.max_length_tokens is {max_length_tokens}; raise it, or lower "
            "prepare.max_length_tokens so that such rows are dropped"
        )
    labels = [IGNORED] * len(prompt_ids) + ids[len(prompt_ids) :]
    if all(label == IGNORED for label in labels):
        raise UsageError(f"row {name!r}: no token carries loss; the chat template drops the assistant's text")
    return Example(ids, labels)
