"""What a suite is."""

from typing import Protocol

from evalsuite.engines.base import Engine
from evalsuite.results import SuiteResult


class Suite(Protocol):
    """Items, prompts and scorers that are the same for every model."""

    name: str

    def run(self, engine: Engine) -> SuiteResult:
        """Evaluate every item and score it."""
        ...
