"""One run at a time in a project; whoever comes second is told who is there, since when, and leaves.

The lock is the system's (flock) and goes with its process, however that ends. The file beside it says who has it.
"""

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import psutil
from filelock import FileLock, Timeout

from evalsuite.core.errors import BusyError
from evalsuite.core.files import write_json

FOLDER = ".ratchet"
PATIENCE_SECONDS = 3.0
"""Short commands of DVC, such as an editor's, hold its lock for less."""
POLL_SECONDS = 0.1
CLOCK_SECONDS = 2.0
"""Slack between the start of a process and the time of a file."""
AGAIN = "wait for it to end, then run the command again"


class Holder(NamedTuple):
    """A process that works in the project."""

    pid: int
    command: str
    since: float
    """Start, in seconds since the epoch; 0 where it is not known."""
    host: str

    def __str__(self) -> str:
        """For people: nothing in it moves a terminal's cursor."""
        shown = "".join(each if each.isprintable() else "?" for each in self.command)[:200]
        when = datetime.fromtimestamp(self.since).astimezone().isoformat(" ", "seconds") if self.since else "unknown"
        return f"`{shown}` (pid {self.pid} on {self.host}, since {when})"


@contextmanager
def only_run(root: Path, command: str) -> Iterator[None]:
    """Hold the project for the block; a block inside one of the same process goes on.

    Args:
        root: The project's root.
        command: What is run, for those who come second.

    Raises:
        BusyError: Another process holds it, or a DVC command that somebody started works here.
    """
    folder = root.resolve() / FOLDER
    folder.mkdir(exist_ok=True)
    lock = FileLock(folder / "run.lock", is_singleton=True, thread_local=False)
    outermost = not lock.is_locked
    try:
        lock.acquire(blocking=False)
    except Timeout:
        holder = running(root)
        who = str(holder) if holder is not None else "a process that this machine cannot see"
        raise BusyError(f"another run works in this project: {who}; {AGAIN}") from None
    try:
        if outermost:
            _refuse_beside_dvc(root)
            write_json(_note(root), _self(command)._asdict())
        yield
    finally:
        if outermost:
            _note(root).unlink(missing_ok=True)
        lock.release()


def running(root: Path) -> Holder | None:
    """Who holds the project, as far as this machine can tell; None where nobody does, or somebody does since just now.

    A note that a killed process left names nobody: its process is gone, or another one with the same number.
    """
    try:
        holder = Holder(**json.loads(_note(root).read_text(encoding="utf-8")))
        if holder.host == socket.gethostname():
            started = psutil.Process(holder.pid).create_time()
            return holder if abs(started - holder.since) < CLOCK_SECONDS else None
    except (OSError, ValueError, TypeError, psutil.Error):
        return None
    return holder


def refuse_beside_a_run(root: Path) -> None:
    """For a stage that DVC started: refuse to work beside a run that did not start it.

    Raises:
        BusyError: Such a run is there.
    """
    holder = running(root)
    if holder is None or holder.host != socket.gethostname():
        return
    above = {os.getpid(), *(process.pid for process in psutil.Process().parents())}
    if holder.pid not in above:
        raise BusyError(f"another run works in this project: {holder}; {AGAIN}")


def dvc_at_work(root: Path) -> list[Holder]:
    """Living processes that hold outputs or dependencies in DVC's own list of readers and writers."""
    path = _dvc_folder(root) / "rwlock"
    try:
        changed = path.stat().st_mtime
        held = json.loads(path.read_text(encoding="utf-8"))
        entries = [*held.get("write", {}).values(), *(each for some in held.get("read", {}).values() for each in some)]
        named = {int(entry["pid"]): str(entry["cmd"]) for entry in entries if entry}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return []
    found = (_living(pid, command, changed) for pid, command in sorted(named.items()))
    return [holder for holder in found if holder is not None and holder.pid != os.getpid()]


def _living(pid: int, command: str, changed: float) -> Holder | None:
    """None where the process ended, and its number is free or another's, which started after the list was written."""
    try:
        process = psutil.Process(pid)
        since = process.create_time()
        if since > changed + CLOCK_SECONDS or process.status() == psutil.STATUS_ZOMBIE:
            return None
    except psutil.Error:
        return None
    return Holder(pid, command, since, socket.gethostname())


def busy_with_dvc(root: Path) -> BusyError | None:
    """The refusal that names who keeps DVC busy; None where that cannot be told."""
    holders = dvc_at_work(root) or _lock_owner(root)
    if not holders:
        return None
    return BusyError(f"DVC works in this project: {'; '.join(map(str, holders))}; {AGAIN}")


def _refuse_beside_dvc(root: Path) -> None:
    """Wait for short commands of DVC, refuse beside long ones, and clear what a killed one left."""
    folder = _dvc_folder(root)
    if not folder.is_dir():
        return
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        with _flock(folder / "lock") as whole, _flock(folder / "rwlock.lock") as listed:
            if whole and listed and not dvc_at_work(root):
                # What is listed belongs to nobody, and DVC would wait for the number of a process to be free.
                (folder / "rwlock").unlink(missing_ok=True)
                return
        if time.monotonic() > until:
            raise busy_with_dvc(root) or BusyError(f"DVC works in this project; {AGAIN}")
        time.sleep(POLL_SECONDS)


@contextmanager
def _flock(path: Path) -> Iterator[bool]:
    """Whether the lock on a file of DVC's could be had, for the block; True where nobody ever locked it."""
    import fcntl

    try:
        stream = path.open("r+")
    except OSError:
        yield True
        return
    with stream:
        try:
            fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True


def _lock_owner(root: Path) -> list[Holder]:
    """Who wrote its number into DVC's lock of the whole project, if that is still held."""
    path = _dvc_folder(root) / "lock"
    with _flock(path) as free:
        if free:
            return []
    with suppress(OSError, ValueError, psutil.Error):
        process = psutil.Process(int(path.read_text(encoding="utf-8")))
        return [Holder(process.pid, " ".join(process.cmdline()), process.create_time(), socket.gethostname())]
    return []


def _self(command: str) -> Holder:
    return Holder(os.getpid(), command, psutil.Process().create_time(), socket.gethostname())


def _note(root: Path) -> Path:
    return root.resolve() / FOLDER / "run.json"


def _dvc_folder(root: Path) -> Path:
    return root / ".dvc" / "tmp"
