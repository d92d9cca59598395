"""plans/baseline.json: the champion that this run is judged against."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from evalsuite.core.files import read_model
from tasks.paths import ArtifactPaths


class PinnedChampion(BaseModel):
    """The part of a champion that its readers need; the file has it all."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    identity: str


class Pin(BaseModel):
    """plans/baseline.json."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    inputs_sha256: str
    champion: PinnedChampion | None
    params: dict[str, Any] | None = None
    """The sections of params.yaml that ``inputs_sha256`` covers, defaults included; None in files of earlier versions.
    """


def read_pin(paths: ArtifactPaths) -> Pin:
    """The champion that this run is judged against."""
    return read_model(paths.baseline_pin, Pin, "ratchet stage baseline")
