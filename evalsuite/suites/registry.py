"""Which suites there are: those of this package, and those that other packages register in ``ratchet.suites``."""

import difflib
import re
from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from pydantic import ConfigDict

from evalsuite.core.errors import UsageError
from evalsuite.core.settings import Settings
from evalsuite.suites.base import Suite
from evalsuite.suites.entry import SuiteContext, SuiteEntry

GROUP = "ratchet.suites"
MEMBERS = ("name", "items", "run")
NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")


class Arguments(Settings):
    """Keyword arguments of a class that brings no settings of its own; the class says what is wrong with them."""

    model_config = ConfigDict(extra="allow")


@cache
def built_in() -> Mapping[str, SuiteEntry[Any]]:
    """Section of ``evaluation`` -> its suite, in the order in which suites run."""
    from evalsuite.suites import bertscore, bias, harmbench, over_refusal, perplexity
    from evalsuite.suites.golden_set import suite as golden_set
    from evalsuite.suites.lm_eval import suite as lm_eval

    modules = (golden_set, bertscore, lm_eval, harmbench, over_refusal, bias, perplexity)
    return {module.SUITE.name: module.SUITE for module in modules}


def entry_point(name: str) -> EntryPoint:
    """Where another package registered a suite; nothing of it is loaded.

    Raises:
        UsageError: No such entry point; names the nearest.
    """
    found = {entry.name: entry for entry in entry_points(group=GROUP)}
    if name not in found:
        near = difflib.get_close_matches(name, found, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        known = ", ".join(sorted(found)) or "none"
        raise UsageError(f"no suite {name!r} in entry point group {GROUP!r}; {hint}Registered: {known}")
    return found[name]


def registered(name: str) -> SuiteEntry[Any]:
    """The suite that another package registered: a ``SuiteEntry``, or a class, whose arguments are then unchecked.

    What another package's code raises is not ours to foresee; it becomes one line that names the entry point.

    Raises:
        UsageError: No such entry point, or it does not load.
    """
    point = entry_point(name)
    try:
        loaded = point.load()
    except Exception as error:
        raise _not_made(point, error) from error
    if isinstance(loaded, SuiteEntry):
        return loaded
    return SuiteEntry(name, Arguments, make=lambda params, _: loaded(**(params.model_extra or {})))


def load_suite(name: str, values: Mapping[str, Any], context: SuiteContext) -> Suite:
    """Make a suite that another package registered.

    Args:
        name: The entry point's name, which must be the suite's own: a folder under evals/MODEL is called so.
        values: Its settings, as params.yaml has them.
        context: What it is made with.

    Raises:
        UsageError: No such entry point, it does not load, refuses settings or limit, or lacks a suite's member.
    """
    entry, point, where = registered(name), entry_point(name), f"evaluation.suites.{name}"
    params = entry.checked(values, where)
    if context.limit is not None and not entry.takes_limit:
        raise UsageError(f"suite {name!r} takes no --limit; give it an argument of its own under {where}")
    try:
        suite = entry.make(params, context)
    except UsageError:
        raise
    except Exception as error:
        raise _not_made(point, error) from error
    missing = [member for member in MEMBERS if not hasattr(suite, member)]
    if missing:
        raise UsageError(f"suite {name!r} ({point.value}) has no {missing[0]!r}; a suite has {', '.join(MEMBERS)}")
    if suite.name != name or not NAME.fullmatch(name):
        raise UsageError(
            f"entry point {name!r} ({point.value}) makes a suite called {suite.name!r}; both must be one name of "
            f"a-z, 0-9, _ and -"
        )
    return suite


def _not_made(point: EntryPoint, error: Exception) -> UsageError:
    return UsageError(f"suite {point.name!r} ({point.value}) could not be made: {type(error).__name__}: {error}")
