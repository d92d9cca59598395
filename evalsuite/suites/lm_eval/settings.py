"""Which of lm-eval's tasks run, as params.yaml says it."""

import re

from pydantic import Field, field_validator

from evalsuite.core.settings import Settings

PINNED_DATA = {
    "TIGER-Lab/MMLU-Pro": "b189ec765aa7ed75c8acfea42df31fdae71f97be",
    "google/IFEval": "966cd89545d6b6acfd7638bc708b98261ca58e84",
}
"""Hub dataset -> commit, for the public tasks below."""


class HarnessTask(Settings):
    """One lm-eval task or group."""

    max_new_tokens: int | None = Field(default=None, ge=1)
    """Replaces the task's own ``max_gen_toks``."""
    limit: int | None = Field(default=None, ge=1)
    """First N items of each subtask; all when absent."""
    apply_chat_template: bool = False
    """Put the prompt through the chat template."""


PUBLIC_TASKS = {"mmlu_pro": HarnessTask(), "ifeval": HarnessTask(apply_chat_template=True)}
"""Run by a section ``harness`` that lists no tasks, and without that section by a rule that names them."""


class HarnessParams(Settings):
    """Benchmarks run by lm-eval's own task code.

    Without this section, those of ``mmlu_pro`` and ``ifeval`` that the gate or the comparison reads.
    """

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
                raise ValueError(f"{dataset}: {revision!r} is no commit; a branch may change between two models")
        return {**PINNED_DATA, **revisions}
