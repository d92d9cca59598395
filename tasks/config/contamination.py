"""Training rows against gated items, before anything is gated."""

from pydantic import Field

from tasks.config.section import Section


class ContaminationParams(Section):
    """Training rows against gated items, before anything is gated."""

    embedding_model: str | None = None
    """Folder or ``package:NAME`` of a sentence encoder (all-MiniLM-L6-v2) that finds rephrased items; optional."""
    neighbour_similarity: float = Field(default=0.95, gt=0.0, le=1.0)
    """Least cosine with a training turn at which an item counts as contaminated."""
    max_fraction: float = Field(default=0.1, ge=0.0, le=1.0)
    """Largest contaminated share of a suite (fraction 0..1): the gate leaves these items out, and refuses above it."""
