"""Everything that the promotion report shows, gathered before a word of it is written."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from evalsuite.comparison_rows import Comparison
from evalsuite.gate.decision import Decision
from evalsuite.results import SuiteResult


class _Record(BaseModel):
    """A part of a training log; fields that the report does not show are left out."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class LossPoint(_Record):
    """One optimizer step."""

    epoch: float
    loss: float
    """Nats a supervised token."""


class EpochPoint(_Record):
    """One epoch, and what the golden dev set said of it."""

    epoch: int
    train_loss: float
    eval_loss: float
    golden: dict[str, float]
    golden_n: dict[str, int]
    golden_stderr: dict[str, float | None]
    seconds: float


class TrainingRun(_Record):
    """How one method was trained."""

    method: str
    kind: str
    steps: tuple[LossPoint, ...]
    epochs: tuple[EpochPoint, ...]
    selected_epoch: int
    selected_because: str
    stopped_early: str | None = None
    num_examples: int
    num_tokens: int
    trainable_parameters: int
    total_parameters: int
    config: dict[str, str | int | float | bool | None]
    effective: dict[str, str | int | float | bool]


@dataclass(frozen=True)
class ReportData:
    """The report's only input, so that the same data gives the same bytes."""

    decision: Decision
    comparison: Comparison
    results: Mapping[str, Mapping[str, SuiteResult]]
    """Model (the candidate, base and champion) -> suite -> items; other models are left out."""
    training: Mapping[str, TrainingRun] = field(default_factory=dict)
    """Method -> its training."""
    plans: Mapping[str, Any] = field(default_factory=dict)
    """Plan file's stem -> its JSON."""
    params: Mapping[str, Any] = field(default_factory=dict)
    """The sections of params.yaml that the run used."""
    base_model: str = "unknown"
    """Hub id, folder or package of the base model."""
    licence: str | None = None
    """Licence of the base model's weights; None where none is stated."""
    licence_from: str = ""
    """Who states it."""
    git_commit: str = "unknown"
    written: datetime | None = None
    """When the report was made, UTC; None where nobody says."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Package -> version."""
