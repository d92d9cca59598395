"""What a finished training leaves for the export, so that a failed export never trains again."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from evalsuite.core.files import read_model, write_json
from tasks.training.state.checkpoints import anew, complete_checkpoints
from tasks.training.state.log import EpochRecord, ResumeCheck, StepRecord

OUTCOME = "outcome.json"


class Outcome(BaseModel):
    """checkpoints/METHOD/outcome.json, written when the last epoch is complete."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    schema_version: Literal[1] = 1
    epochs: tuple[EpochRecord, ...]
    steps: tuple[StepRecord, ...]
    stopped_early: str | None
    resumed_from_steps: tuple[int, ...]
    resume_checks: tuple[ResumeCheck, ...] = ()
    trainable_parameters: int
    total_parameters: int
    train_seconds: float
    peak_memory_bytes: int
    effective: dict[str, str | int | float | bool]
    pruned: bool = False
    """Whether its checkpoints are gone, another learning rate being better."""

    def write(self, root: Path) -> None:
        """Say that the training in ``root`` is finished."""
        write_json(root / OUTCOME, self)


def read_outcome(root: Path) -> Outcome | None:
    """The outcome in ``root``; None where training is not finished, or its last checkpoint is gone."""
    if not (root / OUTCOME).is_file():
        return None
    outcome = read_model(root / OUTCOME, Outcome, anew(root / OUTCOME))
    if outcome.pruned:
        return outcome
    complete = [record for _, record in complete_checkpoints(root)]
    return outcome if complete and complete[-1] == outcome.epochs[-1] else None
