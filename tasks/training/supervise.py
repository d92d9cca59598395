"""Several processes as one: started, watched and ended together."""

import ctypes
import logging
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from evalsuite.errors import StageError
from tasks.params import LaunchParams
from tasks.training.checkpoints import last_good
from tasks.training.failures import FOLDER, raise_failure
from tasks.training.launch import LaunchPlan, agent_command, find_node
from tasks.training.preemption import PR_SET_PDEATHSIG

logger = logging.getLogger(__name__)


def run_workers(name: str, plan: LaunchPlan, launch: LaunchParams, project: Path, root: Path) -> None:
    """Start this node's workers by torchrun and wait for their end.

    Raises:
        UsageError: What a worker reported, or this node's number is not known.
        PreemptedError: SIGTERM came, and the workers saved.
        StageError: A worker broke, or was killed.
    """
    shutil.rmtree(root / FOLDER, ignore_errors=True)
    code = run_agent(name, plan, launch, project)
    raise_failure(root)
    if code != 0:
        raise StageError(
            f"{name}: a process of {plan.num_processes} ended without a message (exit code {code} of torchrun; it was "
            f"killed, or memory ran out: see above); last good checkpoint: {last_good(root)}; run again to go on"
        )


def run_agent(name: str, plan: LaunchPlan, launch: LaunchParams, project: Path) -> int:
    """Start this node's workers by torchrun, pass SIGTERM on to them, and return torchrun's exit code."""
    command = agent_command(name, plan, find_node(launch), launch.grace_seconds)
    logger.info("%s", " ".join(command))
    with _agent(command, project, plan.processes_per_node) as agent, _passing_on(agent):
        return agent.wait()


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


@contextmanager
def _passing_on(agent: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Give SIGTERM to the workers, who save and end; only a main thread may listen."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def pass_on(number: int, frame: FrameType | None) -> None:
        agent.send_signal(number)

    before = signal.signal(signal.SIGTERM, pass_on)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
