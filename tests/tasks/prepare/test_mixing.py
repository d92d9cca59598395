"""Shares of replay and of synthetic rows."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from evalsuite.core.errors import UsageError
from tasks.config.prepare import PrepareParams
from tasks.lineage.history import histories
from tasks.paths import ArtifactPaths
from tasks.prepare.inputs.hub_files import hub_repositories
from tasks.prepare.mixing import kept_counts
from tasks.prepare.preparation import run
from tasks.prepare.report import summary
from tests.tasks.prepare.project import new_project

MARK = {"kind": "new", "model": "big"}


@pytest.fixture
def project(tmp_path: Path, tiny_model: Path) -> ArtifactPaths:
    return new_project(tmp_path, tiny_model)


def write(paths: ArtifactPaths, name: str, count: int, **more: Any) -> str:
    rows = [{"prompt": f"{name} question {at}", "completion": f"answer {at}", **more} for at in range(count)]
    (paths.root / "data/raw" / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return f"data/raw/{name}"


def prepare(paths: ArtifactPaths, **settings: Any) -> dict[str, Any]:
    return run(PrepareParams.model_validate({"dev_fraction": 0.2, **settings}), paths)


def kept(paths: ArtifactPaths) -> list[str]:
    lines = [line for side in ("train", "dev") for line in (paths.prepared / f"{side}.jsonl").read_text().splitlines()]
    return [json.loads(line)["messages"][0]["content"].split()[0] for line in lines]


@pytest.mark.parametrize("max_rows", [None, 50])
def test_replay_makes_up_its_share_of_train_and_dev_whatever_the_steps_drop(
    project: ArtifactPaths, max_rows: int | None
) -> None:
    own, general = write(project, "own", 90), write(project, "general", 40)
    with (project.root / general).open("a") as stream:
        stream.write(json.dumps({"prompt": "general " + "long " * 300, "completion": "x"}) + "\n")
    settings = {"sources": [own], "replay": {"path": general, "share": 0.1}, "max_rows": max_rows}
    report = prepare(project, **settings, max_length_tokens=200)
    found = kept(project)
    assert (len(found), found.count("general")) == ((100, 10) if max_rows is None else (50, 5))
    assert report["replay"] == {"path": general, "share": 0.1, "rows": found.count("general"), "reached": 0.1}
    assert f"{found.count('general')} rows are replay (10.0%)" in summary(report)
    first = (project.prepared / "train.jsonl").read_bytes()
    prepare(project, **settings, max_length_tokens=200)
    assert (project.prepared / "train.jsonl").read_bytes() == first


def test_a_row_beyond_the_share_says_so_and_the_page_has_the_share(project: ArtifactPaths) -> None:
    own, general = write(project, "own", 18), write(project, "general", 10)
    params = PrepareParams.model_validate({"sources": [own], "replay": {"path": general, "share": 0.1}})
    run(params, project)
    reasons = [
        step.event.reason
        for at in range(1, 11)
        for history in histories(f"{general}:{at}", params, project)
        for step in history.steps
        if step.event
    ]
    assert reasons == ["beyond the share of prepare.replay"] * 8
    page = (project.prepared / "report.html").read_text()
    assert "2 rows of" in page
    assert "10.0% of the train and dev rows" in page


def test_too_few_rows_of_replay_are_all_used_and_said_with_both_figures(
    project: ArtifactPaths, caplog: pytest.LogCaptureFixture
) -> None:
    own, general = write(project, "own", 90), write(project, "general", 4)
    with caplog.at_level(logging.WARNING):
        report = prepare(project, sources=[own], replay={"path": general, "share": 0.1}, max_rows=50)
    assert (report["replay"]["rows"], len(kept(project))) == (4, 50)
    assert "data/raw/general has 4 clean rows, and a share of 0.1 beside 46 other rows is 5" in caplog.text


def test_replay_needs_no_group_no_stratum_and_no_date(project: ArtifactPaths) -> None:
    own = write(project, "own", 36, customer="c", category="a", created_at="2026-05-01")
    with (project.root / own).open("a") as stream:
        stream.write('{"prompt": "own late", "completion": "x", "customer": "d", "created_at": "2026-06-01"}\n')
    settings = {"sources": [own], "replay": {"path": write(project, "general", 20), "share": 0.1}}
    split = {"by": "date", "field": "created_at", "dev_from": "2026-06-01"}
    report = prepare(project, **settings, group_by="customer", split=split)
    assert (report["splits"]["dev"]["rows"], report["replay"]["rows"]) == (1, 4)


def test_a_duplicate_of_a_source_s_row_is_no_replay(project: ArtifactPaths) -> None:
    own = write(project, "own", 20)
    (project.root / "data/raw/general").write_text((project.root / own).read_text())
    report = prepare(project, sources=[own], replay={"path": "data/raw/general", "share": 0.2})
    assert report["replay"]["rows"] == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"replay": {"path": "data/raw/own", "share": 0.1}}, "replay.path data/raw/own is in prepare.sources too"),
        ({"replay": {"path": "data/raw/./own", "share": 0.1}}, "is in prepare.sources too"),
        ({"replay": {"path": "data/raw/x", "share": 0.01}, "max_rows": 20}, "0.01 of prepare.max_rows = 20 is no row"),
        ({"replay": {"path": "data/raw/x", "share": 0.99}, "max_rows": 20}, "= 20 is every row"),
        ({"replay": {"path": "hub:a/b", "share": 0.1}}, "40 hex digits"),
        ({"replay": {"path": "data/raw/x", "share": 1.0}}, "less than 1"),
    ],
)
def test_replay_that_cannot_hold_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        PrepareParams.model_validate({"sources": ["data/raw/own"], **settings})


def test_replay_of_the_hub_is_asked_for_before_anything_is_spent_and_named_in_the_model_card() -> None:
    replay = {"path": f"hub:people/chats@{'a' * 40}:train", "share": 0.1}
    params = PrepareParams.model_validate({"sources": ["data/raw/own"], "replay": replay})
    (needed,) = hub_repositories(params)
    assert "prepare.replay.path" in str(needed)
    assert params.hub_ids == ("people/chats",)


def test_files_that_are_in_a_source_and_in_replay_are_named(project: ArtifactPaths) -> None:
    write(project, "own", 3)
    with pytest.raises(UsageError, match=r"prepare.replay.path: data/raw/own is in data/raw/o\* and in data/raw/\*n"):
        prepare(project, sources=["data/raw/o*"], replay={"path": "data/raw/*n", "share": 0.1})
    with pytest.raises(UsageError, match=r"prepare.replay.path: no file data/raw/none; .* change prepare.replay.path"):
        prepare(project, sources=["data/raw/own"], replay={"path": "data/raw/none", "share": 0.1})


def test_settings_that_nobody_made_are_not_written_so_that_kept_decisions_read_as_before() -> None:
    params = PrepareParams.model_validate({"sources": ["data/raw/own"]})
    assert not {"replay", "max_synthetic_share"} & params.model_dump(mode="json").keys()
    set_ones = params.model_copy(update={"max_synthetic_share": 0.2})
    assert set_ones.model_dump(mode="json")["max_synthetic_share"] == 0.2


@pytest.mark.parametrize("max_rows", [None, 30])
def test_synthetic_rows_beyond_their_share_are_left_out(
    project: ArtifactPaths, max_rows: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    sources = [write(project, "own", 30), write(project, "made", 300, synthetic=MARK)]
    with caplog.at_level(logging.WARNING):
        report = prepare(project, sources=sources, max_synthetic_share=0.25, max_rows=max_rows)
    found = kept(project)
    assert found.count("made") <= 0.25 * len(found)
    assert found.count("made") >= 5
    if max_rows is None:
        assert (found.count("own"), found.count("made")) == (30, 10)
        assert "leaves 10 of 300 synthetic rows beside 30 others" in caplog.text
        assert report["dropped"]["beyond prepare.max_synthetic_share"]["count"] == 290
    count = found.count("made")
    by = [{"kind": "new", "model": "big", "rows": count}]
    assert report["synthetic"] == {
        "rows": count,
        "share": round(count / len(found), 4),
        "max_share": 0.25,
        "by": by,
    }
    card = (project.prepared / "data_card.md").read_text()
    assert f"yes: {count} of {len(found)} rows" in card
    assert f"big (new, {count} rows)" in card
    assert "A model wrote" in (project.prepared / "report.html").read_text()


def test_rows_that_a_model_wrote_all_of_are_refused_unless_somebody_says_so(project: ArtifactPaths) -> None:
    made = write(project, "made", 20, synthetic=True)
    with pytest.raises(UsageError, match="a model wrote all 20 clean rows"):
        prepare(project, sources=[made])
    report = prepare(project, sources=[made], max_synthetic_share=1.0)
    assert report["synthetic"]["by"] == [{"kind": "unknown", "model": "unknown", "rows": 20}]


def test_replay_that_a_model_wrote_is_refused(project: ArtifactPaths) -> None:
    own, made = write(project, "own", 20), write(project, "made", 20, synthetic=MARK)
    with pytest.raises(UsageError, match=r"prepare\.replay: a model wrote data/raw/made:1"):
        prepare(project, sources=[own], replay={"path": made, "share": 0.1})


def test_a_row_whose_personal_data_was_replaced_is_still_synthetic(project: ArtifactPaths) -> None:
    own = write(project, "own", 20)
    row = {"prompt": "made: write to jane.doe@example.org", "completion": "done", "synthetic": MARK}
    (project.root / "data/raw/made").write_text(json.dumps(row) + "\n")
    settings = {"entities": {"EMAIL_ADDRESS": "redact"}}
    report = prepare(project, sources=[own, "data/raw/made"], steps=[{"personal_data": settings}, "held_out", "length"])
    assert report["steps"][0]["changed"] == 1
    assert report["synthetic"]["rows"] == 1


@given(
    st.integers(0, 300),
    st.integers(0, 300),
    st.integers(0, 300),
    st.floats(0.0, 0.9),
    st.floats(0.0, 1.0),
)
def test_no_share_is_ever_exceeded_and_none_is_missed_by_more_than_a_row(
    people: int, synthetic: int, replay: int, share: float, most: float
) -> None:
    stay, beside = kept_counts(people, synthetic, replay, share, most)
    total = people + stay + beside
    assert stay <= most * total + 1e-6
    assert abs(beside - share * total) <= 1 or (beside == replay and beside < share * total)
    if stay < synthetic:  # two more rows would be too many, whatever the rounding
        more = people + stay + 2
        assert stay + 2 > most * (more + min(replay, round(more * share / (1 - share)))) - 1
