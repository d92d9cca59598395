"""registry/forgotten/ID.json: which data and models saw forgotten rows, and which data no longer does."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from evalsuite.core.files import read_model
from tasks.paths import ArtifactPaths


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SeenVersion(_Part):
    """One version of the prepared data that has some of the rows."""

    trail_md5: str
    """DVC's name of its history of rows."""
    commits: tuple[str, ...] = ()
    """Commits whose dvc.lock names it, the newest first."""
    is_present: bool = False
    """Whether it lay in data/prepared when the rows were forgotten."""
    methods: tuple[str, ...] = ()
    """Methods that were trained on it, as dvc.lock has them."""
    num_trained: int
    """Of the rows, those on its train side."""
    num_dev: int
    num_left_out: int
    """Of the rows, those that were read and are on neither side."""


class SeenModel(_Part):
    """One model that the gate judged, whose training rows had some of the rows."""

    method: str
    identity: str
    decision_id: str
    verdict: str
    recorded_at: str
    was_promoted: bool
    is_champion: bool
    """Whether it was the champion when the rows were forgotten."""
    num_trained: int


class Gone(_Part):
    """The first prepared data that was looked at and has none of the rows."""

    when: str
    """UTC, ISO 8601."""
    trail_md5: str
    train_sha256: str
    dev_sha256: str


class Proof(_Part):
    """What was found and done; no text of any row."""

    schema_version: Literal[1] = 1
    when: str
    """UTC, ISO 8601."""
    by: str
    why: str
    contents: tuple[str, ...]
    """``tasks.prepare.record.content_hash`` of each row."""
    sources: tuple[str, ...] = ()
    """Where the rows stood in the sources at that time."""
    versions: tuple[SeenVersion, ...] = ()
    models: tuple[SeenModel, ...] = ()
    unknown: tuple[str, ...] = ()
    """Versions and runs whose rows could not be looked at, and why."""
    gone: Gone | None = None
    """None until a version without the rows was prepared and looked at."""


def proof_folder(paths: ArtifactPaths) -> Path:
    """Where proofs lie."""
    return paths.registry / "forgotten"


def read_proofs(paths: ArtifactPaths) -> dict[Path, Proof]:
    """Every proof, oldest first.

    Raises:
        UsageError: One is damaged.
    """
    found = sorted(proof_folder(paths).glob("*.json"))
    return {path: read_model(path, Proof, f"git checkout {path}") for path in found}
