"""What a self-test leaves in the decision: how this policy behaves on these items."""

from pydantic import BaseModel, ConfigDict


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class OperatingPoint(_Part):
    """How often each verdict comes where every judged metric has changed by this much in truth."""

    change: float
    """In units of each rule's margin (of its least gain for a target alone); negative is worse."""
    promote: float
    """Share of the simulated samples (fraction 0..1), as the two below."""
    reject: float
    inconclusive: float


class RuleCharacteristic(_Part):
    """The same for one whole-suite rule; the columns follow the points."""

    rule: str
    unit: float | None
    """The change that counts as 1, in the metric's unit; None where the metric stays as it was measured."""
    passes: tuple[float, ...]
    fails: tuple[float, ...]


class DamagedCopy(_Part):
    """A baseline's own results, made worse on random items, judged by one guard."""

    rule: str
    """As in ``Reason.rule``."""
    margins: float | None
    """The smallest loss tried that is rejected, in margins; None where the items cannot prove any."""
    loss: float
    """That loss in the metric's unit, or the largest one that was tried."""
    text: str
    """One sentence for a reader."""


class SelfTest(_Part):
    """The gate on copies and changed candidates of its own evidence."""

    unchanged: tuple[str, ...]
    """One sentence a baseline that was judged against itself."""
    damaged: tuple[DamagedCopy, ...]
    points: tuple[OperatingPoint, ...]
    """Sorted by change; empty where the results cannot be compared."""
    rules: tuple[RuleCharacteristic, ...]
    num_draws: int
    """Samples drawn for each point."""
    num_items: dict[str, int]
    """Suite -> items that were used, at most a bounded number of them."""
    notes: tuple[str, ...]
    """What was left out or cut off, in words."""

    def at(self, change: float) -> OperatingPoint | None:
        """The point of one change."""
        return next((point for point in self.points if point.change == change), None)
