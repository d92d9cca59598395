"""What an item may tell a metric: tolerances, patterns, options, rubrics."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

MAX_OPTIONS = 26
MAX_PATTERN_CHARACTERS = 2_000


class Params(BaseModel):
    """Parameters of one metric on one item."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class NoParams(Params):
    """For metrics that take none."""


class Values(Params):
    """contains_all, contains_any: texts to look for."""

    values: tuple[str, ...] = Field(min_length=1)

    @field_validator("values")
    @classmethod
    def _no_empty_value(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        if any(not value.strip() for value in values):
            raise ValueError("a value is empty")
        return values


class Pattern(Params):
    """regex: a pattern of the regex package, searched for."""

    pattern: str = Field(min_length=1, max_length=MAX_PATTERN_CHARACTERS)
    ignore_case: bool = False
    whole: bool = False
    """The pattern must be the whole output, surrounding white space aside."""

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        import regex

        try:
            regex.compile(pattern)
        except (regex.error, RecursionError, OverflowError) as error:
            raise ValueError(f"not a pattern: {error}") from None
        return pattern

    def compiled(self) -> Any:
        """The pattern, compiled; the regex package keeps what it compiled before."""
        import regex

        return regex.compile(self.pattern, regex.IGNORECASE if self.ignore_case else 0)


class Numeric(Params):
    """numeric: how far the number may be off."""

    tolerance: float = Field(default=1e-9, ge=0.0)
    """Absolute, in the number's unit."""
    relative_tolerance: float = Field(default=1e-6, ge=0.0)
    """Share of the reference (fraction)."""


class Choice(Params):
    """choice: the options' texts, in the order of their letters."""

    options: tuple[str, ...] = Field(min_length=2, max_length=MAX_OPTIONS)


class BertThreshold(Params):
    """bertscore_pass: the least F1 that passes."""

    threshold: float = Field(gt=0.0, le=1.0)


class Rubric(Params):
    """judge: what a good answer is."""

    rubric: str = Field(min_length=1)
