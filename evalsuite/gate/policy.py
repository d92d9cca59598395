"""The promotion policy: rules that a team writes down before the run."""

from enum import StrEnum
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Kind(StrEnum):
    """What a rule asks for."""

    GUARD = "guard"
    """Non-inferiority: the candidate may not be worse than the baseline by more than ``margin``."""
    TARGET = "target"
    """Superiority: the candidate must be better than the baseline by more than ``min_gain``."""
    FLOOR = "floor"
    """Absolute: the candidate's own value must lie above ``limit``."""
    CEILING = "ceiling"
    """Absolute: the candidate's own value must lie below ``limit``."""


class Direction(StrEnum):
    """Which way is better."""

    HIGHER = "higher"
    LOWER = "lower"


class Against(StrEnum):
    """Which baseline a guard or target is measured against."""

    ALL = "all"
    """The base model always, and the champion where there is one."""
    BASE = "base"
    CHAMPION = "champion"
    """The champion where there is one; the rule does not apply before the first promotion."""


class Rule(BaseModel):
    """One line of the policy."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    suite: str
    metric: str
    kind: Kind
    direction: Direction = Direction.HIGHER
    against: Against = Against.ALL
    margin: float | None = Field(default=None, gt=0.0)
    """Guard: the largest loss that is accepted, in the metric's unit."""
    min_gain: float | None = Field(default=None, ge=0.0)
    """Target: the least gain that must be exceeded, in the metric's unit."""
    limit: float | None = None
    """Floor or ceiling: the absolute bound, in the metric's unit."""
    slices: str | None = None
    """A slice key: the rule also holds in every slice of it."""
    slice_margin: float | None = Field(default=None, gt=0.0)
    """Guard with ``slices``: the margin inside a slice; twice ``margin`` when absent."""
    alpha: float | None = Field(default=None, gt=0.0, lt=0.5)
    """One-sided error of this rule; the policy's when absent."""
    min_items: int = Field(default=2, ge=2)
    """Fewer scored pairs than this are never evidence."""

    @model_validator(mode="after")
    def _fields_fit_kind(self) -> Self:
        wanted = {Kind.GUARD: "margin", Kind.TARGET: "min_gain", Kind.FLOOR: "limit", Kind.CEILING: "limit"}[self.kind]
        for name in ("margin", "min_gain", "limit"):
            if (getattr(self, name) is not None) != (name == wanted):
                raise ValueError(
                    f"a {self.kind} rule takes {wanted} and neither of the others; "
                    f"{self.suite}/{self.metric} has {name}={getattr(self, name)}"
                )
        if self.slice_margin is not None and (self.kind is not Kind.GUARD or self.slices is None):
            raise ValueError(f"{self.suite}/{self.metric}: slice_margin needs kind guard and slices")
        return self


class GatePolicy(BaseModel):
    """Everything that turns item results into a verdict."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    rules: tuple[Rule, ...] = Field(min_length=1)
    alpha: float = Field(default=0.05, gt=0.0, lt=0.5)
    """One-sided error of each rule, divided by the number of candidates compared."""
    targets: Literal["all", "any"] = "all"
    """Whether every target must be met, or one (Holm-corrected)."""
    max_unscored_fraction: float = Field(default=0.01, ge=0.0, lt=1.0)
    """A larger share of unscored items makes a rule undecided (fraction 0..1)."""
