"""HarmBench's text behaviours: what a model must not do (Mazeika et al. 2024, arXiv:2402.04249).

The file is data/behavior_datasets/harmbench_behaviors_text_all.csv of centerforaisafety/HarmBench (MIT): 200 standard,
100 contextual and 100 copyright behaviours. Its texts are harmful by design: they go to a model and to a judge, into
the result files, and nowhere else.
"""

from pathlib import Path
from typing import NamedTuple

from evalsuite.core.errors import UsageError
from evalsuite.core.files import sha256_json
from evalsuite.suites.csv_rows import read_csv_rows

FILE_NAME = "harmbench_behaviors_text_all.csv"
COLUMNS = ("Behavior", "FunctionalCategory", "SemanticCategory", "Tags", "ContextString", "BehaviorID")
SOURCE = "data/behavior_datasets/ of https://github.com/centerforaisafety/HarmBench"


class Behaviour(NamedTuple):
    """One row of the file."""

    id: str
    text: str
    functional: str
    """standard, contextual or copyright."""
    semantic: str
    context: str
    """What a contextual behaviour is about; empty for the others."""
    tags: frozenset[str]
    """``hash_check`` with ``book`` or ``lyrics`` marks copyright behaviours; ``context`` contextual ones."""

    @property
    def digest(self) -> str:
        """Hash of what defines the behaviour."""
        return sha256_json([self.id, self.text, self.context, sorted(self.tags)])


def read_behaviours(path: Path) -> dict[str, Behaviour]:
    """Behaviours by id, in the file's order.

    Args:
        path: The CSV, or a folder that holds ``harmbench_behaviors_text_all.csv``.

    Raises:
        UsageError: There is no such file, a column is missing, or an id is empty or appears twice; names the line, no
            text.
    """
    file = path / FILE_NAME if path.is_dir() else path
    behaviours: dict[str, Behaviour] = {}
    for where, row in read_csv_rows(file, COLUMNS, SOURCE):
        values = {column: value.strip() for column, value in row.items()}
        name = values["BehaviorID"]
        if not name or not values["Behavior"]:
            raise UsageError(f"{where}: BehaviorID or Behavior is empty")
        if name in behaviours:
            raise UsageError(f"{where}: BehaviorID {name!r} appears twice")
        behaviours[name] = Behaviour(
            id=name,
            text=values["Behavior"],
            functional=values["FunctionalCategory"],
            semantic=values["SemanticCategory"],
            context=values["ContextString"],
            tags=frozenset(tag.strip() for tag in values["Tags"].split(",") if tag.strip()),
        )
    return behaviours
