"""``ratchet inbox``."""

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from evalsuite.core.errors import UsageError
from flows.cli.app import app

ROOT = Path(__file__).parents[3]
ROWS = "data/raw/feedback.jsonl"


def inbox(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["inbox", *arguments], catch_exceptions=False, standalone_mode=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    records = [{"id": f"r{n}", "prompt": f"question {n}", "output": "x", "verdict": "good"} for n in range(3)]
    (tmp_path / "log.jsonl").write_text("\n".join([*map(json.dumps, records), "{broken"]))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_records_are_sorted_reviewed_and_taken(project: Path) -> None:
    said = inbox("sort", "log.jsonl", "--golden-share", "0")
    assert "log.jsonl:4: not JSON" in said
    assert "3 records, 1 left out, 0 decided before; to review: 3 for training, 0 for the golden set" in said
    with pytest.raises(UsageError, match="may hold decisions"):
        inbox("sort", "log.jsonl")
    review = project / "data/inbox/review.jsonl"
    review.write_text(review.read_text().replace('"decision": null', '"decision": "accept"', 2))
    assert "2 rows would be taken for training" in inbox("take", "--dry-run")
    assert f"{ROWS}: name it in prepare.sources" in inbox("take")
    assert len((project / ROWS).read_text().splitlines()) == 2
    assert "3 records, 1 left out, 2 decided before; to review: 1 for" in inbox("sort", "log.jsonl", "--force")


def test_a_review_is_never_written_over_what_the_project_lives_by(project: Path) -> None:
    with pytest.raises(UsageError, match="lives by"):
        inbox("sort", "log.jsonl", "--review", "params.yaml", "--force")


def test_a_record_that_asks_a_held_out_item_is_set_aside_before_the_review(project: Path) -> None:
    turns = [{"role": "user", "content": "Question 1!"}]
    item = {"id": "t1", "messages": turns, "references": ["x"], "metrics": ["exact_match"]}
    (project / "golden_sets/own").mkdir(parents=True)
    (project / "golden_sets/own/test.jsonl").write_text(json.dumps(item) + "\n")
    said = inbox("sort", "log.jsonl", "--golden-share", "0")
    assert "1 for training ask what a held-out item asks, and are set to reject" in " ".join(said.split())
    review = project / "data/inbox/review.jsonl"
    review.write_text(review.read_text().replace('"decision": null', '"decision": "accept"'))
    assert "2 rows taken for training, 0 candidate golden items, 1 rejected" in inbox("take")


def test_a_review_in_which_nothing_is_decided_says_so_and_what_to_set(project: Path) -> None:
    inbox("sort", "log.jsonl")
    said = " ".join(inbox("take").split())
    assert "nothing is decided yet: set decision to accept or reject in data/inbox/review.jsonl" in said


def test_tasks_for_label_studio_hold_the_proposals(project: Path) -> None:
    inbox("sort", "log.jsonl", "--label-studio", "--review", str(project / "tasks.json"))
    (first, *_) = json.loads((project / "tasks.json").read_text())
    assert first["data"]["shown"] == "user: question 0"
