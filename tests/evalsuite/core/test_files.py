"""Complete or absent."""

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.core.errors import MissingArtifactError, UsageError
from evalsuite.core.files import atomic_path, check_target, read_json, sha256_json, undo_private, write_json


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    with pytest.raises(IsADirectoryError), atomic_path(path) as temporary:
        (temporary.write_text("half"), tmp_path.read_bytes())
    assert read_json(path, "x") == {"a": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


def test_no_file_takes_the_place_of_a_device_or_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="pipe is no regular file"):
        write_json(tmp_path / "pipe", {})
    assert (tmp_path / "pipe").is_fifo()
    for device in ("/dev/null", "/dev/stdout"):  # asked alone: a write that went through would harm the machine
        with pytest.raises(UsageError, match="no regular file"):
            check_target(Path(device))
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    check_target(tmp_path / "loop")


def test_nan_is_never_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"a": float("nan")})
    assert not (tmp_path / "a.json").exists()


def test_a_missing_file_names_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(MissingArtifactError, match="make it with `ratchet stage gate`"):
        read_json(tmp_path / "a.json", "ratchet stage gate")


def test_a_broken_file_names_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{\n"a": }')
    with pytest.raises(UsageError, match=r"a\.json:2: not JSON"):
        read_json(tmp_path / "a.json", "x")


def test_the_hash_of_a_value_does_not_depend_on_key_order() -> None:
    assert sha256_json({"a": 1, "b": 2}) == sha256_json({"b": 2, "a": 1})


def test_a_file_that_its_owner_wrote_protects_is_left_so(tmp_path: Path) -> None:
    (tmp_path / "tool").write_text("x")
    (tmp_path / "tool").chmod(0o500)
    undo_private(tmp_path)
    assert stat.S_IMODE((tmp_path / "tool").stat().st_mode) == 0o500
    assert [path.name for path in tmp_path.iterdir()] == ["tool"]


@settings(max_examples=50, deadline=None)
@given(
    name=st.text(st.characters(exclude_characters="/\0", exclude_categories=("Cs",)), min_size=1).filter(
        lambda name: name not in (".", "..") and len(name.encode()) <= 255
    )
)
def test_any_name_that_the_file_system_takes_can_be_written(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    path = tmp_path_factory.mktemp("names") / name
    write_json(path, {"name": name})
    assert read_json(path, "x") == {"name": name}
