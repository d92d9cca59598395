"""Which files the suites read, and that DVC sees it when they change."""

import os
from pathlib import Path

from evalsuite.core.errors import UsageError
from tasks.config.evaluation import EvaluationParams
from tasks.evaluation.suites import sections_of

WATCHED = ("golden_sets", "data/suites")
"""Folders that the evaluation stages of dvc.yaml depend on."""


def suite_files(params: EvaluationParams) -> dict[str, str]:
    """Setting -> the file or folder that it names; of a suite that is a plain class, only its code knows."""
    return {
        f"{where}.{name}": path
        for where, entry, settings in sections_of(params)
        for name, path in entry.files_of(settings).items()
    }


def check_watched(params: EvaluationParams, root: Path) -> None:
    """Refuse a file whose change would leave old results standing.

    Raises:
        UsageError: Names the setting, its file and where it has to lie.
    """
    folders = [(root / folder).resolve() for folder in WATCHED]
    for setting, path in suite_files(params).items():
        # DVC reads through links to files in a watched folder, and passes over links to folders.
        given = root / path
        where = given.resolve() if given.is_dir() else given.parent.resolve() / given.name
        if not any(where == folder or folder in where.parents for folder in folders):
            unlinked = Path(os.path.normpath(root.resolve() / path))
            leads = "" if where == unlinked else f", which a link leads to {where}"
            raise UsageError(
                f"{setting} is {path}{leads}, outside {' and '.join(WATCHED)}, where no stage would see it change; "
                f"copy it to data/suites and name it there (`ratchet evaluate` reads it anywhere)"
            )
