"""ratchet golden."""

import json
from pathlib import Path

from typer.testing import CliRunner

from evalsuite.core.errors import UsageError
from flows.cli.app import app

ROOT = Path(__file__).parents[3]


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["golden", *arguments])
    return done.exit_code, done.output


def test_a_new_set_passes_its_own_check_and_is_described(tmp_path: Path) -> None:
    folder = str(tmp_path / "mine")
    assert run("new", folder)[0] == 0
    code, text = run("check", folder)
    assert (code, text) == (0, f"{folder}: 0 problems, 0 remarks\n")
    stats = json.loads(run("stats", folder, "--json")[1])
    assert stats["test"]["items"] == 4
    assert stats["test"]["must_pass"] == {"json_schema": 1}
    assert "test: 4 items" in run("stats", folder)[1]


def test_an_edited_set_fails_until_its_manifest_has_a_new_version(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    run("new", str(folder))
    row = json.loads((folder / "dev.jsonl").read_text().splitlines()[0])
    row["id"], row["messages"][0]["content"] = "dev-005", "What is the capital of Peru?"
    with (folder / "dev.jsonl").open("a") as stream:
        stream.write(json.dumps(row) + "\n")
    code, text = run("check", str(folder))
    assert code == 2
    assert "dev.jsonl has sha256" in text
    assert run("check", str(folder), "--new-version", "1.0.0")[0] == 0
    assert json.loads((folder / "manifest.json").read_text())["files"]["dev.jsonl"]["n"] == 5


def test_the_shipped_set_has_no_problem() -> None:
    code, text = run("check", str(ROOT / "golden_sets/support"))
    assert code == 0, text


ITEM = {
    "id": "a",
    "messages": [{"role": "user", "content": "Which plan has a trial?"}],
    "references": ["Plus"],
    "metrics": ["contains"],
}


def test_one_command_makes_manifest_and_card_for_items_that_were_written_by_hand(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "test.jsonl").write_text(json.dumps(ITEM) + "\n")
    before = (folder / "test.jsonl").read_bytes()
    code, text = run("check", str(folder))
    assert (code, f"`ratchet golden new {folder}`" in text) == (2, True)
    code, text = run("new", str(folder))
    assert code == 0
    assert "wrote manifest.json, card.md" in text
    assert "write dev.jsonl (selects epochs)" in text
    assert (folder / "test.jsonl").read_bytes() == before
    assert json.loads((folder / "manifest.json").read_text())["files"]["test.jsonl"]["n"] == 1
    assert run("check", str(folder)) == (0, f"{folder}: 0 problems, 0 remarks\n")
    item = ITEM | {"id": "b", "messages": [{"role": "user", "content": "What does Basic cost?"}]}
    (folder / "dev.jsonl").write_text(json.dumps(item) + "\n")
    assert run("check", str(folder), "--new-version", "1.0.0")[0] == 0
    assert sorted(json.loads((folder / "manifest.json").read_text())["files"]) == ["dev.jsonl", "test.jsonl"]


def test_a_set_that_has_a_manifest_is_left_as_it_is(tmp_path: Path) -> None:
    run("new", str(tmp_path / "mine"))
    before = {path.name: path.read_bytes() for path in (tmp_path / "mine").iterdir()}
    done = CliRunner().invoke(app, ["golden", "new", str(tmp_path / "mine")])
    assert isinstance(done.exception, UsageError)
    assert {path.name: path.read_bytes() for path in (tmp_path / "mine").iterdir()} == before
