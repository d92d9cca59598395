"""Start the flow in this process; a failure is said once, at the end."""

import logging
import re
from contextlib import ExitStack
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import UUID

from evalsuite.core.errors import RatchetError
from flows.lifecycle import signals
from flows.lifecycle.phases import only_phases_shown
from flows.lifecycle.server import prefect_server
from tasks.paths import ArtifactPaths

TELL_SECONDS = 3.0
"""How long Prefect may take to note that a run was stopped."""
HAND_OVER_SECONDS = 10.0
SAID_ELSEWHERE = re.compile(r"^(Finished in state (Failed|Crashed)|Running hook |Hook '|View at http)")
"""The command line says a failure at its end; the address of a server that ends with the run helps nobody."""


class _OwnFailures(logging.Filter):
    """Drop what the command line says at its end; a failure that is retried keeps its line."""

    def filter(self, record: logging.LogRecord) -> bool:
        """False for a record that is said elsewhere."""
        if record.exc_info and isinstance(record.exc_info[1], RatchetError):
            return False
        return not SAID_ELSEWHERE.match(record.getMessage())


def run_flow(root: Path, promote: bool, verbose: bool = False) -> None:
    """Run the pipeline, whose inputs are checked, under a Prefect server of its own, which is gone on return.

    Call ``flows.lifecycle.environment.prepare_prefect`` first: Prefect reads its settings when it is imported.

    Args:
        root: The project's root.
        promote: False leaves the champion alone whatever params say.
        verbose: Show the whole log as it comes; otherwise phases and warnings are shown, and the log is in a file.
    """
    from prefect.settings import temporary_settings  # noqa: F401  imports the settings before the loggers are made

    from tasks.pipeline import runner

    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).addFilter(_OwnFailures())
    for name in ("httpx", "aiosqlite", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)
    with prefect_server(root / ".prefect" / "server.log", schedules=False), ExitStack() as shown:
        from flows.pipeline import finetune_and_gate

        if not verbose:
            shown.enter_context(only_phases_shown(ArtifactPaths(root).run_log))
        started: list[UUID] = []

        def remember(flow: Any, flow_run: Any, state: Any) -> None:  # Prefect fixes the names
            started.append(flow_run.id)

        pipeline = finetune_and_gate.with_options(on_running=[remember])
        signals.before_ending(runner.halt)
        signals.before_ending(lambda: _tell_stopped(started))
        try:
            signals.beside_signals(lambda: pipeline(root=str(root), promote=promote, checked=True))
        finally:
            _hand_over()


def _hand_over() -> None:
    """Let Prefect's background threads send what they hold while the server is there, or they complain at exit."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    for worker in (APILogWorker, EventsWorker):
        worker.drain_all(timeout=HAND_OVER_SECONDS)


def _tell_stopped(runs: list[UUID]) -> None:
    """Let Prefect's record say that the run was stopped, so that it is not shown as running for ever."""
    from contextvars import copy_context

    from prefect.client.orchestration import get_client
    from prefect.states import Cancelled

    def tell() -> None:
        with get_client(sync_client=True) as client:
            for run in runs:
                client.set_flow_run_state(run, Cancelled(message="stopped by a signal"), force=True)

    thread = Thread(target=copy_context().run, args=(tell,), daemon=True)
    thread.start()
    thread.join(TELL_SECONDS)
