"""A row that is to be forgotten: who saw it, and that no later data does."""

import json
from typing import Any

import pytest

from evalsuite.core.errors import UsageError
from tasks.lineage.forget import Asked, forget, prove
from tasks.lineage.proof import Proof
from tasks.lineage.seen import sides_of
from tasks.prepare.preparation import run
from tasks.prepare.record.trail import read_trail
from tests.tasks.lineage.conftest import PRIVATE, TwoVersions
from tests.tasks.prepare.project import pairs, write_rows


def asked(row: str | None = None, match: str | None = None, **more: Any) -> Asked:
    return Asked(row=row, match=match, **{"why": "asked by letter", "by": "me", "most": 100, **more})


def lines_of(versions: TwoVersions, side: str) -> list[str]:
    return (versions.paths.prepared / f"{side}.jsonl").read_text().splitlines()


def test_a_row_is_found_in_every_version_by_its_content(versions: TwoVersions) -> None:
    proof, found, path = forget(asked("data/raw/rows.jsonl:3"), versions.params, versions.paths, dry_run=False)
    assert found.sources == ("data/raw/rows.jsonl:3",)  # question 1, which stood on line 2 before
    assert {version.commits for version in proof.versions} == {(versions.first,), (versions.second,)}
    assert [version.is_present for version in proof.versions] == [True, False]
    assert all(version.num_trained + version.num_dev == 1 for version in proof.versions)
    assert path is not None
    assert Proof.model_validate_json(path.read_bytes()) == proof
    assert proof.gone is None


def test_a_text_finds_rows_that_only_an_earlier_version_has(versions: TwoVersions) -> None:
    write_rows(versions.paths, pairs(30))
    run(versions.params, versions.paths)
    proof, found, _ = forget(asked(match="MY DOG  is called"), versions.params, versions.paths, dry_run=True)
    assert len(found.contents) == 2  # it was answered in two ways
    assert found.sources == ()
    assert {commit for version in proof.versions for commit in version.commits} == {versions.first, versions.second}


def test_no_text_of_the_row_and_nothing_of_what_was_searched_is_kept(versions: TwoVersions) -> None:
    proof, _, path = forget(asked(match=PRIVATE), versions.params, versions.paths, dry_run=False)
    assert path is not None
    kept = path.read_text() + versions.paths.forgotten.read_text()
    assert "dog is" not in kept
    assert "Blackberry" not in kept
    assert all(content in kept for content in proof.contents)


def test_the_next_data_is_proven_to_have_none_of_it(versions: TwoVersions) -> None:
    proof, _, path = forget(asked("dog"), versions.params, versions.paths, dry_run=False)
    assert path is not None
    assert prove(versions.paths)[path].gone is None  # the data is still that of before
    report = run(versions.params, versions.paths)
    done = prove(versions.paths)[path]
    assert done.gone is not None
    assert done.gone.trail_md5 == report["trail_md5"]
    assert sides_of(read_trail(versions.paths.trail), proof.contents)[:2] == (0, 0)
    for side in ("train", "dev"):
        assert PRIVATE not in (versions.paths.prepared / f"{side}.jsonl").read_text()
    assert PRIVATE not in (versions.paths.prepared / "report.html").read_text()
    assert prove(versions.paths)[path] == done  # the first such data stays the proof


def test_data_that_was_written_by_another_hand_is_no_proof(versions: TwoVersions) -> None:
    _, _, path = forget(asked("dog"), versions.params, versions.paths, dry_run=False)
    assert path is not None
    lines = [line for side in ("train", "dev") for line in lines_of(versions, side) if '"dog"' in line]
    run(versions.params, versions.paths)
    with (versions.paths.prepared / "train.jsonl").open("a") as stream:
        stream.write(lines[0] + "\n")
    assert prove(versions.paths)[path].gone is None


def test_models_that_were_trained_on_it_are_named_and_the_champion_among_them(
    versions: TwoVersions, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasks.lineage import seen
    from tasks.registry.champion import Champion
    from tasks.registry.ledger import Entry, Event

    report = json.loads(versions.paths.data_report.read_text())
    stored = {"present": report["trail_md5"], "none": ""}

    def entry(event: Event, decision: str) -> Entry:
        return Entry(
            sequence=1,
            previous_sha256="",
            event=event,
            recorded_at="2026-11-30T10:00:00+00:00",
            actor="me",
            candidate="lora",
            identity=decision * 8,
            verdict="PROMOTE",
            decision_id=decision,
        )

    class Record:
        def __init__(self, md5: str) -> None:
            self.run = type("Run", (), {"data": type("Data", (), {"trail_md5": md5})()})()

    ledger = [entry(Event.VERDICT, "present"), entry(Event.PROMOTE, "present"), entry(Event.VERDICT, "none")]
    champion = Champion(
        identity="present" * 8,
        model="lora",
        decision_id="present",
        inputs_sha256="",
        previous=None,
        pointer="",
        ledger_sequence=2,
    )
    monkeypatch.setattr(seen, "read_ledger", lambda _: ledger)
    monkeypatch.setattr(seen, "read_champion", lambda _: champion)
    monkeypatch.setattr(seen, "read_record", lambda path: Record(stored[path.name.partition(".")[0]]))
    trained = next(row for row in read_trail(versions.paths.trail).rows() if row.side == "train")
    proof, _, _ = forget(asked(trained.source), versions.params, versions.paths, dry_run=True)
    assert [(model.identity, model.is_champion, model.num_trained) for model in proof.models] == [
        ("present" * 8, True, 1)
    ]
    assert any("nonenone" in line and "kept no history" in line for line in proof.unknown)


def test_rows_that_would_take_its_place_are_told_and_forgotten_on_demand(versions: TwoVersions) -> None:
    # Line 31 is a copy of question 0 with the same content; a step that finds rows alike drops another content.
    trail = read_trail(versions.paths.trail)
    assert trail.rows()[30].events[0].other == "data/raw/rows.jsonl:2"
    proof, found, _ = forget(asked("data/raw/rows.jsonl:2"), versions.params, versions.paths, dry_run=True)
    assert found.alike == ()
    assert len(proof.contents) == 1
    assert set(found.sources) == {"data/raw/rows.jsonl:2", "data/raw/rows.jsonl:31"}


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (asked("nobody"), "no row 'nobody' among the 31"),
        (asked(match="no such text"), "no row has that text"),
        (asked(match="a "), "is too short"),
        (asked(match="question", most=5), "--most allows 5"),
        (asked("dog", why=" "), "give the reason"),
    ],
)
def test_what_cannot_be_forgotten_changes_nothing(versions: TwoVersions, wanted: Asked, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        forget(wanted, versions.params, versions.paths, dry_run=False)
    assert not versions.paths.forgotten.exists()
    assert not (versions.paths.registry / "forgotten").exists()


def test_a_dry_run_writes_nothing(versions: TwoVersions) -> None:
    proof, _, path = forget(asked("dog", why=""), versions.params, versions.paths, dry_run=True)
    assert path is None
    assert proof.contents
    assert not versions.paths.forgotten.exists()


def test_a_row_is_listed_once_however_often_it_is_asked(versions: TwoVersions) -> None:
    for _ in range(2):
        forget(asked("dog"), versions.params, versions.paths, dry_run=False)
    assert len(versions.paths.forgotten.read_text().splitlines()) == 1
