"""Hashes of what rows teach know them again."""

import hashlib
import json

from hypothesis import given
from hypothesis import strategies as st

from tasks.data.formats import Row, parse_row
from tasks.objectives.sft import Sft
from tasks.prepare.record.content_hash import content_hash
from tasks.prepare.rows import content


def hashed(data: dict[str, object]) -> str:
    row = parse_row(json.dumps(data).encode(), "s:1")
    assert isinstance(row, Row), row
    return content_hash(content(row, Sft()))


def test_rows_that_are_the_same_but_for_white_space_and_format_have_one_hash() -> None:
    one = hashed({"prompt": "a  b", "completion": "caf\u00e9"})
    chat = [{"role": "user", "content": "a\n b"}, {"role": "assistant", "content": "cafe\u0301 ", "weight": 1}]
    assert one == hashed({"messages": chat, "id": "x"}) == hashed({"instruction": "a b", "output": "caf\u00e9"})
    assert one != hashed({"prompt": "a b", "completion": "d"})
    assert one != hashed({"prompt": "A b", "completion": "caf\u00e9"})
    chat[1]["weight"] = 0
    more = [*chat, {"role": "user", "content": "c"}, {"role": "assistant", "content": "d"}]
    assert hashed({"messages": more}) != hashed({"messages": [*more[:1], {**more[1], "weight": 1}, *more[2:]]})


def test_a_hash_stays_what_it_was_since_lists_of_forgotten_rows_have_it() -> None:
    chat = {"messages": [{"role": "user", "content": "a b"}, {"role": "assistant", "content": "c"}]}
    assert content_hash(chat) == hashlib.sha256(b"user1:ab\0assistant1:c\0").hexdigest()[:32]
    assert content_hash({"text": "a\n\tb"}) == hashlib.sha256(b'{"text": "ab"}').hexdigest()[:32]
    call = {"role": "assistant", "content": None, "tool_calls": [{"b": " x ", "a": 1}]}
    written = b'assistant1:{"tool_calls": [{"a": 1, "b": "x"}]}\0{"tools": ["t"]}'
    assert content_hash({"tools": ["t"], "messages": [call]}) == hashlib.sha256(written).hexdigest()[:32]


@given(st.text(st.sampled_from("ab \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u2003\u3000\u00e9")))
def test_white_space_of_any_kind_changes_no_hash(text: str) -> None:
    assert content_hash({"text": text}) == content_hash({"text": "".join(text.split())})
