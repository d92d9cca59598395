"""Rows in three formats, and a reason for every one that is refused."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.data.formats import BadRow, Row, _parse, read_rows

SHARED = Path(__file__).parents[4] / "shared" / "data"
TURNS = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        pytest.param({"messages": TURNS}, "chat", id="chat"),
        pytest.param({"prompt": "hi", "completion": "hello"}, "prompt_completion", id="prompt-completion"),
        pytest.param({"instruction": "hi", "output": "hello"}, "alpaca", id="alpaca"),
        pytest.param({"instruction": "hi", "input": "", "output": "hello"}, "alpaca", id="alpaca-empty-input"),
    ],
)
def test_every_format_becomes_the_same_turns(row: dict[str, object], kind: str) -> None:
    parsed = _parse(json.dumps(row).encode(), "f:1")
    assert isinstance(parsed, Row)
    assert (parsed.format, list(parsed.messages)) == (kind, TURNS)


def test_an_alpaca_input_follows_the_instruction() -> None:
    row = {"instruction": "Add.", "input": "1 2", "output": "3", "system": "Be brief."}
    parsed = _parse(json.dumps(row).encode(), "f:1")
    assert isinstance(parsed, Row)
    assert [turn["content"] for turn in parsed.messages] == ["Be brief.", "Add.\n\n1 2", "3"]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        pytest.param(b"{", "not JSON", id="half-a-line"),
        pytest.param(b"[1]", "a JSON list, expected an object", id="list"),
        pytest.param(b'"\xff"', "not UTF-8 at byte 1", id="bytes"),
        pytest.param(b'{"text": "x"}', "keys text: expected messages", id="unknown-shape"),
        pytest.param(b'{"messages": []}', "not a list of turns", id="no-turns"),
        pytest.param(b'{"messages": [{"role": "bot", "content": "x"}]}', "role 'bot'", id="role"),
        pytest.param(b'{"prompt": " ", "completion": "x"}', r"turn 0 \(user\) has no text", id="empty"),
        pytest.param(b'{"prompt": "x", "completion": null}', r"turn 1 \(assistant\) has no text", id="null"),
        pytest.param(b'{"prompt": "a\\u0000b", "completion": "x"}', "NUL", id="nul"),
        pytest.param(b'{"messages": [{"role": "user", "content": "x"}]}', "last turn is not", id="no-answer"),
        pytest.param(
            b'{"messages": [{"role": "assistant", "content": "x"}, {"role": "user", "content": "x"}]}',
            "take turns, user first",
            id="order",
        ),
        pytest.param(b"[" * 100_000, "nested too deeply", id="deep"),
    ],
)
def test_a_bad_row_says_why(raw: bytes, reason: str) -> None:
    parsed = _parse(raw, "f:1")
    assert isinstance(parsed, BadRow)
    import re

    assert re.search(reason, parsed.reason), parsed.reason


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=200))
def test_no_bytes_can_break_the_reader(raw: bytes) -> None:
    assert isinstance(_parse(raw, "f:1"), Row | BadRow)


def test_a_row_is_named_by_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "a", "completion": "b"}\n\n{"prompt": 1, "completion": "b"}\n')
    good, bad = read_rows(path, "data/raw/rows.jsonl")
    assert good.source == "data/raw/rows.jsonl:1"
    assert bad.source == "data/raw/rows.jsonl:3"


@pytest.mark.skipif(not (SHARED / "bitext").is_dir(), reason="the public data folder is not there")
def test_no_line_of_public_data_breaks_the_reader() -> None:
    paths = [path for path in sorted(SHARED.rglob("*.jsonl")) if path.stat().st_size < 3_000_000]
    assert paths
    for path in paths:
        for entry in read_rows(path, path.name):
            assert isinstance(entry, Row | BadRow)
