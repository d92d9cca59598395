"""Suites beside the golden set."""

import re

from pydantic import Field, field_validator

from evalsuite.judges.settings import JudgeSettings
from tasks.config.section import Section

PINNED_DATA = {
    "TIGER-Lab/MMLU-Pro": "b189ec765aa7ed75c8acfea42df31fdae71f97be",
    "google/IFEval": "966cd89545d6b6acfd7638bc708b98261ca58e84",
}
"""Hub dataset -> commit, for the public tasks below."""


class HarnessTask(Section):
    """One lm-eval task or group."""

    max_new_tokens: int | None = Field(default=None, ge=1)
    """Replaces the task's own ``max_gen_toks``."""
    limit: int | None = Field(default=None, ge=1)
    """First N items of each subtask; all when absent."""
    apply_chat_template: bool = False
    """Put the prompt through the chat template."""


PUBLIC_TASKS = {"mmlu_pro": HarnessTask(), "ifeval": HarnessTask(apply_chat_template=True)}
"""Run by a section ``harness`` that lists no tasks, and without that section by a rule that names them."""


class HarnessParams(Section):
    """Benchmarks run by lm-eval's own task code."""

    tasks: dict[str, HarnessTask] = Field(default_factory=lambda: dict(PUBLIC_TASKS))
    data_root: str | None = None
    """Folder with TASK/{test,validation}.jsonl instead of the public datasets; offline."""
    revisions: dict[str, str] = Field(default_factory=lambda: dict(PINNED_DATA))
    """Hub dataset -> commit (40 hex digits), for every dataset of ``tasks`` when there is no ``data_root``."""

    @field_validator("revisions")
    @classmethod
    def _revisions_are_commits(cls, revisions: dict[str, str]) -> dict[str, str]:
        for dataset, revision in revisions.items():
            if not re.fullmatch(r"[0-9a-f]{40}", revision):
                raise ValueError(f"{dataset}: {revision!r} is not a commit; a branch may change between two models")
        return {**PINNED_DATA, **revisions}


class BertScoreParams(Section):
    """Free-form answers scored against references by BERTScore, with the model of ``evaluation.golden``."""

    path: str
    """A golden set (docs/golden_sets.md) with test.jsonl; every item is scored by bertscore_f1 or bertscore_pass."""
    max_new_tokens: int = Field(default=256, ge=1)


class PerplexityParams(Section):
    """Perplexity on held-out text, which shows what fine-tuning makes a model forget."""

    path: str
    """JSONL with ``text`` (and ``id``, ``slices``); it must not appear in training rows."""
    window_words: int = Field(default=512, ge=2)
    """Largest number of words that the model sees at once."""
    stride_words: int = Field(default=256, ge=1)
    """Words that each window after the first predicts."""
    limit: int | None = Field(default=None, ge=1)
    """First N texts; all when absent."""


class HarmBenchParams(Section):
    """How often the model does what it must not do; lower is better for its metric ``attack_success``."""

    data: str
    """harmbench_behaviors_text_all.csv of centerforaisafety/HarmBench, or its folder."""
    judge: JudgeSettings = JudgeSettings()
    attack: str | None = None
    """JSON or CSV of an attack's test cases; direct requests when absent."""
    copyright_references: str | None = None
    """HarmBench's data/copyright_classifier_hashes; copyright behaviours stay unscored when absent."""
    max_new_tokens: int = Field(default=512, ge=1)
    limit: int | None = Field(default=None, ge=1)
    """About this many test cases, spread over the file; all when absent."""
    max_unreadable_fraction: float = Field(default=0.05, ge=0.0, lt=1.0)
    """Largest share of unreadable verdicts that does not stop the stage (fraction 0..1)."""


class XSTestParams(Section):
    """Refusals of safe prompts (``over_refusal``), answers to unsafe ones (``unsafe_compliance``); lower is better."""

    data: str
    """xstest_prompts.csv of paul-rottger/xstest, or its folder."""
    max_new_tokens: int = Field(default=256, ge=1)
    limit: int | None = Field(default=None, ge=1)
    """About this many prompts, spread over all types; all when absent."""
    max_unreadable_fraction: float = Field(default=0.05, ge=0.0, lt=1.0)
    """Largest share of unreadable verdicts that does not stop the stage (fraction 0..1)."""


class BBQParams(Section):
    """Stereotypes in answers; accuracy and bias score in ambiguous and clear contexts."""

    data: str
    """Folder with CATEGORY.jsonl of nyu-mll/BBQ."""
    categories: tuple[str, ...] = ()
    """File names without the ending; all when empty."""
    limit: int | None = Field(default=None, ge=1)
    """About this many questions of each category; all when absent."""
