"""Records of production: what was asked, what the model answered, and what a person said of it."""

import hashlib
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from evalsuite.core.errors import UsageError
from evalsuite.core.files import parse_json
from evalsuite.core.text import whole_form
from evalsuite.core.wrong_values import explain
from evalsuite.suites.golden_set.items import Message


class Rating(StrEnum):
    """What a person said of the answer."""

    GOOD = "good"
    BAD = "bad"


class Record(BaseModel):
    """One answer of the model in production; other keys of a log are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    id: str = Field(min_length=1)
    prompt: str | None = Field(default=None, min_length=1)
    """What the user asked, where that was one turn; else ``messages``."""
    messages: tuple[Message, ...] = ()
    """The turns up to the one that was answered."""
    output: str
    """What the model answered."""
    verdict: Rating | None = None
    correction: str | None = None
    """What it should have answered."""

    @model_validator(mode="after")
    def _asks(self) -> Self:
        if (self.prompt is None) == (not self.messages):
            raise ValueError("expected either prompt or messages")
        if self.turns[-1].role != "user":
            raise ValueError(f"the last turn of messages is {self.turns[-1].role}'s; expected the user's")
        return self

    @property
    def turns(self) -> tuple[Message, ...]:
        """The turns up to the one that was answered."""
        return self.messages or (Message(role="user", content=self.prompt or ""),)

    @property
    def answer(self) -> str:
        """The right answer as far as it is known; empty where a person has to write it."""
        if self.correction is not None and self.correction.strip():
            return self.correction
        return "" if self.verdict is Rating.BAD else self.output


class BadRecord(NamedTuple):
    """A line that is none."""

    where: str
    """``FILE:LINE``."""
    reason: str


def read_inbox(path: Path) -> tuple[list[Record], list[BadRecord]]:
    """Every record of a file of JSON lines, and every line that is none.

    Raises:
        UsageError: There is no such file.
    """
    if not path.is_file():
        raise UsageError(f"{path} is no file; expected production records, one JSON object a line")
    records: dict[str, Record] = {}
    bad: list[BadRecord] = []
    for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            record = Record.model_validate(parse_json(line))
        except ValidationError as error:
            bad.append(BadRecord(f"{path}:{number}", explain(error, Record)))
        except (ValueError, RecursionError) as error:
            bad.append(BadRecord(f"{path}:{number}", f"not JSON ({error})"))
        else:
            if record.id in records:
                bad.append(BadRecord(f"{path}:{number}", f"id {record.id!r} appears twice"))
            else:
                records[record.id] = record
    return list(records.values()), bad


def asked_key(turns: tuple[Message, ...]) -> str:
    """The same for conversations in which the user says the same, but for case, punctuation and white space."""
    asked = "\n".join(turn.content for turn in turns if turn.role == "user")
    return hashlib.sha256(whole_form(asked).encode()).hexdigest()
