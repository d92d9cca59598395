"""Stopping at a step because a signal asks for it, and ending with the process that started this one."""

import ctypes
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

PR_SET_PDEATHSIG = 1
"""Linux, prctl(2): the signal that this process gets when the thread that started it ends."""


class StopRequest:
    """Whether SIGTERM has come; a second one changes nothing."""

    def __init__(self) -> None:
        """Nothing has come yet."""
        self.asked = False

    @contextmanager
    def listening(self, pass_on: Callable[[int], None] = lambda _: None) -> Iterator[None]:
        """Turn SIGTERM into a request, for the time of the block, and pass it on; only a main thread may."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def note(number: int, frame: FrameType | None) -> None:
            self.asked = True
            pass_on(number)

        before = signal.signal(signal.SIGTERM, note)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)


def die_with_parent() -> None:
    """Let the kernel kill this process when its parent ends, however that ends; on Linux.

    A killed parent cannot end its children itself: they would go on, hold their memory, and write into checkpoints that
    the next attempt is reading.
    """
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
