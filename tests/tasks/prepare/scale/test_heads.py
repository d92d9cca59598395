"""What is kept beside a row is what the row says."""

import json

import pytest

from tasks.data.formats import Row, RowRules, parse_row
from tasks.objectives.sft import Sft
from tasks.prepare.record.content_hash import content_hash
from tasks.prepare.rows import content
from tasks.prepare.scale.heads import head_of, pack_head, unpack_heads

RULES = RowRules()


class Preferred(Sft):
    """An objective that learns from a field beside the turns."""

    fields = ("rejected",)


def read(data: dict[str, object], rules: RowRules = RULES) -> Row:
    row = parse_row(json.dumps(data).encode(), "f:1", rules)
    assert isinstance(row, Row), row
    return row


def test_a_head_has_where_a_row_stands_its_hash_and_its_counts() -> None:
    turns = [
        {"role": "system", "content": "ab"},
        {"role": "user", "content": "cde"},
        {"role": "assistant", "content": "f", "weight": 0},
        {"role": "user", "content": "g"},
        {"role": "assistant", "content": "h"},
    ]
    row = read({"id": "mine", "messages": turns})
    head = head_of(row, Sft())
    assert (head.source, head.row_id, head.characters, head.answers, head.context) == ("f:1", "mine", 8, 2, 1)
    assert head.content == content_hash(content(row, Sft()))
    assert (head.written, head.seeds) == (None, ())
    assert list(unpack_heads([pack_head(head)])) == [head]


def test_a_document_has_its_characters_and_no_answer() -> None:
    head = head_of(read({"text": "some words"}, RowRules(documents=True)), Sft())
    assert (head.characters, head.answers, head.context) == (10, 0, 0)


def test_a_head_names_who_wrote_the_row_and_what_it_was_made_of() -> None:
    seeds = [{"source": "a:1", "content": "0" * 32}, {"source": "a:2", "content": "1" * 32}]
    mark = {"kind": "new", "model": "big", "seeds": seeds}
    head = head_of(read({"prompt": "a", "completion": "b", "synthetic": mark}), Sft())
    assert head.written == ("new", "big")
    assert head.seeds == (("a:1", "0" * 32), ("a:2", "1" * 32))
    assert list(unpack_heads([pack_head(head)])) == [head]


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ({"prompt": " a  b", "completion": "c"}, True),
        ({"instruction": "a b", "output": "c", "id": "x"}, True),
        ({"prompt": "ab", "completion": "c"}, False),
        ({"prompt": "a b", "completion": "C"}, False),
    ],
)
def test_rows_say_the_same_but_for_white_space_format_and_id(other: dict[str, object], same: bool) -> None:
    one = head_of(read({"prompt": "a b", "completion": "c"}), Sft())
    assert (head_of(read(other), Sft()).said == one.said) is same


def test_what_the_objective_learns_beside_the_turns_is_said_too() -> None:
    rules = RowRules(fields=("rejected",))
    one, other = (read({"prompt": "a", "completion": "b", "rejected": value}, rules) for value in ("c", "d"))
    assert head_of(one, Sft()).said == head_of(other, Sft()).said
    assert head_of(one, Preferred()).said != head_of(other, Preferred()).said
