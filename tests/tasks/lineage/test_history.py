"""One row, from its source through every step to where it ended."""

import json
from pathlib import Path

import pytest

from evalsuite.core.errors import UsageError
from tasks.lineage.history import histories
from tasks.paths import ArtifactPaths
from tasks.prepare.preparation import run
from tests.tasks.prepare.project import GOLDEN, new_project, pairs, write_rows


@pytest.fixture
def project(tmp_path: Path, tiny_model: Path) -> ArtifactPaths:
    return new_project(tmp_path, tiny_model)


def test_a_row_is_followed_from_its_source_to_its_side(project: ArtifactPaths) -> None:
    params = write_rows(project, [*pairs(30), {"id": "late", "prompt": GOLDEN, "completion": "there"}])
    run(params, project)
    (kept,) = histories("data/raw/rows.jsonl:3", params, project)
    assert kept.row.side in ("train", "dev")
    assert [each.did for each in kept.steps] == ["kept"] * 5
    turns = [{"role": "user", "content": "question 2"}, {"role": "assistant", "content": "answer 2"}]
    assert kept.before == kept.after == {"messages": turns}
    (dropped,) = histories("late", params, project)
    assert [(each.step, each.did) for each in dropped.steps] == [
        ("read", "kept"),
        ("duplicates", "kept"),
        ("held_out", "dropped"),
        ("max_rows", "not reached"),
        ("length", "not reached"),
    ]
    assert dropped.before is not None
    assert dropped.after is None


def test_rows_of_one_id_are_all_shown_each_with_its_own_text(project: ArtifactPaths) -> None:
    rows = [{**pair, "id": f"id{number % 15}"} for number, pair in enumerate(pairs(30))]
    params = write_rows(project, rows)
    run(params, project)
    found = histories("id4", params, project)
    asked = [each.after["messages"][0]["content"] for each in found if each.after]
    assert asked == ["question 4", "question 19"]


def test_a_source_that_changed_since_is_told_instead_of_another_row_s_text(project: ArtifactPaths) -> None:
    params = write_rows(project, pairs(30))
    run(params, project)
    write_rows(project, [{"prompt": "first", "completion": "x"}, *pairs(30)])
    (found,) = histories("data/raw/rows.jsonl:3", params, project)
    assert found.before is None
    assert "was changed since it was prepared" in found.note
    (project.root / "data/raw/rows.jsonl").unlink()
    (found,) = histories("data/raw/rows.jsonl:3", params, project)
    assert "data/raw/rows.jsonl is gone" in found.note


def test_a_row_that_could_not_be_read_has_its_reason(project: ArtifactPaths) -> None:
    params = write_rows(project, [*pairs(30), "{"])
    run(params, project)
    (found,) = histories("data/raw/rows.jsonl:31", params, project)
    assert found.steps[0].did == "bad"
    assert "not JSON" in found.note
    assert found.note.endswith("; data/prepared/quarantine.jsonl has it as it was")
    assert json.loads((project.prepared / "quarantine.jsonl").read_text())["row"] == "{"


def test_of_a_preference_pair_it_is_said_that_the_rejected_answer_is_not_used(project: ArtifactPaths) -> None:
    pair = {"id": "pair", "prompt": "which one", "chosen": "this one", "rejected": "that one"}
    params = write_rows(project, [*pairs(30), pair])
    run(params, project)
    (found,) = histories("pair", params, project)
    assert found.unused == "the rejected answer of this pair is not used by objective sft"
    (plain,) = histories("data/raw/rows.jsonl:3", params, project)
    assert plain.unused == ""


def test_a_row_is_found_by_its_file_and_line_without_the_folder_of_raw_data(project: ArtifactPaths) -> None:
    params = write_rows(project, pairs(30))
    run(params, project)
    (found,) = histories("rows.jsonl:3", params, project)
    assert found.row.source == "data/raw/rows.jsonl:3"


def test_the_text_of_a_forgotten_row_is_withheld(project: ArtifactPaths) -> None:
    params = write_rows(project, pairs(30))
    run(params, project)
    (found,) = histories("data/raw/rows.jsonl:3", params, project)
    line = {"content": found.row.content, "when": "2026-11-30T10:00:00+00:00", "by": "me", "why": "asked"}
    project.forgotten.write_text(json.dumps(line) + "\n")
    run(params, project)
    (found,) = histories("data/raw/rows.jsonl:3", params, project)
    assert found.before is None
    assert found.note == "withheld, since it is to be forgotten; it stands in data/raw/rows.jsonl:3"


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("ticket-0007", "'ticket-0007' among the 30 that were read: the nearest are ticket-"),
        ("data/raw/rows.jsonl:99", "data/raw/rows.jsonl has 30 rows, and none of them there"),
        ("\u00e4", "`ratchet data show ID` takes the id of a row"),
    ],
)
def test_a_row_that_is_not_there_is_told_with_the_nearest(project: ArtifactPaths, wanted: str, said: str) -> None:
    params = write_rows(project, [{**pair, "id": f"ticket-{number}"} for number, pair in enumerate(pairs(30))])
    run(params, project)
    with pytest.raises(UsageError, match=said):
        histories(wanted, params, project)
