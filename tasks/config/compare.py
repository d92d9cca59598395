"""How one method is chosen, and how much of each suite a candidate is evaluated on."""

from typing import Literal

from pydantic import Field

from tasks.config.section import Section


class SequentialParams(Section):
    """Which suites of a candidate stop as soon as their rules are decided; none by default."""

    suites: tuple[str, ...] = ()
    """Suites that are evaluated in batches; the baselines' are always evaluated in full."""
    batch_items: int = Field(default=100, ge=1)
    """Items evaluated between two looks of the gate; any number is valid, and a larger one uses a device better."""
    finish: bool = False
    """Evaluate everything even after a rule is proven broken."""


class CompareParams(Section):
    """How one method is chosen."""

    suite: str = "golden"
    """Suite on which methods are compared."""
    metric: str = "json_fields"
    """Metric of that suite on which methods are compared."""
    direction: Literal["higher", "lower"] = "higher"
    """Direction in which the metric is better."""
    margin: float = Field(default=0.03, gt=0.0)
    """A cheaper method is chosen when it is proven not worse than the best by more than this (metric's unit)."""
    alpha: float = Field(default=0.05, gt=0.0, lt=0.5)
    """One-sided error of that proof."""
