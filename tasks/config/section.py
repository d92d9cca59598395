"""What every part of params.yaml is."""

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from evalsuite.core.settings import Settings


class Section(Settings):
    """A part of params.yaml."""

    @model_validator(mode="before")
    @classmethod
    def _empty_where_every_line_is_a_comment(cls, data: Any) -> Any:
        """``contamination:`` with nothing below it is the section with its defaults."""
        if not isinstance(data, dict):
            return data
        sections = {name for name, field in cls.model_fields.items() if _is_section(field.annotation)}
        return {key: {} if value is None and key in sections else value for key, value in data.items()}


class StageSections(Section):
    """The sections that one stage reads, as ``params`` of dvc.yaml names them; it ignores the others.

    A stage's code then depends on the code of these sections alone, and a new setting of the gate trains nothing.
    """

    model_config = ConfigDict(extra="ignore")


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
