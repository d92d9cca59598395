"""Start the flow in this process with quiet, one-line failures."""

import logging
from pathlib import Path

from evalsuite.errors import RatchetError


class _NoTraceback(logging.Filter):
    """A failure that the user can mend is one line in the log, not Prefect's stack."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Drop the stack of our own errors; keep every record."""
        if record.exc_info and isinstance(record.exc_info[1], RatchetError):
            record.exc_info = None
            record.exc_text = None
        return True


def run_flow(root: Path, promote: bool) -> None:
    """Run the pipeline under an ephemeral Prefect server.

    Call ``flows.environment.prepare_prefect`` first: Prefect reads its settings when it is imported.
    """
    from prefect.settings import temporary_settings  # noqa: F401  imports the settings before the loggers are made

    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).addFilter(_NoTraceback())
    for name in ("httpx", "aiosqlite", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)
    from flows.pipeline import finetune_and_gate

    finetune_and_gate(root=str(root), promote=promote)
