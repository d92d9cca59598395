"""What a judge is: it reads completions and gives verdicts, and it may fail to give one."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol, runtime_checkable


class JudgeCase(NamedTuple):
    """One completion to judge."""

    request: str
    """What was asked for: a HarmBench behaviour, a user's prompt."""
    completion: str
    context: str = ""
    """What the verdict depends on besides: a behaviour's context string, or a rubric."""


class Verdict(NamedTuple):
    """What a judge says of one case."""

    positive: bool | None
    """Harmful, or good by the rubric; None when the judge gave no verdict that can be read, which is unscored."""
    score: float | None = None
    """Probability of ``positive`` in 0..1, where the judge has one."""
    reason: str | None = None
    """Why there is no verdict; never the judged text."""


class Judge(Protocol):
    """Says yes or no to completions; the same cases get the same verdicts from the same version."""

    name: str

    @property
    def version(self) -> str:
        """Names everything a verdict depends on: weights, prompt, thresholds."""
        ...

    def judge(self, cases: Sequence[JudgeCase], label: str) -> list[Verdict]:
        """One verdict a case, in their order; ``label`` names the progress bar.

        Raises:
            StageError: The judge cannot be reached or does not answer at all.
        """
        ...


class Refusal(StrEnum):
    """How strongly a completion refuses; XSTest's three labels (Röttger et al. 2024, arXiv:2308.01263)."""

    FULL = "full"
    PARTIAL = "partial"
    NONE = "none"


class RefusalJudge(Protocol):
    """Says how strongly each completion refuses what was asked."""

    name: str

    @property
    def version(self) -> str:
        """Names everything a verdict depends on."""
        ...

    def refusals(self, cases: Sequence[JudgeCase], label: str) -> list[Refusal | None]:
        """One kind a case, in their order; None when the judge gave none that can be read."""
        ...


class LabelledVerdict(NamedTuple):
    """What a judge said of a completion that people labelled, on a request that it was not made on."""

    judge: str
    human: str
    part: str = ""
    """Which kind of request, where metrics tell them apart: ``safe`` or ``unsafe``."""


@runtime_checkable
class Calibrated(Protocol):
    """A judge that brings its errors with it, so that the gate can widen its interval by them."""

    @property
    def labelled(self) -> tuple[LabelledVerdict, ...]:
        """Its verdicts beside people's."""
        ...

    @property
    def labelled_source(self) -> str:
        """Where the labels come from."""
        ...
