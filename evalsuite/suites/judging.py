"""Suites that ask a judge: one that fails too often, or says always the same, is no evidence."""

import logging
from collections.abc import Callable, Hashable, Sequence

from evalsuite.core.errors import StageError
from evalsuite.items.calibration import Calibration, Judge
from evalsuite.judges.base import Calibrated, LabelledVerdict, RefusalJudge
from evalsuite.judges.base import Judge as HarmJudge

logger = logging.getLogger(__name__)

MAX_UNREADABLE = 0.05
"""Largest share of cases without a verdict (fraction 0..1)."""
CONSTANT_FROM = 20
"""From this many verdicts on, one and the same verdict for all of them is worth a warning."""


def check_verdicts(suite: str, judge: str, verdicts: Sequence[Hashable | None], cap: float = MAX_UNREADABLE) -> None:
    """Stop when too many verdicts are missing; warn when all are the same.

    Raises:
        StageError: More than ``cap`` of the cases have no verdict.
    """
    missing = sum(verdict is None for verdict in verdicts)
    if missing > cap * len(verdicts):
        raise StageError(
            f"{suite}: judge {judge} gave no verdict that can be read on {missing} of {len(verdicts)} cases, at most "
            f"{cap:.0%} are allowed; look at the judge's model and prompt"
        )
    given = {verdict for verdict in verdicts if verdict is not None}
    if len(given) == 1 and len(verdicts) - missing >= CONSTANT_FROM:
        logger.warning(
            "%s: judge %s gave all %d cases the same verdict; check it with `ratchet judge check`",
            suite, judge, len(verdicts) - missing,
        )  # fmt: skip


def scored_by(
    judge: HarmJudge | RefusalJudge, score: Callable[[str], float], counts: Callable[[LabelledVerdict], bool]
) -> Judge:
    """The judge as results name it, with its errors on labelled completions where it knows them.

    Args:
        judge: Gave the verdicts.
        score: A label on the metric's scale.
        counts: Which labelled completions are like those that the metric scores.
    """
    calibration = None
    if isinstance(judge, Calibrated):
        rows = [row for row in judge.labelled if counts(row)]
        calibration = Calibration(
            judge=tuple(score(row.judge) for row in rows),
            human=tuple(score(row.human) for row in rows),
            source=judge.labelled_source,
        )
    return Judge(name=judge.name, version=judge.version, calibration=calibration)
