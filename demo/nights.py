"""A served deployment as a scheduler has it: runs that are due now, what they say while they work, and how they end."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psutil

POLL_SECONDS = 0.2
PATIENCE_SECONDS = 1200.0
"""For one night on a machine that does other work too."""
PHASE = re.compile(r"\[\d+/\d+\] .* \.\.\.$")
ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


class TourError(Exception):
    """A process that the tour needs did not do its part; the message says where its output is."""


class Ended(NamedTuple):
    """How Prefect says that a run ended."""

    state: str
    """COMPLETED, FAILED, CRASHED or CANCELLED."""
    message: str
    seconds: float
    """From the moment it was due."""


class Schedule:
    """``ratchet serve`` at work in a project."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        """Wait until it takes runs.

        Raises:
            TourError: It ended, or said no address.
        """
        self.process, self.log = process, log
        line = self._said(re.compile(r"^a run now: PREFECT_API_URL='?(\S+?)'? .* '?([^\s']+)'?$", re.MULTILINE))
        self.api, self.name = line[1], line[2]
        self.deployment = self._wait(lambda: self._get(f"/deployments/name/{self.name}"), "the deployment")["id"]

    def run_now(self, watch: "Watcher") -> Ended:
        """Let a run of the deployment be due now, as the schedule does at its hour; print its phases.

        Args:
            watch: Called again and again while the run works.
        """
        begun, shown = time.monotonic(), self.log.stat().st_size
        run = self._post(f"/deployments/{self.deployment}/create_flow_run", {})["id"]
        while time.monotonic() - begun < PATIENCE_SECONDS:
            watch(self.process.pid)
            shown = self._show_phases(shown, begun)
            state = (self._get(f"/flow_runs/{run}") or {}).get("state") or {}
            if state.get("type") in ENDED:
                self._show_phases(shown, begun)
                return Ended(state["type"], state.get("message") or "", time.monotonic() - begun)
            if self.process.poll() is not None:
                raise TourError(f"ratchet serve ended with code {self.process.returncode}; its output is in {self.log}")
            time.sleep(POLL_SECONDS)
        raise TourError(f"the run did not end in {PATIENCE_SECONDS:.0f} s; the output is in {self.log}")

    def _show_phases(self, shown: int, begun: float) -> int:
        """Print the phases that the log says from a place on; returns the place of the first line that is not whole."""
        with self.log.open("rb") as stream:
            stream.seek(shown)
            new = stream.read()
        whole = new[: new.rfind(b"\n") + 1]
        for line in whole.decode(errors="replace").splitlines():
            if found := PHASE.search(line):
                print(f"  {time.monotonic() - begun:5.1f} s  {found[0]}", flush=True)
        return shown + len(whole)

    def _said(self, wanted: "re.Pattern[str]") -> "re.Match[str]":
        return self._wait(lambda: wanted.search(self.log.read_text(encoding="utf-8", errors="replace")), "its address")

    def _wait(self, look: Any, what: str) -> Any:
        until = time.monotonic() + PATIENCE_SECONDS
        while not (found := look()):
            if self.process.poll() is not None or time.monotonic() > until:
                raise TourError(f"ratchet serve did not say {what}; its output is in {self.log}")
            time.sleep(POLL_SECONDS)
        return found

    def _get(self, path: str) -> Any:
        try:
            answer = httpx.get(self.api + path, timeout=30.0, trust_env=False)
        except httpx.TransportError:
            return None  # a busy machine: asked again
        return answer.json() if answer.is_success else None

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        answer = httpx.post(self.api + path, json=body, timeout=120.0, trust_env=False)
        if not answer.is_success:
            raise TourError(f"Prefect answered HTTP {answer.status_code} to {path}; its output is in {self.log}")
        return answer.json()


class Watcher:
    """Looks on."""

    def __call__(self, scheduler: int) -> None:
        """Do nothing."""


class Killer(Watcher):
    """Sends SIGKILL to the training as soon as its first checkpoint is complete; nothing of it can clean up."""

    def __init__(self, checkpoints: Path) -> None:
        """Remember what is there already."""
        self.checkpoints, self.killed = checkpoints, False
        self.before = self._complete()

    def __call__(self, scheduler: int) -> None:
        """Kill it, once."""
        if self.killed or not self._complete() - self.before:
            return
        for process in psutil.Process(scheduler).children(recursive=True):
            try:
                if process.cmdline()[1:4] == ["-m", "tasks.stage", "train"]:
                    process.kill()
                    self.killed = True
            except psutil.Error:
                continue  # it ended meanwhile

    def _complete(self) -> set[tuple[str, int]]:
        return {(str(path), path.stat().st_mtime_ns) for path in self.checkpoints.glob("checkpoint-*/complete.json")}


def environment(project: Path) -> dict[str, str]:
    """For every process of the tour: Prefect's files in the project and no server of the user's."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")},
        "PREFECT_HOME": str(project / ".prefect"),
        "PREFECT_RUNNER_POLL_FREQUENCY": "1",  # Prefect looks for due runs every 10 s
        "OMP_NUM_THREADS": "1",  # matrices this small are slower on two threads, and far slower on busy cores
        "PYTHONUNBUFFERED": "1",
    }


@contextmanager
def served(project: Path) -> Iterator[Schedule]:
    """``ratchet serve`` in a project with a Prefect server of its own, until the end of the block."""
    log = project / ".ratchet" / "serve.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.cli", "serve"],
            cwd=project,
            env=environment(project),
            stdout=stream,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
    try:
        yield Schedule(process, log)
    finally:
        process.terminate()  # it ends its server and its runs, and says that the schedule is kept
        process.wait()
