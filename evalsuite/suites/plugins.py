"""Suites of other packages, found by their Python entry point in the group ``ratchet.suites``."""

import difflib
import re
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

from evalsuite.core.errors import UsageError
from evalsuite.suites.base import Suite

GROUP = "ratchet.suites"
MEMBERS = ("name", "items", "run")
NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")


def load_suite(name: str, params: Mapping[str, Any]) -> Suite:
    """Make a suite that another package registered.

    Args:
        name: The entry point's name, which must be the suite's own: a folder under evals/MODEL is called so.
        params: Keyword arguments of its class.

    Raises:
        UsageError: No such entry point, it does not load, refuses its parameters, or lacks a member of a suite.
    """
    found = {entry.name: entry for entry in entry_points(group=GROUP)}
    if name not in found:
        near = difflib.get_close_matches(name, found, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        known = ", ".join(sorted(found)) or "none"
        raise UsageError(f"no suite {name!r} in entry point group {GROUP!r}; {hint}Registered: {known}")
    suite = _made(found[name], params)
    missing = [member for member in MEMBERS if not hasattr(suite, member)]
    if missing:
        raise UsageError(
            f"suite {name!r} ({found[name].value}) has no {missing[0]!r}; a suite has {', '.join(MEMBERS)}"
        )
    if suite.name != name or not NAME.fullmatch(name):
        raise UsageError(
            f"entry point {name!r} ({found[name].value}) makes a suite called {suite.name!r}; both must be one name of "
            f"a-z, 0-9, _ and -"
        )
    return cast("Suite", suite)


def _made(entry: EntryPoint, params: Mapping[str, Any]) -> Any:
    """The object that an entry point makes.

    What another package's code raises is not ours to foresee; it becomes one line that names the entry point.
    """
    try:
        factory = entry.load()
        return factory(**params)
    except UsageError:
        raise
    except Exception as error:
        raise UsageError(
            f"suite {entry.name!r} ({entry.value}) could not be made: {type(error).__name__}: {error}"
        ) from error
