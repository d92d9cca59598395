"""The suites that params.yaml turns on, each with what reads it."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from evalsuite.suites.base import Suite
from evalsuite.suites.entry import SuiteContext, SuiteEntry
from evalsuite.suites.registry import built_in, load_suite, registered
from tasks.config.evaluation import EvaluationParams


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
        entry = registered(name)
        yield f"evaluation.suites.{name}", entry, entry.checked(values, f"evaluation.suites.{name}")
