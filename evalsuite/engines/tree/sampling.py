"""The next token of each row: the likeliest, or one drawn by the request's own seed."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from evalsuite.core.errors import StageError
from evalsuite.engines.base import GenerationRequest


def next_tokens(logits: Any, requests: Sequence[GenerationRequest], positions: Sequence[int]) -> list[int]:
    """One token per row.

    A drawn token depends on the row's logits, the request's seed and the position alone, so that a completion is the
    same whatever else is in the batch and however often a run was interrupted.

    Args:
        logits: (rows, vocabulary).
        requests: Each row's, with its temperature and seed.
        positions: How many tokens each completion has so far.

    Raises:
        StageError: A logit is not a number.
    """
    tokens = likeliest(logits)
    for row, (request, position) in enumerate(zip(requests, positions, strict=True)):
        if request.temperature > 0.0:
            scaled = logits[row].double() / request.temperature
            cumulative = scaled.softmax(-1).cumsum(-1).cpu().numpy()
            drawn = np.random.default_rng([request.seed, position]).random() * cumulative[-1]
            tokens[row] = int(np.searchsorted(cumulative, drawn, side="right"))
    return tokens


def likeliest(logits: Any) -> list[int]:
    """The greedy token of each row of (rows, vocabulary).

    Raises:
        StageError: A logit is not a number: the weights hold one, or the type that they compute in overflows.
    """
    best, tokens = logits.max(-1)
    if not bool(best.isfinite().all()):
        raise StageError("the model's logits are not finite: its weights are damaged, or its type overflows")
    found: list[int] = tokens.tolist()
    return found
