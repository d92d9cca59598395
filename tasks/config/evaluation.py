"""The suites, and the engine that answers."""

from typing import Any, Literal

from pydantic import Field

from tasks.config.engine import EngineParams
from tasks.config.golden import GoldenParams
from tasks.config.section import Section
from tasks.config.suites import (
    BBQParams,
    BertScoreParams,
    HarmBenchParams,
    HarnessParams,
    PerplexityParams,
    XSTestParams,
)


class EvaluationParams(Section):
    """The suites, the same for every model."""

    golden: GoldenParams
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
    batch_tokens: int | None = Field(default=None, ge=64)
    """Upper bound on cached tokens of one batch, new ones included; what half of the free memory holds when absent."""
    long_prompts: Literal["refuse", "unscored"] = "refuse"
    """A prompt that does not fit the context with its new tokens stops the stage, or is unscored; it is never cut."""
    cache: bool = True
    """Keep every answer in .ratchet/eval_cache, so that the same model is never asked the same twice."""
