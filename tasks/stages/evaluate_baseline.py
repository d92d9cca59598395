"""Every suite on what the candidate must beat, always in full."""

from tasks.config.evaluation import EvaluationSections
from tasks.evaluation.model import run, summed
from tasks.paths import ArtifactPaths

Sections = EvaluationSections


def keys(_params: EvaluationSections) -> tuple[str, ...]:
    """The baselines."""
    return ("base", "champion")


def stage(params: EvaluationSections, paths: ArtifactPaths, role: str) -> str:
    """Do the work; returns its summary."""
    return summed(role, run(role, params.suites, paths))
