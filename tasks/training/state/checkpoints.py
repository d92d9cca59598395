"""Checkpoints that are complete or absent."""

import json
import logging
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from evalsuite.core.errors import StageError, UsageError
from evalsuite.core.files import checked, read_json, sha256_json, undo_private, write_json
from tasks.training.state.log import EpochRecord

logger = logging.getLogger(__name__)

COMPLETE = "complete.json"
FINGERPRINT = "fingerprint.json"
RESUME_STATE = (
    "optimizer*",
    "scheduler.pt",
    "scaler.pt",
    "rng_state*.pth",
    "probe.json",
    "global_step*",
    "latest",
    "zero_to_*.py",
    "pissa",
)
"""Files and folders of a checkpoint that only a resumed training reads; two thirds of its bytes."""
SMALL_FILES_BYTES = 2**24
"""Tokenizer, state of the random generators, log."""


class Checkpoint(NamedTuple):
    """A checkpoint from which training can go on."""

    folder: Path
    step: int
    record: EpochRecord | None
    """Of a finished epoch; None within an epoch, and until the golden dev set has been run."""
    resumable: bool
    """Whether it still has what only a resume reads."""


def mark_complete(folder: Path, record: EpochRecord | None) -> None:
    """Write the sizes of all files and the epoch's record, last: a checkpoint without it does not exist.

    All bytes are on the disk before, so that a crash of the machine leaves no complete checkpoint with empty files.
    """
    if not (folder / COMPLETE).is_file():
        undo_private(folder)
        for path in [*folder.rglob("*"), folder]:
            _sync(path)
    _mark(folder, record, leave_out=())


def _mark(folder: Path, record: EpochRecord | None, leave_out: Iterable[Path]) -> None:
    left_out = set(leave_out)
    sizes = {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != COMPLETE and not left_out & {path, *path.parents}
    }
    kept = None if record is None else record.model_dump(mode="json")
    write_json(folder / COMPLETE, {"schema_version": 1, "resumable": not left_out, "record": kept, "sizes": sizes})


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def resumable_checkpoints(root: Path) -> list[Checkpoint]:
    """Complete checkpoints, those within an epoch included, oldest first."""
    found = (_read_complete(folder) for folder in root.glob("checkpoint-*"))
    return sorted((entry for entry in found if entry is not None), key=lambda entry: entry.step)


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
    done = resumable_checkpoints(root)
    return not done or done[-1].resumable


def complete_checkpoints(root: Path) -> list[tuple[Path, EpochRecord]]:
    """Checkpoints of finished epochs, oldest first."""
    return [(entry.folder, entry.record) for entry in resumable_checkpoints(root) if entry.record is not None]


def last_good(root: Path) -> str:
    """The checkpoint to go on from, for a message."""
    found = resumable_checkpoints(root)
    return str(found[-1].folder) if found else "none"


def remove_incomplete(root: Path) -> None:
    """Remove what a killed run left half-written; never while a run is writing.

    Raises:
        UsageError: Something other than a folder has a checkpoint's name.
    """
    for folder in root.glob("checkpoint-*"):
        if _read_complete(folder) is None:
            if folder.is_symlink() or not folder.is_dir():
                raise UsageError(f"{folder} is no folder, expected that of a checkpoint; move it away and run again")
            logger.warning("removing the incomplete checkpoint %s", folder)
            shutil.rmtree(folder)


def _read_complete(folder: Path) -> Checkpoint | None:
    path = folder / COMPLETE
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        sizes, record = dict(data["sizes"]), data["record"]
        step = int(folder.name.rpartition("-")[2])
        epoch = None if record is None else EpochRecord.model_validate(record)
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None
    for name, size in sizes.items():
        file = folder / name
        if not file.is_file() or file.stat().st_size != size:
            return None
    return Checkpoint(folder, step, epoch, bool(data.get("resumable", True)))


def set_aside(root: Path) -> Path:
    """Move a finished training out of the way of a new one; ``forget_aside`` removes it."""
    aside = _aside(root)
    shutil.rmtree(aside, ignore_errors=True)
    root.rename(aside)
    return aside


def forget_aside(root: Path) -> None:
    """Remove the training that was set aside, now that the one in ``root`` is finished."""
    shutil.rmtree(_aside(root), ignore_errors=True)


def _aside(root: Path) -> Path:
    return root.with_name(f"{root.name}.finished")


def start_anew(root: Path, fingerprint: dict[str, str]) -> None:
    """Prepare an empty checkpoint folder."""
    shutil.rmtree(root)
    open_root(root, fingerprint)


def open_root(root: Path, fingerprint: dict[str, str]) -> None:
    """Prepare the checkpoint folder; checkpoints of other inputs are removed, with the inputs that differ named."""
    path = root / FINGERPRINT
    if path.is_file():
        before = read_json(path, anew(root))
        if not isinstance(before, dict):
            raise UsageError(
                f"{path} holds {type(before).__name__}, expected an object; make it again with `{anew(root)}`"
            )
        changed = sorted(name for name in {*before, *fingerprint} if before.get(name) != fingerprint.get(name))
        if changed:
            logger.info(
                "training starts anew: %s changed since the checkpoints in %s, which are removed "
                "(exported models of earlier settings stay in DVC's cache)",
                ", ".join(changed),
                root,
            )
            shutil.rmtree(root)
    elif root.exists():
        shutil.rmtree(root)
    root.mkdir(parents=True, exist_ok=True)
    remove_incomplete(root)
    write_json(path, dict(fingerprint))


def anew(path: Path) -> str:
    """The command that goes on without a file or folder of the checkpoints that cannot be read."""
    return f"rm -r {path}; ratchet run"


def digest(value: object) -> str:
    """Short name of a value in a fingerprint."""
    return sha256_json(value)[:16]


def prune(root: Path, keep_last: int, keep: Iterable[int]) -> None:
    """Remove all but the last ``keep_last`` epochs and those named in ``keep``, and what lies within older epochs."""
    kept = set(keep)
    finished = complete_checkpoints(root)
    for folder, record in finished[:-keep_last]:
        if record.epoch not in kept:
            shutil.rmtree(folder)
    for entry in resumable_checkpoints(root):
        if entry.record is None and finished and entry.step < finished[-1][1].step:
            shutil.rmtree(entry.folder)


def write_record(root: Path, record: EpochRecord) -> None:
    """Keep an epoch's record when its checkpoint is pruned."""
    write_json(root / "records" / f"epoch-{record.epoch:04d}.json", record)


def read_records(root: Path) -> dict[int, EpochRecord]:
    """Epoch -> record, for epochs up to the last complete checkpoint."""
    last = max((record.step for _, record in complete_checkpoints(root)), default=0)
    found = {}
    for path in sorted((root / "records").glob("epoch-*.json")):
        record = checked(read_json(path, anew(root)), EpochRecord, str(path), anew(root))
        if record.step <= last:
            found[record.epoch] = record
    return found


def checkpoint_bytes(
    trained_parameters: int, zero_stage: int = 0, saved_twice: bool = False, bytes_a_parameter: float = 12.0
) -> int:
    """Disk space of one checkpoint: weights and AdamW's two moments of what is trained, and small files.

    DeepSpeed writes the weights twice more: its module's, and the fp32 ones of its optimizer. An adapter that
    is saved twice (PiSSA's) has a copy of twice the rank.
    """
    kept = bytes_a_parameter + (8 if zero_stage else 0) + (8 if saved_twice else 0)
    return int(1.05 * trained_parameters * kept) + SMALL_FILES_BYTES


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
