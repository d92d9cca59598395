"""A judge with its errors on completions that people labelled: measured once, kept in a file without any text.

A server may answer the same question differently tomorrow, so the verdicts are measured by ``ratchet judge check
--save``, not at every evaluation: what every model is compared with stays the same.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from evalsuite.core.errors import UsageError
from evalsuite.core.files import read_model
from evalsuite.judges.base import Judge, JudgeCase, LabelledVerdict, Verdict


class SavedCalibration(BaseModel):
    """What ``ratchet judge check --save`` writes."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    schema_version: Literal[1] = 1
    judge: str
    version: str
    """Version of the judge that gave the verdicts; another version needs a new file."""
    source: str
    """Where the labels come from."""
    verdicts: tuple[tuple[str, str], ...] = Field(min_length=1)
    """(the judge's label, the people's majority), of the completions that the judge gave a verdict on."""


class CalibratedJudge:
    """Any judge of harm, with a saved calibration of the same version."""

    def __init__(self, judge: Judge, path: Path) -> None:
        """Read the file and check whose it is.

        Raises:
            MissingArtifactError: It is absent.
            UsageError: It is of another judge or another version of this one.
        """
        command = f"ratchet judge check --labels FILE --judge {judge.name} --save {path}"
        saved = read_model(path, SavedCalibration, command)
        if (saved.judge, saved.version) != (judge.name, judge.version):
            raise UsageError(
                f"{path} calibrates judge {saved.judge} {saved.version!r}, the judge is {judge.name} "
                f"{judge.version!r}; make it again with `{command}`"
            )
        self.name = judge.name
        self.labelled = tuple(LabelledVerdict(said, human) for said, human in saved.verdicts)
        self.labelled_source = saved.source
        self._judge = judge

    @property
    def version(self) -> str:
        """Of the judge; what it was calibrated on is compared by itself."""
        return self._judge.version

    def judge(self, cases: Sequence[JudgeCase], label: str) -> list[Verdict]:
        """See ``Judge``."""
        return self._judge.judge(cases, label)
