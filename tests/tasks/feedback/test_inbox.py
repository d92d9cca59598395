"""What people said of answers becomes training rows or golden items, never both."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.core.errors import UsageError
from evalsuite.suites.golden_set.items import read_golden_items
from tasks.config.prepare import PrepareParams
from tasks.data.decontaminate import HeldOut
from tasks.data.formats import Row, read_rows
from tasks.feedback.records import Record, asked_key, read_inbox
from tasks.feedback.review import Choice, Proposal, Side, as_label_studio, noted, propose, read_review
from tasks.feedback.taking import ITEMS, REJECTED, ROWS, Taken, read_known, take
from tasks.paths import ArtifactPaths

PREPARE = PrepareParams(sources=("data/raw/rows.jsonl", str(ROWS)))


def record(number: int, **given: Any) -> dict[str, Any]:
    return {"id": f"r{number}", "prompt": f"question {number} of the customer", "output": f"answer {number}"} | given


def proposals(*records: dict[str, Any], share: float = 0.0) -> list[Proposal]:
    return propose([Record.model_validate(each) for each in records], {}, share, 0)


def decided(proposal: Proposal, **changes: Any) -> Proposal:
    return proposal.model_copy(update={"decision": Choice.ACCEPT} | changes)


def write_lines(path: Path, entries: Iterable[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return path


@pytest.fixture
def paths(tmp_path: Path) -> ArtifactPaths:
    write_lines(tmp_path / "data/raw/rows.jsonl", [{"prompt": "trained before", "completion": "yes"}])
    return ArtifactPaths(tmp_path)


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        ({"verdict": "good"}, "answer 1"),
        ({}, "answer 1"),
        ({"verdict": "bad"}, ""),
        ({"verdict": "bad", "correction": "right"}, "right"),
        ({"verdict": "good", "correction": " "}, "answer 1"),
    ],
)
def test_the_answer_is_the_correction_or_an_output_that_nobody_called_bad(given: dict[str, Any], answer: str) -> None:
    assert Record.model_validate(record(1, **given)).answer == answer


def test_a_line_that_is_no_record_is_named_and_the_others_are_kept(tmp_path: Path) -> None:
    bad = [
        "{",
        json.dumps(record(2, verdict="fine")),
        json.dumps({"id": "x", "output": "o"}),
        json.dumps(record(1)),
        json.dumps(record(3, prompt=None, messages=[{"role": "assistant", "content": "hello"}])),
    ]
    path = tmp_path / "log.jsonl"
    path.write_text("\n".join([json.dumps(record(1, latency_ms=3)), *bad]))
    records, told = read_inbox(path)
    assert [each.id for each in records] == ["r1"]
    assert [each.where for each in told] == [f"{path}:{number}" for number in range(2, 7)]
    expected = ["JSON", "verdict", "prompt", "twice", "user"]
    assert all(word in each.reason for word, each in zip(expected, told, strict=True))


@given(st.lists(st.integers(0, 30), max_size=40), st.floats(0, 1), st.integers(0, 5))
def test_one_question_has_one_side_and_more_records_move_none(asked: list[int], share: float, seed: int) -> None:
    records = [
        Record(id=str(at), prompt=f"Question {number}" + "?" * (at % 2), output="x") for at, number in enumerate(asked)
    ]
    whole = propose(records, {}, share, seed)
    sides = {(asked_key(each.messages), each.side) for each in whole}
    assert len(sides) == len({key for key, _ in sides})
    assert propose(records[: len(records) // 2], {}, share, seed) == whole[: len(records) // 2]


def test_the_share_is_the_share_of_questions() -> None:
    drawn = propose([Record(id=str(n), prompt=f"q {n}", output="x") for n in range(4000)], {}, 0.2, 3)
    assert 0.17 < sum(each.side is Side.GOLDEN for each in drawn) / 4000 < 0.23


def test_accepted_records_become_rows_and_items_that_ratchet_reads(paths: ArtifactPaths) -> None:
    train, golden, no, later = proposals(*(record(n, verdict="good") for n in range(4)))
    reviewed = [
        decided(train),
        decided(golden, side=Side.GOLDEN, answer="corrected"),
        decided(no, decision=Choice.REJECT),
        later,
    ]
    assert take(reviewed, paths, PREPARE, "exact_match", dry_run=True) == Taken(1, 1, 1, 1)
    assert not (paths.root / ROWS).exists()
    assert take(reviewed, paths, PREPARE, "exact_match") == Taken(1, 1, 1, 1)
    (row,) = read_rows(paths.root / ROWS, str(ROWS))
    assert isinstance(row, Row)
    assert [turn["content"] for turn in row.messages] == ["question 0 of the customer", "answer 0"]
    (item,) = read_golden_items(paths.root / ITEMS)
    assert (item.prompt, item.references) == ("question 1 of the customer", ("corrected",))
    # A second time nothing is taken twice, and what was left open can still be decided.
    assert take([*reviewed[:3], decided(later)], paths, PREPARE, "exact_match") == Taken(1, 0, 0, 0)
    assert len((paths.root / ROWS).read_text().splitlines()) == 2
    assert read_known(paths.root).ids == {"r0", "r1", "r2", "r3"}
    assert len((paths.root / REJECTED).read_text().splitlines()) == 1


def test_a_question_that_one_side_has_never_goes_to_the_other(paths: ArtifactPaths) -> None:
    one, same = proposals(record(1), record(2, prompt="Question 1, of the customer!"))
    with pytest.raises(UsageError, match="r1 is for training and r2 for the golden set, and both ask the same"):
        take([decided(one), decided(same, side=Side.GOLDEN)], paths, PREPARE, "exact_match")
    take([decided(one, side=Side.GOLDEN)], paths, PREPARE, "exact_match")
    assert (
        propose([Record(id="9", prompt="question 1 of the customer", output="x")], read_known(paths.root).sides, 0, 0)[
            0
        ].side
        is Side.GOLDEN
    )
    with pytest.raises(UsageError, match="r2: what it asks was taken for golden before"):
        take([decided(same)], paths, PREPARE, "exact_match")


def hold_out(paths: ArtifactPaths) -> None:
    """A golden set with one item, which asks "held out"."""
    item = {
        "id": "t1",
        "messages": [{"role": "user", "content": "held out"}],
        "references": ["x"],
        "metrics": ["exact_match"],
    }
    write_lines(paths.root / "golden_sets/own/test.jsonl", [item])


def test_what_is_trained_on_is_no_golden_item_and_a_golden_question_is_not_trained_on(paths: ArtifactPaths) -> None:
    hold_out(paths)
    known, asked = proposals(record(1, prompt="Trained before!"), record(2, prompt="Held out?"))
    good = proposals(record(3))[0]
    with pytest.raises(UsageError, match=r"r1: data/raw/rows\.jsonl:1 asks the same"):
        take([decided(good), decided(known, side=Side.GOLDEN)], paths, PREPARE, "exact_match")
    with pytest.raises(UsageError, match=r"r2: own/test\.jsonl#t1 asks the same"):
        take([decided(good), decided(asked)], paths, PREPARE, "exact_match")
    assert not (paths.root / ROWS).exists()
    assert not (paths.root / ITEMS).exists()


def test_a_proposal_for_training_that_asks_a_held_out_item_is_set_to_reject_with_the_item(paths: ArtifactPaths) -> None:
    hold_out(paths)
    given = proposals(record(1, prompt="Held out?"), record(2))
    asked, good = noted(given, HeldOut(paths.root / "golden_sets"))
    assert asked.decision is Choice.REJECT
    assert asked.note.startswith("own/test.jsonl#t1 asks the same")
    assert (good.decision, good.note) == (None, "")
    golden = given[0].model_copy(update={"side": Side.GOLDEN})
    assert noted([golden], HeldOut(paths.root / "golden_sets"))[0].decision is None
    assert take([asked, decided(good)], paths, PREPARE, "exact_match") == Taken(1, 0, 1, 0)


def test_records_with_one_question_and_different_outputs_name_each_other(paths: ArtifactPaths) -> None:
    same = "Is it open?"
    given = [record(n, prompt=same, output=said) for n, said in enumerate(["yes", "no", "yes"])]
    one, other, third = noted(proposals(*given, record(3))[:3], HeldOut(paths.root / "golden_sets"))
    assert one.note == third.note == "other outputs for the same question: r1"
    assert other.note == "other outputs for the same question: r0, r2"


def test_what_is_trained_on_is_found_in_tables_of_a_folder_and_beside_calls_of_tools(paths: ArtifactPaths) -> None:
    folder = paths.root / "data/raw/more"
    folder.mkdir()
    (folder / "a.csv").write_text("prompt,completion\nTrained in a table,yes\n")
    call = {"type": "function", "function": {"name": "look", "arguments": {}}}
    turns = [{"role": "user", "content": "Trained with a tool"}, {"role": "assistant", "tool_calls": [call]}]
    write_lines(
        folder / "b.jsonl",
        [{"messages": [*turns, {"role": "tool", "content": "x"}, {"role": "assistant", "content": "y"}]}],
    )
    prepare = PrepareParams.model_validate({"sources": ["data/raw/more", "data/raw/absent.jsonl"]})
    [known] = proposals(record(1, prompt="Trained in a table"))
    with pytest.raises(UsageError, match=r"r1: data/raw/more/a\.csv:2 asks the same"):
        take([decided(known, side=Side.GOLDEN)], paths, prepare, "exact_match")


@pytest.mark.parametrize(
    ("changes", "metric", "message"),
    [
        ({"answer": "  "}, "exact_match", "r1: it is accepted and has no answer"),
        ({"side": Side.GOLDEN}, "exact", "unknown metric 'exact'"),
        ({"side": Side.GOLDEN}, "regex", "metric 'regex': pattern is required"),
    ],
)
def test_what_cannot_be_taken_is_named_and_nothing_is(
    paths: ArtifactPaths, changes: dict[str, Any], metric: str, message: str
) -> None:
    one, other = proposals(record(1), record(2))
    with pytest.raises(UsageError, match=message):
        take([decided(other), decided(one, **changes)], paths, PREPARE, metric)
    assert not (paths.root / ROWS).exists()


def test_a_candidate_item_keeps_its_question_out_of_training(paths: ArtifactPaths) -> None:
    take([decided(each, side=Side.GOLDEN) for each in proposals(record(1))], paths, PREPARE, "exact_match")
    assert HeldOut(paths.root / "golden_sets").find("Question 1 of the customer") is not None


def test_decisions_come_back_from_label_studio_and_argilla_as_from_our_own_file(tmp_path: Path) -> None:
    given = proposals(record(1), record(2, verdict="bad"))
    own = write_lines(
        tmp_path / "review.jsonl", [decided(given[0]).model_dump(mode="json"), given[1].model_dump(mode="json")]
    )

    def answered(name: str, **value: Any) -> dict[str, Any]:
        return {"from_name": name, "to_name": "shown", "value": value}

    tasks = as_label_studio(given)
    tasks[0] |= {
        "id": 7,
        "annotations": [
            {"was_cancelled": True, "result": [answered("decision", choices=["reject"])]},
            {"result": [answered("decision", choices=["accept"]), answered("answer", text=["written"])]},
        ],
    }
    tasks[1] |= {"id": 8, "annotations": []}
    (tmp_path / "label_studio.json").write_text(json.dumps(tasks))
    argilla = [
        {
            "id": "uuid",
            "fields": {key: value for key, value in each.model_dump(mode="json").items() if key != "decision"},
            "metadata": {},
            "responses": {"decision": [{"value": "accept", "user_id": "u"}]} if each.id == "r1" else {},
        }
        for each in given
    ]
    (tmp_path / "argilla.json").write_text(json.dumps(argilla))
    assert [each.decision for each in read_review(own)] == [Choice.ACCEPT, None]
    assert read_review(tmp_path / "argilla.json") == read_review(own)
    from_tasks = read_review(tmp_path / "label_studio.json")
    assert (from_tasks[0].decision, from_tasks[0].answer, from_tasks[1].decision) == (Choice.ACCEPT, "written", None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read"),
        ("[1]", "review#1"),
        ('{"id": "a"}', r"review:1: side is required"),
        (
            "\n".join([json.dumps(each.model_dump(mode="json")) for each in proposals(record(1))] * 2),
            "'r1' appears twice",
        ),
    ],
)
def test_a_review_that_cannot_be_read_is_refused_by_its_entry(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "review").write_text(text)
    with pytest.raises(UsageError, match=message):
        read_review(tmp_path / "review")
