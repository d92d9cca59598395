"""One file per run of the flow: why it ran, what it did, how it ended. Of this machine; the ledger has the verdicts.

The file is written when the run starts, so that a run whose process was killed is known as one that never ended.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from evalsuite.core.errors import RatchetError
from evalsuite.core.files import read_model, write_json
from evalsuite.gate.decision import Verdict, read_decision
from tasks.paths import ArtifactPaths
from tasks.registry.champion import read_champion

logger = logging.getLogger(__name__)

MOST_CHARACTERS = 400
"""Of an error's message that is kept."""


class Ending(StrEnum):
    """How a run ended."""

    UNENDED = "unended"
    """It works still, or its process was killed."""
    UNCHANGED = "unchanged"
    VERDICT = "verdict"
    FAILED = "failed"


class Run(BaseModel):
    """One run of the flow."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    schema_version: Literal[1] = 1
    started_at: str
    """UTC, ISO 8601."""
    started_by: str
    """``scheduled run`` or ``ratchet run``."""
    seconds: float | None = None
    """Wall time; None where it did not end."""
    ending: Ending = Ending.UNENDED
    changed: dict[str, str] = Field(default_factory=dict)
    """Stage -> what changed for it since it ran last; those that only follow from another are left out."""
    ran: list[str] = Field(default_factory=list)
    """Stages that ran, in this order; DVC skipped the others or brought them back from its cache."""
    error: str | None = None
    verdict: Verdict | None = None
    headline: str = ""
    """The verdict in one sentence."""
    decision_id: str | None = None
    champion_before: str | None = None
    champion_after: str | None = None

    @model_validator(mode="after")
    def _verdict_is_there(self) -> Self:
        if self.ending is Ending.VERDICT and self.verdict is None:
            raise ValueError("it ended with a verdict and has none")
        return self

    @field_validator("started_at")
    @classmethod
    def _is_moment(cls, value: str) -> str:
        if datetime.fromisoformat(value).tzinfo is None:
            raise ValueError(f"{value!r} has no offset from UTC")
        return value


@contextmanager
def journal(paths: ArtifactPaths, started_by: str) -> Iterator[Run]:
    """Keep what the block writes into the run, and how it ended; the block's own error rises on.

    A champion or decision that cannot be read is none here: whoever needs it says what is wrong with it.
    """
    begun = datetime.now(UTC)
    run = Run(started_at=begun.isoformat(timespec="seconds"), started_by=started_by, champion_before=_champion(paths))
    path = _folder(paths) / f"{begun:%Y%m%dT%H%M%S%f}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, run)
    try:
        yield run
        decision = read_decision(paths.decision)
        run.verdict, run.decision_id = decision.verdict, decision.decision_id
        run.headline = decision.headline.removeprefix(f"{decision.verdict}: ")
        run.ending = Ending.VERDICT if run.changed or run.ran else Ending.UNCHANGED
    except Exception as error:
        run.ending = Ending.FAILED
        said = str(error) if isinstance(error, RatchetError) else f"{type(error).__name__}: {error}"
        run.error = " ".join(said.split())[:MOST_CHARACTERS]
        raise
    finally:
        run.seconds = round((datetime.now(UTC) - begun).total_seconds(), 1)
        run.champion_after = _champion(paths)
        write_json(path, run)


def _folder(paths: ArtifactPaths) -> Path:
    return paths.root / ".ratchet" / "journal"


def _champion(paths: ArtifactPaths) -> str | None:
    try:
        champion = read_champion(paths)
    except RatchetError:
        return None
    return champion.identity if champion else None


def read_runs(paths: ArtifactPaths) -> list[Run]:
    """Every run that this machine knows of, oldest first; a file that is not what was written is told and left out."""
    found = []
    for path in sorted(_folder(paths).glob("*.json")):
        try:
            found.append(read_model(path, Run, f"rm {path}"))
        except RatchetError as error:
            logger.warning("left out: %s", error)
    return found
