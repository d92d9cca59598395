"""LoRA (arXiv:2106.09685) with its relatives DoRA, rsLoRA and PiSSA: adapters beside frozen weights."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evalsuite.core.errors import StageError, UsageError
from tasks.config.numerics import Numerics
from tasks.methods.loading import load_plain
from tasks.methods.method import Differences, Method
from tasks.methods.pissa import TRAINED, convert, keep_initial

MERGE_TOLERANCE = 1e-3
"""Largest logit difference between merged and unmerged weights that fp32 rounding explains."""


class Lora(Method):
    """Checkpoints are adapters; what ships is merged in fp32 into the base's full-precision weights."""

    frozen = True
    usual_rates = (1e-5, 2e-3)

    @property
    def needs_whole_weights(self) -> str | None:
        """PiSSA and DoRA read whole base weights, PiSSA changes them."""
        if self.params.is_pissa:
            return "init_lora_weights pissa"
        return "use_dora" if self.params.use_dora else None

    @property
    def saves_twice(self) -> bool:
        """PiSSA's adapter is saved as it is trained, and as one of the base model."""
        return self.params.is_pissa

    def load_checkpoint(self, checkpoint: Path, base: Path, dtype: Any) -> Any:
        """The adapter on the base model."""
        from peft import PeftModel

        return PeftModel.from_pretrained(load_plain(base, dtype), checkpoint, is_trainable=False)

    def standalone(
        self, name: str, checkpoint: Path, base: Path, probes: Sequence[Sequence[int]]
    ) -> tuple[Any, Differences]:
        """The adapter merged into the base model, which must give the logits of base plus adapter on a few dev rows."""
        import torch

        model = self.load_checkpoint(checkpoint, base, torch.float32)
        before = _logits(model, probes)
        model = model.merge_and_unload(safe_merge=True)
        after = _logits(model, probes)
        merged = _largest_difference(before, after)
        if not merged <= MERGE_TOLERANCE:
            raise StageError(
                f"merging {name}'s adapter changed a logit by {merged:.3g}, more than {MERGE_TOLERANCE}; nothing was "
                "exported"
            )
        trained: float | None = None
        if self.quantised:  # how far what ships lies from what was trained is measured, and no reason to stop
            from peft import PeftModel

            beside = PeftModel.from_pretrained(self.load(base, Numerics.FP32), checkpoint, is_trainable=False)
            trained = _largest_difference(after, _logits(beside, probes))
        return model, Differences(merged, trained)

    def adapter(self, goes_on: bool = False) -> Any:
        """Peft's LoraConfig."""
        from peft import LoraConfig

        params = self.params
        targets: Any = params.target_modules if isinstance(params.target_modules, str) else list(params.target_modules)
        return LoraConfig(
            r=params.rank,
            lora_alpha=params.lora_alpha or 2 * params.rank,
            lora_dropout=params.lora_dropout,
            target_modules=targets,
            use_dora=params.use_dora,
            use_rslora=params.use_rslora,
            init_lora_weights=params.init_lora_weights if params.is_pissa and not goes_on else True,
            bias="none",
            task_type="CAUSAL_LM",
        )

    def check_targets(self, model: Any) -> None:
        """Refuse target modules that peft leaves out in silence, refuses at length, or that no merge could keep apart.

        Raises:
            UsageError: ``target_modules = ...``, with the name that matches nothing or cannot have an adapter.
        """
        import torch
        from transformers.pytorch_utils import Conv1D

        targets = self.params.target_modules
        if targets == "all-linear":
            return
        given = f"target_modules = {targets if isinstance(targets, str) else list(targets)!r}"
        modules = dict(model.named_modules())
        found: dict[str, Any] = {}
        # As peft matches: a text is a pattern of whole names, a list has names or their last parts.
        for target in (targets,) if isinstance(targets, str) else targets:
            matching = {
                name: module
                for name, module in modules.items()
                if (re.fullmatch(targets, name) if isinstance(targets, str) else f".{name}".endswith(f".{target}"))
            }
            if not matching:
                linear = sorted(
                    {name.split(".")[-1] for name, each in modules.items() if isinstance(each, torch.nn.Linear)}
                )
                hint = " (a text is a pattern of whole names; put names into a list)" * isinstance(targets, str)
                raise UsageError(f"{given}: {target!r} matches nothing{hint}; linear modules: {', '.join(linear)}")
            found |= matching
        ends = (model.get_input_embeddings(), model.get_output_embeddings())
        tied = ends[1] is not None and ends[0].weight is ends[1].weight
        for name, module in found.items():
            if not isinstance(module, torch.nn.Linear | torch.nn.Embedding | Conv1D):
                raise UsageError(
                    f"{given}: {name or 'the whole model'} is a {type(module).__name__}, which takes no adapter"
                )
            if tied and module in ends:
                raise UsageError(
                    f"{given}: {name} shares its weight with the model's other end (tie_word_embeddings), so an "
                    "adapter on it alone could not be merged; leave it out"
                )

    def begin(self, name: str, model: Any, root: Path, first: bool) -> None:
        """Keep PiSSA's start, or take it out of the base weights again."""
        if self.params.is_pissa:
            keep_initial(name, model, self.params, root, first)

    def complete(self, checkpoint: Path, root: Path) -> None:
        """Put an adapter of the base model in the place of PiSSA's."""
        if self.params.is_pissa:
            convert(checkpoint, root)

    def resume_folder(self, checkpoint: Path) -> Path:
        """The adapter as it is trained."""
        return checkpoint / TRAINED if self.params.is_pissa else checkpoint


def _largest_difference(left: Sequence[Any], right: Sequence[Any]) -> float:
    return max(float((a - b).abs().max()) for a, b in zip(left, right, strict=True))


def _logits(model: Any, probes: Sequence[Sequence[int]]) -> list[Any]:
    import torch

    model.eval()
    with torch.inference_mode():
        return [
            model(input_ids=torch.tensor([probe], device=model.device), use_cache=False).logits.float().cpu()
            for probe in probes
        ]
