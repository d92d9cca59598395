"""One way to fine-tune, as params.yaml names it."""

import re
from enum import StrEnum
from typing import Self

from pydantic import Field, field_validator, model_validator

from tasks.section import Section

PISSA = re.compile(r"pissa(_niter_[1-9][0-9]?)?")
ADAPTER_FIELDS = frozenset(
    {"rank", "lora_alpha", "lora_dropout", "target_modules", "use_dora", "use_rslora", "init_lora_weights"}
)


class MethodKind(StrEnum):
    """How the weights are trained."""

    FULL = "full"
    LORA = "lora"
    QLORA = "qlora"


class MethodParams(Section):
    """One way to fine-tune; several are compared."""

    kind: MethodKind
    learning_rate: float = Field(gt=0.0, lt=1.0)
    epochs: int = Field(default=3, ge=1, le=100)
    weight_decay: float = Field(default=0.0, ge=0.0, lt=1.0)
    warmup_ratio: float = Field(default=0.03, ge=0.0, lt=1.0)
    """Share of the steps with a rising learning rate (fraction 0..1); 0.01 to 0.03 is usual."""
    rank: int = Field(default=16, ge=1)
    """LoRA and QLoRA: rank of the update."""
    lora_alpha: int | None = Field(default=None, ge=1)
    """LoRA and QLoRA: scale; twice the rank when absent."""
    lora_dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    target_modules: str | tuple[str, ...] = "all-linear"
    """LoRA and QLoRA: module names, or ``all-linear``."""
    use_dora: bool = False
    """LoRA and QLoRA: weight-decomposed update (DoRA, arXiv:2402.09353)."""
    use_rslora: bool = False
    """LoRA and QLoRA: scale by alpha / sqrt(rank) instead of alpha / rank (rsLoRA, arXiv:2312.03732)."""
    init_lora_weights: str = "default"
    """LoRA: ``default`` (no update), or ``pissa``: start from the weights' largest singular values and vectors (PiSSA,
    arXiv:2404.02948); ``pissa_niter_N`` finds them approximately, in N rounds, where ``pissa`` takes long."""

    @property
    def is_pissa(self) -> bool:
        """Whether the base weights change as the adapter is put on them."""
        return self.init_lora_weights != "default"

    @field_validator("init_lora_weights")
    @classmethod
    def _known_start(cls, start: str) -> str:
        if start != "default" and not PISSA.fullmatch(start):
            raise ValueError("expected default, pissa or pissa_niter_N with N from 1 to 99")
        return start

    @model_validator(mode="after")
    def _adapter_fields_fit_kind(self) -> Self:
        adapter = ADAPTER_FIELDS & self.model_fields_set
        if self.kind is MethodKind.FULL and adapter:
            raise ValueError(f"kind full takes no {sorted(adapter)[0]}; use kind lora or qlora")
        if self.is_pissa and self.kind is MethodKind.QLORA:
            raise ValueError(
                "init_lora_weights pissa takes a part out of the base weights, which 4-bit weights do not allow; use "
                "kind lora, or init_lora_weights: default"
            )
        if self.is_pissa and self.use_dora:
            raise ValueError(
                "a PiSSA adapter with DoRA's magnitudes cannot become an ordinary adapter of the base model; take "
                "init_lora_weights: default, or use_dora: false"
            )
        return self
