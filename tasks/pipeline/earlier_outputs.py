"""What a stage made before, back in its place when the stage fails.

DVC removes the outputs of a stage before it runs it. Their hashes stand in dvc.lock and their bytes in DVC's cache, so
that a stage that fails, or is told to end, need not leave a hole.
"""

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

TERMINATED = 128 + signal.SIGTERM


@contextmanager
def earlier_outputs_kept() -> Iterator[None]:
    """Bring the earlier outputs of the stage that DVC is running back when the block does not end well.

    Outside DVC nothing was removed, and nothing happens.
    """
    stage = os.environ.get("DVC_STAGE")
    if stage is None:
        yield
        return
    try:
        with _terminated_by_exception():
            yield
    except BaseException:
        bring_back(stage, Path(os.environ["DVC_ROOT"]))
        raise


def bring_back(stage: str, root: Path) -> None:
    """Check the outputs of ``stage`` out as dvc.lock has them; what it never made stays absent.

    The repository's lock is not taken: the DVC process that waits for this stage holds those of its outputs.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(str(root)) as repo:
            for out in repo.stage.load_one(str(root / "dvc.yaml"), stage).outs:
                if out.use_cache and out.hash_info:
                    _bring_back(stage, out)
    except (DvcException, OSError) as error:
        # The stage's own error is what the user must see first.
        logger.warning("%s: earlier outputs could not be restored (%s); try `dvc checkout`", stage, error)


def _bring_back(stage: str, out: Any) -> None:
    """One output; what is wrong with it keeps no other one away."""
    from dvc.exceptions import DvcException

    try:
        if any(out.checkout(force=True) or ()):
            logger.info("%s: the earlier %s is restored", stage, out)
    except (DvcException, OSError) as error:
        reason = " ".join(str(error).split())
        logger.warning(
            "%s: the earlier %s could not be restored (%s); try `dvc checkout`, or `dvc pull` if the cache lost it",
            stage,
            out,
            reason,
        )


@contextmanager
def _terminated_by_exception() -> Iterator[None]:
    """Turn SIGTERM into SystemExit inside the block."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(*_: Any) -> None:
        raise SystemExit(TERMINATED)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


if __name__ == "__main__":
    bring_back(sys.argv[1], Path(sys.argv[2]))
