"""What a training run did, for the comparison, the report and the reviewer."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class StepRecord(_Record):
    """One logged optimizer step; what a log of an earlier version lacks is None."""

    step: int
    epoch: float
    loss: float
    """Mean over supervised tokens, nats."""
    learning_rate: float
    grad_norm: float | None = None
    tokens: int | None = None
    """Non-padding tokens since the record before, of all processes."""
    tokens_per_second: float | None = None
    """Of them, dev runs and checkpoints left out of the time."""
    model_flops_utilisation: float | None = None
    """Model FLOPs over the devices' peak (fraction 0..1); None where the peak is not known, as of a CPU."""
    peak_memory_bytes: int | None = None
    """So far, of the process that holds most; see ``TrainLog``."""


class EpochRecord(_Record):
    """One epoch's checkpoint and what the golden dev set said of it."""

    epoch: int
    step: int
    checkpoint: str
    """Folder name under checkpoints/METHOD."""
    train_loss: float
    """Mean of the epoch's logged steps, nats a supervised token."""
    eval_loss: float
    """On data/prepared/dev.jsonl: mean of its micro-batches, nats a supervised token."""
    golden: dict[str, float]
    """Golden dev metric -> mean over scored items."""
    golden_n: dict[str, int]
    golden_stderr: dict[str, float | None]
    seconds: float
    """Wall time of the epoch, golden run included."""


class ResumeCheck(_Record):
    """The proof that a training went on with the weights that it had saved."""

    step: int
    saved_loss: float
    """On a few dev rows when the checkpoint was written, nats a supervised token."""
    resumed_loss: float
    """On the same rows with the weights that were read."""


class RateRecord(_Record):
    """One of several learning rates of a method, and what the golden dev set said of its best epoch."""

    learning_rate: float
    epochs: int
    """That were completed."""
    selected_epoch: int | None = None
    """None, as the figures of the golden dev set, where the training diverged."""
    dev: float | None = None
    """Golden dev metric that selects (``train.select_metric``)."""
    dev_n: int | None = None
    dev_stderr: float | None = None
    eval_loss: float | None = None
    """Of the selected epoch, nats a supervised token."""
    train_seconds: float
    diverged: str | None = None
    """Why it was given up."""


class TrainLog(_Record):
    """models/METHOD/train_log.json."""

    schema_version: Literal[1] = 1
    method: str
    kind: str
    config: dict[str, str | int | float | bool | None]
    """The resolved configuration, dotted keys."""
    steps: tuple[StepRecord, ...]
    epochs: tuple[EpochRecord, ...]
    selected_epoch: int
    selected_because: str
    rates: tuple[RateRecord, ...] = ()
    """Every learning rate that was tried; empty where the method names one. All else here is of the best one, save
    time, tokens and peak memory, which are of all."""
    stopped_early: str | None = None
    """Why, when eval loss diverged from training loss."""
    resumed_from_steps: tuple[int, ...] = ()
    """Steps at which a killed run went on."""
    resume_checks: tuple[ResumeCheck, ...] = ()
    num_examples: int
    num_tokens: int
    """Non-padding tokens seen in all epochs, of all learning rates."""
    trainable_parameters: int
    total_parameters: int
    train_seconds: float
    """Wall time of training over all attempts, evaluation on dev included."""
    peak_memory_bytes: int
    """Peak resident memory of the worker, or of the device where there is one."""
    adapter_bytes: int | None
    """Size of the adapter; None for full fine-tuning."""
    effective: dict[str, str | int | float | bool]
    """What really ran: device, dtype, attention, optimizer, packing, distributed type."""
    merge_max_abs_difference: float | None
    """Largest logit difference between merged and unmerged weights; None for full fine-tuning."""
    quantisation_max_abs_difference: float | None = None
    """Largest logit difference between the merged weights and the 4-bit base with the adapter; QLoRA only."""
    identity: str
    """Identity of the exported model."""
