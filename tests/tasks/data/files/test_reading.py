"""Files in the shapes that strangers send: read, or named with the command that converts them."""

import bz2
import csv
import gc
import gzip
import io
import json
import lzma
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.core.errors import UsageError
from tasks.data.files.json_values import CHUNK_BYTES
from tasks.data.files.reading import read_entries
from tasks.data.formats import BadRow, Row, RowRules, read_rows

ROWS = [{"prompt": f"q{number}", "completion": 'a, "b";\n\tc'} for number in range(3)]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)


def written(folder: Path, raw: bytes, name: str = "rows.jsonl") -> Path:
    path = folder / name
    path.write_bytes(raw)
    return path


def questions(path: Path) -> list[str]:
    entries = list(read_rows(path, path.name))
    assert all(isinstance(entry, Row) for entry in entries), entries
    return [entry.messages[0]["content"] for entry in entries if isinstance(entry, Row)]


def table(delimiter: str) -> bytes:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, ["prompt", "completion"], delimiter=delimiter)
    writer.writeheader()
    writer.writerows(ROWS)
    return stream.getvalue().encode("utf-8-sig")


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(LINES.encode(), id="lines"),
        pytest.param(LINES.replace("\n", "\r\n").encode("utf-8-sig"), id="windows"),
        pytest.param(json.dumps(ROWS).encode(), id="array-on-one-line"),
        pytest.param(json.dumps(ROWS, indent=2).encode("utf-8-sig"), id="array-over-lines"),
        pytest.param("\n".join(json.dumps(row, indent=1) for row in ROWS).encode(), id="objects-over-lines"),
        pytest.param(gzip.compress(LINES.encode()), id="gzip"),
        pytest.param(gzip.compress(json.dumps(ROWS).encode()), id="gzip-of-an-array"),
        pytest.param(zstandard.compress(LINES.encode()), id="zstandard"),
        pytest.param(zstandard.compress(LINES.encode()) + zstandard.compress(b"\n"), id="zstandard-of-two-frames"),
        pytest.param(table(","), id="csv"),
        pytest.param(table("\t"), id="tsv"),
        pytest.param(table(";"), id="semicolons"),
        pytest.param(gzip.compress(table(",")), id="gzip-of-csv"),
    ],
)
def test_the_usual_shapes_are_read_whatever_their_name(tmp_path: Path, raw: bytes) -> None:
    assert questions(written(tmp_path, raw)) == ["q0", "q1", "q2"]


def test_entries_of_an_array_are_counted_from_one(tmp_path: Path) -> None:
    path = written(tmp_path, json.dumps(ROWS).encode())
    assert [entry.source for entry in read_entries(path, "x.json", None)] == ["x.json#1", "x.json#2", "x.json#3"]


@pytest.mark.parametrize("raw", [b"[]", b" [ ] \n", b"", b"\n\n"])
def test_a_file_without_rows_has_none(tmp_path: Path, raw: bytes) -> None:
    assert list(read_entries(written(tmp_path, raw), "x", None)) == []


def test_a_line_that_is_an_array_is_one_bad_row_among_good_ones(tmp_path: Path) -> None:
    entries = list(read_rows(written(tmp_path, b"[]\n" + LINES.encode()), "x"))
    assert [isinstance(entry, Row) for entry in entries] == [False, True, True, True]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (json.dumps(ROWS).encode()[:-9], "entry 3: not JSON .Unterminated string"),
        (b'[{"a": 1}, {"a" 2}, {"a": 3}]', "entry 2: not JSON .Expecting ':'"),
        (b'[{"a": 1} {"a": 2}]', "entry 1: a comma or ] is missing"),
        (b'[{"a": 1}] x', "entry 1: something follows"),
        (b'[{"a": 1},', "entry 2: not JSON"),
        (b'[{"a": "\xff"}]', "not UTF-8 .*iconv -f WINDOWS-1252 -t UTF-8 x.json > x.converted.json"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{\n"a": 1}\n{\n"a" 2}', "over several lines and cannot be read at entry 2"),
    ],
)
def test_an_array_that_breaks_off_loses_no_row_in_silence(tmp_path: Path, raw: bytes, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        list(read_entries(written(tmp_path, raw), "x.json", None))


@pytest.mark.parametrize(("compress", "kind"), [(gzip.compress, "gzip"), (zstandard.compress, "Zstandard")])
@pytest.mark.parametrize("left", [0.2, 0.9, 0.999])
def test_a_compressed_file_that_was_cut_short_is_called_damaged(
    tmp_path: Path, compress: Callable[[bytes], bytes], kind: str, left: float
) -> None:
    whole = compress(
        "".join(json.dumps({"prompt": f"q{n * n}", "completion": "a"}) + "\n" for n in range(20_000)).encode()
    )
    with pytest.raises(UsageError, match=f"x is a damaged {kind} file .*cut short"):
        list(read_entries(written(tmp_path, whole[: int(len(whole) * left)]), "x", None))


def archive(kind: str) -> bytes:
    buffer = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w") as zipped:
            zipped.writestr("inner.jsonl", LINES)
    else:
        with tarfile.open(fileobj=buffer, mode="w:gz" if kind == "tgz" else "w") as tar:
            entry = tarfile.TarInfo("inner.jsonl")
            entry.size = len(LINES)
            tar.addfile(entry, io.BytesIO(LINES.encode()))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        pytest.param(LINES.encode("utf-16"), "UTF-16 text", id="utf-16"),
        pytest.param(LINES.encode("utf-16-be"), "UTF-16BE text", id="utf-16-without-mark"),
        pytest.param(LINES.encode("utf-32"), "UTF-32 text", id="utf-32"),
        pytest.param(lzma.compress(LINES.encode()), "compressed by xz", id="xz"),
        pytest.param(bz2.compress(LINES.encode()), "compressed by bzip2", id="bzip2"),
    ],
)
def test_the_command_that_is_named_makes_rows_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raw: bytes, what: str
) -> None:
    import os
    import shutil
    import sys

    (tmp_path / "data").mkdir()
    name = "data/it's mine.jsonl"
    written(tmp_path, raw, name)
    with pytest.raises(UsageError) as caught:
        list(read_entries(tmp_path / name, name, None))
    message = str(caught.value)
    assert f"{name} is {what}" in message
    command = message.partition("run `")[2].rpartition("`")[0]
    tool = command.split()[0]
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True)
    target = message.partition("then name ")[2].removesuffix(" in prepare.sources")
    assert target != name
    assert questions(tmp_path / target) == ["q0", "q1", "q2"]


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (archive("zip"), "a ZIP archive or a spreadsheet"),
        (archive("tar"), "a tar archive"),
        (archive("tgz"), "a tar archive"),
        (gzip.compress(b"PAR1" + bytes(20), mtime=0), "inside gzip, a Parquet file, .*gunzip -c"),
        (gzip.compress(LINES.encode("utf-16"), mtime=0), "inside gzip, UTF-16 text"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a pointer of Git LFS"),
        (b"\n<!DOCTYPE html><html>", "an HTML page"),
        (b"%PDF-1.7", "a PDF"),
    ],
)
def test_what_is_not_read_is_named(tmp_path: Path, raw: bytes, what: str) -> None:
    with pytest.raises(UsageError, match=what):
        list(read_entries(written(tmp_path, raw), "data/raw/rows.jsonl", None))


def test_a_look_at_the_first_rows_reads_only_the_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = json.dumps({"prompt": "q" * 1000, "completion": "a"})
    path = written(tmp_path, ("[" + ", ".join([row] * 2000) + "]").encode())
    read: list[int] = []

    class Counted(io.FileIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raw = super().read(size) or b""
            read.append(len(raw))
            return raw

    monkeypatch.setattr(Path, "open", lambda self, mode: Counted(self))
    assert next(iter(read_entries(path, "x", None))).source == "x#1"
    assert sum(read) < 8 * CHUNK_BYTES < path.stat().st_size


def test_rows_over_the_limit_are_passed_over_and_the_next_are_read(tmp_path: Path) -> None:
    rows = [{"a": "x"}, {"a": "x" * 300_000}, {"a": "y"}]
    for raw in ("".join(json.dumps(row) + "\n" for row in rows), json.dumps(rows)):
        entries = list(read_entries(written(tmp_path, raw.encode()), "x", 1000))
        assert [entry.raw is None for entry in entries] == [False, True, False]
        assert entries[1].size >= 300_009


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None, max_examples=150)
@given(st.lists(JSON, max_size=6), st.sampled_from([None, 1]), st.booleans(), st.integers(1, 40))
def test_an_array_gives_back_its_values_wherever_reading_pauses(
    values: list[Any], indent: int | None, ascii_only: bool, chunk: int
) -> None:
    from tasks.data.files import json_values
    from tasks.data.files.kinds import Container

    raw = json.dumps(values, indent=indent, ensure_ascii=ascii_only).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_values, "CHUNK_BYTES", chunk)
        reader = json_values.ValueReader(io.BytesIO(raw), "x", Container.ARRAY)
        assert [json.loads(text) for text in reader.values()] == values


def test_a_text_file_is_one_document(tmp_path: Path) -> None:
    path = written(tmp_path, "A, b\n\n{größer}\n".encode("utf-8-sig"), "a.txt")
    [row] = read_rows(path, "a.txt", RowRules(documents=True))
    assert isinstance(row, Row)
    assert (row.source, row.text) == ("a.txt#1", "A, b\n\n{größer}\n")
    [bad] = read_rows(path, "a.txt")
    assert isinstance(bad, BadRow)
    assert "set prepare.objective: text" in bad.reason
    [long] = read_rows(path, "a.txt", RowRules(documents=True, max_bytes=8))
    assert isinstance(long, BadRow)
    assert long.reason.startswith("20 bytes, ")
    [latin] = read_rows(written(tmp_path, "größer".encode("latin-1"), "b.txt"), "b.txt", RowRules(documents=True))
    assert isinstance(latin, BadRow)
    assert latin.reason.startswith("not UTF-8 at byte 2")
    assert list(read_entries(written(tmp_path, b" \n", "c.txt"), "c.txt", None)) == []


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
def test_a_compressed_file_of_which_only_the_beginning_is_read_is_closed(
    tmp_path: Path, compress: Callable[[bytes], bytes]
) -> None:
    lines = "".join(json.dumps({"prompt": f"q{n * n * n}", "completion": "a"}) + "\n" for n in range(50_000))
    path = written(tmp_path, compress(lines.encode()))
    entries = read_entries(path, "x", None)
    assert next(entries).source == "x:1"
    del entries
    gc.collect()  # an error in a destructor would be a warning, and warnings are errors
    assert not [each for each in Path("/proc/self/fd").iterdir() if each.exists() and each.resolve() == path]
