"""The scheduled deployment."""

import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from evalsuite.core.errors import UsageError
from tasks.config.operations import ScheduleParams


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


def trigger_command(url: str, schedule: ScheduleParams) -> str:
    """The command that starts a run now, from any folder in another terminal."""
    from flows.pipeline import finetune_and_gate

    prefect = Path(sys.executable).with_name("prefect")
    name = f"{finetune_and_gate.name}/{schedule.name}"
    return f"PREFECT_API_URL={shlex.quote(url)} {shlex.quote(str(prefect))} deployment run {shlex.quote(name)}"


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
        print_starting_message=False,  # its command does not name our server
        entrypoint_type=EntrypointType.MODULE_PATH,  # a file path would put flows/ first on sys.path
    )
