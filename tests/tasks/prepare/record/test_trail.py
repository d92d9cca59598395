"""The history of rows, against the rows and the steps' own words."""

import hashlib
import json
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.core.errors import MissingArtifactError, UsageError
from tasks.config.prepare import PrepareParams
from tasks.data.formats import BadRow, Row, parse_row
from tasks.paths import ArtifactPaths
from tasks.prepare.preparation import run
from tasks.prepare.record.trail import (
    GROUP_ROWS,
    Event,
    TrailRow,
    TrailStep,
    read_trail,
    shows_text,
    trail_rows,
    write_trail,
)
from tasks.prepare.runner import Record
from tasks.prepare.scale.stored import Rows
from tasks.prepare.steps import StepInputs
from tests.tasks.prepare.project import GOLDEN, new_project, pairs, write_rows

DUPLICATES, PII, HELD_OUT = TrailStep("duplicates"), TrailStep("personal_data", private=True), TrailStep("held_out")


@pytest.fixture
def project(tmp_path: Path, tiny_model: Path) -> ArtifactPaths:
    return new_project(tmp_path, tiny_model)


def lines_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_row_that_was_read_has_its_place_its_fate_and_the_reason(project: ArtifactPaths) -> None:
    rows = [
        *pairs(30),
        {"id": "mine", "prompt": "question  3", "completion": "answer 3"},
        {"prompt": GOLDEN, "completion": "there"},
        "{",
    ]
    run(write_rows(project, rows), project)
    trail = read_trail(project.trail)
    found = {row.source: row for row in trail.rows()}
    assert sorted(found) == sorted(f"data/raw/rows.jsonl:{number}" for number in range(1, 34))
    assert [step.name for step in trail.steps] == ["duplicates", "held_out", "max_rows", "length"]
    assert found["data/raw/rows.jsonl:31"].row_id == "mine"
    assert found["data/raw/rows.jsonl:31"].events == (
        Event("duplicates", "dropped", "duplicate", "", "data/raw/rows.jsonl:4"),
    )
    assert found["data/raw/rows.jsonl:31"].content == found["data/raw/rows.jsonl:4"].content
    (event,) = found["data/raw/rows.jsonl:32"].events
    assert (event.step, event.detail) == ("held_out", "same text as golden_sets/g/test.jsonl#t1")
    assert found["data/raw/rows.jsonl:33"].events[0][:2] == ("read", "bad")
    for side in ("train", "dev"):
        ids = [entry["id"] for entry in lines_of(project.prepared / f"{side}.jsonl")]
        assert ids == [row.row_id for row in trail.rows() if row.side == side]


def test_the_report_names_the_history_by_the_hash_under_which_dvc_keeps_it(project: ArtifactPaths) -> None:
    report = run(write_rows(project, pairs(30)), project)
    assert report["trail_md5"] == hashlib.md5(project.trail.read_bytes()).hexdigest()  # noqa: S324  DVC's own
    assert json.loads(project.data_report.read_text())["trail_md5"] == report["trail_md5"]


texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)
events = st.builds(
    Event, st.sampled_from(["a", "b"]), st.sampled_from(["dropped", "changed"]), texts.filter(bool), texts, texts
)
trails = st.lists(
    st.builds(
        TrailRow,
        texts,
        texts,
        st.binary(min_size=16, max_size=16).map(bytes.hex) | st.just(""),
        st.sampled_from(["train", "dev", ""]),
        st.lists(events, max_size=2).map(tuple),
    ),
    max_size=8,
)


@given(trails)
def test_what_is_written_is_what_is_read(tmp_path_factory: pytest.TempPathFactory, rows: list[TrailRow]) -> None:
    path = tmp_path_factory.mktemp("trail") / "trail.parquet"
    records = [Record("a", 0, [], []), Record("b", 0, [], [], private=True)]
    md5 = write_trail(path, rows, records)
    trail = read_trail(path)
    assert trail.rows() == rows
    assert trail.contents == [row.content for row in rows]
    assert trail.steps == (TrailStep("a"), TrailStep("b", private=True))
    assert write_trail(path, rows, records) == md5


def test_many_rows_are_written_some_at_a_time_and_found_again(tmp_path: Path) -> None:
    path, count = tmp_path / "trail.parquet", GROUP_ROWS + 10
    rows = (
        TrailRow(f"a.jsonl:{at}", f"id{at}" if at % 2 else f"a.jsonl:{at}", f"{at + 1:032x}", "train")
        for at in range(count)
    )
    write_trail(path, rows, [])
    assert pq.ParquetFile(path).num_row_groups == 2
    trail = read_trail(path)
    assert [row.source for row in trail.find(f"id{count - 1}")] == [f"a.jsonl:{count - 1}"]
    assert [row.row_id for row in trail.find("a.jsonl:7")] == ["id7"]
    assert trail.find("a.jsonl:none") == []


def test_a_text_is_shown_only_where_every_private_step_saw_the_row_and_left_it_alone() -> None:
    steps = [DUPLICATES, PII, HELD_OUT]

    def dropped(step: TrailStep) -> tuple[Event, ...]:
        return (Event(step.name, "dropped", "x"),)

    assert shows_text((), steps)
    assert not shows_text(dropped(DUPLICATES), steps)
    assert not shows_text(dropped(PII), steps)
    assert not shows_text((Event(PII.name, "changed", "x"),), steps)
    assert not shows_text((Event(PII.name, "changed", "x"), *dropped(HELD_OUT)), steps)
    assert shows_text(dropped(HELD_OUT), steps)
    assert shows_text(dropped(DUPLICATES), [DUPLICATES, HELD_OUT])
    assert not shows_text((Event("read", "bad", "x"),), steps)


def test_bad_rows_stand_last_without_a_hash() -> None:
    row = parse_row(b'{"prompt": "a", "completion": "b"}', "f:2")
    assert isinstance(row, Row)
    found = list(trail_rows(Rows.of([row]), [BadRow("f:1", "not JSON")], [], {}))
    assert [each.source for each in found] == ["f:2", "f:1"]
    assert Counter(bool(each.content) for each in found) == {True: 1, False: 1}


def test_an_absent_a_damaged_and_an_unknown_file_are_each_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "trail.parquet"
    with pytest.raises(MissingArtifactError, match="make it with `ratchet stage prepare`"):
        read_trail(path)
    path.write_bytes(b"PAR1 cut short")
    with pytest.raises(UsageError, match="is damaged"):
        read_trail(path)
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(UsageError, match="schema_version None, this version reads 1"):
        read_trail(path)


def test_a_row_is_followed_through_a_step_that_changes_it(
    project: ArtifactPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    from collections.abc import Sequence

    from tasks.prepare import order
    from tasks.prepare.steps import Note, Outcome, Step

    class Mask(Step):
        changes_rows = True
        private = True

        def run(self, rows: Sequence[Row], given: StepInputs) -> Outcome:
            first = rows[0]
            turns = ({**first.messages[0], "content": "<PERSON>"}, *first.messages[1:])
            changed = [Note(first.source, "personal data masked", "PERSON 1")]
            return Outcome([first._replace(messages=turns), *rows[1:]], changed=changed)

    monkeypatch.setitem(order.STEPS, "mask", Mask)
    copy = {"id": "jane@example.org", "prompt": "question 2", "completion": "answer 2"}
    params = PrepareParams.model_validate(
        {
            **write_rows(project, [*pairs(20), copy]).model_dump(exclude={"steps"}),
            "steps": ["duplicates", "mask", "held_out", "max_rows", "length"],
        }
    )
    run(params, project)
    trail = read_trail(project.trail)
    (row,) = trail.find("data/raw/rows.jsonl:1")
    assert row.events == (Event("mask", "changed", "personal data masked", "PERSON 1"),)
    assert row.side in ("train", "dev")
    (dropped,) = trail.find("data/raw/rows.jsonl:21")  # before the step saw it: its id is not in the history
    assert dropped.row_id == dropped.source
    assert trail.find("jane@example.org") == []
    assert not shows_text(row.events, trail.steps)
    page = (project.prepared / "report.html").read_text()
    assert "personal data masked" in page
    assert "question" not in page
    assert "jane@example.org" not in page
