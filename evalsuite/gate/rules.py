"""The rules of a policy, one class a kind.

Whoever would ask of which kind a rule is asks the rule itself: what it is measured against, where its bound lies, what
an interval proves, how it is spoken of, how a design reads it.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Collection
from enum import StrEnum
from typing import ClassVar, NamedTuple, Self

from pydantic import Field, model_validator

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

    def roles(self, there: Collection[str]) -> tuple[str, ...]:
        """The baselines that it names; a champion only where it is ``there``."""
        champion = ("champion",) if "champion" in there else ()
        return {Against.ALL: ("base", *champion), Against.BASE: ("base",), Against.CHAMPION: champion}[self]


class Wording(NamedTuple):
    """How a kind is spoken of; ``{}`` stands for its size with the unit."""

    size: str
    """What its size is called."""
    proven: str
    """Of a rule that passed, in the gate's own sentence."""
    broken: str
    open: str
    """Of a rule that is undecided, in the report."""
    holds: str
    """In the report, after "proven"."""
    fails: str


class Rule(Settings, ABC):
    """One line of the policy; every kind is a subclass.

    The fields are those of all our own kinds, in the order in which stored policies name them, since the hash of a
    policy is in its decision. Of ``margin``, ``min_gain`` and ``limit`` a kind takes one; it may declare more fields.
    """

    suite: str
    metric: str
    kind: str
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
    paired: ClassVar[bool]
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
        """Its margin, least gain or limit, in the metric's unit; a margin is another one in slices.

        Args:
            part: Value of its slice key; None asks for the whole suite.
        """
        found = float(getattr(self, self.takes))
        if part is None or self.margin is None:
            return found
        return self.slice_margins.get(part) or self.slice_margin or 2.0 * found

    @abstractmethod
    def baselines(self, there: Collection[str]) -> tuple[str | None, ...]:
        """What it is measured against, of the roles that are ``there``; one None where that is no baseline."""

    @classmethod
    @abstractmethod
    def holds_above(cls, direction: Direction) -> bool:
        """Whether it holds above its threshold, else below."""

    @abstractmethod
    def threshold(self, part: str | None = None) -> float:
        """The bound on candidate - baseline, or on the candidate's value; ``part`` as for ``size``."""

    @abstractmethod
    def oriented(self, part: str | None = None) -> float:
        """The threshold as if higher were better, of 1 - value for an absolute rule that holds below."""

    def outcome(self, lower: float, upper: float, part: str | None = None) -> Outcome:
        """What the two-sided 1 - 2 alpha interval of the difference, or of the value, proves."""
        threshold, above = self.threshold(part), self.holds_above(self.direction)
        if lower > threshold if above else upper < threshold:
            return Outcome.PASS
        if upper < threshold if above else lower > threshold:
            return Outcome.FAIL
        return Outcome.UNDECIDED

    @property
    def allowed_loss(self) -> float | None:
        """The true loss below which a candidate may pass; None where the rule bounds no loss."""
        return None

    @property
    def likely_at(self) -> float | None:
        """The true gain with which a candidate is to pass four times in five; None where no design is asked for."""
        return None

    def scenarios(self) -> tuple[tuple[str, float], ...]:
        """Truths that a design is worked out for: name, and true gain in the metric's unit."""
        return ()

    def size_proven(self, bound: float) -> float:
        """The strictest size, to three digits, that an oriented lower bound of ``bound`` proves."""
        return rounded_down(bound)


class Paired(Rule):
    """Measured against baselines, pair by pair."""

    paired = True

    def baselines(self, there: Collection[str]) -> tuple[str | None, ...]:
        """Those that ``against`` names."""
        return self.against.roles(there)

    @classmethod
    def holds_above(cls, direction: Direction) -> bool:
        """Where higher is better."""
        return direction is Direction.HIGHER

    def threshold(self, part: str | None = None) -> float:
        """On candidate - baseline."""
        oriented = self.oriented(part)
        return (oriented if self.direction is Direction.HIGHER else -oriented) + 0.0


class Guard(Paired):
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

    @property
    def allowed_loss(self) -> float | None:
        """The margin."""
        return self.size()

    @property
    def likely_at(self) -> float | None:
        """No change."""
        return 0.0

    def scenarios(self) -> tuple[tuple[str, float], ...]:
        """No change, and two losses."""
        margin = self.size()
        return ("no change", 0.0), ("half the margin lost", -margin / 2.0), ("twice the margin lost", -2.0 * margin)

    def size_proven(self, bound: float) -> float:
        """The least margin."""
        return rounded_up(-bound)


class Target(Paired):
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

    def oriented(self, part: str | None = None) -> float:
        """The least gain, in slices too."""
        return self.size(part)

    @property
    def likely_at(self) -> float | None:
        """Twice the least gain."""
        return 2.0 * self.size() or None

    def scenarios(self) -> tuple[tuple[str, float], ...]:
        """No change, and two gains."""
        gain = self.size()
        return (
            ("no change", 0.0),
            *((("half the gain", gain / 2.0), ("twice the gain", 2.0 * gain)) if gain else ()),
        )


class Absolute(Rule):
    """On the candidate's own value, whatever the baselines reach."""

    takes = "limit"
    paired = False

    def baselines(self, there: Collection[str]) -> tuple[str | None, ...]:
        """None of them."""
        return (None,)

    def threshold(self, part: str | None = None) -> float:
        """The limit, in slices too."""
        return self.size(part)


class Floor(Absolute):
    """The candidate's own value must lie above ``limit``."""

    kind: str = "floor"
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

    def oriented(self, part: str | None = None) -> float:
        """The limit."""
        return self.size(part)


class Ceiling(Absolute):
    """The candidate's own value must lie below ``limit``."""

    kind: str = "ceiling"
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
