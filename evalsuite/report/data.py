"""Everything that the promotion report shows, gathered before a word of it is written."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from evalsuite.comparison.rows import Comparison
from evalsuite.contamination.overlap import ContaminationReport
from evalsuite.gate.decision import Decision
from evalsuite.gate.replay import DataCounts, RunInputs
from evalsuite.items.results import ScoreTable, SuiteResult


class _Record(BaseModel):
    """A part of a training log; fields that the report does not show are left out."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class StepPoint(_Record):
    """One logged optimizer step; what a log of an earlier version lacks is None."""

    epoch: float
    loss: float
    """Nats a supervised token."""
    learning_rate: float | None = None
    grad_norm: float | None = None
    tokens: int | None = None
    """Non-padding tokens since the point before."""
    tokens_per_second: float | None = None
    model_flops_utilisation: float | None = None
    """Of the devices' peak (fraction 0..1); None where that is not known."""


class EpochPoint(_Record):
    """One epoch, and what the golden dev set said of it."""

    epoch: int
    train_loss: float
    eval_loss: float
    golden: dict[str, float]
    golden_n: dict[str, int]
    golden_stderr: dict[str, float | None]
    seconds: float


class Continuity(_Record):
    """What the weights gave that a training went on with, in nats a token on a few dev rows."""

    step: int
    saved_loss: float
    resumed_loss: float


class RatePoint(_Record):
    """One of several learning rates that were tried; figures are None where it diverged."""

    learning_rate: float
    selected_epoch: int | None
    dev: float | None
    """Golden dev metric that selects, at the selected epoch."""
    dev_n: int | None
    dev_stderr: float | None
    eval_loss: float | None
    train_seconds: float
    diverged: str | None


class TrainingRun(_Record):
    """How one method was trained."""

    method: str
    kind: str
    steps: tuple[StepPoint, ...]
    epochs: tuple[EpochPoint, ...]
    selected_epoch: int
    selected_because: str
    rates: tuple[RatePoint, ...] = ()
    """Empty where the method names one learning rate."""
    stopped_early: str | None = None
    num_examples: int
    num_tokens: int
    """Non-padding tokens of all epochs."""
    train_seconds: float | None = None
    """Wall time of all attempts, dev runs included."""
    peak_memory_bytes: int | None = None
    resumed_from_steps: tuple[int, ...] = ()
    resume_checks: tuple[Continuity, ...] = ()
    trainable_parameters: int
    total_parameters: int
    config: dict[str, str | int | float | bool | None]
    effective: dict[str, str | int | float | bool]


class _Plain(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


class HistoryLine(_Plain):
    """One line of the ledger, as it was when the report was made."""

    when: str
    """UTC, ISO 8601."""
    event: str
    """``verdict``, ``promote``, ``rollback`` or ``retire``."""
    verdict: str | None
    model: str
    identity: str
    decision_id: str | None
    actor: str
    note: str = ""
    """Who overrode what, or why it was rolled back."""


class PastMetric(_Plain):
    """What a champion scored when it was promoted; ``mean`` without a checked judge's errors."""

    suite: str
    metric: str
    mean: float | None
    lower: float | None
    """At the one-sided error that its gate used for a rule; None where there is none."""
    upper: float | None
    n: int
    items_sha256: str
    """Items that it was measured on: only equal ones can be put in one line."""


class PastChampion(_Plain):
    """A model that was promoted."""

    when: str
    model: str
    identity: str
    metrics: tuple[PastMetric, ...]
    """Empty where its decision is no longer stored."""


class Past(_Plain):
    """What the registry said when the report was made, oldest first; the decision of this report left out."""

    num_lines: int = 0
    """Lines that the ledger had; ``lines`` holds the last of them."""
    lines: tuple[HistoryLine, ...] = ()
    champions: tuple[PastChampion, ...] = ()


class Command(_Plain):
    """Something to type."""

    what: str
    command: str


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
    datasets: tuple[str, ...] = ()
    """Hub ids under which the training rows are published, as params.yaml states them."""
    git_commit: str = "unknown"
    written: datetime | None = None
    """When the report was made, UTC; None where nobody says."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Package -> version."""
    method_tables: Mapping[str, Mapping[str, ScoreTable]] = field(default_factory=dict)
    """Method that is no candidate -> suite -> scores without contaminated items, for suites that plots show all methods
    on."""
    contamination: ContaminationReport | None = None
    """None where nobody looked."""
    run_inputs: RunInputs | None = None
    """What this run was made with, as its decision keeps it."""
    data_counts: DataCounts | None = None
    """What preparation did."""
    champion_inputs: RunInputs | None = None
    """What the champion's run was made with; None without a champion, or where that run did not record it."""
    past: Past = field(default_factory=Past)
    commands: tuple[Command, ...] = ()
    """What replays, fetches and rolls back."""
