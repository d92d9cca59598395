"""What `ratchet init` says and refuses."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flows.cli.project import project_root
from tasks.dvc_command import SAFE_PATH
from tasks.starter.create import Wishes, create

ROOT = Path(__file__).parents[3]
ROW = json.dumps({"prompt": "a", "completion": "b"}) + "\n"
HIDING = "raise SystemExit('a folder of the user was imported in place of the package')\n"


def ratchet(folder: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-P", "-m", "flows.cli", *arguments]
    given = {**os.environ, "GIT_CEILING_DIRECTORIES": str(folder.parent), "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(command, cwd=folder, env=given, text=True, capture_output=True, check=False)


def test_it_says_what_it_found_and_what_is_left_to_do(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(ROW + json.dumps({"prompt": "c", "completion": "d", "shop": "x"}) + "\n")
    done = ratchet(tmp_path, "init", "a b", "--data", "rows.jsonl")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[:2] == [
        "a b: a new project, in a git repository of its own",
        "  data/raw/rows.jsonl: 1 prompt/completion rows that can be trained on",
    ]
    assert "rows.jsonl:2: unknown key" in lines[2]
    assert "prepare.ignore_keys: [shop]" in lines[3]
    assert lines[4:] == [
        "next:",
        "  cd 'a b'",
        "  write items into golden_sets/own/dev.jsonl and test.jsonl (card.md there has one), then",
        "  ratchet golden check golden_sets/own --new-version 1.0.0",
        '  git add --all && git commit -m "Start"',
        "  ratchet doctor",
        "  ratchet gate power",
        "  ratchet run",
    ]


def test_the_steps_that_it_names_lead_to_a_project_that_lacks_nothing(tmp_path: Path) -> None:
    assert ratchet(tmp_path, "init", "mine").returncode == 0
    mine = tmp_path / "mine"
    (mine / "data/raw/rows.jsonl").write_text(ROW)
    for split in ("dev", "test"):
        item = next(line for line in (mine / "golden_sets/own/card.md").read_text().splitlines() if '{"id"' in line)
        own = {**json.loads(item), "messages": [{"role": "user", "content": f"a question of {split} alone"}]}
        (mine / f"golden_sets/own/{split}.jsonl").write_text(json.dumps({**own, "id": split}) + "\n")
    assert ratchet(mine, "golden", "check", "golden_sets/own", "--new-version", "1.0.0").returncode == 0
    power = ratchet(mine, "gate", "power")
    assert "golden/exact_match:target:base" in power.stdout, power.stderr


def test_nobody_s_folders_hide_ours(tmp_path: Path) -> None:
    create(tmp_path / "mine", Wishes())
    for name in ("tasks", "flows", "evalsuite", "dvc", "prefect"):
        (tmp_path / "mine" / name).mkdir()
        (tmp_path / "mine" / name / "__init__.py").write_text(HIDING)
    done = ratchet(tmp_path / "mine", "stage", "inputs")
    assert "place of the package" not in done.stdout + done.stderr
    assert "data/raw/rows.jsonl" not in done.stderr
    assert "golden_sets/own/dev.jsonl has no items" in done.stderr
    assert done.returncode == 2


def test_what_a_command_starts_in_such_a_project_looks_for_no_module_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(tmp_path / "mine", Wishes())
    monkeypatch.setenv(SAFE_PATH, "")
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path / "mine/data/raw")
    assert project_root() == Path()
    assert Path.cwd() == tmp_path / "mine"
    assert os.environ[SAFE_PATH] == "1"
    assert str(tmp_path / "mine") not in sys.path


def test_a_project_with_sources_of_its_own_starts_those(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    monkeypatch.setenv(SAFE_PATH, "")
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    project_root()
    assert os.environ[SAFE_PATH] == ""
    assert sys.path[0] == str(tmp_path)


def test_an_upgrade_says_whether_the_pipeline_changed(tmp_path: Path) -> None:
    create(tmp_path / "mine", Wishes())
    pipeline = tmp_path / "mine/dvc.yaml"
    assert "up to date with Ratchet" in ratchet(tmp_path, "init", "--upgrade", "mine").stdout
    text = pipeline.read_text()
    pipeline.write_text(text.replace("params: [model, prepare,", "params: [prepare,"))
    assert "`git diff dvc.yaml` shows the change" in ratchet(tmp_path / "mine/data", "init", "--upgrade").stdout
    assert pipeline.read_text() == text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name the folder of the new project"),
        (["full"], "full is not empty: mine.txt; "),
        (["file"], "file is a file"),
        (["new", "--data", "absent.jsonl"], "absent.jsonl is not there"),
        (["new", "--golden", "full"], "no file full/dev.jsonl"),
        (["--upgrade", "new"], "no params.yaml and dvc.yaml in new or above"),
        (["--upgrade", "--no-git"], "--upgrade writes dvc.yaml alone"),
    ],
)
def test_what_cannot_be_is_one_line_and_leaves_nothing(tmp_path: Path, arguments: list[str], message: str) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    before = {path.name for path in tmp_path.rglob("*")}
    done = ratchet(tmp_path, "init", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert {path.name for path in tmp_path.rglob("*")} == before


def test_the_page_s_commands_make_the_project_that_the_page_shows(tmp_path: Path) -> None:
    page = (ROOT / "docs/howto/own_project.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    at = next(number for number, (_, text) in enumerate(blocks) if "ratchet init support" in text)
    (_, commands), (_, shown) = blocks[at : at + 2]
    given = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    script = ["bash", "-ec", commands]
    done = subprocess.run(script, cwd=tmp_path, env=given, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", shown)
    checked = ratchet(tmp_path / "support", "golden", "check", "golden_sets/own")
    assert checked.returncode == 0, checked.stdout


def test_a_signal_leaves_nothing_of_a_project(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    git = tmp_path / "bin/git"
    git.write_text("#!/bin/sh\ntouch started\nexec sleep 60\n")
    git.chmod(0o755)
    given = {**os.environ, "PATH": f"{git.parent}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-P", "-m", "flows.cli", "init", "mine"]
    with subprocess.Popen(command, cwd=tmp_path, env=given, stderr=subprocess.PIPE, text=True) as process:
        while not list(tmp_path.glob(".ratchet-init-*/project/started")):
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, "stopped; no project was made\n")
    assert {path.name for path in tmp_path.iterdir()} == {"bin"}


def test_from_inside_a_project_a_new_one_is_made_beside_it(tmp_path: Path) -> None:
    create(tmp_path / "mine", Wishes())
    assert ratchet(tmp_path / "mine", "init", "../other").returncode == 0
    assert (tmp_path / "other/dvc.yaml").is_file()
