"""The append-only, hash-chained record of verdicts, promotions and rollbacks.

Each line holds the sha256 of the line before it, so that a change anywhere breaks every line after it.
"""

import getpass
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evalsuite.errors import StageError, UsageError
from evalsuite.gate.decision import Decision
from tasks.paths import ArtifactPaths

GENESIS = "0" * 64
LOCK_SECONDS = 60.0


class Event(StrEnum):
    """What a line records."""

    VERDICT = "verdict"
    PROMOTE = "promote"
    ROLLBACK = "rollback"


class Override(BaseModel):
    """Somebody's decision against the gate's verdict; visible forever."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    by: str = Field(min_length=1, pattern=r"\S")
    reason: str = Field(min_length=1, pattern=r"\S")


class Entry(BaseModel):
    """One line of ledger.jsonl."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    schema_version: Literal[1] = 1
    sequence: int
    previous_sha256: str
    """Hash of the line before, without its line break."""
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
    """Suite -> hash of the evidence it was judged on."""


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
    if not path.is_file():
        return []
    raw = path.read_bytes()
    remedy = f"bring the file back with `git checkout {path}` or from a backup"
    if raw and not raw.endswith(b"\n"):
        raise UsageError(f"{path}: the last line is cut; remove that line if it is the only damage, or {remedy}")
    entries: list[Entry] = []
    previous = GENESIS
    for number, line in enumerate(raw.splitlines(), 1):
        try:
            entry = Entry.model_validate_json(line)
        except ValidationError as error:
            reason = error.errors(include_url=False)[0]["msg"]
            raise UsageError(f"{path}:{number}: not a ledger line ({reason}); {remedy}") from None
        if entry.previous_sha256 != previous or entry.sequence != number:
            raise UsageError(
                f"{path}:{number}: the chain breaks here: this line or the one before was changed; {remedy}"
            )
        entries.append(entry)
        previous = hashlib.sha256(line).hexdigest()
    return entries


def append(paths: ArtifactPaths, entry: Entry) -> Entry:
    """Add a line, sequence and chain filled in; call it under ``registry_lock``.

    The whole line goes out in one write and is fsynced, so a crash leaves the old file or the new one.
    """
    path = ledger_path(paths)
    entries = read_ledger(path)
    previous = GENESIS
    if entries:
        previous = hashlib.sha256(path.read_bytes().splitlines()[-1]).hexdigest()
    complete = entry.model_copy(update={"sequence": len(entries) + 1, "previous_sha256": previous})
    line = json.dumps(complete.model_dump(mode="json"), sort_keys=True, ensure_ascii=False).encode() + b"\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, line)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return complete


def new_entry(event: Event, decision: Decision | None, candidate: str, identity: str) -> Entry:
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
        test_sets=_test_sets(decision) if decision else {},
    )


def record_verdict(decision: Decision, paths: ArtifactPaths) -> None:
    """Count a verdict once, however often the same decision is looked at."""
    with registry_lock(paths):
        known = {entry.decision_id for entry in read_ledger(ledger_path(paths)) if entry.event is Event.VERDICT}
        if decision.decision_id not in known:
            append(paths, new_entry(Event.VERDICT, decision, decision.candidate, decision.candidate_identity))


def looks(entries: list[Entry]) -> Counter[str]:
    """How many verdicts each suite's test items have given."""
    return Counter(suite for entry in entries if entry.event is Event.VERDICT for suite in entry.test_sets)


def _test_sets(decision: Decision) -> dict[str, str]:
    """The candidate's evidence; the key is ``candidate/SUITE``."""
    return {
        key.split("/", 1)[1]: digest
        for key, digest in sorted(decision.evidence.items())
        if key.startswith("candidate/")
    }


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
