"""The hooks of .pre-commit-config.yaml run here, with no network: each passes what is right and stops what is wrong."""

import shlex
import subprocess
from pathlib import Path

import pytest

from evalsuite.core.yaml_file import read_yaml

ROOT = Path(__file__).parents[2]
(REPOSITORY,) = read_yaml(ROOT / ".pre-commit-config.yaml")["repos"]
HOOKS = {hook["id"]: shlex.split(hook["entry"]) for hook in REPOSITORY["hooks"]}


def run(hook: str, *arguments: str) -> int:
    return subprocess.run([*HOOKS[hook], *arguments], cwd=ROOT, capture_output=True, check=False).returncode


def test_every_hook_is_a_command_of_this_environment() -> None:
    assert REPOSITORY["repo"] == "local"
    assert set(HOOKS) == {"ruff-format", "ruff", "mypy", "large-files"}
    assert run("mypy", "--version") == 0


@pytest.mark.parametrize("hook", ["ruff-format", "ruff"])
def test_a_hook_passes_a_clean_file_and_stops_one_that_is_no_python(tmp_path: Path, hook: str) -> None:
    clean, broken = tmp_path / "clean.py", tmp_path / "broken.py"
    clean.write_text('"""Nothing."""\n')
    broken.write_text("def f(:\n")
    assert run(hook, str(clean)) == 0
    assert run(hook, str(broken)) != 0


def test_no_file_of_the_repository_is_large_and_a_large_one_is_stopped(tmp_path: Path) -> None:
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert run("large-files", *tracked.rstrip("\0").split("\0")) == 0
    large = tmp_path / "large file.bin"
    large.write_bytes(bytes(2**20 + 1))
    assert run("large-files", str(large)) != 0
