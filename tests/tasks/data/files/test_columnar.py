"""Parquet and Arrow files, as other programs write them."""

import datetime
import io
import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import ipc, parquet

from evalsuite.core.errors import UsageError
from tasks.data.files.columnar import ROWS_OF_A_BATCH
from tasks.data.files.reading import evidence_of, read_entries
from tasks.data.formats import BadRow, Row, RowRules, read_rows

NUMBER = 3 * ROWS_OF_A_BATCH + 5
TABLE = pa.table({"prompt": [f"q{n}" for n in range(NUMBER)], "completion": ["a"] * NUMBER})


def stream_of(table: Any) -> bytes:
    sink = io.BytesIO()
    with ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=1000)
    return sink.getvalue()


def file_of(table: Any) -> bytes:
    sink = io.BytesIO()
    with ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=1000)
    return sink.getvalue()


def parquet_of(table: Any) -> bytes:
    sink = io.BytesIO()
    parquet.write_table(table, sink, row_group_size=1000)
    return sink.getvalue()


WRITERS = {"parquet": parquet_of, "stream": stream_of, "file": file_of}


def written(folder: Path, raw: bytes) -> Path:
    path = folder / "rows"
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize("kind", WRITERS)
def test_every_row_is_read_in_its_order_and_named_by_its_number(tmp_path: Path, kind: str) -> None:
    entries = list(read_rows(written(tmp_path, WRITERS[kind](TABLE)), "x"))
    assert all(isinstance(entry, Row) for entry in entries)
    assert [entry.source for entry in entries] == [f"x#{n}" for n in range(1, NUMBER + 1)]
    assert [entry.messages[0]["content"] for entry in entries if isinstance(entry, Row)] == TABLE["prompt"].to_pylist()


@pytest.mark.parametrize(("kind", "words"), [("parquet", "Parquet"), ("stream", "Arrow stream"), ("file", "Arrow")])
def test_the_evidence_has_the_columns(tmp_path: Path, kind: str, words: str) -> None:
    assert str(evidence_of(written(tmp_path, WRITERS[kind](TABLE)), "x")) == f"{words} (columns prompt,completion)"


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("left", [0.3, 0.97, -1])
def test_a_file_that_was_cut_short_is_told(tmp_path: Path, kind: str, left: float) -> None:
    raw = WRITERS[kind](TABLE)
    path = written(tmp_path, raw[: int(len(raw) * left)] if left > 0 else raw[:-1])
    with pytest.raises(UsageError, match=r"x is a.* cannot be read after row \d+ .*cut short"):
        list(read_rows(path, "x"))


def test_a_file_that_hugging_face_saved_is_read(tmp_path: Path) -> None:
    import datasets

    datasets.Dataset.from_list([{"prompt": "q", "completion": "a"}]).save_to_disk(tmp_path / "saved")
    [path] = (tmp_path / "saved").glob("*.arrow")
    assert [type(entry) for entry in read_rows(path, "x")] == [Row]


def test_nested_turns_with_nulls_are_the_turns_of_json(tmp_path: Path) -> None:
    turns = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b", "weight": 0.0},
        *[{"role": "user", "content": "c"}, {"role": "assistant", "content": "d", "weight": 1.0}],
    ]
    table = pa.Table.from_pylist([{"messages": turns, "created": datetime.date(2026, 1, 31)}])
    [row] = read_rows(written(tmp_path, parquet_of(table)), "x")
    assert isinstance(row, Row)
    assert [turn.get("weight") for turn in row.messages] == [None, 0, None, 1]
    assert row.fields["created"] == "2026-01-31"


def test_texts_that_were_stored_as_bytes_are_texts_and_other_bytes_are_not(tmp_path: Path) -> None:
    table = pa.table({"prompt": ["größer".encode(), b"\xff\xd8\xff"], "completion": ["a", "b"]})
    good, bad = read_rows(written(tmp_path, parquet_of(table)), "x")
    assert isinstance(good, Row)
    assert good.messages[0]["content"] == "größer"
    assert isinstance(bad, BadRow)
    assert "content is an object, expected text" in bad.reason


def test_the_numbers_that_pandas_gives_its_rows_are_no_column(tmp_path: Path) -> None:
    table = TABLE.slice(0, 2).append_column("__index_level_0__", pa.array([7, 8]))
    assert all(isinstance(entry, Row) for entry in read_rows(written(tmp_path, parquet_of(table)), "x"))


def test_rows_over_the_limit_come_without_their_bytes(tmp_path: Path) -> None:
    table = pa.table({"prompt": ["a", "b" * 2000], "completion": ["c", "d"]})
    entries = list(read_entries(written(tmp_path, parquet_of(table)), "x", 1000))
    assert [entry.raw is None for entry in entries] == [False, True]
    bad = list(read_rows(tmp_path / "rows", "x", RowRules(max_bytes=1000)))[1]
    assert isinstance(bad, BadRow)
    assert bad.reason.startswith("2,033 bytes, prepare.max_line_bytes is 1,000")


def test_no_more_of_a_file_is_read_than_is_asked_for(tmp_path: Path) -> None:
    raw = bytearray(parquet_of(TABLE))
    begin = parquet.read_metadata(io.BytesIO(raw)).row_group(3).column(0).dictionary_page_offset
    raw[begin : begin + 200] = bytes(200)  # the last row group is damaged
    assert next(iter(read_rows(written(tmp_path, bytes(raw)), "x"))).source == "x#1"


@pytest.mark.parametrize("kind", WRITERS)
def test_no_damage_leads_the_reader_outside_the_file(tmp_path: Path, kind: str) -> None:
    """Arrow's offsets are taken as they are unless they are validated, which ended the process."""
    whole, chance = WRITERS[kind](TABLE.slice(0, 300)), random.Random(3)  # noqa: S311
    for _ in range(150):
        raw = bytearray(whole)
        for place in chance.sample(range(len(raw)), 4):
            raw[place] = chance.randrange(256)
        with suppress(UsageError):
            assert all(isinstance(entry, Row | BadRow) for entry in read_rows(written(tmp_path, bytes(raw)), "x"))
