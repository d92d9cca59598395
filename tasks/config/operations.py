"""What follows a verdict, and when the next run starts."""

from pydantic import Field

from tasks.config.section import Section


class PromoteParams(Section):
    """What follows a PROMOTE."""

    automatic: bool = False
    """Let the flow promote after a PROMOTE verdict; else it waits for ``ratchet promote``."""
    remote: str | None = None
    """DVC remote that must hold the bytes; the default remote when absent."""


class ScheduleParams(Section):
    """The Prefect deployment that ``ratchet serve`` registers."""

    name: str = "nightly"
    """Of the deployment, as Prefect shows it."""
    cron: str = "0 2 * * *"
    """When a run starts: minute, hour, day of the month, month, day of the week."""
    timezone: str = "UTC"
    """Of ``cron``, by its IANA name such as Europe/Berlin."""
    stage_timeout_seconds: int = Field(default=86_400, ge=1)
    """A stage that takes longer is stopped; what it finished is kept."""
    retries: int = Field(default=1, ge=0, le=10)
    """Retries of a stage that a retry can help (not of a usage error)."""
    parallel_methods: int = Field(default=1, ge=1)
    """Methods that may train at the same time."""
