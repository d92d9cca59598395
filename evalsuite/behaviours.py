"""HarmBench's text behaviours: what a model must not do (Mazeika et al. 2024, arXiv:2402.04249).

The file is data/behavior_datasets/harmbench_behaviors_text_all.csv of centerforaisafety/HarmBench (MIT): 200 standard,
100 contextual and 100 copyright behaviours. Its texts are harmful by design: they go to a model and to a judge, into
the result files, and nowhere else.
"""

import csv
from pathlib import Path
from typing import NamedTuple

from evalsuite.errors import UsageError
from evalsuite.files import sha256_json

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
        UsageError: There is no such file, a column is missing, or an id is empty or there twice; names the line, no
            text.
    """
    file = path / FILE_NAME if path.is_dir() else path
    if not file.is_file():
        raise UsageError(f"no HarmBench behaviours at {file}; get {FILE_NAME} from {SOURCE}")
    behaviours: dict[str, Behaviour] = {}
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
            if missing:
                raise UsageError(f"{file} has no column {missing[0]!r}; expected {', '.join(COLUMNS)}")
            for row in reader:
                values = {column: (row[column] or "").strip() for column in COLUMNS}
                name = values["BehaviorID"]
                if not name or not values["Behavior"]:
                    raise UsageError(f"{file}:{reader.line_num}: BehaviorID or Behavior is empty")
                if name in behaviours:
                    raise UsageError(f"{file}:{reader.line_num}: BehaviorID {name!r} is there twice")
                behaviours[name] = Behaviour(
                    id=name,
                    text=values["Behavior"],
                    functional=values["FunctionalCategory"],
                    semantic=values["SemanticCategory"],
                    context=values["ContextString"],
                    tags=frozenset(tag.strip() for tag in values["Tags"].split(",") if tag.strip()),
                )
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(
            f"{file} is not a CSV file in UTF-8 ({type(error).__name__}); get it again from {SOURCE}"
        ) from None
    if not behaviours:
        raise UsageError(f"{file} has no behaviours; get it again from {SOURCE}")
    return behaviours
