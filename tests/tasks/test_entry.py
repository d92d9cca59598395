"""How a stage ends."""

import os
import shutil
import signal
from pathlib import Path

import pytest

from tasks.entry import stage_main
from tasks.params import Params
from tasks.paths import ArtifactPaths

ROOT = Path(__file__).parents[2]


def test_a_stage_that_ctrl_c_reaches_says_so_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def stage(_params: Params, _paths: ArtifactPaths) -> str:
        os.kill(os.getpid(), signal.SIGINT)
        return "went on"

    try:
        assert stage_main(stage) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    out, error = capsys.readouterr()
    assert out == ""
    assert error == "stopped; `dvc repro` goes on\n"
