"""The scheduled deployment."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from evalsuite.errors import StageError, UsageError
from tasks.params import ScheduleParams


def next_runs(schedule: ScheduleParams, count: int) -> list[datetime]:
    """The next times the schedule fires, in its timezone.

    Raises:
        UsageError: The cron line or the timezone is not valid.
    """
    from prefect._vendor import croniter as parsing  # the parser that Prefect itself schedules with

    try:
        zone = ZoneInfo(schedule.timezone)
    except (ZoneInfoNotFoundError, ValueError):
        raise UsageError(
            f"schedule.timezone = {schedule.timezone!r}: not an IANA timezone such as Europe/Berlin"
        ) from None
    croniter: Any = vars(parsing)["croniter"]
    if not croniter.is_valid(schedule.cron):
        raise UsageError(f"schedule.cron = {schedule.cron!r}: not a cron line such as '0 2 * * *' (2:00 every day)")
    times = croniter(schedule.cron, datetime.now(UTC).astimezone(zone))
    return [times.get_next(datetime) for _ in range(count)]


@contextmanager
def prefect_server(log: Path, timeout_s: float = 120.0) -> Iterator[str]:
    """The address of a Prefect server that keeps schedules: the user's, or one on 127.0.0.1 that ends with this block.

    Prefect's temporary server, which a single run uses, never fires a schedule.

    Args:
        log: Where the started server writes.
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
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as stream:
        server = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)  # noqa: S603
    try:
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


def _wait_for(url: str, server: "subprocess.Popen[bytes]", timeout_s: float, log: Path) -> None:
    import httpx

    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if httpx.get(f"{url}/health", timeout=2.0).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.5)
    raise StageError(f"the Prefect server at {url} did not come up in {timeout_s:g} s; its output is in {log}")


def serve_flow(root: Path, schedule: ScheduleParams) -> None:
    """Register the deployment and run it on schedule until interrupted; two runs never overlap."""
    from prefect.schedules import Cron
    from prefect.types.entrypoint import EntrypointType

    from flows.pipeline import finetune_and_gate

    finetune_and_gate.serve(
        name=schedule.name,
        schedule=Cron(schedule.cron, timezone=schedule.timezone),
        parameters={"root": str(root.resolve()), "promote": True},
        limit=1,
        global_limit=1,
        pause_on_shutdown=False,
        entrypoint_type=EntrypointType.MODULE_PATH,  # a file path would put flows/ first on sys.path
    )
