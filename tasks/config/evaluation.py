"""The suites, and the engine that answers."""

from collections.abc import Collection
from typing import Any, Literal

from pydantic import ConfigDict, Field

from tasks.config.engine import EngineParams
from tasks.config.golden import DevSuite
from tasks.config.section import StageSections
from tasks.config.suites import (
    BBQParams,
    BertScoreParams,
    HarmBenchParams,
    HarnessParams,
    PerplexityParams,
    XSTestParams,
)


class EvaluationParams(DevSuite):
    """The suites, the same for every model."""

    model_config = ConfigDict(extra="forbid")

    harness: HarnessParams = HarnessParams()
    """Without this section, those of lm-eval's ``mmlu_pro`` and ``ifeval`` that the gate or the comparison reads."""
    engine: EngineParams = EngineParams()
    harmbench: HarmBenchParams | None = None
    """Off when absent."""
    xstest: XSTestParams | None = None
    """Off when absent."""
    bbq: BBQParams | None = None
    """Off when absent."""
    perplexity: PerplexityParams | None = None
    """Off when absent."""
    bertscore: BertScoreParams | None = None
    """Off when absent; a golden set's own ``bertscore_f1`` needs no section."""
    suites: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Suites of other packages (entry points ``ratchet.suites``) -> keyword arguments; docs/own_suite.md."""
    long_prompts: Literal["refuse", "unscored"] = "refuse"
    """Whether a prompt too long for the context with its new tokens stops the stage or is unscored; it is never cut."""
    cache: bool = True
    """Keep every answer in .ratchet/eval_cache, so that a model never computes the same answer twice."""

    def with_named_tasks(self, names: Collection[str]) -> "EvaluationParams":
        """Without a section ``harness``, no public benchmark is downloaded and run that nobody reads."""
        if "harness" in self.model_fields_set:
            return self
        tasks = {name: task for name, task in self.harness.tasks.items() if name in names}
        return self.model_copy(update={"harness": self.harness.model_copy(update={"tasks": tasks})})


class NamedSuite(StageSections):
    """The suite that a rule or the comparison reads."""

    suite: str = ""


class NamedRules(StageSections):
    """Suites of the gate's rules."""

    rules: tuple[NamedSuite, ...] = ()


class NamedSuites(StageSections):
    """Suites that are evaluated sequentially."""

    suites: tuple[str, ...] = ()


class EvaluationSections(StageSections):
    """What an evaluation reads: the suites, and of the other sections only which public benchmarks they name.

    That these names have not changed is told by plans/inputs/evaluate.json and not by ``params`` of dvc.yaml, so that a
    new margin evaluates nothing.
    """

    evaluation: EvaluationParams
    gate: NamedRules = NamedRules()
    compare: NamedSuite = NamedSuite()
    sequential: NamedSuites = NamedSuites()

    @property
    def suites(self) -> EvaluationParams:
        """These settings with only the public benchmarks that a rule or the comparison reads."""
        named = {rule.suite for rule in self.gate.rules} | {self.compare.suite} | set(self.sequential.suites)
        return self.evaluation.with_named_tasks(named)
