"""What a step may do to rows, and what is refused."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from evalsuite.core.errors import StageError, UsageError
from tasks.config.prepare import PrepareParams
from tasks.config.train import Answers
from tasks.data.formats import Row
from tasks.objectives.sft import Sft
from tasks.paths import ArtifactPaths
from tasks.prepare.lengths import TokenLengths
from tasks.prepare.order import ChosenStep
from tasks.prepare.runner import Record, run_steps
from tasks.prepare.scale.stored import Rows
from tasks.prepare.standard import Duplicates
from tasks.prepare.steps import Note, Outcome, Step, StepInputs

Ran = Callable[[Sequence[Row]], Any]


def step_of(ran: Ran, changes: bool = True) -> ChosenStep:
    class Theirs(Step):
        changes_rows = changes

        def run(self, rows: Sequence[Row], given: StepInputs) -> Outcome:
            made: Outcome = ran(rows)
            return made

    return ChosenStep("theirs", Theirs(), "their:Step")


def inputs(objective: str = "sft") -> StepInputs:
    params = PrepareParams(sources=("data/raw/rows.jsonl",), objective=objective)
    return StepInputs(params, ArtifactPaths(), TokenLengths(Path("nowhere"), 1024, Answers.ALL))


def rows_of(count: int) -> list[Row]:
    return [
        Row(
            f"f:{number}",
            f"id{number}",
            "chat",
            ({"role": "user", "content": f"q{number}"}, {"role": "assistant", "content": "a", "weight": 1}),
            {"group": number},
        )
        for number in range(count)
    ]


def put(ran: Ran, count: int = 3, changes: bool = True) -> tuple[list[Row], Record]:
    kept, (record,) = run_steps([step_of(ran, changes)], Rows.of(rows_of(count)), inputs())
    return list(kept), record


def asking(row: Row, content: Any) -> Row:
    return row._replace(messages=({"role": "user", "content": content}, *row.messages[1:]))


@drawn(st.lists(st.sampled_from(["keep", "drop", "change"]), max_size=12))
def test_every_row_is_kept_dropped_or_changed_and_counted_once(fates: list[str]) -> None:
    def ran(rows: Sequence[Row]) -> Outcome:
        by_fate = {fate: [row for row, its in zip(rows, fates, strict=True) if its == fate] for fate in set(fates)}
        kept = [
            asking(row, "other") if fate == "change" else row
            for row, fate in zip(rows, fates, strict=True)
            if fate != "drop"
        ]
        dropped = [Note(row.source, "d", other=rows[0].source) for row in by_fate.get("drop", [])]
        # Two reasons for one row are one changed row.
        changed = [Note(row.source, why) for row in by_fate.get("change", []) for why in ("one", "two")]
        return Outcome(kept, dropped, changed)

    kept, record = put(ran, len(fates))
    assert record.counts == {
        "rows_in": len(fates),
        "kept": len(fates) - fates.count("drop"),
        "dropped": fates.count("drop"),
        "changed": fates.count("change"),
    }
    before = rows_of(len(fates))
    expected = [(row, fate) for row, fate in zip(before, fates, strict=True) if fate != "drop"]
    assert kept == [asking(row, "other") if fate == "change" else row for row, fate in expected]


def changed_in_place(rows: Sequence[Row]) -> Outcome:
    rows[1].messages[0]["content"] = "a golden item's question"
    return Outcome(rows)


def edited(change: Callable[[Row], Row], note: bool = True) -> Ran:
    return lambda rows: Outcome([change(rows[0]), *rows[1:]], changed=[Note(rows[0].source, "edited")] if note else [])


REFUSED: list[tuple[str, Ran, str]] = [
    ("loses a row", lambda rows: Outcome(rows[1:]), "lost f:0: every row is kept, or dropped with a reason"),
    ("twice", lambda rows: Outcome([*rows, rows[1]]), "returned f:1 twice, or kept it and dropped it"),
    ("both", lambda rows: Outcome(rows, [Note("f:2", "bad")]), "returned f:2 twice, or kept it and dropped it"),
    (
        "adds",
        lambda rows: Outcome([*rows, rows[0]._replace(source="new")]),
        "returned new, which is not one of its rows",
    ),
    ("source", edited(lambda row: row._replace(source="f:9")), "it may add none, nor change a row's source"),
    ("id", edited(lambda row: row._replace(row_id="x")), "changed the id of f:0"),
    ("empty reason", lambda rows: Outcome(rows[1:], [Note("f:0", " ")]), "gives an empty reason for f:0"),
    ("link", lambda rows: Outcome(rows[1:], [Note("f:0", "as", other="g:1")]), "names g:1 in its reason for f:0"),
    ("no reason", edited(lambda row: asking(row, "x"), note=False), "changed f:0 without a reason"),
    ("in place", changed_in_place, "changed f:1 without a reason"),
    ("no change", edited(lambda row: row), "gives a reason for changing f:0, which it left as it was or dropped"),
    ("empty text", edited(lambda row: asking(row, " ")), "made a bad row of f:0: turn 0 (user) has no text"),
    ("no answer", edited(lambda row: row._replace(messages=row.messages[:1])), "made a bad row of f:0: the last turn"),
    ("no text", edited(lambda row: asking(row, 3)), "made a bad row of f:0: turn 0 (user)"),
    ("half a pair", edited(lambda row: asking(row, "\ud800")), "made a bad row of f:0: not JSON"),
    ("document", edited(lambda row: row._replace(text="t")), "made a bad row of f:0: keys text: expected messages"),
    ("no outcome", lambda rows: list(rows), "returned list, expected an Outcome"),
    ("raises", lambda rows: {}["a\nb"], "failed: KeyError: "),
    ("no rows", lambda rows: Outcome(["x"]), "failed: AttributeError: "),  # type: ignore[list-item]
    ("no notes", lambda rows: Outcome(rows, 3), "failed: TypeError: "),  # type: ignore[arg-type]
    ("number", lambda rows: Outcome(rows[1:], [Note("f:0", "why", 3)]), "gives a note that is not made of texts"),  # type: ignore[arg-type]
    (
        "half in a note",
        lambda rows: Outcome(rows[1:], [Note("f:0", "\ud800")]),
        "gives a note with half of a surrogate",
    ),
    (
        "NaN",
        lambda rows: Outcome(rows, counts={"a": {"b": float("nan")}}),
        "counts what no report can say (Out of range",
    ),
    ("numpy", lambda rows: Outcome(rows, counts={"a": {"b": np.int64(1)}}), "counts what no report can say (Object of"),
    ("no mapping", lambda rows: Outcome(rows, counts=[1]), "counts what no report can say: give a mapping of mappings"),  # type: ignore[arg-type]
    ("half in counts", lambda rows: Outcome(rows, counts={"\ud800": {}}), "counts what no report can say ("),
    (
        "no fields",
        edited(lambda row: row._replace(fields=None)),
        "put NoneType into the fields of f:0, expected a dict",
    ),  # type: ignore[arg-type]
    ("no JSON", edited(lambda row: asking(row, {1})), "failed: TypeError: "),
]


@pytest.mark.parametrize(("ran", "said"), [each[1:] for each in REFUSED], ids=[each[0] for each in REFUSED])
def test_what_a_step_may_not_do_is_one_line_with_its_entry_point(ran: Ran, said: str) -> None:
    with pytest.raises(StageError) as caught:
        put(ran)
    assert str(caught.value).startswith("prepare: step 'theirs' (their:Step) ")
    assert said in str(caught.value)
    assert str(caught.value).endswith("; correct its code, or remove it from prepare.steps")
    assert "\n" not in str(caught.value)


def test_a_step_that_does_not_say_so_may_not_change_rows() -> None:
    with pytest.raises(StageError, match="changed f:0, but its class does not set `changes_rows = True`"):
        put(edited(lambda row: asking(row, "x")), changes=False)


def test_what_a_field_holds_is_not_changed_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sft, "fields", ("rejected",))
    given = inputs()
    given = replace(given, params=given.params.model_copy(update={"group_by": "group"}))
    for key in ("rejected", "group"):
        (row,) = (row._replace(fields={"rejected": [{"content": "no"}], "group": [{}]}) for row in rows_of(1))

        def ran(rows: Sequence[Row], key: str = key) -> Outcome:
            rows[0].fields[key][0]["content"] = "a golden item's question"
            return Outcome(rows)

        with pytest.raises(StageError, match="changed f:0 without a reason"):
            run_steps([step_of(ran, changes=False)], Rows.of([row]), given)


def test_rows_that_differ_in_a_field_of_the_objective_are_no_duplicates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sft, "fields", ("rejected",))
    (row,) = rows_of(1)
    rows = [row._replace(source=f"f:{at}", fields={"rejected": text}) for at, text in enumerate(("no", "not", "no"))]
    kept, _ = run_steps([ChosenStep("duplicates", Duplicates(), None)], Rows.of(rows), inputs())
    assert [each.source for each in kept] == ["f:0", "f:1"]


def test_a_changed_row_is_written_as_rows_are() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    kept, _ = put(edited(lambda row: asking(row, parts)))
    assert kept[0].messages[0] == {"role": "user", "content": "ab"}
    assert kept[1:] == rows_of(3)[1:]


def test_documents_are_held_to_the_rules_of_documents() -> None:
    rows = Rows.of([Row("f:0", "0", "text", (), {}, "some text")])
    change = step_of(edited(lambda row: row._replace(text="other text")))
    kept, _ = run_steps([change], rows, inputs("text"))
    assert [row.text for row in kept] == ["other text"]
    with pytest.raises(StageError, match="made a bad row of f:0: text is empty"):
        run_steps([step_of(edited(lambda row: row._replace(text="")))], rows, inputs("text"))


def test_a_step_may_say_itself_what_is_wrong() -> None:
    def ran(rows: Sequence[Row]) -> Outcome:
        raise UsageError("the list of names is empty; write one name a line")

    with pytest.raises(UsageError, match=r"^the list of names is empty; write one name a line$"):
        put(ran)


def test_the_log_has_the_counts_and_the_time_of_each_step(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        put(lambda rows: Outcome(rows[1:], [Note("f:0", "short")]))
    assert "prepare step theirs: rows_in 3, kept 2, dropped 1, changed 0, 0.0 s" in caplog.text
