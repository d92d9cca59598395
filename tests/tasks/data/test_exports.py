"""Records of annotation tools, in the forms that their documentation shows."""

from typing import Any

import pytest

from tests.tasks.data.rows import TURNS, good, reason


def argilla(**changes: Any) -> dict[str, Any]:
    """As ``Dataset.records.to_json`` of Argilla 2 writes it."""
    record = {
        "id": "r1",
        "fields": {"prompt": "hi", "completion": "hallo"},
        "metadata": {"team": "north"},
        "suggestions": {"completion": {"value": "hey", "score": 0.5, "agent": "model"}},
        "responses": {"completion": [{"value": "hello", "user_id": "u1"}]},
        "vectors": {},
        "status": "completed",
    }
    return record | changes


def label_studio(*annotations: dict[str, Any]) -> dict[str, Any]:
    """As Label Studio's JSON export writes it."""
    return {"id": 7, "data": {"prompt": "hi", "completion": "hallo"}, "annotations": list(annotations), "meta": {}}


def annotated(text: str, cancelled: bool = False) -> dict[str, Any]:
    result = {"from_name": "completion", "to_name": "prompt", "type": "textarea", "value": {"text": [text]}}
    return {"id": 1, "completed_by": 2, "result": [result], "was_cancelled": cancelled}


def test_a_persons_answer_takes_the_place_of_the_field_and_of_the_suggestion() -> None:
    row = good(argilla())
    assert (row.format, row.row_id, list(row.messages)) == ("argilla", "r1", TURNS)
    assert good(argilla(responses={})).messages[1]["content"] == "hey"
    assert good(argilla(responses={}, suggestions={})).messages[1]["content"] == "hallo"


def test_a_records_metadata_can_group_and_is_no_unknown_key() -> None:
    assert good(argilla()).fields["team"] == "north"


def test_a_chat_field_is_a_conversation() -> None:
    assert list(good(argilla(fields={"messages": TURNS}, responses={}, suggestions={})).messages) == TURNS


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (argilla(status="discarded"), "discarded in Argilla"),
        (argilla(responses={"completion": [{"value": "a"}, {"value": "b"}]}), "2 answers to 'completion' differ"),
        (argilla(responses={"quality": [{"value": 4}]}), "unknown key 'quality'"),
        (argilla(responses={"completion": ["a"]}), "the answer to 'completion' has no value"),
        (argilla(responses=[{"values": {}}]), "responses is a list"),
        (label_studio(), "nobody annotated the task"),
        (label_studio(annotated("hello", cancelled=True)), "nobody annotated the task"),
        (label_studio(annotated("hello"), annotated("hey")), "2 answers to 'completion' differ"),
    ],
)
def test_a_record_that_says_nothing_certain_is_bad(record: dict[str, Any], why: str) -> None:
    assert why in reason(record)


def test_label_studios_text_takes_the_place_of_the_datas() -> None:
    row = good(label_studio(annotated("hello"), annotated("no", cancelled=True)))
    assert (row.format, row.row_id, list(row.messages)) == ("label-studio", "7", TURNS)


def test_choices_and_ratings_are_keys_that_a_line_of_params_ignores() -> None:
    task = label_studio(annotated("hello"))
    task["annotations"][0]["result"] += [
        {"from_name": "tone", "type": "choices", "value": {"choices": ["kind"]}},
        {"from_name": "stars", "type": "rating", "value": {"rating": 4}},
    ]
    assert "unknown keys 'stars', 'tone'" in reason(task)
    row = good(task, ignore_keys=frozenset(("tone", "stars")))
    assert (row.fields["tone"], row.fields["stars"]) == ("kind", 4)


def test_label_studios_flat_export_is_a_plain_row() -> None:
    row = {"prompt": "hi", "completion": "hello", "id": 7, "annotator": 1, "annotation_id": 3, "lead_time": 2.5}
    assert good(row | {"created_at": "2026-01-31", "updated_at": "2026-01-31"}).format == "prompt_completion"
