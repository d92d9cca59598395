"""One stage, run by DVC in its own process, and what DVC says would run.

DVC owns the cache: an unchanged stage is skipped, dvc.lock stays true, and a stage's memory dies with its process.
"""

import logging
import os
import re
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Timer
from typing import Any, NamedTuple

import psutil

from evalsuite.core.errors import (
    BusyError,
    ExitCode,
    MissingArtifactError,
    PreemptedError,
    RatchetError,
    StageError,
    UsageError,
)
from tasks.dvc_command import FORCED, dvc_command, stage_environment
from tasks.pipeline.dvc_files import check_dvc_files, explain_dvc
from tasks.pipeline.earlier_outputs import bring_back
from tasks.pipeline.processes import end_politely, with_descendants
from tasks.pipeline.project_lock import AGAIN, busy_with_dvc, dvc_at_work
from tasks.pipeline.repository import how_to_have_one

logger = logging.getLogger(__name__)

EXITED = re.compile(r"exited with (-?\d+)\s*$")
NOISE = re.compile(
    r"^(To track the changes with git|\s*git add |To enable auto staging|\s*dvc config core\.autostage|"
    r"Use `dvc push`|Updating lock file|Generating lock file|Loading weights:|Writing model shards:|"
    r".*real_accelerator\.py)"
)
INPUTS = "inputs"
"""The stage that always runs (tasks/stages/inputs.py)."""
TERMINATE_SECONDS = 10.0
ERROR = "error: "
"""How ``tasks.stage`` starts what a stage says last; the lines after it belong to it, up to DVC's own."""
DVC_ERROR = "ERROR: "
DVC_BUSY = re.compile(r"is busy, it is being blocked by:|Unable to acquire lock")

_halted = Event()
_running: set[tuple[str, Path]] = set()
BRING_BACK_SECONDS = 30.0
"""Time allowed for a check-out of several gigabytes by hard links or copies (seconds)."""


class StageRun(NamedTuple):
    """The outcome of a stage."""

    name: str
    skipped: bool
    """True when DVC found it up to date, or brought its outputs back from the cache."""


class Pending(NamedTuple):
    """A stage that may run: DVC brings it back where it made the same before."""

    name: str
    reason: str
    """What changed, or which stage before it may give something else."""
    is_cause: bool = True
    """False where nothing changed for the stage itself."""


def halt() -> None:
    """No stage starts and none ends from here on: the process is leaving, and a stage that it ended has no result."""
    _halted.set()


def bring_back_halted() -> None:
    """Bring the earlier outputs of the stages back that ran when the process was told to leave.

    A stage does it itself where it is given the time; one that was killed could not. In a process of its own, since
    the caller may be a signal handler, and DVC is not written for that.
    """
    for name, root in sorted(_running):
        command = [sys.executable, "-m", "tasks.pipeline.earlier_outputs", name, str(root)]
        with suppress(subprocess.TimeoutExpired, OSError):
            subprocess.run(  # noqa: S603  a fixed argv without a shell
                command, env=stage_environment(), stdout=subprocess.DEVNULL, timeout=BRING_BACK_SECONDS, check=False
            )


def _wait_if_halted() -> None:
    """Let a thread that drives a stage neither retry nor report while the process leaves."""
    if _halted.is_set():
        Event().wait()


def run_stage(
    name: str,
    root: Path = Path(),
    timeout_seconds: float | None = None,
    force: bool = False,
    on_line: Callable[[str], None] = logger.info,
) -> StageRun:
    """Bring one stage up to date with ``dvc repro --single-item``.

    The stage and everything it started form one process group, which is killed as a whole on a timeout or an interrupt.

    Args:
        name: A stage of dvc.yaml, such as ``prepare`` or ``train@full``.
        root: The project's root.
        timeout_seconds: Stop the stage after this long; never when absent.
        force: Run it even if nothing changed.
        on_line: Receives each line of output as it comes, except the error that is raised.

    Raises:
        UsageError: No such stage, or the stage refused its configuration or input (not worth a retry).
        StageError: The stage broke or ran out of time.
    """
    known = stage_names(root)
    if name not in known:
        raise UsageError(f"no stage {name!r}; stages: {', '.join(known)}")
    command = dvc_command("repro", "--single-item", *(["--force"] if force else []), name)
    tail: deque[str] = deque(maxlen=200)
    withheld: list[str] = []
    _wait_if_halted()
    _running.add((name, root.resolve()))
    environment = {**stage_environment(), **({FORCED: "1"} if force else {})}
    with _process_group(command, root, environment, timeout_seconds) as (process, timed_out):
        for raw in process.stdout or ():
            line = raw.rstrip("\n").rsplit("\r", 1)[-1]
            if line and not NOISE.match(line):
                tail.append(line)
                if withheld or line.startswith((ERROR, DVC_ERROR)):
                    withheld.append(line)
                else:
                    on_line(line)
        code = process.wait()
    _wait_if_halted()
    _running.discard((name, root.resolve()))
    if timed_out or code != 0:
        bring_back(name, root)  # a stage that was killed could not do it itself
    if timed_out:
        raise StageError(
            f"stage {name} did not finish within {timeout_seconds:.0f} s and was stopped; run it again to go on"
        )
    if code != 0:
        raise _failure(name, tail, root)
    for line in withheld:
        on_line(line)
    skipped = any("didn't change, skipping" in line or "is cached - skipping run" in line for line in tail)
    return StageRun(name=name, skipped=skipped)


def _failure(name: str, tail: deque[str], root: Path) -> RatchetError:
    """What the stage said last, under the class that its exit code names; DVC's own refusals under theirs."""
    lines = list(tail)
    exited = [int(found[1]) for line in lines if (found := EXITED.search(line))]
    if not exited:
        refused = _refused_by_dvc(name, lines, root)
        if refused is not None:
            return refused
    said = [number for number, line in enumerate(lines) if line.startswith(ERROR)]
    if said:
        message = "\n".join(_until_dvc(lines[said[-1] :])).removeprefix(ERROR)
    elif exited and (killed := -exited[-1] if exited[-1] < 0 else exited[-1] - 128) > 0:
        message = _killed(killed)
    else:
        own = [line for line in _until_dvc(lines) if not line.startswith((">", "Running stage"))]
        by_dvc = " ".join(line.removeprefix(DVC_ERROR).strip() for line in lines[len(_until_dvc(lines)) :])
        message = (own[-1] if exited and own else by_dvc) or "no message"
        message += "; its output is above or in .ratchet/run.log, `ratchet run` goes on from here"
    text = f"stage {name}: {message}"
    kinds: dict[int, type[RatchetError]] = {
        ExitCode.USAGE: UsageError,
        ExitCode.PREEMPTED: PreemptedError,
        ExitCode.BUSY: BusyError,
    }
    return kinds.get(exited[-1] if exited else ExitCode.STAGE, StageError)(text)


def _refused_by_dvc(name: str, lines: list[str], root: Path) -> RatchetError | None:
    """Why DVC did not even start the stage: somebody else's lock, or files that were changed during the run."""
    if any(DVC_BUSY.search(line) for line in lines):
        return busy_with_dvc(root) or BusyError(f"stage {name}: another DVC command worked on its files; {AGAIN}")
    try:
        check_dvc_files(root)
    except UsageError as error:
        return UsageError(f"stage {name}: {error}")
    return _not_made_yet(name, root)


def _not_made_yet(name: str, root: Path) -> RatchetError | None:
    """The first file that the stage reads and that is not there, with the stage that makes it."""
    with _open_repo(root) as repo:
        stages = _ordered_stages(repo)
        makers = {str(out.def_path): stage.name for stage in stages for out in stage.outs}
        for dep in next(stage for stage in stages if stage.name == name).deps:
            path = str(dep.def_path)
            if not dep.exists:
                above = {Path(path), *Path(path).parents}
                near = [out for out in makers if Path(out) in above or Path(path) in Path(out).parents]
                made = makers[near[0]] if near else None
                remedy = f"make it with `ratchet stage {made}`, or all with `ratchet run`" if made else "put it there"
                return MissingArtifactError(f"stage {name} reads {path}, which does not exist; {remedy}")
    return None


def _until_dvc(lines: list[str]) -> list[str]:
    own: list[str] = []
    for line in lines:
        if line.startswith(DVC_ERROR):
            break
        own.append(line)
    return own


def _killed(number: int) -> str:
    names = {each.value: each.name for each in signal.Signals}
    hint = "most often for lack of memory; free memory, then " if number == signal.SIGKILL else ""
    return f"killed by {names.get(number, f'signal {number}')}; {hint}`ratchet run` goes on"


@contextmanager
def _process_group(
    command: list[str], root: Path, environment: dict[str, str], timeout_seconds: float | None
) -> Iterator[tuple["subprocess.Popen[str]", list[bool]]]:
    process = subprocess.Popen(  # noqa: S603  a fixed argv without a shell; the stage name was checked against dvc.yaml
        command,
        cwd=root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )
    timed_out: list[bool] = []

    def stop_late() -> None:
        timed_out.append(True)
        _kill(process)

    timer = Timer(timeout_seconds, stop_late) if timeout_seconds is not None else None
    if timer is not None:
        timer.daemon = True
        timer.start()
    try:
        yield process, timed_out
    finally:
        if timer is not None:
            timer.cancel()
        _kill(process)
        if process.stdout is not None:
            process.stdout.close()


def _kill(process: "subprocess.Popen[str]") -> None:
    """End the group: politely, then surely; also what the leader left behind."""
    if process.poll() is None:
        end_politely(with_descendants(psutil.Process(process.pid)))
        try:
            process.wait(TERMINATE_SECONDS)
        except subprocess.TimeoutExpired:
            logger.warning("stage process %d ignored SIGTERM for %.0f s: killing it", process.pid, TERMINATE_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _open_repo(root: Path) -> Any:
    from configobj import ConfigObjError
    from dvc.config import ConfigError
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        return Repo(str(root))
    except (ConfigError, ConfigObjError) as error:
        raise UsageError(f"DVC's configuration cannot be read: {error}; fix {root.resolve() / '.dvc/config'}") from None
    except DvcException as error:
        reason = f"{root.resolve()} cannot be opened by DVC ({' '.join(str(error).split())})"
        raise UsageError(f"{reason}: {how_to_have_one(root)}") from None


def _ordered_stages(repo: Any) -> list[Any]:
    import networkx
    from dvc.exceptions import DvcException

    try:
        graph = repo.index.graph
    except DvcException as error:
        raise explain_dvc(error, Path(repo.root_dir)) from None
    stages = networkx.lexicographical_topological_sort(graph.reverse(copy=True), key=lambda stage: stage.addressing)
    return [stage for stage in stages if Path(stage.path).name == "dvc.yaml"]


def stage_names(root: Path = Path()) -> list[str]:
    """Every stage of dvc.yaml, templates expanded, each after the stages that it reads.

    Raises:
        UsageError: Not a DVC project, or dvc.yaml is broken.
    """
    with _open_repo(root) as repo:
        return [stage.name for stage in _ordered_stages(repo)]


def pending_stages(root: Path = Path()) -> list[Pending]:
    """Stages that ``dvc repro`` runs at most, in order, each with the reason; empty when all is up to date.

    Which of them run is known only while they run: a stage whose predecessors give what they gave is skipped.

    Raises:
        UsageError: Not a DVC project, or dvc.yaml is broken.
        BusyError: A DVC command keeps everybody else out.
    """
    from dvc.lock import LockError

    with _open_repo(root) as repo:
        pending: dict[str, Pending] = {}
        ordered = _ordered_stages(repo)
        graph = repo.index.graph
        external = _changed_inputs(ordered, root)
        for stage in ordered:
            if stage.always_changed:
                continue  # it tells by what it writes whether anything changed
            try:
                with repo.lock:
                    changes = stage.status(check_updates=True)
            except LockError as error:
                # Whoever works on the stage now changes it; only a lock on the whole project keeps us from looking.
                holders = dvc_at_work(root)
                if not holders:
                    raise busy_with_dvc(root) or BusyError(f"DVC works in this project; {AGAIN}") from error
                pending[stage.name] = Pending(stage.name, f"{holders[0]} works on it")
                continue
            read = [external[path] for dep in stage.deps for path in external if _is_below(path, dep)]
            upstream = sorted(other.name for other in graph.successors(stage) if other.name in pending)
            if changes and not any(out.hash_info for out in stage.outs):
                reason = "was not made yet"
            elif read or changes:
                reason = read[0] if read else _reason(next(iter(changes.values())))
            elif upstream:
                reason = f"if {upstream[0]} changes its output"
            else:
                continue
            pending[stage.name] = Pending(stage.name, reason, is_cause=bool(read or changes))
        return list(pending.values())


def _changed_inputs(stages: list[Any], root: Path) -> dict[str, str]:
    """Files that the stage ``inputs`` would write anew -> why; it runs each time, and DVC cannot tell before it did."""
    if not any(stage.name == INPUTS for stage in stages):
        return {}
    from tasks.config.params import load_params
    from tasks.installed.code import changed_code
    from tasks.paths import ArtifactPaths
    from tasks.preflight.outside_inputs import changed

    paths = ArtifactPaths(root)
    return changed(load_params(paths.params), paths) | changed_code(paths)


def _is_below(path: str, dependency: Any) -> bool:
    given = Path(dependency.def_path)
    return Path(path) == given or given in Path(path).parents


def reads_inputs(name: str, root: Path = Path()) -> bool:
    """Whether a stage reads something from outside the project, by way of the stage ``inputs``."""
    with _open_repo(root) as repo:
        stages = {stage.name: stage for stage in _ordered_stages(repo)}
        if name not in stages or INPUTS not in stages:
            return False
        made = [str(out.def_path) for out in stages[INPUTS].outs]
        return any(_is_below(path, dep) for dep in stages[name].deps for path in made)


def _reason(changes: list[Any]) -> str:
    """DVC's nested status as a short sentence."""
    parts: list[str] = []
    for change in changes:
        if isinstance(change, str):
            parts.append(change)
            continue
        for entries in change.values():
            if not isinstance(entries, dict):
                parts.append(str(entries))
                continue
            for path, state in entries.items():
                if isinstance(state, dict):
                    parts += [f"{value} {key}" for key, value in state.items()]
                else:
                    parts.append(f"{state} {path}")
    shown = ", ".join(parts[:3])
    return shown + (f" and {len(parts) - 3} more" if len(parts) > 3 else "")
