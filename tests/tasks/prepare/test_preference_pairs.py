"""Preference pairs through the whole preparation: what is written, and what looks at the rejected answer."""

import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.config.prepare import PrepareParams
from tasks.paths import ArtifactPaths
from tasks.prepare.preparation import run
from tests.tasks.prepare.project import GOLDEN, new_project, write_rows

SHARED = Path(__file__).parents[4] / "shared" / "data"
CODE = """from tasks.objectives.sft import Sft


class Pairs(Sft):
    name = "pairs"
    fields = ("rejected",)
"""


@pytest.fixture
def project(tmp_path: Path, tiny_model: Path) -> ArtifactPaths:
    return new_project(tmp_path / "project", tiny_model)


@pytest.fixture
def objective(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An objective of another package that reads rejected answers."""
    about = tmp_path / "site/their_pairs-1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: their-pairs\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[ratchet.objectives]\npairs = their_pairs:Pairs\n")
    (tmp_path / "site/their_pairs.py").write_text(CODE)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    yield "pairs"
    sys.modules.pop("their_pairs", None)


def rows_of(number: int) -> list[dict[str, Any]]:
    return [{"prompt": f"question {n}", "chosen": f"good {n}", "rejected": f"bad {n}"} for n in range(number)]


def written(paths: ArtifactPaths) -> list[dict[str, Any]]:
    files = (paths.prepared / name for name in ("train.jsonl", "dev.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def reasons(report: dict[str, Any]) -> dict[str, int]:
    return {reason: entry["count"] for reason, entry in report["dropped"].items()}


def settings(params: PrepareParams, **others: Any) -> PrepareParams:
    return PrepareParams.model_validate({**params.model_dump(), **others})


def test_sft_learns_the_preferred_answer_and_writes_no_other(project: ArtifactPaths) -> None:
    report = run(write_rows(project, rows_of(20)), project)
    rows = written(project)
    assert len(rows) == 20
    assert {row["messages"][-1]["content"].split()[0] for row in rows} == {"good"}
    assert not [row for row in rows if "rejected" in row or "bad" in json.dumps(row)]
    assert report["formats"] == {"preference": 20}
    assert report["answers"] == {"learnt": 20, "context": 0}


def test_an_objective_that_reads_rejected_answers_gets_them_as_turns(project: ArtifactPaths, objective: str) -> None:
    run(settings(write_rows(project, rows_of(20)), objective=objective), project)
    for row in written(project):
        [turn] = row["rejected"]
        assert turn == {"role": "assistant", "content": row["messages"][-1]["content"].replace("good", "bad")}


def test_a_golden_question_in_a_rejected_answer_drops_the_row_where_it_is_written(
    project: ArtifactPaths, objective: str
) -> None:
    rows = [*rows_of(20), {"prompt": "p", "chosen": "c", "rejected": GOLDEN}]
    params = write_rows(project, rows)
    assert reasons(run(params, project)) == {}
    assert reasons(run(settings(params, objective=objective), project)) == {"appears in a golden or test set": 1}


def test_pairs_that_differ_in_the_rejected_answer_alone_are_duplicates_where_it_is_not_written(
    project: ArtifactPaths, objective: str
) -> None:
    params = write_rows(project, [*rows_of(20), {"prompt": "question 3", "chosen": "good 3", "rejected": "other"}])
    assert reasons(run(params, project)) == {"duplicate": 1}
    assert reasons(run(settings(params, objective=objective), project)) == {}


def test_personal_data_in_a_rejected_answer_is_hidden_as_in_the_preferred_one(
    project: ArtifactPaths, objective: str
) -> None:
    mail = "ann.smith@example.org"
    row = {"prompt": "Whom do I ask?", "chosen": f"Write to {mail} today.", "rejected": f"Ask {mail}, or nobody."}
    steps = [{"personal_data": {"entities": {"PERSON": "ignore"}}}, "duplicates", "held_out", "max_rows", "length"]
    run(settings(write_rows(project, [*rows_of(20), row]), objective=objective, steps=steps), project)
    [found] = [row for row in written(project) if "Whom" in json.dumps(row)]
    assert mail not in "".join(path.read_text() for path in project.prepared.glob("*.json*"))
    assert found["messages"][-1]["content"] == "Write to <EMAIL_ADDRESS> today."
    assert found["rejected"] == [{"role": "assistant", "content": "Ask <EMAIL_ADDRESS>, or nobody."}]


def test_bad_pairs_stand_in_the_quarantine_as_they_were(project: ArtifactPaths) -> None:
    tie = {"prompt": "p", "responses": ["a", "b"], "scores": [4, 4]}
    picture = {"prompt": [{"role": "user", "content": [{"type": "image_url", "image_url": "a.png"}]}]}
    picture |= {"chosen": "a", "rejected": "b"}
    column = {
        "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}],
        "images": ["b.png"],
    }
    run(write_rows(project, [*rows_of(20), tie, picture, column]), project)
    kept = [json.loads(line) for line in (project.prepared / "quarantine.jsonl").read_text().splitlines()]
    assert [json.loads(row["row"]) for row in kept] == [tie, picture, column]
    assert [row["reason"] for row in kept] == [
        "scores: 2 answers share the best place: a tie, which prefers none",
        "turn 0 (user) content part 0 is of type 'image_url': only text is trained on",
        "the row has images: only text is trained on",
    ]


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("hh_rlhf/test.jsonl.gz", "preference_transcripts", "2,299 rows read as preference pairs (transcripts of"),
        ("llamafactory/dpo_en_demo.json", "preference", "all 300 rows read as preference pairs (prompt, chosen, rej"),
    ],
)
def test_public_pairs_are_prepared_with_the_evidence_in_the_log(
    project: ArtifactPaths, caplog: pytest.LogCaptureFixture, name: str, kind: str, said: str
) -> None:
    if not (SHARED / name).is_file():
        pytest.skip(f"no ../shared/data/{name}")
    caplog.set_level("INFO")
    file = project.root / "data/raw" / Path(name).name
    shutil.copyfile(SHARED / name, file)
    report = run(PrepareParams(sources=(f"data/raw/{file.name}",), max_rows=250), project)
    assert said in caplog.text
    assert report["formats"].keys() == {kind}
    rows = written(project)
    assert 50 < len(rows) <= 250
    assert not [
        row for row in rows if "rejected" in row or re.search("\n\n(Human|Assistant):", row["messages"][-1]["content"])
    ]
