"""Errors a user can cause, and the exit code each one ends with.

RatchetError
├── UsageError              configuration or input is wrong             exit 2
│   ├── NotComparableError  two result sets may not be compared         exit 2
│   ├── StaleDecisionError  the champion moved since the decision       exit 2
│   └── NotReplayedError    a stored decision is not what its items give exit 2
├── BusyError               another run works in the project           exit 5
└── StageError              a stage broke while doing valid work        exit 4
    ├── MissingArtifactError  a file that another stage makes is absent exit 4
    ├── SelfTestError       the gate failed its own test               exit 4
    └── PreemptedError      a signal stopped training after a save     exit 75
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """What the process tells a scheduler or CI; docs/reference/exit_codes.md is this enum."""

    PROMOTE = 0
    """Every guard is proven not worse than its margin, and every target's gain is proven."""
    REJECT = 1
    """Some rule is proven broken, or a must-pass item failed."""
    USAGE = 2
    """Usage or configuration error; nothing was decided."""
    INCONCLUSIVE = 3
    """Neither is proven; the reason says about how many more items would decide."""
    STAGE = 4
    """A stage broke; run the same command again to go on."""
    BUSY = 5
    """Another run, or a DVC command, works in this project; nothing was started."""
    PREEMPTED = 75
    """EX_TEMPFAIL of sysexits.h: training was stopped by SIGTERM and saved; a scheduler should start it again."""


class RatchetError(Exception):
    """A failure with one clear message: what, the value, the accepted set, the next command."""

    exit_code: ExitCode = ExitCode.STAGE


class UsageError(RatchetError):
    """Configuration or input that the user can fix."""

    exit_code = ExitCode.USAGE


class NotComparableError(UsageError):
    """Two result sets differ in a field that decides what was measured."""


class StaleDecisionError(UsageError):
    """A decision was made against a champion that is no longer the champion."""


class NotReplayedError(UsageError):
    """A stored decision, its items, its policy or the gate's code was changed."""


class BusyError(RatchetError):
    """Another process works in the same project; the same command later is right."""

    exit_code = ExitCode.BUSY


class StageError(RatchetError):
    """A stage that could not finish its work."""


class MissingArtifactError(StageError):
    """A file that another stage writes is absent."""


class PreemptedError(StageError):
    """SIGTERM came, and all that was done is saved: the same command goes on."""

    exit_code = ExitCode.PREEMPTED


class SelfTestError(StageError):
    """The gate gave a verdict that no sound gate may give; its decision is not to be trusted."""
