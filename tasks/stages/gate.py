"""The promotion gate as a stage."""

from evalsuite.gate.decision import Decision
from evalsuite.gate.policy import GatePolicy
from tasks.config.section import StageSections
from tasks.paths import ArtifactPaths
from tasks.registry.evidence import run


def describe(decision: Decision) -> str:
    """The headline, and that of all items where some were left out."""
    if not decision.excluded:
        return decision.headline
    left_out = ", ".join(f"{count} of {suite}" for suite, count in decision.excluded.items())
    return f"{decision.headline}\nwith the {left_out} items that training rows give away: {decision.on_all_items}"


class Sections(StageSections):
    """What the stage reads of params.yaml."""

    gate: GatePolicy


def stage(params: Sections, paths: ArtifactPaths) -> str:
    """Do the work; any verdict is a success, since `ratchet gate check` turns it into an exit code."""
    return describe(run(params.gate, paths))
