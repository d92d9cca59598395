"""Several processes as one: started, watched and ended together."""

import ctypes
import logging
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from evalsuite.core.errors import PreemptedError, StageError
from tasks.config.launch import LaunchParams
from tasks.training.parallel.launch import LaunchPlan, agent_command, find_node
from tasks.training.parallel.preemption import PR_SET_PDEATHSIG, StopRequest
from tasks.training.state.checkpoints import last_good
from tasks.training.watch.failures import FOLDER, raise_failure

logger = logging.getLogger(__name__)


def run_workers(
    name: str, plan: LaunchPlan, launch: LaunchParams, project: Path, root: Path, rate: float | None = None
) -> None:
    """Start this node's workers by torchrun and wait for their end.

    Raises:
        UsageError: What a worker reported, or this node's number is not known.
        PreemptedError: SIGTERM came, and the workers saved.
        StageError: A worker broke, or was killed.
    """
    shutil.rmtree(root / FOLDER, ignore_errors=True)
    code, stopped = run_agent(name, plan, launch, project, rate)
    raise_failure(root, stopped)
    if stopped:
        raise PreemptedError(
            f"{name}: SIGTERM, and the processes ended without saving; last good checkpoint: {last_good(root)}; the "
            "same command goes on from it"
        )
    if code != 0:
        raise StageError(
            f"{name}: a process of {plan.num_processes} ended without a message (exit code {code} of torchrun; it was "
            f"killed, or memory ran out: see above); last good checkpoint: {last_good(root)}; run again to go on"
        )


class AgentEnd(NamedTuple):
    """How torchrun ended."""

    code: int
    stopped: bool
    """Whether SIGTERM came to this process."""


def run_agent(name: str, plan: LaunchPlan, launch: LaunchParams, project: Path, rate: float | None = None) -> AgentEnd:
    """Start this node's workers by torchrun, pass SIGTERM on to them, and wait for their end."""
    command = agent_command(name, plan, find_node(launch), launch.grace_seconds, rate)
    logger.info("%s", " ".join(command))
    stop = StopRequest()
    with _agent(command, project, plan.processes_per_node) as agent, stop.listening(agent.send_signal):
        return AgentEnd(agent.wait(), stop.asked)


@contextmanager
def _agent(command: list[str], project: Path, processes: int) -> Iterator["subprocess.Popen[bytes]"]:
    """The torchrun process; it gets SIGKILL from the kernel when this one ends, and its workers when it does."""
    prctl = ctypes.CDLL(None).prctl

    def bind_to_parent() -> None:
        prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)

    threads = max(1, (os.cpu_count() or 1) // processes)
    agent = subprocess.Popen(  # noqa: S603  a fixed argv without a shell
        command,
        cwd=project,
        env={"OMP_NUM_THREADS": str(threads), **os.environ},
        # Alone in its group: a signal to our group must reach it once, from us.
        start_new_session=True,
        preexec_fn=bind_to_parent,
    )
    try:
        yield agent
    finally:
        if agent.poll() is None:
            agent.kill()
            agent.wait()
