"""Records that annotation tools export, as the plain rows that people made of them.

Argilla: ``Dataset.records.to_json`` (fields, responses, suggestions, metadata). Label Studio: the format JSON (data,
annotations); its JSON_MIN and CSV are plain rows already. What was answered stands under the name of its question, and
takes the place of a field of that name: a question ``completion`` corrects the field ``completion``.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from tasks.data.keys import is_empty, kind_of, shown


class Export(NamedTuple):
    """A record of an annotation tool."""

    format: str
    row: dict[str, Any]
    """Its fields and what was answered."""
    about: dict[str, Any]
    """Its metadata, which say nothing of what is learnt."""


def export_of(data: Mapping[str, Any]) -> Export | None:
    """The record as a row; None for what is no record of a tool.

    Raises:
        ValueError: It was discarded, nobody answered, or two people answered differently.
    """
    if isinstance(data.get("fields"), dict) and data.keys() & {"responses", "suggestions"}:
        return _argilla(data)
    if isinstance(data.get("data"), dict) and isinstance(data.get("annotations"), list):
        return _label_studio(data)
    return None


def _argilla(data: Mapping[str, Any]) -> Export:
    if data.get("status") == "discarded":
        raise ValueError("the record was discarded in Argilla")
    answers: dict[str, Any] = {}
    for key in ("suggestions", "responses"):  # a person's answer comes last and stands
        given = data.get(key)
        if not is_empty(given) and not isinstance(given, dict):
            raise ValueError(
                f"{key} is {kind_of(given)}, expected an object of questions, as records.to_json writes it"
            )
        for question, said in (given or {}).items():
            values = [_value(each, question) for each in (said if isinstance(said, list) else [said])]
            if values:
                answers[question] = _agreed(values, question)
    metadata = data.get("metadata")
    about = metadata if isinstance(metadata, dict) else {}
    own = {} if is_empty(data.get("id")) else {"id": data["id"]}
    return Export("argilla", {**own, **data["fields"], **answers}, about)


def _value(answer: Any, question: str) -> Any:
    if not isinstance(answer, dict) or "value" not in answer:
        raise ValueError(f"the answer to {shown(question)} has no value")
    return answer["value"]


def _label_studio(data: Mapping[str, Any]) -> Export:
    found = [each for each in data["annotations"] if isinstance(each, dict) and not each.get("was_cancelled")]
    if not found:
        raise ValueError("nobody annotated the task, or all who did cancelled")
    answers: dict[str, list[Any]] = {}
    for annotation in found:
        results = annotation.get("result")
        for result in results if isinstance(results, list) else ():
            if not isinstance(result, dict) or not isinstance(result.get("from_name"), str):
                raise ValueError("a result of the annotation has no from_name")
            answers.setdefault(result["from_name"], []).append(_result(result))
    own = {} if is_empty(data.get("id")) else {"id": data["id"]}
    agreed = {question: _agreed(values, question) for question, values in answers.items()}
    meta = data.get("meta")
    return Export("label-studio", {**own, **data["data"], **agreed}, meta if isinstance(meta, dict) else {})


def _result(result: Mapping[str, Any]) -> Any:
    """The text, choice or number of a result; an object, which is no text, of any other."""
    value = result.get("value")
    kind = {"textarea": "text"}.get(str(result.get("type")), str(result.get("type")))
    given = value.get(kind) if isinstance(value, dict) else None
    if given is None:
        return value
    return given[0] if isinstance(given, list) and len(given) == 1 else given


def _agreed(values: list[Any], question: str) -> Any:
    if any(value != values[0] for value in values):
        raise ValueError(f"{len(values)} answers to {shown(question)} differ; keep one of them")
    return values[0]
