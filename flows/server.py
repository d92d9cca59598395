"""A Prefect server on 127.0.0.1 that lives as long as the run or the schedule that needs it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evalsuite.errors import StageError
from flows.stopping import ended_last

START_SECONDS = 300.0
"""A first start creates the database."""


@contextmanager
def prefect_server(log: Path, schedules: bool, timeout_s: float = START_SECONDS) -> Iterator[str]:
    """The address of the user's server, or of one that ends with this block.

    Prefect's own temporary server fires no schedule, dies of a Ctrl-C before the run could report to it, and speaks
    after the verdict.

    Args:
        log: Where the started server writes.
        schedules: Whether it fires schedules and shows the UI.
        timeout_s: How long it may take to answer.

    Raises:
        StageError: The server did not come up.
    """
    from prefect.settings import PREFECT_API_URL, get_current_settings, temporary_settings

    present = get_current_settings().api.url
    if present is not None:
        yield present
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/api"
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    if not schedules:
        command += ["--no-services", "--no-ui"]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as stream:
        server = subprocess.Popen(  # noqa: S603  a fixed argv
            command, stdout=stream, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True
        )
    try:
        with ended_last(server.pid):
            _wait_for(url, server, timeout_s, log)
            os.environ["PREFECT_API_URL"] = url  # for the runs, which are processes of their own
            with temporary_settings({PREFECT_API_URL: url}):
                yield url
    finally:
        os.environ.pop("PREFECT_API_URL", None)
        server.terminate()
        try:
            server.wait(timeout=15)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait_for(url: str, server: "subprocess.Popen[bytes]", timeout_s: float, log: Path) -> None:
    import httpx

    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if httpx.get(f"{url}/health", timeout=2.0).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise StageError(f"the Prefect server at {url} did not come up in {timeout_s:g} s; its output is in {log}")
