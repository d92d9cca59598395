"""``ratchet data synthesize``: what it prints, and what it refuses."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from evalsuite.core.errors import UsageError
from flows.cli.app import app
from tests.tasks.served.stand_in import serving

ROOT = Path(__file__).parents[4]
SOURCE = "data/raw/own.jsonl"
HOSTILE = "[red]reach me\x1b[2J at jane.doe@acme.com"


def synthesize(url: str, *arguments: str) -> str:
    options = ["--kind", "rewrite-answer", "--rows", "4", "--model", "big", "--base-url", url, "--max-share", "0.9"]
    done = CliRunner().invoke(
        app, ["data", "synthesize", *options, *arguments], catch_exceptions=False, standalone_mode=False
    )
    assert done.exit_code == 0, done.output
    return done.output


def new_params(**prepare: Any) -> str:
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["prepare"] = {"sources": [SOURCE], **prepare}
    return yaml.safe_dump(params)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "params.yaml").write_text(new_params())
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    (tmp_path / "data/raw").mkdir(parents=True)
    rows = [{"prompt": f"question {at} {HOSTILE}", "completion": f"short {at}"} for at in range(4)]
    rows.append({"prompt": "by a model", "completion": "x", "synthetic": True})
    (tmp_path / SOURCE).write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_replies_are_counted_by_what_became_of_them_and_none_is_shown(project: Path) -> None:
    replies = ["I'm sorry, I cannot help with that.", "", "Somebody at the first desk knows.", "Ask \x1b[2J them."]
    with serving(lambda _, number: replies[number - 1]) as server:
        said = synthesize(server.url)
    lines = [line.split("  ")[0] for line in said.splitlines()]
    assert "written" in lines
    assert {"left out: the answer refuses", "left out: empty", "left out: holds control characters"} <= set(lines)
    assert "rows that are not shown to the model: 1 a model wrote it" in said
    assert "data/raw/synthetic_rewrite_answer.jsonl: read some of its rows, then name it in prepare.sources" in said
    assert "first desk" not in said
    (row,) = (project / "data/raw/synthetic_rewrite_answer.jsonl").read_text().splitlines()
    assert json.loads(row)["messages"][-1]["content"] == "Somebody at the first desk knows."


def test_a_file_that_sources_name_is_trained_on_next(project: Path) -> None:
    (project / "params.yaml").write_text(new_params(sources=["data/raw"]))
    with serving(lambda *_: "Somebody at the first desk knows.") as server:
        assert "synthetic_rewrite_answer.jsonl: `ratchet run` trains on it" in synthesize(server.url)


def test_a_dry_run_says_how_much_shows_two_prompts_and_sends_and_writes_nothing(project: Path) -> None:
    with serving(lambda *_: "x") as server:
        said = synthesize(server.url.replace("//", "//user:secret@"), "--dry-run", "--max-tokens", "100")
        assert server.seen == []
    assert "4 requests to http://" in said
    assert "at most 400 out; 4 rows can be shown. Nothing was sent" in said
    assert said.count("You improve the answers") == 2
    assert "[red]reach me" in said
    assert "\x1b" not in said
    assert "secret" not in said
    assert sorted(path.name for path in (project / "data/raw").iterdir()) == ["own.jsonl"]


def test_a_dry_run_shows_no_text_where_a_step_looks_for_personal_data(project: Path) -> None:
    personal = {"personal_data": {"entities": {"EMAIL_ADDRESS": "redact"}}}
    (project / "params.yaml").write_text(new_params(steps=[personal, "held_out", "length"]))
    with serving(lambda *_: "x") as server:
        said = synthesize(server.url, "--dry-run")
    assert "reach me" not in said
    assert "(withheld, since prepare.steps looks for personal data:" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--kind", "translate"], "--kind 'translate': expected rewrite-answer, rewrite-question, new"),
        (["--base-url", "ftp://user:secret@host"], "is not a server's address"),
        (["--from", "data/raw/none.jsonl"], "--from: no file data/raw/none.jsonl"),
        (["--from", "/etc/passwd"], "--from: /etc/passwd lies outside data/raw"),
        (["--from", "hub:a/b"], "--from hub:a/b: expected hub:OWNER/NAME@COMMIT"),
        (["--rows", "9"], "only 4 rows can be rewritten"),
        (["--rows", "2", "--max-share", "0.1"], "leaves room for 0"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_sent(project: Path, arguments: list[str], message: str) -> None:
    with pytest.raises(UsageError) as raised:
        synthesize("http://127.0.0.1:9/v1", *arguments)
    assert message in str(raised.value)
    assert "secret" not in str(raised.value)
