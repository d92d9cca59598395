"""The promotion policy: rules that a team writes down before the run."""

from enum import StrEnum
from typing import Literal, Self

from pydantic import Field, model_validator

from evalsuite.core.settings import Settings

COSTS = "costs"
"""Suite name of floors and ceilings on ``EvalReport.costs``, which are exact."""

LARGEST_BOUND, LEAST_ALPHA = 1e15, 1e-9
"""Of a rule: beyond these, twice a margin or a share of alpha leaves the numbers that can be computed with."""


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


class Rule(Settings):
    """One line of the policy."""

    suite: str
    metric: str
    kind: Kind
    direction: Direction = Direction.HIGHER
    against: Against = Against.ALL
    margin: float | None = Field(default=None, gt=0.0, le=LARGEST_BOUND)
    """Guard: the largest loss that is accepted, in the metric's unit."""
    min_gain: float | None = Field(default=None, ge=0.0, le=LARGEST_BOUND)
    """Target: the least gain that must be exceeded, in the metric's unit."""
    limit: float | None = Field(default=None, ge=-LARGEST_BOUND, le=LARGEST_BOUND)
    """Floor or ceiling: the absolute bound, in the metric's unit."""
    relative_to: Against | None = None
    """Floor or ceiling on a cost: ``limit`` times this baseline's own cost, which is itself allowed."""
    slices: str | None = None
    """A slice key: the rule also holds in every slice of it."""
    slice_margins: dict[str, float] = Field(default_factory=dict)
    """Guard with slices: slice value -> its own margin, before ``slice_margin``."""
    slice_min_items: int = Field(default=2, ge=2)
    """Slices with fewer items than this are not asked, and take no part in Holm's correction."""
    cluster: str | None = None
    """A slice key: items that share its value are not independent, as those of one cluster are not."""
    slice_margin: float | None = Field(default=None, gt=0.0, le=LARGEST_BOUND)
    """Guard with ``slices``: the margin inside a slice; twice ``margin`` when absent."""
    alpha: float | None = Field(default=None, ge=LEAST_ALPHA, lt=0.5)
    """One-sided error of this rule; the policy's when absent."""
    min_items: int = Field(default=2, ge=2)
    """Fewer scored pairs than this are never evidence."""

    @model_validator(mode="after")
    def _costs_are_exact(self) -> Self:
        if self.suite != COSTS:
            if self.relative_to is not None:
                raise ValueError(
                    f"{self.suite}/{self.metric}: relative_to is for {COSTS}, which are exact; a score is measured "
                    "against a baseline by kind guard or target"
                )
            return self
        if self.kind not in (Kind.FLOOR, Kind.CEILING):
            raise ValueError(
                f"{COSTS}/{self.metric}: a cost has no items to pair, so that it takes kind floor or ceiling, not "
                f"kind {self.kind.value}; at most 1.2 times the champion's is kind: ceiling, limit: 1.2, relative_to: "
                "champion"
            )
        names = ("against", "alpha", "cluster", "min_items", "slices")
        # A stored policy names every field, so that those at their defaults are no mistakes.
        unused = [name for name in names if getattr(self, name) != type(self).model_fields[name].default]
        if unused:
            raise ValueError(f"{COSTS}/{self.metric}: a cost is one exact number, so that {unused[0]} has no meaning")
        if self.relative_to is not None and self.limit is not None and not self.limit > 0.0:
            raise ValueError(f"{COSTS}/{self.metric}: limit is {self.limit:g} times a cost, expected above 0")
        return self

    @model_validator(mode="after")
    def _fields_fit_kind(self) -> Self:
        wanted = {Kind.GUARD: "margin", Kind.TARGET: "min_gain", Kind.FLOOR: "limit", Kind.CEILING: "limit"}[self.kind]
        for name in ("margin", "min_gain", "limit"):
            if (getattr(self, name) is not None) != (name == wanted):
                raise ValueError(
                    f"a {self.kind} rule takes {wanted} and neither of the others; "
                    f"{self.suite}/{self.metric} has {name}={getattr(self, name)}"
                )
        own_margins = self.slice_margin is not None or self.slice_margins
        if own_margins and (self.kind is not Kind.GUARD or self.slices is None):
            raise ValueError(f"{self.suite}/{self.metric}: slice_margin and slice_margins need kind guard and slices")
        for name, margin in self.slice_margins.items():
            if not 0.0 < margin <= LARGEST_BOUND:
                raise ValueError(
                    f"{self.suite}/{self.metric}: the margin of slice {name!r} is {margin}, expected above 0 and at "
                    f"most {LARGEST_BOUND:g}"
                )
        return self


class GatePolicy(Settings):
    """Everything that turns item results into a verdict."""

    rules: tuple[Rule, ...] = Field(min_length=1)
    alpha: float = Field(default=0.05, ge=LEAST_ALPHA, lt=0.5)
    """One-sided error of each rule, divided by the number of candidates compared."""
    targets: Literal["all", "any"] = "all"
    """Whether every target must be met, or one (Holm-corrected)."""
    max_unscored_fraction: float = Field(default=0.01, ge=0.0, lt=1.0)
    """A larger share of unscored items makes a rule undecided (fraction 0..1)."""
    max_verdicts_per_set: int = Field(default=20, ge=1)
    """Past this many models judged on one set of test items, the decision warns of what selection adds."""
    noise: dict[str, float] = Field(default_factory=dict)
    """SUITE/METRIC -> the noise floor that ``ratchet gate noise`` measured; a margin below it is a warning."""

    @model_validator(mode="after")
    def _slices_are_judged(self) -> Self:
        for rule in self.rules:
            if self.targets == "any" and rule.kind is Kind.TARGET and rule.slices is not None:
                raise ValueError(
                    f"targets any judges no slices, and the target {rule.suite}/{rule.metric} has slices "
                    f"{rule.slices!r}; take slices out of it, or set targets to all"
                )
        return self

    @model_validator(mode="after")
    def _floors_are_named(self) -> Self:
        for name, floor in self.noise.items():
            if "/" not in name or not floor >= 0.0:
                raise ValueError(f"noise of {name!r} is {floor}, expected SUITE/METRIC and a floor of 0 or more")
        return self
