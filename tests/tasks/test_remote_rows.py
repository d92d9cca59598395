"""Rows of an object store, copied into data/raw."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from evalsuite.core.errors import StageError, UsageError
from tasks.paths import ArtifactPaths
from tasks.remote_rows import import_rows

ROWS = b'{"prompt": "q", "completion": "a"}\n'


@pytest.fixture
def store() -> Iterator[fsspec.AbstractFileSystem]:
    store = fsspec.filesystem("memory")
    store.pipe({"/bucket/a.jsonl": ROWS, "/bucket/b.jsonl": ROWS * 2, "/bucket/more/a.jsonl": ROWS * 3})
    yield store
    store.rm("/bucket", recursive=True)


@pytest.mark.usefixtures("store")
def test_a_file_is_copied_with_a_note_of_where_it_came_from(tmp_path: Path) -> None:
    [file] = import_rows("memory://bucket/a.jsonl", ArtifactPaths(tmp_path))
    assert (tmp_path / "data/raw/a.jsonl").read_bytes() == ROWS
    assert (file.name, file.size, file.sha256) == ("data/raw/a.jsonl", len(ROWS), hashlib.sha256(ROWS).hexdigest())
    noted = json.loads((tmp_path / "data/raw/.origins.json").read_text())
    assert noted == {"data/raw/a.jsonl": {"url": file.url, "size": file.size, "sha256": file.sha256}}


@pytest.mark.usefixtures("store")
def test_a_pattern_brings_all_that_it_matches(tmp_path: Path) -> None:
    names = [file.name for file in import_rows("memory://bucket/*.jsonl", ArtifactPaths(tmp_path))]
    assert names == ["data/raw/a.jsonl", "data/raw/b.jsonl"]
    with pytest.raises(UsageError, match=r"matches two files called a\.jsonl"):
        import_rows("memory://bucket/**/*.jsonl", ArtifactPaths(tmp_path))


def test_other_bytes_are_written_over_only_where_that_was_asked_for(
    tmp_path: Path, store: fsspec.AbstractFileSystem
) -> None:
    paths = ArtifactPaths(tmp_path)
    import_rows("memory://bucket/a.jsonl", paths)
    import_rows("memory://bucket/a.jsonl", paths)
    store.pipe("/bucket/a.jsonl", ROWS * 5)
    with pytest.raises(UsageError, match=r"data/raw/a\.jsonl is there with other bytes .*add --replace"):
        import_rows("memory://bucket/a.jsonl", paths)
    assert (tmp_path / "data/raw/a.jsonl").read_bytes() == ROWS
    import_rows("memory://bucket/a.jsonl", paths, replace=True)
    assert (tmp_path / "data/raw/a.jsonl").read_bytes() == ROWS * 5


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("memory://bucket/none.jsonl", "no such file; check the address"),
        ("memory://bucket/*.csv", "no such file; check the address"),
        ("data/raw/a.jsonl", "is no address; expected one such as s3://"),
        ("odd://bucket/a.jsonl", "fsspec knows no protocol 'odd'"),
        ("abfs://bucket/a.jsonl", "pip install"),
    ],
)
def test_what_cannot_be_fetched_says_why(tmp_path: Path, url: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        import_rows(url, ArtifactPaths(tmp_path))


@pytest.mark.parametrize("name", ["..", ".hidden.jsonl", "a\nb.jsonl", "a\x1b[31m.jsonl"])
def test_a_name_that_hides_or_cannot_be_shown_is_refused(
    tmp_path: Path, store: fsspec.AbstractFileSystem, name: str
) -> None:
    store.pipe(f"/bucket/odd/{name}", ROWS)
    with pytest.raises(UsageError, match=r"may not have such a name|no such file"):
        import_rows(f"memory://bucket/odd/{name}", ArtifactPaths(tmp_path))
    assert not list(tmp_path.rglob("*.jsonl"))


def test_a_file_that_comes_short_is_not_kept(
    tmp_path: Path, store: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(store), "size", lambda self, path: len(ROWS) + 1)
    with pytest.raises(StageError, match="has 36 bytes and 35 came"):
        import_rows("memory://bucket/a.jsonl", ArtifactPaths(tmp_path))
    assert not (tmp_path / "data/raw/a.jsonl").exists()


def test_a_store_that_fails_is_one_line_without_its_credentials(
    tmp_path: Path, store: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: object, path: str, mode: str) -> None:
        raise RuntimeError("http://me:secret@host/bucket is down")

    monkeypatch.setattr(type(store), "open", fail)
    with pytest.raises(StageError, match="cannot be read") as caught:
        import_rows("memory://bucket/a.jsonl", ArtifactPaths(tmp_path))
    assert "secret" not in str(caught.value)
