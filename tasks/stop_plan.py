"""plans/stopping.json: what a sequential evaluation needs to know of the gate and the baselines."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from evalsuite.core.files import read_model
from evalsuite.gate.policy import GatePolicy
from tasks.config.compare import SequentialParams
from tasks.paths import ArtifactPaths


class StoppingPolicy(BaseModel):
    """What a sequential evaluation needs to know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    params: SequentialParams
    gate: GatePolicy
    num_candidates: int
    baselines: dict[str, str]
    """Hash of each baseline's result files, by role."""
    code_sha256: str
    """Of the gate's sources."""


class Stopping(BaseModel):
    """plans/stopping.json."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    schema_version: Literal[1] = 1
    policy: StoppingPolicy | None
    """None where every suite is evaluated in full."""


def read_stopping(paths: ArtifactPaths) -> Stopping:
    """The file of this stage."""
    return read_model(paths.stopping, Stopping, "ratchet stage stopping")
