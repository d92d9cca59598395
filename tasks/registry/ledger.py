"""The append-only, hash-chained record of verdicts, promotions, rollbacks and retirements.

Each line holds its own sha256 and that of the line before it: a changed line is named, and a line that was removed,
added or moved breaks the chain there. Whoever rewrites every later line too can still forge it, so commit the file.
"""

import errno
import getpass
import json
import os
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Literal, NamedTuple

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evalsuite.core.errors import StageError, UsageError
from evalsuite.core.files import read_model, sha256_json
from evalsuite.gate.decision import Decision
from evalsuite.items.results import SuiteSummary
from tasks.paths import ArtifactPaths

GENESIS = "0" * 64
LOCK_SECONDS = 60.0


class Event(StrEnum):
    """What a line records."""

    VERDICT = "verdict"
    PROMOTE = "promote"
    ROLLBACK = "rollback"
    RETIRE = "retire"
    """The champion goes and none takes its place."""


class Override(BaseModel):
    """Somebody's decision against the gate's verdict; visible forever. ``promote`` refuses a blank one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    by: str
    reason: str


class ItemSet(NamedTuple):
    """Items that a verdict was given on."""

    suite: str
    items_sha256: str
    """Empty where the results are gone."""


class Entry(BaseModel):
    """One line of ledger.jsonl."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    schema_version: Literal[1] = 1
    sequence: int
    previous_sha256: str
    """``sha256`` of the line before."""
    event: Event
    recorded_at: str
    """UTC, ISO 8601."""
    actor: str
    candidate: str
    """Method whose weights these are."""
    identity: str
    verdict: str | None = None
    decision_id: str | None = None
    inputs_sha256: str = ""
    replaced: str | None = None
    """Identity of the champion before."""
    override: Override | None = None
    reason: str | None = None
    test_sets: dict[str, str] = Field(default_factory=dict)
    """Suite -> hash of its items; empty where the results are gone."""
    sha256: str = ""
    """Hash of every other field."""


def ledger_path(paths: ArtifactPaths) -> Path:
    """Where the ledger lies."""
    return paths.registry / "ledger.jsonl"


@contextmanager
def registry_lock(paths: ArtifactPaths) -> Iterator[None]:
    """One writer at a time.

    Raises:
        StageError: Another writer holds the lock for too long.
    """
    paths.registry.mkdir(parents=True, exist_ok=True)
    lock = FileLock(paths.registry / ".registry.lock", timeout=LOCK_SECONDS)
    try:
        lock.acquire()
    except Timeout:
        raise StageError(
            f"another process has held {lock.lock_file} for {LOCK_SECONDS:.0f} s; wait for it to end and try again"
        ) from None
    try:
        yield
    finally:
        lock.release()


def read_ledger(path: Path) -> list[Entry]:
    """Read and verify the chain.

    Raises:
        UsageError: Names the first line that is cut, malformed or not the one that was written.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder, expected the ledger's file; move it away, then {bring_back(path)}")
    if not path.is_file():
        return []
    lines = path.read_bytes().split(b"\n")
    cut = lines.pop()
    entries: list[Entry] = []
    previous = GENESIS
    for number, line in enumerate(lines, 1):
        try:
            entry = Entry.model_validate_json(line)
        except ValidationError as error:
            reason = error.errors(include_url=False)[0]["msg"]
            raise UsageError(f"{path}:{number}: not a ledger line ({reason}); {bring_back(path)}") from None
        if entry.sha256 != _digest(entry) or line + b"\n" != _line(entry):
            raise UsageError(f"{path}:{number}: this line was changed after it was written; {bring_back(path)}")
        if entry.previous_sha256 != previous or entry.sequence != number:
            raise UsageError(
                f"{path}:{number}: the chain breaks here: a line before was removed, added or replaced; "
                f"{bring_back(path)}"
            )
        entries.append(entry)
        previous = entry.sha256
    if cut:
        whole = sum(len(line) + 1 for line in lines)
        raise UsageError(
            f"{path}:{len(lines) + 1}: the last line is cut, so what it would record did not happen; remove it with "
            f"`truncate -s {whole} {path}`, or {bring_back(path)}"
        )
    return entries


def bring_back(path: Path) -> str:
    """What repairs a damaged or shortened ledger: git where it was committed, else a new ledger beside the old one."""
    from tasks.dvc_command import stage_environment

    command = ["git", "cat-file", "-e", f"HEAD:./{path.name}"]
    try:
        done = subprocess.run(  # noqa: S603  a fixed program and argv, no shell
            command, cwd=path.parent, env=stage_environment(), capture_output=True, check=False
        )
        committed = done.returncode == 0
    except OSError:
        committed = False
    if committed:
        return f"bring the file back with `git checkout HEAD -- {path}`"
    champion = path.with_name("champion.json")
    return (
        f"it was never committed, so bring it back from a backup, or begin a new one: `mv {path} {path}.damaged; mv "
        f"{champion} {champion}.damaged; python -P -m tasks.registry.rebuild`"
    )


def append(paths: ArtifactPaths, entry: Entry) -> Entry:
    """Add a line, sequence and chain filled in; call it under ``registry_lock``.

    The whole line goes out in one write and is fsynced; what could not be written whole is taken back.

    Raises:
        StageError: The disk does not take the line.
        UsageError: The ledger is damaged.
    """
    path = ledger_path(paths)
    entries = read_ledger(path)
    chain = {"sequence": len(entries) + 1, "previous_sha256": entries[-1].sha256 if entries else GENESIS}
    chained = Entry.model_validate({**entry.model_dump(), **chain, "sha256": ""})
    complete = chained.model_copy(update={"sha256": _digest(chained)})
    try:
        _append_whole(path, _line(complete))
    except OSError as error:
        raise StageError(
            f"{path} cannot be written: {error.strerror}; free disk space or fix the permissions, then try again"
        ) from None
    return complete


def _digest(entry: Entry) -> str:
    return sha256_json(entry.model_dump(mode="json", exclude={"sha256"}))


def _line(entry: Entry) -> bytes:
    text = json.dumps(entry.model_dump(mode="json"), sort_keys=True, ensure_ascii=False, allow_nan=False)
    return text.encode() + b"\n"


def _append_whole(path: Path, line: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        size = os.fstat(descriptor).st_size
        try:
            if os.write(descriptor, line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)


def new_entry(
    event: Event, decision: Decision | None, candidate: str, identity: str, test_sets: dict[str, str] | None = None
) -> Entry:
    """A line about to be appended, stamped with time and user."""
    return Entry(
        sequence=0,
        previous_sha256=GENESIS,
        event=event,
        recorded_at=datetime.now(UTC).isoformat(timespec="seconds"),
        actor=_user(),
        candidate=candidate,
        identity=identity,
        verdict=decision.verdict if decision else None,
        decision_id=decision.decision_id if decision else None,
        inputs_sha256=decision.inputs_sha256 if decision else "",
        test_sets=test_sets or {},
    )


def record_verdict(decision: Decision, paths: ArtifactPaths) -> None:
    """Count a verdict once, however often the same decision is looked at."""
    with registry_lock(paths):
        append_verdict(decision, paths)


def append_verdict(decision: Decision, paths: ArtifactPaths) -> None:
    """``record_verdict`` for a caller that holds ``registry_lock``."""
    known = {entry.decision_id for entry in read_ledger(ledger_path(paths)) if entry.event is Event.VERDICT}
    if decision.decision_id not in known:
        sets = judged_sets(decision, paths)
        append(paths, new_entry(Event.VERDICT, decision, decision.candidate, decision.candidate_identity, sets))


def looks(entries: list[Entry]) -> Counter[ItemSet]:
    """How many verdicts each set of test items has given; a suite with new items starts again."""
    verdicts = [entry for entry in entries if entry.event is Event.VERDICT]
    return Counter(ItemSet(suite, items) for entry in verdicts for suite, items in entry.test_sets.items())


def looks_before(entries: list[Entry], sets: Mapping[str, str], identity: str) -> dict[str, int]:
    """How many other models got a verdict on each of these sets of test items.

    Another verdict on the same bytes adds no choice, so a gate that runs again counts the same.

    Args:
        entries: The ledger.
        sets: Suite -> hash of its items.
        identity: Identity of the candidate.
    """
    judged: dict[str, set[str]] = {suite: set() for suite in sets}
    for entry in entries:
        if entry.event is Event.VERDICT and entry.identity != identity:
            for suite, items in entry.test_sets.items():
                if items and sets.get(suite) == items:
                    judged[suite].add(entry.identity)
    return {suite: len(models) for suite, models in sorted(judged.items()) if models}


def judged_sets(decision: Decision, paths: ArtifactPaths) -> dict[str, str]:
    """Suites that a decision rests on, each with the hash of its items."""
    found = [
        read_model(path, SuiteSummary, "ratchet run")
        for path in sorted(paths.evals(decision.candidate).glob("*/summary.json"))
    ]
    items = {s.suite: s.items_sha256 for s in found if s.model_identity == decision.candidate_identity}
    suites = [key.split("/", 1)[1] for key in sorted(decision.evidence) if key.startswith("candidate/")]
    return {suite: items.get(suite, "") for suite in suites}


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
