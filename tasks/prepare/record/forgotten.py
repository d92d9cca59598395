"""data/forgotten.jsonl: rows that no version of the data may have any more. It has hashes of them, and no text."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from evalsuite.core.files import checked, numbered_objects
from tasks.data.formats import Row
from tasks.data.synthetic import synthetic_of
from tasks.objectives.find import find_objective
from tasks.paths import ArtifactPaths
from tasks.prepare.order import ChosenStep
from tasks.prepare.record.trail import content_hash
from tasks.prepare.rows import content
from tasks.prepare.steps import Note, Outcome, Step, StepInputs, without

NAME = "forgotten"
"""Its step; it stands in no list, so that no list can leave it out."""


class Forgotten(BaseModel):
    """One line of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    content: str = Field(pattern=r"[0-9a-f]{32}")
    """``tasks.prepare.record.trail.content_hash`` of the row."""
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
        hashes = given.each(partial(_contents, given.params.objective), rows)
        found = ((source, next((listed[each] for each in own if each in listed), None)) for source, own in hashes)
        return without(
            rows,
            (None if one is None else Note(source, NAME, f"asked for on {one.when[:10]}") for source, one in found),
        )


def _contents(objective: str, rows: Sequence[Row]) -> list[tuple[str, list[str]]]:
    """Each row's source, and the hashes of its content and of that of the rows that a model made it from."""
    learns = find_objective(objective)
    marks = [synthetic_of(row.fields) for row in rows]
    return [
        (row.source, [content_hash(content(row, learns)), *(seed.content for seed in (mark.seeds if mark else ()))])
        for row, mark in zip(rows, marks, strict=True)
    ]


def forgetting(paths: ArtifactPaths) -> list[ChosenStep]:
    """The step that comes before all others, where anything is to be forgotten."""
    return [ChosenStep(NAME, ForgottenRows(), None)] if read_forgotten(paths.forgotten) else []
