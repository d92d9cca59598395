"""A project whose first stage starts a worker and never ends, and the command line on it as a process."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tasks.dvc_command import dvc_command
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
STAGE = """
import pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
pathlib.Path("worker.tmp").write_text(str(child.pid))
pathlib.Path("worker.tmp").rename("worker")
time.sleep(600)
"""


def make_project(root: Path) -> Path:
    """Real params, data and golden sets; of dvc.yaml an ``inputs`` that ends at once, and ``fetch``.

    The worker of ``fetch`` lives in a session of its own.
    """
    root.mkdir()
    (root / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    (root / "dvc.yaml").write_text(
        "stages: {inputs: {cmd: echo inputs}, fetch: {cmd: python hang.py, deps: [hang.py], outs: [one]}}\n"
    )
    (root / "hang.py").write_text(STAGE)
    for folder in ("golden_sets", "data"):
        (root / folder).symlink_to(ROOT / folder)
    (root / "registry").mkdir()
    (root / "registry/champion.json").write_text('{"schema_version": 1, "champion": null}')
    for command in (["git", "init", "-q"], dvc_command("init", "-q"), dvc_command("config", "core.analytics", "false")):
        subprocess.run(command, cwd=root, check=True)
    return root


def _signals_of_a_terminal() -> None:
    """A shell's background job ignores some of them, and so would all that it starts."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)


@contextmanager
def started(folder: Path, *arguments: str, path: Path = ROOT) -> Iterator["subprocess.Popen[str]"]:
    """``ratchet ARGUMENTS`` with the signals of a terminal's child; killed with all below it at the end."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.cli.__main__", *arguments],
        cwd=folder,
        env={**inherited, "PYTHONPATH": f"{path}{os.pathsep}{ROOT}", "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=_signals_of_a_terminal,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            for member in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
                member.kill()
        if process.stdout is not None:
            process.stdout.close()
        process.wait()


def wait_for(path: Path, process: "subprocess.Popen[str]") -> str:
    """The text of a file, as soon as it is there."""
    said = process.stdout

    def there() -> bool:
        if not path.exists() and process.poll() is not None:
            raise AssertionError(f"{path.name} did not come: {said.read() if said else ''}")
        return path.exists()

    wait_until(there, lambda: f"{path.name} did not come")
    return path.read_text()


def stopped(process: "subprocess.Popen[str]", number: signal.Signals) -> tuple[list[str], list[str]]:
    """Send a signal; what the process said until its end, and the command lines below it that outlived it."""
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    assert process.stdout is not None
    said = process.stdout.read().splitlines()
    process.wait()
    return said, [" ".join(member.cmdline()) for member in family if _alive(member)]


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
