"""How one method is chosen, and how far a candidate is evaluated."""

from typing import Literal

from pydantic import Field

from tasks.config.section import Section


class SequentialParams(Section):
    """Which suites of a candidate stop as soon as their rules are decided; none of them unless named."""

    suites: tuple[str, ...] = ()
    """Suites that are evaluated in batches; the baselines' are always evaluated in full."""
    batch_items: int = Field(default=100, ge=1)
    """Items between two looks of the gate; any number is valid, and more make better use of a device."""
    finish: bool = False
    """Evaluate everything in spite of something proven broken."""


class CompareParams(Section):
    """How one method is chosen."""

    suite: str = "golden"
    """Whose items methods are compared on."""
    metric: str = "json_fields"
    """Of that suite."""
    direction: Literal["higher", "lower"] = "higher"
    """Which way the metric is better."""
    margin: float = Field(default=0.03, gt=0.0)
    """A cheaper method is chosen when it is proven not worse than the best by more than this (metric's unit)."""
    alpha: float = Field(default=0.05, gt=0.0, lt=0.5)
    """One-sided error of that proof."""
