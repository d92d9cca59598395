"""A model server that lives as long as the evaluation that needs it."""

import logging
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from evalsuite.core.errors import StageError, UsageError

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.5
GRACE_SECONDS = 10.0


@contextmanager
def serving(command: Sequence[str], health_url: str, log: Path, ready_seconds: float = 1800.0) -> Iterator[None]:
    """Start a server, wait until it is healthy, and end it with all its children whatever happens.

    It stays in the process group of its parent, so that whoever kills the group ends it too.

    Args:
        command: Program and arguments; no shell.
        health_url: Answers with 200 once the server is ready.
        log: Where the server's own words go.
        ready_seconds: Longest wait; loading large weights takes minutes.

    Raises:
        UsageError: The program is not installed.
        StageError: The server ended or did not become healthy in time; quotes its last line.
    """
    if shutil.which(command[0]) is None:
        raise UsageError(f"{command[0]!r} is not installed; install it, or set evaluation.engine.kind to hf or openai")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT)  # noqa: S603
        try:
            _wait(process, health_url, log, ready_seconds)
            yield
        finally:
            _end(process)


def free_port() -> int:
    """A port of the loopback interface that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(process: "subprocess.Popen[bytes]", url: str, log: Path, seconds: float) -> None:
    without_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # our own loopback address
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if process.poll() is not None:
            raise StageError(f"the model server ended with code {process.returncode}: {_last_line(log)}; see {log}")
        try:
            with without_proxy.open(url, timeout=5.0) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(POLL_SECONDS)
    raise StageError(f"the model server is not ready after {seconds:.0f} s: {_last_line(log)}; see {log}")


def _end(process: "subprocess.Popen[bytes]") -> None:
    try:
        family = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
    except psutil.NoSuchProcess:
        return
    for member in family:
        if member.is_running():
            member.terminate()
    _, alive = psutil.wait_procs(family, timeout=GRACE_SECONDS)
    for member in alive:
        member.kill()
    process.wait()


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1][:200] if lines else "it said nothing"
