"""Several sampled answers to one item: stored one by one, counted as one item."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from evalsuite.items.results import ItemResult


class Repeat(BaseModel):
    """One of an item's sampled answers."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    output: str
    scores: dict[str, float] = Field(default_factory=dict)
    """Metric -> score of this answer; a numerator where the metric is a ratio of sums."""
    unscored: str | None = None
    num_output_tokens: int = 0


def merge_repeats(answers: Sequence["ItemResult"]) -> "ItemResult":
    """One item from its repeats' results: each score is their mean, so that n counts items.

    A metric that some repeat has no score for is unscored, since leaving that repeat out would favour a model that
    fails to answer.
    """
    first = answers[0]
    if len(answers) == 1:
        return first
    scored = [m for m in first.metrics if all(m in answer.scores for answer in answers)]
    reasons = [answer.unscored for answer in answers if answer.unscored is not None]
    return first.model_copy(
        update={
            "scores": {m: _mean([answer.scores[m] for answer in answers]) for m in scored},
            "unscored": f"{len(reasons)} of {len(answers)} repeats: {reasons[0]}" if reasons else None,
            "num_output_tokens": sum(answer.num_output_tokens for answer in answers),
            "repeats": tuple(
                Repeat(
                    output=answer.output,
                    scores=answer.scores,
                    unscored=answer.unscored,
                    num_output_tokens=answer.num_output_tokens,
                )
                for answer in answers
            ),
        }
    )


def _mean(scores: Sequence[float]) -> float:
    """Within the scores that it is of: rounded, eleven full scores of a weight of 0.03 had a mean just below it."""
    return min(max(math.fsum(scores) / len(scores), min(scores)), max(scores))
