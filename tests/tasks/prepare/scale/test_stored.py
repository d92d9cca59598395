"""Rows in a file come out as they went in."""

import errno
import gc
import io
import os
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.core.errors import StageError
from tasks.data.formats import Row
from tasks.objectives.sft import Sft
from tasks.prepare.scale import stored
from tasks.prepare.scale.heads import head_of
from tasks.prepare.scale.stored import PackedRows, RowFile, Rows, only, pack_all, unpack

VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=9), st.just({"a": ["b", {}]})
)
TURNS = st.lists(st.fixed_dictionaries({"role": st.just("user"), "content": st.text(max_size=9)}), max_size=2).map(
    tuple
)
FIELDS = st.dictionaries(st.text(max_size=3), VALUES, max_size=2)
TEXTS = st.none() | st.text(max_size=9)
ROWS = st.tuples(st.text(max_size=3), st.just("id"), st.just("chat"), TURNS, FIELDS, TEXTS, st.just(())).map(Row._make)


def rows_of(count: int, size: int = 10) -> list[Row]:
    turns = [
        ({"role": "user", "content": f"q{at}" * size}, {"role": "assistant", "content": "a"}) for at in range(count)
    ]
    return [Row(f"f:{at}", str(at), "chat", each, {"at": at}) for at, each in enumerate(turns)]


@given(ROWS)
def test_a_row_comes_out_as_it_went_in(row: Row) -> None:
    assert unpack(pack_all([row], Sft()).rows[0]) == row


@given(st.lists(ROWS, max_size=8), st.data())
def test_some_rows_are_those_that_a_list_has_at_these_places(rows: list[Row], data: Any) -> None:
    kept = Rows.of(rows)
    places = data.draw(st.lists(st.sampled_from(range(len(rows))), max_size=8) if rows else st.just([]))
    assert list(only(kept, places)) == only(rows, places)
    assert [kept[at] for at in range(len(rows))] == list(kept) == rows
    assert list(kept.heads()) == [head_of(row, Sft()) for row in rows]
    assert list(kept[::-1]) == rows[::-1]


@pytest.mark.parametrize("step", [1, 7, 300])
def test_many_batches_have_every_row_once_in_order(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "BATCH_BYTES", 4000)
    monkeypatch.setattr(stored, "GAP_BYTES", 1000)
    rows = rows_of(2000)
    kept = Rows.of(rows)[::step]
    batches = list(kept.packed())
    assert len(batches) > 2
    assert [unpack(each) for batch in batches for each in batch] == rows[::step]


def test_a_row_that_is_asked_for_is_ones_own() -> None:
    kept = Rows.of(rows_of(1))
    kept[0].messages[0]["content"] = "changed"
    kept[0].fields["at"] = "changed"
    assert list(kept) == rows_of(1)


def test_a_changed_row_remembers_which_it_was() -> None:
    file = RowFile()
    first, second = (file.extend(pack_all([row], Sft())) for row in rows_of(2))
    again = file.extend(pack_all(rows_of(3)[2:], Sft()), origin=second)
    newest = file.extend(pack_all(rows_of(4)[3:], Sft()), origin=again)
    assert Rows(file, np.array([newest, first])).origins.tolist() == [second, first]


class Full(io.BytesIO):
    """A file on a disk that takes nothing more, which a buffer notices late."""

    def write(self, packed: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    flush = write  # type: ignore[assignment]

    def close(self) -> None:
        self.write(b"")


@pytest.mark.parametrize("late", [False, True])
def test_a_full_disk_is_said_with_what_to_do(late: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    full = Full()
    if late:
        monkeypatch.setattr(full, "write", lambda packed: len(packed))
        monkeypatch.setattr(full, "flush", lambda: Full.write(full, b""))
    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: full)
    file = RowFile()
    with pytest.raises(StageError, match=r"no space left in .*; make room for .*`ratchet stage prepare`"):
        file.rows.one(file.extend(PackedRows([b"x"], [b"y"])))
    del file
    gc.collect()  # what is left of it is thrown away without a word


def test_what_is_no_json_value_is_not_packed() -> None:
    with pytest.raises(ValueError, match="unmarshallable"):
        pack_all([rows_of(1)[0]._replace(fields={"when": object()})], Sft())
