"""Documents of continued pretraining as pieces that fit a row, every token but the first learnt once."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from evalsuite.core.errors import UsageError

IGNORED = -100
"""Label of a token that carries no loss (the value that PyTorch's cross entropy ignores)."""


class Example(NamedTuple):
    """One training sequence."""

    input_ids: list[int]
    labels: list[int]
    """``input_ids`` where the model is to learn them, IGNORED elsewhere."""


def document_ids(text: str, tokenizer: Any) -> list[int]:
    """Tokens of a document, with the tokenizer's own first token and the one that ends a text.

    Raises:
        UsageError: The tokenizer has no token that ends a text.
    """
    end = tokenizer.eos_token_id
    if end is None:
        raise UsageError("the tokenizer has no eos_token, so no document would have an end; set one in the base model")
    ids: list[int] = tokenizer(text, verbose=False)["input_ids"]
    return ids if ids[-1:] == [end] else [*ids, end]


def pieces(ids: list[int], limit: int) -> Iterator[Example]:
    """Cut a document into rows of at most ``limit`` tokens.

    A piece begins with the last token of the one before, which it sees and does not learn, so that the pieces together
    learn each token once, save the first, which nothing predicts.
    """
    for start in range(0, max(1, len(ids) - 1), limit - 1):
        piece = ids[start : start + limit]
        yield Example(piece, [IGNORED, *piece[1:]])


def num_pieces(num_tokens: int, limit: int) -> int:
    """How many rows a document of so many tokens becomes."""
    return max(1, math.ceil((num_tokens - 1) / (limit - 1)))
