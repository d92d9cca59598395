"""The proof that examples in one row do not see each other."""

import math
from collections.abc import Sequence
from typing import Any

from evalsuite.errors import UsageError
from tasks.training.examples import IGNORED, Example

NUM_PROBES = 4
TOLERANCE = {"fp32": 1e-3, "bf16": 3e-2}
"""Largest difference in nats a token that rounding explains, by the type that is computed in."""


def check_packing(trainer: Any, examples: Sequence[Example], compute: str) -> None:
    """Compare the loss of examples in one row with the loss of each alone, through the trainer's own code.

    Without FlashAttention, documents are kept apart only by position ids that restart, and only where the model's
    attention heeds them; a model that does not (a recurrent one, or another attention kernel) learns across examples
    and says nothing.

    Raises:
        UsageError: The losses differ.
    """
    probes = [example._asdict() for example in examples[:NUM_PROBES]]
    if len(probes) < 2:
        return
    together = rows_loss(trainer, examples[:NUM_PROBES])
    alone = [rows_loss(trainer, [probe]) for probe in examples[:NUM_PROBES]]
    tokens = [sum(label != IGNORED for label in probe["labels"]) for probe in probes]
    expected = sum(loss * count for loss, count in zip(alone, tokens, strict=True)) / sum(tokens)
    # A model whose loss is no number stops at its first step, with a message that says so.
    if math.isfinite(expected) and not abs(together - expected) <= TOLERANCE[compute]:
        attention = trainer.model.config._attn_implementation
        raise UsageError(
            f"train.packing = true: examples in one row see each other with this model and attention {attention!r} "
            f"(loss {together:.4f} in one row, {expected:.4f} alone); set train.packing: false"
        )


def rows_loss(trainer: Any, examples: Sequence[Example]) -> float:
    """Mean over the rows' supervised tokens in evaluation mode, in nats."""
    training = trainer.model.training
    trainer.model.eval()
    rows = [example._asdict() for example in examples]
    loss, _, _ = trainer.prediction_step(trainer.model, trainer.data_collator(rows), prediction_loss_only=True)
    trainer.model.train(training)
    return float(loss)
