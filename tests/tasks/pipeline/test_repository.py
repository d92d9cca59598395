"""Each remedy is tried: what the message names makes the project work."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from evalsuite.core.errors import UsageError
from tasks.dvc_command import dvc_command, stage_environment
from tasks.pipeline.runner import stage_names


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("repository") / "project"
    root.mkdir()
    for command in (["git", "init", "-q"], dvc_command("init", "-q")):
        subprocess.run(command, cwd=root, check=True)
    (root / "dvc.yaml").write_text("stages: {one: {cmd: 'true', outs: [x]}}\n")
    return root


@pytest.fixture
def root(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template, tmp_path / "project"))


def commands(root: Path) -> list[str]:
    with pytest.raises(UsageError, match="cannot be opened by DVC") as raised:
        stage_names(root)
    assert "\n" not in str(raised.value)
    return re.findall(r"`([^`]+)`", str(raised.value))


def follow(root: Path, command: str) -> None:
    for part in command.split(" && "):
        words = part.split()
        argv = dvc_command(*words[1:]) if words[0] == "dvc" else words
        subprocess.run(argv, cwd=root, env=stage_environment(), check=True, capture_output=True)
    assert stage_names(root) == ["one"]


def test_without_a_git_repository_dvc_is_told_to_go_without(root: Path) -> None:
    shutil.rmtree(root / ".git")
    assert commands(root) == ["dvc config core.no_scm true"]
    follow(root, "dvc config core.no_scm true")


@pytest.mark.parametrize("place", [0, 1])
def test_without_both_dvc_starts_anew_with_git_or_without(root: Path, place: int) -> None:
    for name in (".git", ".dvc"):
        shutil.rmtree(root / name)
    assert commands(root) == ["git init && dvc init", "dvc init --no-scm"]
    follow(root, commands(root)[place])


def test_where_git_is_not_installed_no_remedy_needs_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (".git", ".dvc"):
        shutil.rmtree(root / name)
    monkeypatch.setattr("tasks.pipeline.repository.shutil.which", lambda _: None)
    assert commands(root) == ["dvc init --no-scm"]
    follow(root, "dvc init --no-scm")


def test_without_dvcs_folder_in_a_repository_it_comes_back_or_is_made(root: Path) -> None:
    shutil.rmtree(root / ".dvc")
    assert commands(root) == ["git checkout .dvc", "dvc init"]
    follow(root, "dvc init")


def test_below_another_repository_dvc_is_told_so(root: Path) -> None:
    shutil.rmtree(root / ".dvc")
    shutil.copytree(root, root / "below", ignore=shutil.ignore_patterns(".git", "below"))
    assert commands(root / "below") == ["dvc init --subdir"]
    follow(root / "below", "dvc init --subdir")


def test_a_broken_repository_is_named_as_such(root: Path) -> None:
    shutil.rmtree(root / ".git")
    (root / ".git").mkdir()
    assert commands(root) == ["dvc config core.no_scm true"]
    follow(root, "dvc config core.no_scm true")


def test_a_configuration_that_cannot_be_read_is_named(root: Path) -> None:
    (root / ".dvc/config").write_text("[core\n")
    with pytest.raises(UsageError, match=r"configuration cannot be read: .*fix .*\.dvc/config"):
        stage_names(root)
