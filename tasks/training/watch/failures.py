"""How a process of several says why it ended: torchrun passes on an exit code and no message."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from evalsuite.core.errors import ExitCode, PreemptedError, RatchetError, StageError, UsageError
from evalsuite.core.files import read_model, write_json
from tasks.training.state.checkpoints import last_good

logger = logging.getLogger(__name__)

FOLDER = "failures"


class DivergedError(StageError):
    """The loss or its gradient is no number any more, or far above where it began: the learning rate is too high."""


class Failure(BaseModel):
    """checkpoints/METHOD/failures/RANK.json."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    schema_version: int = 1
    exit_code: int
    message: str
    known: bool
    """Whether the message is one of ours; other errors of a process often follow from another's end."""
    unix_seconds: float
    diverged: bool = False


class Result:
    """What ``reporting`` makes of its block."""

    exit_code = 0


@contextmanager
def reporting(root: Path, rank: int) -> Iterator[Result]:
    """Write down why this process ends, for the stage that waits for it."""
    result = Result()
    try:
        yield result
    except PreemptedError as error:
        _write(root, rank, int(error.exit_code), str(error), known=True)
    except RatchetError as error:
        _write(root, rank, int(error.exit_code), str(error), known=True, diverged=isinstance(error, DivergedError))
        result.exit_code = int(error.exit_code)
    except Exception as error:
        logger.exception("process %d", rank)
        text = str(error).splitlines()[0] if str(error) else "no message"
        _write(root, rank, int(ExitCode.STAGE), f"process {rank}: {type(error).__name__}: {text}", known=False)
        result.exit_code = int(ExitCode.STAGE)


def _write(root: Path, rank: int, exit_code: int, message: str, known: bool, diverged: bool = False) -> None:
    failure = Failure(exit_code=exit_code, message=message, known=known, unix_seconds=time.time(), diverged=diverged)
    try:
        write_json(root / FOLDER / f"{rank}.json", failure)
    except OSError as error:
        logger.error("%s (and the disk took no message: %s)", message, error)


def raise_failure(root: Path, stopped: bool) -> None:
    """Raise what the processes reported: the first message of ours, else the first of any; nothing if there is none.

    Args:
        root: The method's checkpoints.
        stopped: SIGTERM came: errors that are not ours follow from it and are left out.
    """
    found = [read_model(path, Failure, "ratchet run") for path in (root / FOLDER).glob("*.json")]
    found = [failure for failure in found if failure.known or not stopped]
    if not found:
        return
    first = min(found, key=lambda failure: (not failure.known, failure.unix_seconds))
    kinds: dict[int, type[RatchetError]] = {ExitCode.USAGE: UsageError, ExitCode.PREEMPTED: PreemptedError}
    rest = "" if first.known else f"; last good checkpoint: {last_good(root)}; run the stage again to go on"
    raise (
        DivergedError(first.message) if first.diverged else kinds.get(first.exit_code, StageError)(first.message + rest)
    )
