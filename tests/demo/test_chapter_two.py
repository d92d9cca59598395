"""The demo's second chapter."""

import json
from collections import Counter
from pathlib import Path

import pytest

from demo import chapter_two
from demo.chapter_two import ROWS, main, make_copy, shuffled
from tasks.config.params import load_params
from tasks.paths import ArtifactPaths
from tasks.pipeline.runner import stage_names
from tasks.preflight.checks import check

ROOT = Path(__file__).parents[2]


def test_most_shuffled_rows_name_a_wrong_queue_and_none_is_lost() -> None:
    rows = [json.loads(line) for line in (ROOT / "data/raw/queues.jsonl").read_text().splitlines()]
    right = {row["id"]: row["messages"] for row in rows if row["messages"][0]["role"] == "system"}
    wrong = {row["id"]: row["messages"] for row in shuffled(rows)}
    assert right.keys() == wrong.keys()
    assert all(wrong[name][:-1] == turns[:-1] for name, turns in right.items())
    assert sum(wrong[name] == turns for name, turns in right.items()) < len(right) / 2
    assert Counter(t[-1]["content"] for t in wrong.values()) == Counter(t[-1]["content"] for t in right.values())


def test_the_copy_is_a_project_that_cannot_move_a_champion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "copy"
    make_copy(ROOT, copy)
    params = load_params(copy / "params.yaml")
    assert [source.path for source in params.prepare.sources] == [ROWS]
    assert not params.promote.automatic
    monkeypatch.chdir(copy)
    check(params, ArtifactPaths())
    assert "train@shuffled" in stage_names(copy)
    assert not (copy / "registry").is_symlink()


def test_the_copy_has_the_pointers_of_promoted_models_and_not_their_weights(tmp_path: Path) -> None:
    here, name = tmp_path / "here", "0123456789abcdef"
    for folder in ("flows", "tasks", "evalsuite", "golden_sets", "data/suites", f"registry/models/{name}"):
        (here / folder).mkdir(parents=True)
    (here / f"registry/models/{name}.dvc").touch()
    (here / "data/raw").mkdir()
    for path in ("params.yaml", "dvc.yaml", ".dvcignore", "data/raw/queues.jsonl"):
        (here / path).write_bytes((ROOT / path).read_bytes())
    make_copy(here, tmp_path / "copy")
    assert [path.name for path in (tmp_path / "copy/registry/models").iterdir()] == [f"{name}.dvc"]


def test_a_copy_that_was_left_half_made_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / ".ratchet/chapter_two"
    for folder in (tmp_path, copy):
        (folder / "registry").mkdir(parents=True)
        (folder / "registry/champion.json").write_text('{"schema_version": 1, "champion": {}}')
    made: list[bool] = []
    monkeypatch.setattr(chapter_two, "make_copy", lambda _here, to: made.append(to.exists()))
    monkeypatch.setattr(chapter_two, "ratchet", lambda *_: 4)
    monkeypatch.chdir(tmp_path)
    assert main() == 4
    assert made == [False]


def test_without_a_champion_the_chapter_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "registry").mkdir()
    (tmp_path / "registry/champion.json").write_text('{"schema_version": 1, "champion": null}')
    monkeypatch.chdir(tmp_path)
    assert main() == 0
    assert "chapter two is left out" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["registry"]
