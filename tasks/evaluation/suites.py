"""The suites that params.yaml turns on, each with what reads it, and with its files, whose changes DVC must see."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from evalsuite.core.errors import UsageError
from evalsuite.network.outside import Outside
from evalsuite.suites.base import Suite
from evalsuite.suites.entry import SuiteContext, SuiteEntry
from evalsuite.suites.registry import built_in, load_suite, registered
from tasks.config.evaluation import EvaluationParams

WATCHED = ("golden_sets", "data/suites")
"""Folders that the evaluation stages of dvc.yaml depend on."""


def suites_of(params: EvaluationParams, kept: Path | None = None) -> list[Suite]:
    """The suites that every model is put through, in order; reading them checks their files."""
    return [make() for make in suite_makers(params, kept).values()]


def suite_makers(
    params: EvaluationParams, kept: Path | None = None, limit: int | None = None
) -> dict[str, Callable[[], Suite]]:
    """What reads each suite that params.yaml turns on, by the suite's name.

    Args:
        params: The suites' settings.
        kept: Folder where embeddings of references stay for the next process; they are not kept when None.
        limit: Most items of each; all when None.
    """
    makers: dict[str, Callable[[], Suite]] = {}
    for entry in built_in().values():
        settings = params.section(entry)
        for name in () if settings is None else entry.suites(settings):
            makers[name] = partial(entry.make, settings, SuiteContext(name, params.golden, limit, kept))
    for name, values in params.suites.items():
        makers[name] = partial(load_suite, name, values, SuiteContext(name, params.golden, limit, kept))
    return makers


def sections_of(params: EvaluationParams) -> Iterator[tuple[str, SuiteEntry[Any], Any]]:
    """Dotted key, entry and settings of each section that params.yaml turns on, those of other packages included.

    Raises:
        UsageError: Another package's suite is not there, or refuses its settings.
    """
    for name, entry in built_in().items():
        if (settings := params.section(entry)) is not None:
            yield f"evaluation.{name}", entry, settings
    for name, values in params.suites.items():
        yield f"evaluation.suites.{name}", *registered(name, values)


def outside_suites(params: EvaluationParams, root: Path = Path()) -> Iterator[Outside]:
    """What the suites read that is no part of the project; see ``sections_of`` for what it raises."""
    for name, entry, settings in sections_of(params):
        yield from entry.outside(settings, SuiteContext(name.rpartition(".")[2], params.golden, root=root))


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
