"""data/forgotten.jsonl: rows that no version of the data may have any more. It has hashes of them, and no text."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from evalsuite.core.files import checked, numbered_objects
from tasks.data.formats import Row
from tasks.paths import ArtifactPaths
from tasks.prepare.order import ChosenStep
from tasks.prepare.scale.heads import Head
from tasks.prepare.steps import Note, Outcome, Step, StepInputs, without

NAME = "forgotten"
"""Its step; it stands in no list, so that no list can leave it out."""


class Forgotten(BaseModel):
    """One line of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    content: str = Field(pattern=r"[0-9a-f]{32}")
    """``tasks.prepare.record.content_hash`` of the row."""
    when: str
    """UTC, ISO 8601."""
    by: str
    why: str


def read_forgotten(path: Path) -> list[Forgotten]:
    """The lines of the file; none where it is absent.

    Raises:
        UsageError: A line is not as it must be: a list that cannot be read leaves nothing out.
    """
    if not path.is_file():
        return []
    remedy = f"git checkout {path}"
    lines = numbered_objects(path, remedy=f"; bring it back with `{remedy}`")
    return [checked(line, Forgotten, f"{path}:{number}", remedy) for number, line in lines]


class ForgottenRows(Step):
    """Drops rows that ``ratchet data forget`` named, others with the same content, and what a model made of them."""

    private = True

    def run(self, rows: Sequence[Row], given: StepInputs) -> Outcome:
        """Look the hash of every row up."""
        listed = {each.content: each for each in read_forgotten(given.paths.forgotten)}

        def note(head: Head) -> Note | None:
            contents = (head.content, *(content for _, content in head.seeds))
            one = next((listed[each] for each in contents if each in listed), None)
            return None if one is None else Note(head.source, NAME, f"asked for on {one.when[:10]}")

        return without(rows, map(note, given.heads(rows)))


def forgetting(paths: ArtifactPaths) -> list[ChosenStep]:
    """The step that comes before all others, where anything is to be forgotten."""
    return [ChosenStep(NAME, ForgottenRows(), None)] if read_forgotten(paths.forgotten) else []
