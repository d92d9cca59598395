"""What people write in YAML files: immutable, no unknown keys, no NaN, no infinity, no true for a number."""

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator, model_validator


class Settings(BaseModel):
    """A part of a file that a person wrote."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _empty_where_every_line_is_a_comment(cls, data: Any) -> Any:
        """``contamination:`` with nothing below it is the section with its defaults."""
        if not isinstance(data, dict):
            return data
        sections = {name for name, field in cls.model_fields.items() if _is_section(field.annotation)}
        return {key: {} if value is None and key in sections else value for key, value in data.items()}

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        """``batch_size: true`` would be 1."""
        types = set(_types(cls.model_fields[str(info.field_name)].annotation))
        if types & {int, float} and not types & {bool, Any}:
            own_sections = any(issubclass(each, BaseModel) for each in types)
            if isinstance(value, bool) or (not own_sections and _holds_truth(value)):
                expected = "a number" if isinstance(value, bool) else "numbers"
                raise ValueError(f"expected {expected}, not true or false")
        return value


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _types(annotation: Any) -> Iterator[type]:
    """The classes in an annotation, those of containers' entries and values included."""
    if isinstance(annotation, type) and not get_args(annotation):
        yield annotation
    for argument in get_args(annotation):
        yield from _types(argument)


def _holds_truth(value: Any) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return any(map(_holds_truth, value))
    return isinstance(value, bool)
