"""The golden set, which dev runs of training and the evaluation ask."""

from pydantic import Field

from evalsuite.suites.golden_set.settings import GoldenParams
from tasks.config.section import StageSections


class DevSuite(StageSections):
    """The part of the evaluation that training reads too: the golden set, whose dev items choose the epoch."""

    golden: GoldenParams
    batch_tokens: int | None = Field(default=None, ge=64)
    """Upper bound on cached tokens of one batch, new ones included; what half of the free memory holds when absent."""
