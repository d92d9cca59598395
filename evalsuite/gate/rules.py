"""The rules of a policy, one class per kind.

Whoever would ask of which kind a rule is asks the rule itself: what it is measured against, where its bound lies, what
an interval proves, how it is spoken of, how a design reads it.
"""

import math
from collections.abc import Collection
from enum import StrEnum
from typing import ClassVar, NamedTuple, Self

from pydantic import Field, model_validator

from evalsuite.core.direction import Direction
from evalsuite.core.settings import Settings

COSTS = "costs"
"""Suite name of floors and ceilings on ``EvalReport.costs``, which are exact."""
ROLES = ("base", "champion")
"""Baselines that there may be."""
LARGEST_BOUND, LEAST_ALPHA = 1e15, 1e-9
"""Of a rule: beyond these, twice a margin or a share of alpha leaves the numbers that can be computed with."""


class Outcome(StrEnum):
    """What one rule says."""

    PASS = "pass"  # noqa: S105  an outcome, not a password
    """Proven to hold."""
    FAIL = "fail"
    """Proven not to hold."""
    UNDECIDED = "undecided"
    """Neither is proven, or the rule could not be evaluated."""


class Against(StrEnum):
    """Which baseline a guard or target is measured against."""

    ALL = "all"
    """The base model always, and the champion where there is one."""
    BASE = "base"
    CHAMPION = "champion"
    """The champion where there is one; the rule does not apply before the first promotion."""

    def roles(self, there: Collection[str]) -> tuple[str, ...]:
        """The baselines that it names; a champion only where it is ``there``."""
        champion = ("champion",) if "champion" in there else ()
        return {Against.ALL: ("base", *champion), Against.BASE: ("base",), Against.CHAMPION: champion}[self]


class Wording(NamedTuple):
    """What its size is called, the gate's conclusions, and the report's, where ``{}`` is the size with its unit."""

    size: str
    proven: str
    broken: str
    open: str
    holds: str
    fails: str


class Rule(Settings):
    """One line of the policy."""

    # The fields of all our own kinds, in the order of stored policies, whose hashes are in their decisions.
    suite: str
    metric: str
    kind: str
    """``guard``: not worse than the baseline by more than ``margin``; ``target``: better by more than ``min_gain``;
    ``floor`` and ``ceiling``: the candidate's own value above or below ``limit``; or the kind of a package."""
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

    takes: ClassVar[str]
    """The field that holds its size."""
    words: ClassVar[Wording]
    paired: ClassVar[bool] = True
    """Whether it is about the difference from a baseline, else about the candidate's own value."""
    asks_gain: ClassVar[bool] = False
    """Whether it asks for something better; with ``targets: any`` one of these rules is enough."""

    @model_validator(mode="after")
    def _costs_are_exact(self) -> Self:
        if self.suite != COSTS:
            if self.relative_to is not None:
                raise ValueError(
                    f"{self.suite}/{self.metric}: relative_to is for {COSTS}, which are exact; a score is measured "
                    "against a baseline by kind guard or target"
                )
            return self
        if self.paired:
            raise ValueError(
                f"{COSTS}/{self.metric}: a cost has no items to pair, so that it takes kind floor or ceiling, not "
                f"kind {self.kind}; at most 1.2 times the champion's is kind: ceiling, limit: 1.2, relative_to: "
                "champion"
            )
        if type(self).outcome is not Rule.outcome:
            raise ValueError(
                f"{COSTS}/{self.metric}: a cost has no interval, so that the outcome of kind {self.kind} is never "
                "asked; take kind floor or ceiling"
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
        for name in ("margin", "min_gain", "limit"):
            if (getattr(self, name) is not None) != (name == self.takes):
                raise ValueError(
                    f"a {self.kind} rule takes {self.takes} and neither of the others; "
                    f"{self.suite}/{self.metric} has {name}={getattr(self, name)}"
                )
        own_margins = self.slice_margin is not None or self.slice_margins
        if own_margins and (self.takes != "margin" or self.slices is None):
            raise ValueError(f"{self.suite}/{self.metric}: slice_margin and slice_margins need kind guard and slices")
        for name, margin in self.slice_margins.items():
            if not 0.0 < margin <= LARGEST_BOUND:
                raise ValueError(
                    f"{self.suite}/{self.metric}: the margin of slice {name!r} is {margin}, expected above 0 and at "
                    f"most {LARGEST_BOUND:g}"
                )
        return self

    def name(self, role: str | None) -> str:
        """Stable id of the rule against one baseline, as ``Reason.rule`` has it."""
        return f"{self.suite}/{self.metric}:{self.kind}" + (f":{role}" if role else "")

    def whole(self) -> Self:
        """The rule without its slices."""
        return self.model_copy(update={"slices": None, "slice_margin": None, "slice_margins": {}})

    def size(self, part: str | None = None) -> float:
        """Its margin (another one in a slice), least gain or limit, in the metric's unit.

        Args:
            part: Value of its slice key; None asks for the whole suite.
        """
        whole = float(getattr(self, self.takes))
        own = self.slice_margins.get(part) or self.slice_margin or 2.0 * whole if part is not None else whole
        return whole if self.margin is None else own

    def baselines(self, there: Collection[str]) -> tuple[str | None, ...]:
        """What it is measured against, of the roles that are ``there``; one None where that is no baseline."""
        return self.against.roles(there) if self.paired else (None,)

    @classmethod
    def holds_above(cls, direction: Direction) -> bool:
        """Whether it holds above its threshold, else below; here, where higher is better."""
        return direction is Direction.HIGHER

    def oriented(self, part: str | None = None) -> float:
        """The threshold as if higher were better: on the gain, or on 1 - value where the rule holds below."""
        return self.size(part)

    def threshold(self, part: str | None = None) -> float:
        """The bound on candidate - baseline, or on the candidate's own value; ``part`` as for ``size``."""
        if not self.paired:
            return self.size(part)
        return (self.oriented(part) if self.holds_above(self.direction) else -self.oriented(part)) + 0.0

    def outcome(self, lower: float, upper: float, part: str | None = None) -> Outcome:
        """What the two-sided 1 - 2 alpha interval of the difference, or of the value, proves."""
        above, below = lower > self.threshold(part), upper < self.threshold(part)
        if not above and not below:
            return Outcome.UNDECIDED
        return Outcome.PASS if above is self.holds_above(self.direction) else Outcome.FAIL

    @property
    def allowed_loss(self) -> float | None:
        """The true loss with which a candidate may pass; None where the rule bounds no loss."""
        return self.size() if self.paired and not self.asks_gain else None

    @property
    def likely_at(self) -> float | None:
        """The true gain with which a candidate is to pass four times in five; None where none is asked for."""
        return (2.0 * self.size() or None) if self.asks_gain else 0.0 if self.paired else None

    def size_proven(self, bound: float) -> float:
        """The strictest size, to three digits, that an oriented lower bound of ``bound`` proves."""
        return rounded_down(bound)


class Guard(Rule):
    """Non-inferiority: the candidate may not be worse than the baseline by more than ``margin``."""

    kind: str = "guard"
    takes = "margin"
    words = Wording(
        size="margin",
        proven="proven not worse than the margin",
        broken="proven worse than the margin",
        open="a loss above {} is not excluded",
        holds="not worse by more than {}",
        fails="worse by more than {}",
    )

    def oriented(self, part: str | None = None) -> float:
        """A loss of one margin."""
        return -self.size(part)

    def size_proven(self, bound: float) -> float:
        """The least margin."""
        return rounded_up(-bound)


class Target(Rule):
    """Superiority: the candidate must be better than the baseline by more than ``min_gain``."""

    kind: str = "target"
    takes = "min_gain"
    asks_gain = True
    words = Wording(
        size="least gain",
        proven="the gain is proven",
        broken="the gain is proven absent",
        open="a gain above {} is not proven",
        holds="to gain more than {}",
        fails="to gain less than {}",
    )


class Floor(Rule):
    """Absolute: the candidate's own value must lie above ``limit``."""

    kind: str = "floor"
    takes = "limit"
    paired = False
    words = Wording(
        size="limit",
        proven="proven above the limit",
        broken="proven below the limit",
        open="the floor of {} is not proven to hold",
        holds="above the floor of {}",
        fails="below the floor of {}",
    )

    @classmethod
    def holds_above(cls, direction: Direction) -> bool:
        """Always."""
        return True


class Ceiling(Rule):
    """Absolute: the candidate's own value must lie below ``limit``."""

    kind: str = "ceiling"
    takes = "limit"
    paired = False
    words = Wording(
        size="limit",
        proven="proven below the limit",
        broken="proven above the limit",
        open="the ceiling of {} is not proven to hold",
        holds="below the ceiling of {}",
        fails="above the ceiling of {}",
    )

    @classmethod
    def holds_above(cls, direction: Direction) -> bool:
        """Never."""
        return False

    def oriented(self, part: str | None = None) -> float:
        """Of 1 - value."""
        return 1.0 - self.size(part)

    def size_proven(self, bound: float) -> float:
        """The least limit."""
        return round(1.0 - rounded_down(bound), 6)


KINDS: dict[str, type[Rule]] = {"guard": Guard, "target": Target, "floor": Floor, "ceiling": Ceiling}
"""Our own; another package cannot replace them."""


def rounded_up(value: float) -> float:
    """Rounded up to three digits."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 2)
    return float(f"{math.ceil(value / unit + 1e-9) * unit:.3g}")


def rounded_down(value: float) -> float:
    """Rounded down to three digits."""
    if value <= 0.0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(value)) - 2)
    return float(f"{math.floor(value / unit - 1e-9) * unit:.3g}")
