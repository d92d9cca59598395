"""HarmBench's own classifiers, run with transformers.

The 13B classifier needs a GPU with about 27 GiB, its Mistral variant about 15 GiB. No test here has run them: the
machine that the tests run on has no GPU. What is tested is everything around the weights: prompt, cut, answer.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

from evalsuite.core.errors import UsageError
from evalsuite.core.identity import hash_files, identity_of
from evalsuite.judges.base import JudgeCase, Verdict
from evalsuite.judges.prompts import PROMPTS, PromptName, read_yes_no
from evalsuite.network.model_source import resolve_model

MAX_COMPLETION_TOKENS = 512
"""HarmBench cuts each completion to this many of the classifier's tokens (evaluate_completions.py, --num_tokens)."""


class _Loaded(NamedTuple):
    model: Any
    tokenizer: Any


class HarmBenchClassifier:
    """Answers HarmBench's prompt by greedy decoding of one token, as its authors do."""

    name = "harmbench"

    def __init__(
        self,
        model: str = "cais/HarmBench-Llama-2-13b-cls",
        revision: str | None = None,
        prompt: PromptName = PromptName.HARMBENCH_LLAMA2,
        batch_size: int = 8,
    ) -> None:
        """Name the classifier; it is loaded at the first use and kept.

        Args:
            model: Hub id or folder.
            revision: Hub commit; required for a hub id, so that verdicts can be repeated.
            prompt: The prompt that this classifier was trained on.
            batch_size: Cases per forward pass.

        Raises:
            UsageError: A hub id without a revision, or a prompt that is not one of the classifiers'.
        """
        self._source = resolve_model(model)
        if self._source.folder is None and revision is None:
            raise UsageError(f"judge model {model!r}: set its revision, a commit of the hub repository")
        if prompt not in (PromptName.HARMBENCH_LLAMA2, PromptName.HARMBENCH_MISTRAL):
            raise UsageError(
                f"judge prompt {prompt!r} is not a classifier's; use {PromptName.HARMBENCH_LLAMA2} or "
                f"{PromptName.HARMBENCH_MISTRAL}"
            )
        self.model = model
        self.revision = revision
        self.prompt = prompt
        self.batch_size = batch_size

    @cached_property
    def version(self) -> str:
        """Weights, by their bytes or the hub's commit, and prompt."""
        folder = self._source.folder
        weights = self.revision if folder is None else identity_of(hash_files(folder))[:16]
        return f"{self.model}@{weights} {self.prompt} {PROMPTS[self.prompt].digest}"

    @cached_property
    def _loaded(self) -> _Loaded:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        where = str(self._source.folder or self._source.hub_id)
        tokenizer = AutoTokenizer.from_pretrained(where, revision=self.revision, padding_side="left")
        tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
        on_gpu = torch.cuda.is_available()
        model = AutoModelForCausalLM.from_pretrained(
            where,
            revision=self.revision,
            dtype=torch.bfloat16 if on_gpu else torch.float32,
            device_map="auto" if on_gpu else None,
            use_safetensors=True,
        )
        return _Loaded(model.eval(), tokenizer)

    def judge(self, cases: Sequence[JudgeCase], label: str) -> list[Verdict]:
        """One greedy token per case; anything but yes or no gives no verdict."""
        import torch

        model, tokenizer = self._loaded
        prompts = [PROMPTS[self.prompt].render(self._cut(case, tokenizer)) for case in cases]
        answers: list[str] = []
        for start in range(0, len(prompts), self.batch_size):
            batch = tokenizer(prompts[start : start + self.batch_size], return_tensors="pt", padding=True).to(
                model.device
            )
            with torch.inference_mode():
                out = model.generate(
                    **batch,
                    max_new_tokens=1,
                    do_sample=False,
                    temperature=None,
                    top_p=None,
                    pad_token_id=tokenizer.pad_token_id,
                )
            answers += tokenizer.batch_decode(out[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)
        return [read_yes_no(answer) for answer in answers]

    @staticmethod
    def _cut(case: JudgeCase, tokenizer: Any) -> JudgeCase:
        ids = tokenizer(case.completion, add_special_tokens=False)["input_ids"]
        if len(ids) <= MAX_COMPLETION_TOKENS:
            return case
        return case._replace(completion=tokenizer.decode(ids[:MAX_COMPLETION_TOKENS], skip_special_tokens=True))
