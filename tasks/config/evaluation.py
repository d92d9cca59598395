"""The suites, and the engine that answers."""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import ConfigDict, Field, create_model

from evalsuite.core.settings import Settings
from evalsuite.suites.entry import SuiteEntry
from evalsuite.suites.lm_eval.suite import SUITE as HARNESS
from evalsuite.suites.registry import built_in
from tasks.config.engine import EngineParams
from tasks.config.golden import DevSuite
from tasks.config.section import StageSections

P = TypeVar("P", bound=Settings)

if TYPE_CHECKING:
    SuiteSections = DevSuite
else:
    SuiteSections = create_model(
        "SuiteSections",
        __base__=DevSuite,
        **{
            name: (entry.params | None if entry.default is None else entry.params, entry.default)
            for name, entry in built_in().items()
            if name not in DevSuite.model_fields
        },
    )
"""The sections of this package's suites; each suite's module says what its section may hold."""


class EvaluationParams(SuiteSections):
    """The suites, the same for every model; one without its section is off, but for ``golden`` and ``harness``."""

    model_config = ConfigDict(extra="forbid")

    engine: EngineParams = EngineParams()
    suites: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Suites of other packages (entry points ``ratchet.suites``) -> their settings; docs/own_suite.md."""
    long_prompts: Literal["refuse", "unscored"] = "refuse"
    """A prompt that does not fit the context with its new tokens stops the stage, or is unscored; it is never cut."""
    cache: bool = True
    """Keep every answer in .ratchet/eval_cache, so that the same model is never asked the same twice."""

    def section(self, entry: SuiteEntry[P]) -> P | None:
        """The settings of a suite of this package; None where it is off."""
        found: P | None = getattr(self, entry.name)
        return found

    def with_named_tasks(self, names: Collection[str]) -> "EvaluationParams":
        """Without a section ``harness``, no public benchmark is downloaded and run that nobody reads."""
        harness = self.section(HARNESS)
        if harness is None or HARNESS.name in self.model_fields_set:
            return self
        tasks = {name: task for name, task in harness.tasks.items() if name in names}
        return self.model_copy(update={HARNESS.name: harness.model_copy(update={"tasks": tasks})})


class Named(StageSections):
    """The suites that a section reads: a rule's or the comparison's, those of all rules, those with an early end."""

    suite: str = ""
    suites: tuple[str, ...] = ()
    rules: tuple["Named", ...] = ()

    def names(self) -> set[str]:
        """All of them."""
        return {self.suite, *self.suites}.union(*(rule.names() for rule in self.rules))


class EvaluationSections(StageSections):
    """What an evaluation reads: the suites, and of the other sections only which public benchmarks they name.

    That these names have not changed is told by plans/inputs/evaluate.json and not by ``params`` of dvc.yaml, so that a
    new margin evaluates nothing.
    """

    evaluation: EvaluationParams
    gate: Named = Named()
    compare: Named = Named()
    sequential: Named = Named()

    @property
    def suites(self) -> EvaluationParams:
        """With the public benchmarks that somebody reads."""
        return self.evaluation.with_named_tasks(self.gate.names() | self.compare.names() | self.sequential.names())
