"""The runs of this machine beside the lines of the ledger."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from evalsuite.core.files import write_json
from evalsuite.gate.decision import Verdict
from tasks.paths import ArtifactPaths
from tasks.registry.digest import read_digest
from tasks.registry.journal import Ending, Run
from tasks.registry.ledger import Event, append, new_entry, registry_lock

MONDAY = datetime(2026, 11, 30, 2, tzinfo=UTC)


@pytest.fixture
def paths(tmp_path: Path) -> ArtifactPaths:
    return ArtifactPaths(tmp_path)


def keep(paths: ArtifactPaths, when: datetime, **fields: object) -> Run:
    """A run as the journal keeps it."""
    stamp = when.isoformat(timespec="seconds")
    run = Run.model_validate({"started_at": stamp, "started_by": "scheduled run", "seconds": 60.0, **fields})
    write_json(paths.root / f".ratchet/journal/{when:%Y%m%dT%H%M%S%f}.json", run)
    return run


def record(paths: ArtifactPaths, event: Event, when: datetime, identity: str, **fields: object) -> None:
    entry = new_entry(event, None, "full", identity * 64)
    stamp = when.isoformat(timespec="seconds")
    with registry_lock(paths):
        append(paths, entry.model_copy(update={"recorded_at": stamp, **fields}))


def test_a_run_and_the_lines_that_it_wrote_are_one_line(paths: ArtifactPaths) -> None:
    keep(
        paths,
        MONDAY,
        ending=Ending.VERDICT,
        verdict=Verdict.PROMOTE,
        headline="the gain is proven",
        decision_id="d" * 64,
        changed={"prepare": "modified data/raw", "baseline": "modified data/raw"},
        ran=["prepare", "gate"],
        champion_after="a" * 64,
    )
    for event in (Event.VERDICT, Event.PROMOTE):
        record(paths, event, MONDAY + timedelta(seconds=58), "a", decision_id="d" * 64)
    digest = read_digest(paths)
    (line,) = digest.lines
    assert (line.what, line.seconds, line.said) == ("PROMOTE", 60.0, "the gain is proven")
    assert line.changed == ("modified data/raw",)
    assert (line.before, line.after) == (None, "a" * 64)
    assert (digest.before, digest.after) == (None, "a" * 64)


def test_what_a_person_or_another_machine_did_has_lines_of_its_own(paths: ArtifactPaths) -> None:
    keep(paths, MONDAY, ending=Ending.UNCHANGED, decision_id="d" * 64)
    record(paths, Event.PROMOTE, MONDAY + timedelta(hours=1), "a", decision_id="d" * 64)
    record(paths, Event.PROMOTE, MONDAY + timedelta(hours=2), "b", replaced="a" * 64)
    record(paths, Event.ROLLBACK, MONDAY + timedelta(hours=3), "a", replaced="b" * 64, reason="too slow")
    digest = read_digest(paths)
    assert [line.what for line in digest.lines] == ["unchanged", "promote", "promote", "rollback"]
    assert (digest.lines[-1].said, digest.lines[-1].before, digest.lines[-1].after) == ("too slow", "b" * 64, "a" * 64)
    assert digest.lines[1].before is None


def test_since_leaves_out_what_was_before_and_starts_with_the_champion_of_then(paths: ArtifactPaths) -> None:
    record(paths, Event.PROMOTE, MONDAY - timedelta(days=8), "a")
    keep(paths, MONDAY - timedelta(days=8), ending=Ending.FAILED, error="old")
    keep(paths, MONDAY, ending=Ending.FAILED, error="killed by SIGKILL")
    record(paths, Event.PROMOTE, MONDAY + timedelta(hours=1), "b", replaced="a" * 64)
    digest = read_digest(paths, MONDAY - timedelta(days=7))
    assert [line.said for line in digest.lines] == ["killed by SIGKILL", ""]
    assert (digest.before, digest.after) == ("a" * 64, "b" * 64)
    assert read_digest(paths, MONDAY + timedelta(days=1)).before == "b" * 64


def test_a_run_that_never_ended_takes_no_later_line_of_another_decision(paths: ArtifactPaths) -> None:
    keep(paths, MONDAY, seconds=None)
    record(paths, Event.VERDICT, MONDAY + timedelta(hours=5), "a", verdict="REJECT", decision_id="e" * 64)
    assert [line.what for line in read_digest(paths).lines] == ["unended", "REJECT"]
