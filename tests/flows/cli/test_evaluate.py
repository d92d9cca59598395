"""``ratchet evaluate`` as a user runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from evalsuite.items.results import read_items
from tests.tasks.evaluation.test_one_suite import NUM_ITEMS, make_project

ROOT = Path(__file__).parents[3]


def ratchet(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "flows.cli", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
        capture_output=True,
        check=False,
    )


@pytest.mark.slow
def test_two_processes_give_the_items_of_one(tmp_path: Path, tiny_model: Path) -> None:
    make_project(tmp_path / "one", tiny_model)
    make_project(tmp_path / "two", tiny_model)
    one = ratchet(tmp_path / "one", "evaluate", "base", "--suite", "golden", "--output", "out")
    two = ratchet(tmp_path / "two", "evaluate", "base", "--suite", "golden", "--output", "out", "--shards", "2")
    assert one.returncode == 0, one.stderr
    assert two.returncode == 0, two.stderr
    assert f"answers: {NUM_ITEMS}, {NUM_ITEMS} of them cached" in two.stdout
    assert "contains" in one.stdout
    assert "standard error" in one.stdout
    assert read_items(tmp_path / "one/out/items.parquet") == read_items(tmp_path / "two/out/items.parquet")
    left, right = (json.loads((tmp_path / name / "out/summary.json").read_text()) for name in ("one", "two"))
    for volatile in ("seconds", "answers"):
        left.pop(volatile)
        right.pop(volatile)
    assert left == right


def test_an_unknown_suite_names_the_nearest_task_and_has_no_traceback(tmp_path: Path, tiny_model: Path) -> None:
    make_project(tmp_path, tiny_model)
    done = ratchet(tmp_path, "evaluate", "base", "--suite", "hellaswagg")
    assert done.returncode == 2
    assert "has no task 'hellaswagg'; nearest: hellaswag" in done.stderr
    assert "Traceback" not in done.stderr
