"""What pydantic finds wrong, in the words of the file that a person wrote: key, value, what is accepted."""

import reprlib
from datetime import date
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from evalsuite.core.extensions import did_you_mean
from evalsuite.core.yaml_mistakes import comma_advice


def explain(error: ValidationError, model: type[BaseModel], prefix: str = "") -> str:
    """One line for all that is wrong.

    Args:
        error: What validating a mapping against ``model`` raised.
        model: The class of the whole mapping.
        prefix: Dotted path of the mapping inside its file, with a dot at its end.
    """
    issues = error.errors(include_url=False)
    places = [issue["loc"] for issue in issues]
    # A list that is short of a wrong entry is no second mistake.
    first = [
        each
        for each in issues
        if not any(len(p) > len(each["loc"]) and p[: len(each["loc"])] == each["loc"] for p in places)
    ]
    return "; ".join(_explain(issue, model, prefix) for issue in first)


def _explain(issue: Any, model: type[BaseModel], prefix: str) -> str:
    path = prefix + ".".join(str(part) for part in issue["loc"])
    if issue["type"] == "extra_forbidden":
        section = _section_at(issue["loc"][:-1], model)
        known = sorted(section.model_fields) if section else []
        hint = did_you_mean(str(issue["loc"][-1]), known)
        return f"unknown key {path}; {hint}Known here: {', '.join(known) or 'none'}"
    if issue["type"] == "missing":
        return f"{path} is required"
    message = issue["msg"].removeprefix("Value error, ")
    if issue["type"] == "string_type" and isinstance(issue.get("input"), bool | int | float | date):
        message = "expected text; put the value in quotes"
    if issue["type"] in ("float_parsing", "int_parsing") and isinstance(issue.get("input"), str):
        message = comma_advice(issue["input"], whole=issue["type"] == "int_parsing") or message
    if issue["type"] == "too_short":
        least = issue["ctx"]["min_length"]
        message = f"expected at least {least} {'entry' if least == 1 else 'entries'}"
    if message.startswith("Input should be "):
        message = f"expected {message.removeprefix('Input should be ')}"
    value = issue.get("input")
    if isinstance(value, dict | list | tuple) and issue["type"] == "value_error":
        return f"{path}: {message}" if path else message  # of several keys together, which the message names
    return f"{path} = {reprlib.repr(value)}: {message}"


def _section_at(loc: tuple[int | str, ...], model: type[BaseModel]) -> type[BaseModel] | None:
    """The model class at a location, following mappings and sequences of sections."""
    current = model
    for part in loc:
        field = current.model_fields.get(str(part))
        if field is None:
            continue
        found = _model_in(field.annotation)
        if found is None:
            return None
        current = found
    return current


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in get_args(annotation):
        found = _model_in(argument)
        if found is not None:
            return found
    return None
