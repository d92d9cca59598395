"""Cross entropy that turns the logits into their own gradient: one tensor over the vocabulary instead of five."""

from functools import cache
from typing import Any

CHUNK = 64
"""Rows at a time: what is computed on the way stays in the processor's cache."""


@cache
def in_place_loss() -> Any:
    """The function's class (torch is heavy: it is imported on the first call)."""
    import torch

    class InPlaceLoss(torch.autograd.Function):  # type: ignore[misc]  # torch is untyped here
        @staticmethod
        def forward(context: Any, logits: Any, targets: Any, scale: float) -> Any:
            gradient, total = logits.detach(), logits.new_zeros(())
            for rows, wanted in zip(gradient.split(CHUNK), targets.unsqueeze(-1).split(CHUNK), strict=True):
                log_probabilities = rows.log_softmax(dim=-1)
                total -= log_probabilities.gather(-1, wanted).sum()
                torch.exp(log_probabilities, out=rows)
                rows.scatter_add_(-1, wanted, rows.new_full((), -1.0).expand_as(wanted)).mul_(scale)
            context.save_for_backward(gradient)
            return total * scale

        @staticmethod
        def backward(context: Any, *outer: Any) -> Any:
            (gradient,) = context.saved_tensors
            return gradient if float(outer[0]) == 1.0 else gradient * outer[0], None, None

    return InPlaceLoss


def cross_entropy_in_place(logits: Any, targets: Any, scale: float) -> Any:
    """Negative log likelihood of the targets in nats, summed, times ``scale``; the logits are gone afterwards.

    Args:
        logits: (tokens, vocabulary), fp32, read by nobody else.
        targets: (tokens,), none of them ignored.
        scale: One over the tokens of the optimizer step.

    Returns:
        A scalar that can be differentiated once.
    """
    return in_place_loss().apply(logits, targets, scale)
