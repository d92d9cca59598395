"""The page on the rows, against the rows."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tasks.paths import ArtifactPaths
from tasks.prepare.preparation import run
from tasks.prepare.record.page import champion_counts
from tests.tasks.prepare.project import GOLDEN, new_project, pairs, write_rows


@pytest.fixture
def project(tmp_path: Path, tiny_model: Path) -> ArtifactPaths:
    return new_project(tmp_path, tiny_model)


def page_of(paths: ArtifactPaths) -> str:
    return (paths.prepared / "report.html").read_text(encoding="utf-8")


def make_champion(paths: ArtifactPaths, data: Any) -> None:
    champion = {"identity": "f" * 64, "decision_id": "d" * 64}
    paths.registry.mkdir(exist_ok=True)
    (paths.registry / "champion.json").write_text(json.dumps({"schema_version": 1, "champion": champion}))
    stored = paths.stored_decision("d" * 64)
    stored.parent.mkdir(exist_ok=True)
    stored.write_bytes(gzip.compress(json.dumps({"run": {"params": {}, "data": data}}).encode()))


def test_the_page_tells_what_was_dropped_and_shows_the_pair(project: ArtifactPaths) -> None:
    run(
        write_rows(
            project,
            [*pairs(30), {"prompt": "question 3", "completion": "answer 3"}, {"prompt": GOLDEN, "completion": "x"}],
        ),
        project,
    )
    page = page_of(project)
    assert "30 of 32 rows are kept" in page
    assert "same text as golden_sets/g/test.jsonl#t1" in page
    assert "user: question 3\nassistant: answer 3" in page
    assert "There is no champion to compare the rows with." in page


def test_hostile_rows_stay_text(project: ArtifactPaths) -> None:
    hostile = "</pre><script>window.ran = 1</script> \u202eevil {{ 7 * 7 }}"
    rows = [*pairs(30), *[{"prompt": hostile, "completion": hostile}] * 2]
    run(write_rows(project, rows), project)
    page = page_of(project)
    assert "<script" not in page
    assert "&lt;script&gt;window.ran = 1" in page
    assert "\u202e" not in page
    assert "script-src 'none'" in page
    card = (project.prepared / "data_card.md").read_text(encoding="utf-8")
    assert "<script" not in card


def test_the_champion_s_counts_are_compared_with_these(project: ArtifactPaths) -> None:
    before = run(write_rows(project, pairs(30)), project)
    make_champion(project, before)
    run(write_rows(project, pairs(40)), project)
    page = page_of(project)
    assert 'champion <span class="mono">ffffffffffffffff</span>' in page
    assert '>rows read</th><td class="num">30</td><td class="num">40</td><td class="num">+33.3%</td>' in page
    assert "<b>0.000 bits</b>" in page  # every row has as many tokens as before


@pytest.mark.parametrize("data", [None, {"rows_read": "many"}, []])
def test_a_champion_without_counts_is_said_to_have_none(project: ArtifactPaths, data: Any) -> None:
    make_champion(project, data)
    assert champion_counts(project) == (
        "The run of the champion kept no counts of its rows, so that nothing is compared."
    )


def test_a_registry_that_cannot_be_read_stops_no_preparation(project: ArtifactPaths) -> None:
    project.registry.mkdir()
    (project.registry / "champion.json").write_text("{")
    assert "cannot be read" in str(champion_counts(project))


def test_kinds_that_notes_count_are_summed(project: ArtifactPaths) -> None:
    from tasks.prepare.record.page import _kinds
    from tasks.prepare.steps import Note

    notes = [
        Note("s:1", "r", "EMAIL_ADDRESS 2, PERSON 1"),
        Note("s:2", "r", "3 PERSON"),
        Note("s:3", "r", "IBAN_CODE: 1"),
    ]
    assert _kinds(notes) == {"EMAIL_ADDRESS": 2, "PERSON": 4, "IBAN_CODE": 1}
