"""SIGINT, SIGTERM, SIGHUP, SIGQUIT: end all that was started, say one line, leave with 128 + the signal's number.

Nothing is unwound: every stage may be killed at any point and run again, so leaving at once loses nothing, while an
exception from a signal would be caught, retried or printed by whichever library it hits.
"""

import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from types import FrameType
from typing import TypeVar

import psutil

from tasks.pipeline.processes import end_politely, kill, with_descendants

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
GRACE_SECONDS = 8.0
"""How long what was started may take to end by itself; a stage brings its earlier outputs back."""
ROUNDS = 10
SHOW_CURSOR = "\x1b[?25h"

Result = TypeVar("Result")

_words = ["stopped"]
_first: list[Callable[[], None]] = []
_last: list[Callable[[], None]] = []
_servers: set[int] = set()


def install() -> None:
    """Answer the signals from here on; one that the parent chose to ignore (``nohup``) stays ignored."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)


def say(words: str) -> None:
    """What is said of a command that is stopped: what is kept, and how to go on."""
    _words[0] = words


def before_ending(act: Callable[[], None]) -> None:
    """Call ``act`` first of all when a signal comes; it must not take long."""
    _first.append(act)


def after_ending(act: Callable[[], None]) -> None:
    """Call ``act`` before the line is printed where something that was started did not end by itself."""
    _last.append(act)


@contextmanager
def ended_last(pid: int) -> Iterator[None]:
    """A server that others report to: inside this block it outlives them when a signal comes."""
    _servers.add(pid)
    try:
        yield
    finally:
        _servers.discard(pid)


def beside_signals(work: Callable[[], Result]) -> Result:
    """Run ``work`` in a thread of its own, so that signals are ours.

    Prefect puts its own handlers in place of ours, but only in the main thread.
    """
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(copy_context().run, work).result()


def _stop(number: int, _frame: FrameType | None) -> None:
    for each in SIGNALS:
        signal.signal(each, _once_is_enough)
    logging.disable(logging.CRITICAL)  # libraries report the end of what we end as failures
    try:
        for act in _first:
            act()
        if _end_all(spared=_servers):
            for act in _last:
                act()
        _end_all(spared=set())
        line = f"{_words[0]}\n"
        # No print: this runs on top of whatever was being printed.
        os.write(2, (f"{SHOW_CURSOR}\n{line}" if sys.stderr.isatty() else line).encode())
    finally:  # an error here would rise into whatever was interrupted, and give the command another exit code
        os._exit(128 + number)


def _once_is_enough(_number: int, _frame: FrameType | None) -> None:
    """The signal that came first is being answered, within seconds."""


def _end_all(spared: set[int]) -> bool:
    """End every descendant, politely and then surely, in whatever session or group it is; whether one was killed."""
    killed = False
    for number in range(ROUNDS):
        family = _family(spared)
        if not family:
            break
        if number == 0:
            end_politely(family)
            _wait(family, GRACE_SECONDS)
        killed = killed or any(_alive(member) for member in family)
        kill(family, spare_dvc=number == 0)
        _wait(family, 2.0)
    return killed


def _family(spared: set[int]) -> list[psutil.Process]:
    children = [child for child in psutil.Process().children() if child.pid not in spared and _alive(child)]
    return [member for child in children for member in with_descendants(child)]


def _wait(family: list[psutil.Process], seconds: float) -> None:
    """Wait without collecting exit codes: threads that wait for the same processes must not read a wrong one."""
    until = time.monotonic() + seconds
    while any(_alive(member) for member in family) and time.monotonic() < until:
        time.sleep(0.02)


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
