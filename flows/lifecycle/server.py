"""A Prefect server on 127.0.0.1 that lives as long as the run or the schedule that needs it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evalsuite.core.credentials import without_credentials
from evalsuite.core.errors import RatchetError, StageError, UsageError
from flows.lifecycle.signals import ended_last

START_SECONDS = 300.0
"""A first start creates the database."""
REACH_SECONDS = 5.0
"""For a server that the user named; Prefect itself tries again for minutes."""


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
        UsageError: The user's address is not a Prefect server.
        StageError: The server did not come up, or the user's cannot be reached.
    """
    from prefect.settings import PREFECT_API_URL, get_current_settings, temporary_settings

    present = get_current_settings().api.url
    if present:  # an empty PREFECT_API_URL overrides a profile
        check_reachable(present)
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


def check_reachable(url: str) -> None:
    """Ask the server that the user named for its version.

    Raises:
        UsageError: The address is not a Prefect server, or it refuses the key.
        StageError: Nothing answers.
    """
    import httpx
    from prefect.client.orchestration import get_client
    from prefect.exceptions import PrefectHTTPStatusError
    from prefect.settings import PREFECT_API_REQUEST_TIMEOUT, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    cloud = ".prefect.cloud" in url
    with temporary_settings({PREFECT_API_REQUEST_TIMEOUT: REACH_SECONDS, PREFECT_CLIENT_MAX_RETRIES: 0}):
        try:
            with get_client(sync_client=True) as client:
                _ = client.api_healthcheck() if cloud else client.api_version()
        except PrefectHTTPStatusError as error:
            status = error.response.status_code
            if status in (401, 403):
                reason = f"refused the key (HTTP {status}): give PREFECT_API_KEY or PREFECT_API_AUTH_STRING"
                raise _unusable(url, reason, UsageError) from None
            kind = StageError if status >= 500 else UsageError
            raise _unusable(url, f"answers HTTP {status}; Prefect's address ends in /api", kind) from None
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            raise _unusable(url, "is not an address such as http://127.0.0.1:4200/api", UsageError) from None
        except httpx.HTTPError as error:
            raise _unusable(url, f"cannot be reached ({type(error).__name__})", StageError) from None
        except ValueError:
            reason = "does not answer as Prefect does; Prefect's address ends in /api"
            raise _unusable(url, reason, UsageError) from None


def _unusable(url: str, reason: str, kind: type[RatchetError]) -> RatchetError:
    """The error, without any key in it, and how to do without that server."""
    own = "`unset PREFECT_API_URL`" if os.environ.get("PREFECT_API_URL") else "`export PREFECT_API_URL=`"
    source = "in the environment" if os.environ.get("PREFECT_API_URL") else "in Prefect's profile or settings file"
    return kind(
        f"the Prefect server {without_credentials(url)} (PREFECT_API_URL {source}) {reason}; "
        f"start it or correct the address, or {own}, so that ratchet starts a server of its own"
    )


def _wait_for(url: str, server: "subprocess.Popen[bytes]", timeout_s: float, log: Path) -> None:
    import httpx

    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if httpx.get(f"{url}/health", timeout=2.0, trust_env=False).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise StageError(f"the Prefect server at {url} did not come up in {timeout_s:g} s; its output is in {log}")
