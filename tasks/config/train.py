"""What all methods of training share."""

from enum import StrEnum
from typing import Literal, Self

from pydantic import Field, model_validator

from tasks.config.methods import MOST_SEEDS
from tasks.config.section import Section


class LongRows(StrEnum):
    """What happens to rows with more tokens than ``train.max_length_tokens``."""

    STOP = "stop"
    DROP = "drop"
    TRUNCATE = "truncate"
    """Cut the end of the answer, so the row does not teach the end of a turn."""


class Answers(StrEnum):
    """Which answers of a conversation are learnt; one with ``weight: 0`` never is."""

    ALL = "all"
    LAST = "last"


class TrainParams(Section):
    """Settings that all methods share."""

    batch_size: int = Field(default=16, ge=1)
    """Examples per optimizer step."""
    micro_batch_size: int = Field(default=1, ge=1)
    """Examples (or packed rows) per forward pass; divides ``batch_size``."""
    max_length_tokens: int = Field(default=1024, ge=8)
    long_rows: LongRows = LongRows.STOP
    """What happens to rows with more tokens: ``stop``, ``drop`` or ``truncate``; they are counted."""
    answers: Answers = Answers.ALL
    """``all``: learn every answer of a conversation but those with weight 0. ``last``: learn only the last of them."""
    packing: bool = True
    """Put several short examples in one row, kept apart by position ids."""
    gradient_checkpointing: bool = False
    """Use less memory in exchange for time."""
    seed: int = Field(default=0, ge=0, lt=MOST_SEEDS)
    keep_checkpoints: int = Field(default=3, ge=3)
    """Latest epoch checkpoints to keep, besides the selected one."""
    select_metric: str = "json_fields"
    """Golden dev metric that selects the epoch."""
    select_direction: Literal["higher", "lower"] = "higher"
    divergence_gap: float = Field(default=0.5, gt=0.0)
    """Stop early when eval loss exceeds training loss by this many nats and rises ..."""
    divergence_patience: int = Field(default=2, ge=1)
    """... for this many epochs in a row."""
    report_to: tuple[Literal["tensorboard", "wandb", "mlflow"], ...] = ()
    """Trackers that get the curves too, on this machine unless the environment says otherwise."""

    @model_validator(mode="after")
    def _micro_batch_divides_batch(self) -> Self:
        if self.batch_size % self.micro_batch_size:
            raise ValueError(f"micro_batch_size {self.micro_batch_size} does not divide batch_size {self.batch_size}")
        return self
