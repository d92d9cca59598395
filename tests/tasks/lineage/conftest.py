"""A project under git and DVC whose data was prepared twice, and committed."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tasks.config.prepare import PrepareParams
from tasks.paths import ArtifactPaths
from tasks.prepare.preparation import run
from tests.tasks.prepare.project import new_project, pairs, write_rows

PIPELINE = "stages:\n  prepare:\n    cmd: 'true'\n    outs: [data/prepared]\n"
PRIVATE = "my dog is called Blackberry"


class TwoVersions(NamedTuple):
    paths: ArtifactPaths
    params: PrepareParams
    first: str
    second: str


def call(root: Path, *command: str) -> str:
    names = {f"GIT_{who}_{what}": "t@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    done = subprocess.run(
        command,
        cwd=root,
        env={**os.environ, **names, "DVC_NO_ANALYTICS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def commit(root: Path, message: str) -> str:
    call(root, sys.executable, "-m", "dvc", "commit", "-f", "-q")
    call(root, "git", "add", "-A")
    call(root, "git", "commit", "-q", "-m", message)
    return call(root, "git", "rev-parse", "HEAD")


FIRST = [*pairs(30), {"id": "dog", "prompt": PRIVATE, "completion": "I see"}]
SECOND = [
    {"prompt": "a new question", "completion": "a new answer"},  # every other row stands one line lower
    *pairs(28),
    {"id": "dog", "prompt": PRIVATE, "completion": "A fine name"},
    {"prompt": "question 0", "completion": "answer 0"},
]


@pytest.fixture(scope="session")
def _made(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> TwoVersions:
    root = tmp_path_factory.mktemp("lineage") / "project"
    paths = new_project(root, tiny_model)
    call(root, "git", "init", "-q")
    call(root, sys.executable, "-m", "dvc", "init", "-q")
    (root / ".gitignore").write_text("/data/prepared\n/models\n")
    (root / "dvc.yaml").write_text(PIPELINE)
    (root / "params.yaml").write_text(json.dumps({"prepare": {"sources": ["data/raw/rows.jsonl"]}}))
    params = write_rows(paths, FIRST)
    run(params, paths)
    first = commit(root, "first")
    run(write_rows(paths, SECOND), paths)
    return TwoVersions(paths, params, first, commit(root, "second"))


@pytest.fixture
def versions(_made: TwoVersions, tmp_path: Path) -> TwoVersions:
    """A copy that a test may change."""
    root = tmp_path / "project"
    shutil.copytree(_made.paths.root, root, symlinks=True)
    return _made._replace(paths=ArtifactPaths(root))
