"""Rows that are to be forgotten stay out of every later version."""

import json
from pathlib import Path

import pytest

from evalsuite.core.errors import UsageError
from tasks.paths import ArtifactPaths
from tasks.prepare.preparation import run
from tasks.prepare.record.trail import read_trail
from tests.tasks.prepare.project import new_project, pairs, write_rows


@pytest.fixture
def project(tmp_path: Path, tiny_model: Path) -> ArtifactPaths:
    return new_project(tmp_path, tiny_model)


def listed(content: str) -> str:
    return json.dumps({"content": content, "when": "2026-11-30T10:00:00+00:00", "by": "me", "why": "asked"}) + "\n"


def test_without_a_list_there_is_no_step(project: ArtifactPaths) -> None:
    report = run(write_rows(project, pairs(30)), project)
    assert [step["name"] for step in report["steps"]] == ["duplicates", "held_out", "max_rows", "length"]


def test_a_listed_row_and_every_copy_of_it_are_left_out(project: ArtifactPaths) -> None:
    params = write_rows(project, [*pairs(30), {"prompt": " question  3", "completion": "answer 3"}])
    run(params, project)
    content = read_trail(project.trail).rows([3])[0].content
    project.forgotten.write_text(listed(content))
    report = run(params, project)
    assert report["dropped"]["forgotten"]["count"] == 2
    assert report["steps"][0] == {
        "name": "forgotten",
        "rows_in": 31,
        "kept": 29,
        "dropped": 2,
        "changed": 0,
        "first_dropped": [f"data/raw/rows.jsonl:{line}: forgotten (asked for on 2026-11-30)" for line in (4, 31)],
        "first_changed": [],
    }
    for side in ("train", "dev"):
        assert 'question 3"' not in (project.prepared / f"{side}.jsonl").read_text()
    assert "question 3<" not in (project.prepared / "report.html").read_text()


def test_a_list_that_cannot_be_read_stops_the_stage(project: ArtifactPaths) -> None:
    params = write_rows(project, pairs(30))
    project.forgotten.write_text('{"content": "short"}\n')
    with pytest.raises(UsageError, match=r"forgotten\.jsonl:1: content.*git checkout"):
        run(params, project)
