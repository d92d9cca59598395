"""What reports/comparison.json holds: the methods and baselines side by side, their pairs, and the choice."""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from evalsuite.core.errors import UsageError
from evalsuite.core.files import read_json
from evalsuite.items.results import MetricSummary

SCHEMA_VERSION = 1


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class MethodChoice(_Record):
    """What the choice looks at."""

    suite: str
    metric: str
    direction: Literal["higher", "lower"] = "higher"
    margin: float
    """The most that a cheaper method may be worse than the best, in the metric's unit."""
    alpha: float
    """One-sided error of that proof, and of every paired interval here."""


class MetricRow(MetricSummary):
    """One metric of one suite: mean, standard error, n and unscored count."""

    suite: str


class ModelRow(_Record):
    """What ``base`` or ``champion`` scored."""

    name: str
    identity: str
    metrics: tuple[MetricRow, ...]
    eval_seconds: float | None = None
    num_bytes: int | None = None
    """Size of the exported model."""

    def metric(self, suite: str, metric: str) -> MetricRow | None:
        """One metric; None where it was not measured."""
        return next((row for row in self.metrics if (row.suite, row.metric) == (suite, metric)), None)


class MethodRow(ModelRow):
    """What a method scored and cost; None where a figure was not recorded."""

    kind: str
    train_seconds: float | None
    peak_memory_bytes: int | None
    """Peak of training."""
    cost: float | None
    """Price of training and evaluation, in ``currency``."""
    currency: str
    adapter_bytes: int | None
    """None for full fine-tuning."""
    num_tokens: int | None
    """Non-padding training tokens, all epochs."""
    selected_epoch: int | None

    @property
    def seconds(self) -> float | None:
        """Wall time of training and evaluation."""
        if self.train_seconds is None or self.eval_seconds is None:
            return None
        return self.train_seconds + self.eval_seconds


class PairedRow(_Record):
    """One metric of two models on the same items; the interval is infinite where an end is None."""

    suite: str
    metric: str
    candidate: str
    baseline: str
    candidate_mean: float | None
    baseline_mean: float | None
    difference: float | None
    """candidate - baseline over pairs that are both scored."""
    lower: float | None
    """One-sided error of ``MethodChoice.alpha`` at each end; an unscored item counts as the worst case for that end."""
    upper: float | None
    n: int
    unscored: int
    method: str
    """Estimator, or why there is no interval."""


class SeedRow(_Record):
    """One metric of a method that was trained with several seeds: how the seeds' means lie."""

    suite: str
    metric: str
    mean: float
    sd: float
    """Standard deviation between seeds (n - 1)."""
    lowest: float
    highest: float


class SeedSet(_Record):
    """Methods that differ in the seed alone; one of them entered the comparison."""

    name: str
    members: tuple[str, ...]
    seeds: tuple[int, ...]
    """Of ``members``."""
    representative: str
    """The member that entered the comparison, chosen on dev items."""
    because: str
    metrics: tuple[SeedRow, ...]
    """Those that all members have on the same number of items."""

    def metric(self, suite: str, metric: str) -> SeedRow | None:
        """One metric; None where the seeds cannot be put together."""
        return next((row for row in self.metrics if (row.suite, row.metric) == (suite, metric)), None)


class Comparison(_Record):
    """reports/comparison.json."""

    schema_version: Literal[1] = 1
    candidate: str
    chosen_because: str
    choice: MethodChoice
    methods: tuple[MethodRow, ...]
    baselines: tuple[ModelRow, ...]
    """base, and champion where there is one."""
    pairs: tuple[PairedRow, ...]
    seed_sets: tuple[SeedSet, ...] = ()

    @property
    def num_candidates(self) -> int:
        """Methods among which test items chose, which the gate pays for: one of each set of seeds."""
        return len(self.methods) - sum(len(found.members) - 1 for found in self.seed_sets)

    def method(self, name: str) -> MethodRow:
        """One method's row."""
        return next(row for row in self.methods if row.name == name)


def read_comparison(path: Path, made_by: str = "ratchet stage compare") -> Comparison:
    """Read comparison.json; an unknown schema version is refused with both numbers."""
    data: Any = read_json(path, made_by)
    found = data.get("schema_version") if isinstance(data, dict) else None
    if found != SCHEMA_VERSION:
        raise UsageError(
            f"{path} has schema_version {found!r}, this version reads {SCHEMA_VERSION}; make it again with `{made_by}`"
        )
    return Comparison.model_validate(data)
