"""What the gate says: a verdict with every reason behind it."""

from enum import StrEnum
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from evalsuite.core.errors import ExitCode
from evalsuite.core.files import read_model
from evalsuite.gate.characteristic import SelfTest
from evalsuite.gate.policy import GatePolicy
from evalsuite.gate.rules import Outcome

NOT_EVALUATED = "not evaluated"
"""``Reason.method`` where nothing could be estimated."""


class Verdict(StrEnum):
    """The gate's answer."""

    PROMOTE = "PROMOTE"
    REJECT = "REJECT"
    INCONCLUSIVE = "INCONCLUSIVE"

    @property
    def exit_code(self) -> ExitCode:
        """What ``ratchet gate check`` exits with."""
        return {"PROMOTE": ExitCode.PROMOTE, "REJECT": ExitCode.REJECT}.get(self.value, ExitCode.INCONCLUSIVE)


class Reason(BaseModel):
    """One rule against one baseline, overall or in one slice, with the numbers that decided it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    rule: str
    """Stable id: ``golden/json_exact:guard:base`` plus ``[queue=billing]`` for a slice."""
    suite: str
    metric: str
    kind: str
    """A rule's kind, must_pass or comparable."""
    direction: str = "higher"
    against: str | None = None
    """base, champion, or None for absolute rules."""
    slice: str | None = None
    """``key=value``, or None for the whole suite."""
    outcome: Outcome
    candidate: float | None = None
    """Mean over the scored pairs; None, as every number below, where there is none."""
    baseline: float | None = None
    difference: float | None = None
    """candidate - baseline, in the metric's unit, whatever the direction."""
    lower: float | None = None
    """Lower end of the two-sided 1 - 2 alpha interval of ``difference`` (of the value, for floor and ceiling)."""
    upper: float | None = None
    limit: float | None = None
    """The bound on ``difference`` (-margin or +min_gain, signs flipped for lower-is-better) or on the value."""
    alpha: float | None = None
    """One-sided error that this interval was computed at, after every correction."""
    correction: str = ""
    """What divides alpha beside the number of candidates: ``Holm over 50 slices``."""
    n: int = 0
    """Scored pairs."""
    unscored: int = 0
    method: str
    """Name of the estimator."""
    not_run: int | None = None
    """Items of the set that a sequential evaluation did not need; None where all were to be run."""
    more_items: int | None = None
    """Undecided: about how many more items would decide it, if the difference stays as it is."""
    item_ids: tuple[str, ...] = ()
    """must_pass: the items that failed."""
    text: str
    """One sentence for a reader."""


class Decision(BaseModel):
    """The gate's full answer; ``reasons`` lists every rule, not the first failure."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    schema_version: Literal[1] = 1
    decision_id: str
    """sha256 of every other field: the same evidence gives the same id on every machine."""
    verdict: Verdict
    headline: str
    """The verdict in one sentence."""
    candidate: str
    candidate_identity: str
    baselines: dict[str, str]
    """Role (base, champion) -> model identity."""
    num_candidates: int = Field(ge=1, le=10**6)
    """Candidates that were compared on these items; alpha is divided by it."""
    policy: GatePolicy
    policy_sha256: str
    evidence: dict[str, str]
    """ROLE/SUITE -> hash of the scores that were read."""
    inputs_sha256: str
    """Hash of the run's inputs (params, data, golden sets, code); empty where there was no run."""
    code_sha256: str = ""
    """Hash of the gate's own sources; empty where the decision is not kept for replay."""
    self_test: SelfTest | None = None
    """What the gate showed of itself on these items; None where it was not asked, as in ``ratchet gate compare``."""
    reasons: tuple[Reason, ...]
    """Strongest first: what decided the verdict leads."""
    warnings: tuple[str, ...] = ()
    """What a reader must know and what changes no verdict: margins below the noise, worn test sets, bare judges."""
    looks: dict[str, int] = Field(default_factory=dict)
    """Suite -> other models that got a verdict on these test items before; as counted when the decision was made."""
    excluded: dict[str, int] = {}
    """Suite -> items that are in no average, because training rows give them away; must-pass items still must pass."""
    on_all_items: str = ""
    """Headline of the decision with those items; empty where nothing was left out."""


def read_decision(path: Path, made_by: str = "ratchet stage gate") -> Decision:
    """Read decision.json; an unknown schema version is refused with both numbers."""
    return read_model(path, Decision, made_by)
