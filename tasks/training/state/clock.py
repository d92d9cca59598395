"""Wall time over all attempts, so that a run that was killed does not look cheap."""

import time
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from evalsuite.core.files import read_model, write_json
from tasks.training.state.checkpoints import anew
from tasks.training.state.log import ResumeCheck


class ClockState(BaseModel):
    """clock.json beside the checkpoints."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    schema_version: int = 1
    seconds: float = 0.0
    resumed: tuple[int, ...] = ()
    """Steps at which a killed run went on."""
    checks: tuple[ResumeCheck, ...] = ()
    """One a resume."""


class Clock:
    """Counts from its creation, on top of what earlier attempts saved."""

    def __init__(self, path: Path) -> None:
        """Go on from ``path`` where it exists."""
        self._path = path
        self._before = read_model(path, ClockState, anew(path)) if path.is_file() else ClockState()
        self._started = time.perf_counter()

    @property
    def seconds(self) -> float:
        """All attempts together."""
        return self._before.seconds + time.perf_counter() - self._started

    @property
    def saved_seconds(self) -> float:
        """What earlier attempts saved."""
        return self._before.seconds

    @property
    def resumed(self) -> tuple[int, ...]:
        """Steps at which a killed run went on."""
        return self._before.resumed

    @property
    def checks(self) -> tuple[ResumeCheck, ...]:
        """What each resume found."""
        return self._before.checks

    def add_check(self, check: ResumeCheck) -> None:
        """Note that what was read is what was saved."""
        self._before = self._before.model_copy(update={"checks": (*self._before.checks, check)})

    def add_resume(self, step: int) -> None:
        """Note that this attempt goes on from ``step``."""
        self._before = self._before.model_copy(update={"resumed": (*self._before.resumed, step)})

    def save(self) -> None:
        """Keep the time so far: what comes after the last call is lost when the process is killed."""
        write_json(self._path, self._before.model_copy(update={"seconds": self.seconds}))
