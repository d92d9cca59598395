"""DVC as a command: its arguments, and the environment that it and its stages run in."""

import os
import sys
from pathlib import Path

from evalsuite.network.local_network import released

FORCED = "RATCHET_FORCED"
"""Set by ``ratchet stage --force``: a stage has no arguments of its own, and DVC does not say why it runs one."""

SAFE_PATH = "PYTHONSAFEPATH"
"""Python's own variable: no `tasks`, `flows` or `dvc` of the folder where a process starts hides an installed one."""


def dvc_command(*arguments: str) -> list[str]:
    """DVC from this very environment, waiting for a run beside it to let go of the lock."""
    return [sys.executable, "-m", "dvc", "--wait-for-lock", *arguments]


def stage_environment() -> dict[str, str]:
    """The environment in which ``python`` in dvc.yaml is this interpreter; it writes UTF-8 in any locale."""
    folder = str(Path(sys.executable).parent)
    utf8 = {"PYTHONUTF8": "1", "PYTHONIOENCODING": "utf-8:backslashreplace"}
    return {
        **released(os.environ),
        **utf8,
        "PATH": f"{folder}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONUNBUFFERED": "1",
    }
