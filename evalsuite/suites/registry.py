"""Which suites there are: those of this package, and those that other packages register in ``ratchet.suites``."""

import re
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cache, partial
from importlib.metadata import EntryPoint
from typing import Any

from pydantic import ConfigDict

from evalsuite.core.errors import RatchetError, StageError, UsageError
from evalsuite.core.extensions import Extensions, blaming
from evalsuite.core.settings import Settings
from evalsuite.engines.base import Engine
from evalsuite.items.results import SuiteResult
from evalsuite.network.network_errors import is_network_error
from evalsuite.network.outside import Outside
from evalsuite.suites.base import SetSize, Suite
from evalsuite.suites.entry import SuiteContext, SuiteEntry

SUITES = Extensions("ratchet.suites", "suite")
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


def registered(name: str, values: Mapping[str, Any]) -> tuple[SuiteEntry[Any], Any]:
    """The suite that another package registered, and its settings.

    An entry point gives a ``SuiteEntry``, or a class, whose arguments are then unchecked.

    Raises:
        UsageError: No such entry point, it does not load, or refuses its settings.
    """
    return _loaded(SUITES.find(name), values)


def _loaded(point: EntryPoint, values: Mapping[str, Any]) -> tuple[SuiteEntry[Any], Any]:
    with _blaming(point, "could not be made", UsageError):
        entry = point.load()
        if not isinstance(entry, SuiteEntry):
            made = entry
            entry = SuiteEntry(point.name, Arguments, make=lambda params, _: made(**(params.model_extra or {})))
        return replace(entry, outside=partial(_outside, point, entry)), entry.checked(
            values, f"evaluation.suites.{point.name}"
        )


def _outside(point: EntryPoint, entry: SuiteEntry[Any], params: Any, context: SuiteContext) -> list[Outside]:
    """What another package's suite reads from outside the project; its errors name its entry point."""
    with _blaming(point, "cannot say what it reads from outside the project", UsageError):
        found = list(entry.outside(params, context))
        for each in found:
            if not callable(getattr(each, "need", None)):
                raise TypeError(f"{each!r} is none of what evalsuite.network.outside has, such as Model or Server")
        return found


class RegisteredSuite(Suite):
    """Another package's suite, whose errors name its entry point."""

    def __init__(self, suite: Any, point: EntryPoint) -> None:
        """Wrap a suite that has ``MEMBERS``."""
        self.name = suite.name
        self._suite = suite
        self._point = point

    def run(self, engine: Engine, only: Collection[str] | None = None) -> SuiteResult:
        """See ``Suite``, as for the others."""
        with _blaming(self._point, "failed", StageError):
            found: SuiteResult = self._suite.run(engine, only)
            return found

    def metric_names(self) -> tuple[str, ...] | None:
        """Known where the suite says them."""
        with _blaming(self._point, "cannot name its metrics", UsageError):
            return getattr(self._suite, "metric_names", super().metric_names)()

    def set_size(self) -> SetSize | None:
        """Known where the suite says it."""
        with _blaming(self._point, "cannot tell its size", UsageError):
            return getattr(self._suite, "set_size", super().set_size)()


def load_suite(name: str, values: Mapping[str, Any], context: SuiteContext) -> Suite:
    """Make a suite that another package registered.

    Args:
        name: The entry point's name, which must be the suite's own: a folder under evals/MODEL is called so.
        values: Its settings, as params.yaml has them.
        context: What it is made with.

    Raises:
        UsageError: No such entry point, it does not load, refuses settings or limit, or lacks a suite's member.
    """
    point = SUITES.find(name)
    entry, params = _loaded(point, values)
    if context.limit is not None and not entry.takes_limit:
        raise UsageError(
            f"suite {name!r} takes no --limit; give it an argument of its own under evaluation.suites.{name}"
        )
    with _blaming(point, "could not be made", UsageError):
        suite = entry.make(params, context)
    missing = [member for member in MEMBERS if not hasattr(suite, member)]
    if missing:
        raise UsageError(f"suite {name!r} ({point.value}) has no {missing[0]!r}; a suite has {', '.join(MEMBERS)}")
    if suite.name != name or not NAME.fullmatch(name):
        raise UsageError(
            f"entry point {name!r} ({point.value}) makes a suite called {suite.name!r}; both must be one name of "
            f"a-z, 0-9, _ and -"
        )
    return RegisteredSuite(suite, point)


def _blaming(point: EntryPoint, what: str, kind: type[RatchetError]) -> AbstractContextManager[None]:
    return blaming(f"suite {point.name!r} ({point.value}) {what}", kind, is_network_error)
