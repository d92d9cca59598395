"""The hash of a folder changes with every change of a file in it, whatever the files' times say."""

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evalsuite.core.content import Contents

NAMES = st.from_regex(r"[a-z]{1,6}(/[a-z]{1,6}){0,2}\.[a-z]{1,4}", fullmatch=True)
FILES = st.dictionaries(NAMES, st.binary(max_size=40), min_size=1, max_size=5)


def fill(folder: Path, files: dict[str, bytes]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


@given(files=FILES, data=st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_other_byte_in_any_file_is_another_content(
    tmp_path: Path, files: dict[str, bytes], data: st.DataObject
) -> None:
    folder, kept = tmp_path / "model", tmp_path / "hashes.json"
    fill(folder, files)
    name = data.draw(st.sampled_from(sorted(files)))
    first = Contents(kept)
    before = first.of_folder(folder)
    first.keep()
    assert Contents(kept).of_folder(folder) == before
    path, state = folder / name, (folder / name).stat()
    other = data.draw(st.binary(min_size=len(files[name]), max_size=max(len(files[name]), 1)))
    if other == files[name]:
        other += b"!"
    path.write_bytes(other)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert Contents(kept).of_folder(folder) != before


def test_another_name_and_an_added_file_are_another_content(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    fill(folder, {"a.bin": b"1"})
    before = Contents().of_folder(folder)
    (folder / "a.bin").rename(folder / "b.bin")
    renamed = Contents().of_folder(folder)
    (folder / "c.bin").write_bytes(b"")
    assert len({before, renamed, Contents().of_folder(folder)}) == 3


def test_what_git_and_the_hub_keep_beside_a_model_does_not_count(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    fill(folder, {"a.bin": b"1"})
    before = Contents().of_folder(folder)
    for name in (".git/FETCH_HEAD", ".cache/huggingface/x.lock", "__pycache__/a.pyc"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_bytes(b"x")
    assert Contents().of_folder(folder) == before


def test_files_behind_links_count(tmp_path: Path) -> None:
    (tmp_path / "blobs/deep").mkdir(parents=True)
    (tmp_path / "blobs/deep/w").write_bytes(b"1")
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "sub").symlink_to(tmp_path / "blobs")
    (folder / "loop").symlink_to(folder)
    before = Contents().of_folder(folder)
    (tmp_path / "blobs/deep/w").write_bytes(b"2")
    assert Contents().of_folder(folder) != before


def test_a_file_that_nobody_touched_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path / "model", {"a.bin": b"1"})
    monkeypatch.setattr("evalsuite.core.content.RECENT_SECONDS", -1.0)
    first = Contents(tmp_path / "hashes.json")
    before = first.of_folder(tmp_path / "model")
    first.keep()
    monkeypatch.setattr("evalsuite.core.content.sha256_file", lambda path: pytest.fail(f"read {path} again"))
    assert Contents(tmp_path / "hashes.json").of_folder(tmp_path / "model") == before


def test_a_damaged_memory_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    for text in ("{", "[]", '{"x": 1}', '{"x": [["y"], "z"]}'):
        (tmp_path / "hashes.json").write_text(text)
        assert Contents(tmp_path / "hashes.json").of_file(tmp_path / "a") == Contents().of_file(tmp_path / "a")
