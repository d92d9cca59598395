"""How a stage ends."""

import errno
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tasks.paths import ArtifactPaths
from tasks.stage import ended, main

ROOT = Path(__file__).parents[2]


def test_a_stage_that_ctrl_c_reaches_says_so_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def work(_paths: ArtifactPaths) -> str:
        os.kill(os.getpid(), signal.SIGINT)
        return "went on"

    try:
        assert ended(work) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    out, error = capsys.readouterr()
    assert out == ""
    assert error == "stopped; `dvc repro` goes on\n"


def test_code_that_leaves_with_0_has_not_ended_the_stage_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)

    def work(_paths: ArtifactPaths) -> str:
        sys.exit(0)

    assert ended(work) == 4
    assert capsys.readouterr().err == "error: code that the stage ran left with sys.exit(0) before its end\n"


@pytest.mark.parametrize(
    ("error", "said", "unsaid"),
    [
        (ConnectionError("Couldn't reach 'a/b' on the Hub"), "check the network", "disk"),
        (httpx.ConnectError("refused"), "check the network", "disk"),
        (OSError(errno.ENOSPC, "No space left on device"), "free disk space", "network"),
        (sqlite3.OperationalError("disk I/O error"), "free disk space", "network"),
        (PermissionError(errno.EACCES, "Permission denied", "x"), "change the permissions", "disk"),
    ],
)
def test_a_broken_stage_names_the_remedy_of_its_own_error(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    said: str,
    unsaid: str,
) -> None:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)

    def work(_paths: ArtifactPaths) -> str:
        raise error

    assert ended(work) == 4
    text = capsys.readouterr().err
    assert said in text
    assert unsaid not in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "no stage ''; stages: inputs, fetch"),
        (["trian", "full"], "no stage 'trian'; stages: inputs, fetch"),
        (["train"], "stage train takes one of full, qlora, got []"),
        (["train", "fulll"], "stage train takes one of full, qlora, got ['fulll']"),
        (["evaluate_baseline", "full"], "stage evaluate_baseline takes one of base, champion, got ['full']"),
        (["fetch", "full"], "stage fetch takes no name, got ['full']"),
    ],
)
def test_a_stage_that_is_started_by_a_wrong_name_says_which_there_are(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    shutil.copy(ROOT / "tests/support_params.yaml", tmp_path / "params.yaml")
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert said in capsys.readouterr().err


def test_a_stage_that_starts_safely_hands_that_on_to_what_it_starts(tmp_path: Path) -> None:
    for name in ("tasks", "evalsuite"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('a folder of the user was imported')\n")
    code = "import os; from tasks.stage import main; main(['none']); print(os.environ.get('PYTHONSAFEPATH'))"
    for options, expected in ((["-P"], "1"), ([], "None")):
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
        done = subprocess.run(
            [sys.executable, *options, "-c", code],
            cwd=tmp_path if options else ROOT,
            env=environment | {"PYTHONPATH": str(ROOT)},
            text=True,
            capture_output=True,
            check=True,
        )
        assert done.stdout.strip() == expected
        assert "no stage 'none'" in done.stderr
