"""A training that goes on gives what one gives that was never broken, and the proof of it."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evalsuite.core.errors import StageError
from evalsuite.core.files import read_json, write_json
from tasks.training.state.checkpoints import anew, resumable_checkpoints
from tasks.training.state.log import ResumeCheck

PROBE = "probe.json"
TOLERANCE = {"fp32": 1e-4, "bf16": 3e-2}
"""Largest difference in nats a token between saved and resumed weights that rounding explains, by type of compute."""


def write_probe(folder: Path, loss: float) -> None:
    """Keep the loss that the weights of a checkpoint give on a few dev rows."""
    write_json(folder / PROBE, {"schema_version": 1, "loss": loss})


def check_probe(folder: Path, step: int, found: float, compute: str) -> ResumeCheck:
    """Compare the resumed weights' loss with the one that was measured when the checkpoint was written.

    Raises:
        StageError: They differ: what was read is not what was saved.
    """
    saved = float(read_json(folder / PROBE, anew(folder))["loss"])
    if not abs(saved - found) <= TOLERANCE[compute]:
        raise StageError(
            f"{folder} gives a loss of {found:.6f} on the dev rows and gave {saved:.6f} when it was written; remove it "
            "and run the stage again to go on from the one before"
        )
    return ResumeCheck(step=step, saved_loss=saved, resumed_loss=found)


@contextmanager
def deterministic() -> Iterator[None]:
    """Let every operation that has a repeatable kernel use it, so that a resumed run ends in the same weights."""
    import torch

    before, fill = torch.are_deterministic_algorithms_enabled(), torch.utils.deterministic.fill_uninitialized_memory
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
        torch.utils.deterministic.fill_uninitialized_memory = fill


def unreadable(root: Path, folder: Path, error: Exception) -> str:
    """What to say of a checkpoint that cannot be read."""
    earlier = [entry for entry in resumable_checkpoints(root) if entry.folder != folder]
    good = str(earlier[-1].folder) if earlier else "none"
    return (
        f"{folder} cannot be read ({type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no text'}); "
        f"last good checkpoint: {good}; remove {folder} and run the stage again to go on from there"
    )


def has_another_cause(error: Exception, folder: Path) -> bool:
    """Whether memory or disk ran out, another process went away, or a file outside ``folder`` is wrong."""
    import torch

    if isinstance(error, OSError):
        elsewhere = error.filename is not None and folder.absolute() not in Path(str(error.filename)).absolute().parents
        return elsewhere or error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
    kinds = (MemoryError, torch.cuda.OutOfMemoryError, torch.distributed.DistError)
    return isinstance(error, kinds) or any(word in str(error) for word in ("gloo", "NCCL", "allocate memory"))
