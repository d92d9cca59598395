"""Five nights of a scheduler in a few minutes: better, unchanged, worse, killed in the middle, and gone on from there.

Run:  python -m demo.tour     (in the project's folder; what it makes lies in .ratchet/tour)

Nothing is played: the model is tiny, and everything else is what a real project has. `ratchet serve` holds the
deployment, each night is a run of it that is due now in place of 02:00, each stage is a process that DVC starts, and
the gate judges what the evaluations found. Between two nights somebody changes the training rows.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from demo.nights import Ended, Killer, Schedule, TourError, Watcher, environment, served
from demo.tickets import METHOD, make_project, moved_rows, renamed_rows, write_rows
from evalsuite.core.files import read_json
from evalsuite.core.terminal import printable
from flows.lifecycle.phases import others_keep_busy
from tasks.paths import ArtifactPaths
from tasks.registry.journal import Run, read_runs


@dataclass(frozen=True)
class Night:
    """What somebody did by day, and what the night must end with."""

    title: str
    change: Callable[[Path], None] | None
    """Of the project; None where nobody did anything."""
    ends: str
    """A verdict, or the journal's word."""
    is_killed: bool = False


NIGHTS = (
    Night("better: the first 1,600 tickets are there, and the base model knows no queue", None, "PROMOTE"),
    Night("unchanged: nobody did anything", None, "unchanged"),
    Night(
        "worse: a join went wrong, each ticket has the answer of another",
        lambda project: write_rows(project, moved_rows()),
        "REJECT",
    ),
    Night(
        "crashed: one queue of twenty has a new name, and the training process gets SIGKILL after its first checkpoint",
        lambda project: write_rows(project, renamed_rows()),
        "failed",
        is_killed=True,
    ),
    Night("resumed: nobody did anything, and the run goes on from the checkpoint", None, "INCONCLUSIVE"),
)


def main() -> int:
    """Make the project, let the nights pass, and show what they left."""
    begun, here = time.monotonic(), Path.cwd()
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, signal.default_int_handler)  # so that no server or schedule of the tour stays behind
    project = here / ".ratchet" / "tour"
    if busy := others_keep_busy():
        print(busy)
    print(f"A tiny model's project, five nights. project: {project}", flush=True)
    project.parent.mkdir(exist_ok=True)
    try:
        with FileLock(project.with_suffix(".lock"), timeout=0.0):
            shutil.rmtree(project, ignore_errors=True)
            make_project(here, project)
            return _nights(project, begun)
    except Timeout:
        print(f"error: another tour is at work in {project}; wait for it to end", file=sys.stderr)
        return 4
    except TourError as error:
        print(f"error: {error}", file=sys.stderr)
        return 4
    except KeyboardInterrupt:
        print(f"stopped; what was made lies in {project}", file=sys.stderr)
        return 130


def _nights(project: Path, begun: float) -> int:
    """Let the nights pass; the exit code."""
    with _model_made(project) as made, served(project) as schedule:
        made()
        _took("`ratchet serve` holds the deployment, and the random model of 100,000 parameters is made", begun)
        for number, night in enumerate(NIGHTS, 1):
            if not _pass(number, night, schedule, project):
                return 1
    return _show(project, begun)


@contextmanager
def _model_made(project: Path) -> Iterator[Callable[[], None]]:
    """Make the model in a process of its own, while the server starts; what is yielded waits for it."""
    command = [sys.executable, "-m", "demo.tickets", str(project)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:  # noqa: S603

        def wait() -> None:
            said, _ = process.communicate()
            if process.returncode:
                raise TourError(f"the model could not be made: {said[-1000:]}")

        try:
            yield wait
        finally:
            process.kill()


def _pass(number: int, night: Night, schedule: Schedule, project: Path) -> bool:
    """One night; whether it ended as it must."""
    print(f"\nNight {number}, {night.title}", flush=True)
    if night.change is not None:
        night.change(project)
    watcher = Killer(ArtifactPaths(project).checkpoints(METHOD)) if night.is_killed else Watcher()
    ended = schedule.run_now(watcher)
    run = read_runs(ArtifactPaths(project))[-1]
    if isinstance(watcher, Killer) and not watcher.killed:
        print("error: the training was over before it could be killed; `make tour` tries again", file=sys.stderr)
        return False
    _show_end(run, ended, schedule.log)
    if _ending(run) != night.ends:
        print(f"error: this night was to end with {night.ends}; the output is in {schedule.log}", file=sys.stderr)
        return False
    return True


def _show_end(run: Run, ended: Ended, log: Path) -> None:
    """The verdict and its reason, what failed, or what was compared."""
    if run.ending == "unchanged":
        said = next(line for line in reversed(log.read_text(encoding="utf-8").splitlines()) if "nothing to do" in line)
        said = said.partition(" - ")[2]
    else:
        said = run.error or run.headline
    print(f"  {ended.seconds:5.1f} s  Prefect: {ended.state}; {_ending(run)}: {printable(said)}", flush=True)


def _ending(run: Run) -> str:
    return str(run.verdict) if run.ending == "verdict" else str(run.ending)


def _show(project: Path, begun: float) -> int:
    """An unbroken training beside the broken one, the ledger and the digest."""
    paths = ArtifactPaths(project)
    broken = read_json(paths.train_log(METHOD), "ratchet run")
    print("\nThe last night's training again, this time unbroken:", flush=True)
    code = ratchet(project, "stage", f"train@{METHOD}", "--force")
    unbroken = read_json(paths.train_log(METHOD), "ratchet run")
    same = broken["identity"] == unbroken["identity"]
    print(
        f"  broken off and resumed from step {broken['resumed_from_steps']}: {broken['identity'][:16]}\n"
        f"  unbroken:  {unbroken['identity'][:16]}  {'the same bytes' if same else 'OTHER BYTES'}"
    )
    if code or not same or unbroken["resumed_from_steps"] or not broken["resumed_from_steps"]:
        print("error: the resumed training is not the unbroken one", file=sys.stderr)
        return code or 1
    for arguments, what in ((("history",), "ledger"), (("history", "--digest"), "digest")):
        print(f"\nThe {what} (`ratchet {' '.join(arguments)}`):\n", flush=True)
        code = code or ratchet(project, *arguments)
    spent = os.times()
    _took(f"\nthe whole tour, {spent.children_user + spent.children_system:.0f} s of processors' time", begun)
    return code


def _took(what: str, begun: float) -> None:
    print(f"{what}: {time.monotonic() - begun:.0f} s", flush=True)


def ratchet(project: Path, *arguments: str) -> int:
    """The exit code of the command line in the project."""
    command = [sys.executable, "-m", "flows.cli", *arguments]
    done = subprocess.run(command, cwd=project, env=environment(project), check=False)  # noqa: S603  a fixed argv
    return done.returncode


if __name__ == "__main__":
    raise SystemExit(main())
