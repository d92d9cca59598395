"""A stage that computes on a CPU starts once more with the allocator's settings."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.allocator import TUNABLES

PROGRAM = """
import os, sys
from tasks.allocator import keep_freed_memory
keep_freed_memory()
print(os.getpid(), sys.argv[1:], os.environ.get("GLIBC_TUNABLES"))
"""

glibc = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc" or Path("/dev/nvidiactl").exists(),
    reason="the settings are for computations on a CPU under glibc",
)


def start(tunables: str | None) -> tuple[int, str]:
    environment = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
    if tunables is not None:
        environment["GLIBC_TUNABLES"] = tunables
    command = [sys.executable, "-c", PROGRAM, "full", "a b"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        printed, _ = process.communicate()
        return process.pid, printed.strip()


@glibc
def test_the_process_keeps_its_id_and_arguments_and_gains_the_settings() -> None:
    pid, printed = start(None)
    expected = ":".join(f"{name}={value}" for name, value in TUNABLES.items())
    assert printed == f"{pid} ['full', 'a b'] {expected}"


@glibc
def test_settings_of_the_user_are_left_alone() -> None:
    pid, printed = start("glibc.malloc.arena_max=2")
    assert printed == f"{pid} ['full', 'a b'] glibc.malloc.arena_max=2"
