"""The runs and moves of some nights: the journal of this machine's runs beside the ledger's verdicts and promotions."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from evalsuite.core.errors import RatchetError
from evalsuite.gate.replay import read_record
from tasks.paths import ArtifactPaths
from tasks.registry.champion import derive
from tasks.registry.journal import Ending, Run, read_runs
from tasks.registry.ledger import Entry, Event, ledger_path, read_ledger

NOTED_LATE = timedelta(seconds=2)
"""The ledger's times are whole seconds."""


class Line(NamedTuple):
    """One run, or one line of the ledger that belongs to no run of this machine."""

    when: str
    """UTC, ISO 8601."""
    what: str
    """A verdict; unchanged, failed or unended; or the ledger's word for a move."""
    by: str
    """Which command or schedule, or who."""
    seconds: float | None
    changed: tuple[str, ...]
    """What changed since the run before, once each."""
    ran: tuple[str, ...]
    before: str | None
    """Identity of the champion before, and ..."""
    after: str | None
    """... after."""
    said: str
    """The verdict's headline, the error's message or the reason that was given."""


class Digest(NamedTuple):
    """What happened since a moment."""

    lines: tuple[Line, ...]
    """Oldest first."""
    before: str | None
    """Identity of the champion at the start, and ..."""
    after: str | None
    """... at the end."""

    def count(self, what: str) -> int:
        """How many lines say so."""
        return sum(line.what == what for line in self.lines)


def read_digest(paths: ArtifactPaths, since: datetime | None = None) -> Digest:
    """Runs, verdicts and moves in order of time.

    Args:
        paths: The project.
        since: Leave out what happened before; everything when None.

    Raises:
        UsageError: The ledger is damaged.
    """
    entries, runs = read_ledger(ledger_path(paths)), read_runs(paths)
    lines = [_of_run(run) for run in runs]
    lines += [_of_entry(entry, entries, paths) for entry in entries if not _within(entry, runs)]
    lines.sort(key=lambda line: datetime.fromisoformat(line.when))
    shown = tuple(line for line in lines if since is None or datetime.fromisoformat(line.when) >= since)
    first = next((e.sequence for e in entries if since is None or datetime.fromisoformat(e.recorded_at) >= since), None)
    before = derive(entries, before_sequence=first)
    after = derive(entries)
    return Digest(shown, before.identity if before else None, after.identity if after else None)


def _of_run(run: Run) -> Line:
    judged = run.ending is Ending.VERDICT
    return Line(
        when=run.started_at,
        what=str(run.verdict) if judged else str(run.ending),
        by=run.started_by,
        seconds=run.seconds,
        changed=tuple(dict.fromkeys(run.changed.values())),
        ran=tuple(dict.fromkeys(run.ran)),
        before=run.champion_before,
        after=run.champion_after,
        said=run.error or (run.headline if judged else ""),
    )


def _of_entry(entry: Entry, entries: Sequence[Entry], paths: ArtifactPaths) -> Line:
    before, after = (derive(entries, before_sequence=entry.sequence + step) for step in (0, 1))
    is_verdict = entry.event is Event.VERDICT
    override = f"override by {entry.override.by}: {entry.override.reason}" if entry.override else ""
    return Line(
        when=entry.recorded_at,
        what=str(entry.verdict) if is_verdict else str(entry.event),
        by=entry.actor,
        seconds=None,
        changed=(),
        ran=(),
        before=before.identity if before else None,
        after=after.identity if after else None,
        said=override or entry.reason or (_headline(entry.decision_id, paths) if is_verdict else ""),
    )


def _within(entry: Entry, runs: Sequence[Run]) -> bool:
    """Whether a run of this machine wrote the line: its own verdict, or the promotion at its end."""
    recorded = datetime.fromisoformat(entry.recorded_at)
    for run in runs:
        begun = datetime.fromisoformat(run.started_at)
        ended = begun + timedelta(seconds=run.seconds) if run.seconds is not None else datetime.now(UTC)
        is_its = entry.decision_id is not None and entry.decision_id == run.decision_id
        if is_its and begun <= recorded <= ended + NOTED_LATE:
            return entry.event in (Event.VERDICT, Event.PROMOTE)
    return False


def _headline(decision_id: str | None, paths: ArtifactPaths) -> str:
    """Of the decision that is kept for replay; empty where it is gone, which changes nothing that happened."""
    if decision_id is None:
        return ""
    try:
        decision = read_record(paths.stored_decision(decision_id)).decision
    except RatchetError:
        return ""
    return decision.headline.removeprefix(f"{decision.verdict}: ")
