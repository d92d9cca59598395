"""Waiting for what another process does, however slow or busy the machine is."""

import time
from collections.abc import Callable

PATIENCE_SECONDS = 800.0
"""Until a test gives up; pytest's own timeout is longer (pyproject.toml), so that the test says what did not come."""


def wait_until(happened: Callable[[], object], otherwise: Callable[[], str], every_seconds: float = 0.02) -> None:
    """Return as soon as ``happened`` says so.

    Args:
        happened: Asked again and again; it may raise where there is nothing left to wait for.
        otherwise: What the failure says.
        every_seconds: Time between two questions.
    """
    until = time.monotonic() + PATIENCE_SECONDS
    while not happened():
        if time.monotonic() > until:
            raise AssertionError(otherwise())
        time.sleep(every_seconds)
