"""Which epoch is exported, and when training stops early."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from evalsuite.core.errors import UsageError
from tasks.training.state.log import EpochRecord


class Selection(NamedTuple):
    """The chosen epoch and why."""

    epoch: int
    because: str


def select_epoch(epochs: Sequence[EpochRecord], metric: str, direction: str) -> Selection:
    """The epoch with the best golden dev metric; the earlier one wins a tie, having seen less.

    Raises:
        UsageError: No epoch has the metric; the message lists those that there are.
    """
    scored = [record for record in epochs if metric in record.golden]
    if not scored:
        known = sorted({name for record in epochs for name in record.golden})
        raise UsageError(
            f"train.select_metric = {metric!r}: not scored on the golden dev set; scored: {', '.join(known)}"
        )
    sign = 1.0 if direction == "higher" else -1.0
    best = max(scored, key=lambda record: (sign * record.golden[metric], -record.epoch))
    others = ", ".join(f"epoch {record.epoch} {record.golden[metric]:.3f}" for record in scored)
    equal = sum(record.golden[metric] == best.golden[metric] for record in scored) > 1
    tie = "; of equal epochs the earliest" if equal else ""
    return Selection(
        best.epoch, f"best golden dev {metric} ({direction} is better, n={best.golden_n[metric]}): {others}{tie}"
    )


def divergence(epochs: Sequence[EpochRecord], gap: float, patience: int) -> str | None:
    """Why training should stop now, or None.

    It should when for ``patience`` epochs in a row eval loss rose and lay more than ``gap`` nats above training loss:
    the model learns its training rows by heart.
    """
    diverging = 0
    for previous, record in pairwise(epochs):
        rising = record.eval_loss > previous.eval_loss
        diverging = diverging + 1 if rising and record.eval_loss - record.train_loss > gap else 0
    if diverging < patience:
        return None
    last = epochs[-1]
    return (
        f"eval loss rose for {diverging} epochs to {last.eval_loss:.3f}, {last.eval_loss - last.train_loss:.3f} above "
        f"training loss (limit {gap})"
    )
