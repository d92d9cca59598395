"""Epoch checkpoints that are complete or absent."""

import logging
import shutil
from collections.abc import Iterable
from pathlib import Path

from evalsuite.errors import StageError
from evalsuite.files import read_json, sha256_json, write_json
from tasks.training.log import EpochRecord

logger = logging.getLogger(__name__)

COMPLETE = "complete.json"
FINGERPRINT = "fingerprint.json"
ADAM_STATES = 2
"""Optimizer tensors a parameter that is trained (AdamW: both moments)."""
RESUME_STATE = ("optimizer*", "scheduler.pt", "scaler.pt", "rng_state*.pth")
"""Files and folders of a checkpoint that only a resumed training reads; two thirds of its bytes."""
SMALL_FILES_BYTES = 2**24
"""Tokenizer, state of the random generators, log."""


def mark_complete(folder: Path, record: EpochRecord) -> None:
    """Write the epoch's record with the sizes of all files, last: a checkpoint without it does not exist."""
    _mark(folder, record, leave_out=())


def _mark(folder: Path, record: EpochRecord, leave_out: Iterable[Path]) -> None:
    left_out = set(leave_out)
    sizes = {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != COMPLETE and not left_out & {path, *path.parents}
    }
    data = {"schema_version": 1, "resumable": not left_out, "record": record.model_dump(mode="json"), "sizes": sizes}
    write_json(folder / COMPLETE, data)


def drop_resume_state(root: Path) -> None:
    """Remove what only a resume would read from every checkpoint of a finished training; weights and records stay."""
    for folder, record in complete_checkpoints(root):
        state = [path for pattern in RESUME_STATE for path in folder.glob(pattern)]
        if not state:
            continue
        # Said before they go, so that a kill in between leaves a checkpoint that is complete and not resumed.
        _mark(folder, record, leave_out=state)
        for path in state:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


def is_resumable(root: Path) -> bool:
    """Whether training could go on from the last complete checkpoint; true where there is none."""
    done = complete_checkpoints(root)
    return not done or bool(read_json(done[-1][0] / COMPLETE, "ratchet run").get("resumable", True))


def complete_checkpoints(root: Path) -> list[tuple[Path, EpochRecord]]:
    """Complete checkpoints, oldest first."""
    read = ((folder, _read_complete(folder)) for folder in root.glob("checkpoint-*"))
    found = [(folder, record) for folder, record in read if record is not None]
    return sorted(found, key=lambda entry: entry[1].step)


def remove_incomplete(root: Path) -> None:
    """Remove what a killed run left half-written; never while a run is writing."""
    for folder in root.glob("checkpoint-*"):
        if _read_complete(folder) is None:
            logger.warning("removing the incomplete checkpoint %s", folder)
            shutil.rmtree(folder)


def _read_complete(folder: Path) -> EpochRecord | None:
    path = folder / COMPLETE
    if not path.is_file():
        return None
    data = read_json(path, "ratchet run")
    for name, size in data["sizes"].items():
        file = folder / name
        if not file.is_file() or file.stat().st_size != size:
            return None
    return EpochRecord.model_validate(data["record"])


def start_anew(root: Path, fingerprint: dict[str, str]) -> None:
    """Prepare an empty checkpoint folder."""
    shutil.rmtree(root)
    open_root(root, fingerprint)


def open_root(root: Path, fingerprint: dict[str, str]) -> None:
    """Prepare the checkpoint folder; checkpoints of other inputs are removed, with the inputs that differ named."""
    path = root / FINGERPRINT
    if path.is_file():
        before = read_json(path, "ratchet run")
        changed = sorted(name for name in {*before, *fingerprint} if before.get(name) != fingerprint.get(name))
        if changed:
            logger.info("training starts anew: %s changed since the checkpoints in %s", ", ".join(changed), root)
            shutil.rmtree(root)
    elif root.exists():
        shutil.rmtree(root)
    root.mkdir(parents=True, exist_ok=True)
    remove_incomplete(root)
    write_json(path, dict(fingerprint))


def digest(value: object) -> str:
    """Short name of a value in a fingerprint."""
    return sha256_json(value)[:16]


def prune(root: Path, keep_last: int, keep: Iterable[int]) -> None:
    """Remove all but the last ``keep_last`` epochs and those named in ``keep``."""
    kept = set(keep)
    for folder, record in complete_checkpoints(root)[:-keep_last]:
        if record.epoch not in kept:
            shutil.rmtree(folder)


def checkpoint_bytes(trained_parameters: int) -> int:
    """Disk space of one checkpoint: fp32 weights and AdamW's two moments of what is trained, and small files."""
    return int(1.05 * 4 * trained_parameters * (1 + ADAM_STATES)) + SMALL_FILES_BYTES


def most_checkpoints(epochs: int, keep_last: int) -> int:
    """Checkpoints on disk at the worst moment: the last ones, the selected one, and the newest before one goes."""
    return min(epochs, keep_last + 2)


def check_disk(root: Path, needed_bytes: int, what: str = "a checkpoint needs") -> None:
    """Refuse to write what will not fit.

    Raises:
        StageError: Names what is needed, what is free, and what to do.
    """
    free = shutil.disk_usage(root).free
    if free < needed_bytes:
        raise StageError(
            f"{what} {needed_bytes / 2**30:.1f} GiB and {root.resolve()} has {free / 2**30:.1f} GiB free; "
            "free some space and run the stage again: it goes on from the last complete checkpoint"
        )
