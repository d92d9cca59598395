from pathlib import Path
from typing import Any

import pytest

from tasks.data.decontaminate import HeldOut
from tasks.data.formats import Row
from tasks.objectives.sft import Sft
from tasks.prepare.rows import held_out_match, held_out_matches

QUESTION = "Where is the nearest open chemist in Leeds?"


class Preferred(Sft):
    """Learns from a second answer too."""

    name = "preferred"
    fields = ("rejected",)


def row(**fields: Any) -> Row:
    turns = ({"role": "user", "content": "What is new?"}, {"role": "assistant", "content": "Little."})
    return Row("rows.jsonl:1", "1", "messages", turns, fields)


@pytest.fixture
def held_out(tmp_path: Path) -> HeldOut:
    (tmp_path / "g").mkdir()
    item = f'{{"id": "t1", "messages": [{{"role": "user", "content": "{QUESTION}"}}], "references": ["There."]}}\n'
    (tmp_path / "g/test.jsonl").write_text(item)
    return HeldOut(tmp_path)


@pytest.mark.parametrize("value", [QUESTION, [{"role": "user", "content": QUESTION}], {"texts": ["No.", QUESTION]}])
def test_a_held_out_question_in_a_field_of_the_objective_is_found(held_out: HeldOut, value: Any) -> None:
    found = held_out_match(row(rejected=value), held_out, Preferred())
    assert found is not None
    assert found.item == "g/test.jsonl#t1"


def test_a_field_that_the_objective_does_not_read_is_not_looked_at(held_out: HeldOut) -> None:
    assert held_out_match(row(rejected=QUESTION), held_out, Sft()) is None
    assert held_out_match(row(rejected="Where is the station?", other=QUESTION), held_out, Preferred()) is None


def test_many_rows_looked_up_at_once_are_found_where_each_alone_is(held_out: HeldOut) -> None:
    rows = [row(rejected=value) for value in (QUESTION, "No.", QUESTION.upper(), ["There.", {"a": QUESTION}])]
    alone = [held_out_match(each, held_out, Preferred()) for each in rows]
    assert held_out_matches(rows, held_out, Preferred()) == alone
    assert [match is not None for match in alone] == [True, False, True, True]
