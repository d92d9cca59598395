"""How processes that we started are told to end."""

import signal
from collections.abc import Iterable
from contextlib import suppress

import psutil

DVC = ["-m", "dvc"]


def with_descendants(process: psutil.Process) -> list[psutil.Process]:
    """The process and everything below it, in whatever session or group, parents first; empty when it ended."""
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def end_politely(family: Iterable[psutil.Process]) -> None:
    """Ask processes to end; the caller kills what does not.

    DVC ends when the command that it waits for has ended, and lets go of its locks. A signal would leave them held,
    or cut its lock file in two while it writes it: it gets one only where it waits for nothing.

    Args:
        family: Parents before their children.
    """
    for member in family:
        with suppress(psutil.NoSuchProcess):
            if member.cmdline()[1:3] != DVC:
                member.terminate()
            elif not member.children():
                member.send_signal(signal.SIGINT)


def kill(family: Iterable[psutil.Process], spare_dvc: bool = False) -> None:
    """End processes that did not end when they were asked.

    Args:
        family: Parents before their children.
        spare_dvc: Leave DVC time to let go of its locks: it ends when its command has ended.
    """
    for member in family:
        with suppress(psutil.NoSuchProcess):
            if not (spare_dvc and member.cmdline()[1:3] == DVC):
                member.kill()
