"""The mark of a row that a model wrote: which model, asked how, from which rows."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tasks.data.keys import kind_of, shown

KEY = "synthetic"
"""Of a row; it says nothing of what is learnt."""
UNKNOWN = "unknown"


class Seed(BaseModel):
    """A row that the model was shown."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    """``file:line`` or ``file#entry``, when the model was asked."""
    content: str = Field(pattern=r"^[0-9a-f]{32}$")
    """``tasks.prepare.record.content_hash`` of the row as it was read."""


class Sampling(BaseModel):
    """How the server was asked to sample."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    temperature: float
    max_tokens: int
    seed: int | None = None


class Synthetic(BaseModel):
    """Where a row comes from that a model wrote, or wrote a part of."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str = Field(max_length=40)
    """What was asked for: ``rewrite-answer``, ``rewrite-question`` or ``new``."""
    model: str = Field(max_length=200)
    """As its server calls it."""
    prompt: str = Field(default="", max_length=64)
    """Digest of the words that it was asked with."""
    seeds: tuple[Seed, ...] = ()
    sampling: Sampling | None = None
    date: str = Field(default="", max_length=10)
    """Day of the answer (UTC, ISO 8601)."""


STRANGERS = Synthetic(kind=UNKNOWN, model=UNKNOWN)
"""What is known of a row that says ``synthetic: true`` and no more."""


def check_synthetic(value: Any) -> None:
    """Refuse a mark that says something else.

    Raises:
        ValueError: It is neither true, false nor the object that ``ratchet data synthesize`` writes.
    """
    if isinstance(value, dict):
        try:
            Synthetic.model_validate(value)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = shown(".".join(str(part) for part in first["loc"]))
            raise ValueError(
                f"{KEY} is an object in which {where} is wrong ({first['msg']}); expected true, false or the object "
                "that `ratchet data synthesize` writes"
            ) from None
    elif value is not None and not isinstance(value, bool):
        raise ValueError(
            f"{KEY} is {kind_of(value)}, expected true, false or the object that `ratchet data synthesize` writes"
        )


def synthetic_of(fields: Mapping[str, Any]) -> Synthetic | None:
    """The mark of a row, by its keys; None for a row that people wrote."""
    value = fields.get(KEY)
    if not value:
        return None
    try:
        return Synthetic.model_validate(value)
    except ValidationError:  # true, or a stranger's that prepare.ignore_keys passes over
        return STRANGERS
