"""The proof that examples in one row do not see each other."""

import logging
import math
from collections.abc import Sequence
from typing import Any

from evalsuite.core.errors import UsageError
from tasks.objectives.documents import IGNORED, Example
from tasks.training.optim.attention import DOCUMENTS, MASKED

logger = logging.getLogger(__name__)

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
    probes = examples[:NUM_PROBES]
    if len(probes) < 2:
        return
    model = trainer.accelerator.unwrap_model(trainer.model)
    attention = model.config._attn_implementation
    if attention == DOCUMENTS:
        model.set_attn_implementation(MASKED)
    tokens = [sum(label != IGNORED for label in example.labels) for example in probes]
    alone = [rows_loss(trainer, [example]) for example in probes]
    expected = sum(loss * count for loss, count in zip(alone, tokens, strict=True)) / sum(tokens)
    if attention == DOCUMENTS:
        model.set_attn_implementation(DOCUMENTS)
        if _agree(rows_loss(trainer, probes), expected, compute):
            return
        logger.warning("attention within each document is off: this model's attention needs a mask over the whole row")
        model.set_attn_implementation(MASKED)
    together = rows_loss(trainer, probes)
    if not _agree(together, expected, compute):
        raise UsageError(
            "train.packing = true: examples in one row see each other with this model and attention "
            f"{model.config._attn_implementation!r} (loss {together:.4f} in one row, {expected:.4f} alone); set "
            "train.packing: false"
        )


def _agree(together: float, expected: float, compute: str) -> bool:
    # A model whose loss is no number stops at its first step, with a message that says so.
    return not math.isfinite(expected) or abs(together - expected) <= TOLERANCE[compute]


def rows_loss(trainer: Any, examples: Sequence[Example]) -> float:
    """Mean over the rows' supervised tokens in evaluation mode, in nats."""
    training = trainer.model.training
    trainer.model.eval()
    rows = [example._asdict() for example in examples]
    loss, _, _ = trainer.prediction_step(trainer.model, trainer.data_collator(rows), prediction_loss_only=True)
    trainer.model.train(training)
    return float(loss)
