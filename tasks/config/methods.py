"""One way to fine-tune, as params.yaml names it."""

import math
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from evalsuite.core.yaml_mistakes import comma_advice
from tasks.config.numerics import Numerics, Optimizer
from tasks.config.section import Section

PISSA = re.compile(r"pissa(_niter_[1-9][0-9]?)?")
MOST_SEEDS = 2**32
"""NumPy's random generator takes no larger one, and none below zero."""
ADAPTER_FIELDS = frozenset(
    {"rank", "lora_alpha", "lora_dropout", "target_modules", "use_dora", "use_rslora", "init_lora_weights"}
)

NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
"""Of a method: it is a folder's name too."""


class MethodKind(StrEnum):
    """How the weights are trained: the one that takes most memory first."""

    FULL = "full"
    LORA = "lora"
    QLORA = "qlora"

    @property
    def lighter(self) -> tuple["MethodKind", ...]:
        """Those that take less memory, the next one first."""
        kinds = tuple(MethodKind)
        return kinds[kinds.index(self) + 1 :]


class MethodParams(Section):
    """One way to fine-tune; several are compared."""

    kind: MethodKind
    learning_rate: float | tuple[float, ...]
    """Or several: each trains by itself, and the best on the golden dev set is exported."""
    seed: int | None = Field(default=None, ge=0, lt=MOST_SEEDS)
    """Of this method; ``train.seed`` when absent. Methods that differ in it alone are one method with several seeds."""
    epochs: int = Field(default=3, ge=1, le=100)
    weight_decay: float = Field(default=0.0, ge=0.0, lt=1.0)
    warmup_ratio: float = Field(default=0.03, ge=0.0, lt=1.0)
    """Share of the steps with a rising learning rate (fraction 0..1); 0.01 to 0.03 is usual."""
    neftune_noise_alpha: float | None = Field(default=None, gt=0.0)
    """NEFTune (arXiv:2310.05914): noise on the embeddings, uniform up to alpha / sqrt(tokens of the row x width); none
    when absent. With packing the row is the packed one."""
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

    numerics: Numerics | None = None
    """``fp32``, ``mixed``, or of kind full ``bf16_fp32_states`` or ``pure_bf16``; the best that fits if absent."""
    optimizer: Optimizer = Optimizer.ADAMW
    """``adamw``, ``adamw_8bit`` or ``paged_adamw_8bit`` (bitsandbytes)."""
    stochastic_rounding: bool = True
    """Of bf16 weights: without it most updates of usual learning rates are rounded to nothing."""

    @property
    def rates(self) -> tuple[float, ...]:
        """Every learning rate."""
        return self.learning_rate if isinstance(self.learning_rate, tuple) else (self.learning_rate,)

    @property
    def is_sweep(self) -> bool:
        """Whether several learning rates are tried."""
        return len(self.rates) > 1

    def at_rate(self, rate: float) -> "MethodParams":
        """This method with one learning rate."""
        return self.model_copy(update={"learning_rate": rate})

    @property
    def is_pissa(self) -> bool:
        """Whether the base weights change as the adapter is put on them."""
        return self.init_lora_weights != "default"

    @property
    def recipe(self) -> str:
        """All but the seed: equal for methods that are one method with several seeds."""
        return self.model_dump_json(exclude={"seed"})

    @field_validator("learning_rate", mode="before")
    @classmethod
    def _rate_or_rates(cls, given: Any) -> float | tuple[float, ...]:
        rates = [_rate(each) for each in (given if isinstance(given, list | tuple) else [given])]
        if len(set(rates)) < len(rates) or not rates:
            raise ValueError(f"learning rates {rates}: expected at least one, and each once")
        return rates[0] if len(rates) == 1 else tuple(rates)

    @field_validator("target_modules")
    @classmethod
    def _targets_can_match(cls, targets: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if not targets:
            raise ValueError("expected module names, a pattern of them, or all-linear")
        if isinstance(targets, str):
            try:
                re.compile(targets)
            except re.error as error:
                raise ValueError(f"no regular expression ({error}); expected module names, or all-linear") from None
        return targets

    @field_validator("init_lora_weights")
    @classmethod
    def _known_start(cls, start: str) -> str:
        if start != "default" and not PISSA.fullmatch(start):
            raise ValueError("expected default, pissa or pissa_niter_N with N from 1 to 99")
        return start

    @model_validator(mode="after")
    def _numerics_fit(self) -> Self:
        if self.numerics is None:
            return self
        if self.kind is not MethodKind.FULL and self.numerics.bf16_weights:
            raise ValueError(f"kind {self.kind} takes no numerics {self.numerics}: its adapters stay fp32; use mixed")
        if self.optimizer.eight_bit and self.numerics is Numerics.PURE_BF16:
            raise ValueError(f"optimizer {self.optimizer} has states of its own width: use numerics bf16_fp32_states")
        return self

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


def _rate(given: Any) -> float:
    """A learning rate; YAML 1.1 reads 1e-4 as text."""
    try:
        rate = math.nan if isinstance(given, bool) else float(given)
    except (TypeError, ValueError):
        rate = math.nan
    if not 0.0 < rate < 1.0:
        advice = comma_advice(given) if isinstance(given, str) else ""
        raise ValueError(f"learning rate {given!r}: {advice or 'expected a number between 0 and 1, or a list of such'}")
    return rate


def seed_sets(methods: Mapping[str, MethodParams], seed: int) -> tuple[tuple[str, ...], ...]:
    """Names of methods that differ in nothing but the seed, set by set; methods that stand alone are in none.

    Args:
        methods: All, by name.
        seed: Of a method that names none.

    Raises:
        ValueError: Two of them have the same seed, so that one training would be counted as two.
    """
    recipes: dict[str, list[str]] = {}
    for name, method in methods.items():
        recipes.setdefault(method.recipe, []).append(name)
    found = []
    for names in recipes.values():
        if len(names) < 2 or all(methods[name].seed is None for name in names):
            continue
        first: dict[int, str] = {}
        for name in names:
            own = methods[name].seed
            other = first.setdefault(seed if own is None else own, name)
            if other != name:
                raise ValueError(f"methods {other} and {name} are one training: same settings, same seed; change one")
        found.append(tuple(names))
    return tuple(found)


def num_candidates(methods: Mapping[str, MethodParams], seed: int) -> int:
    """Methods among which test items choose: of those that differ in the seed alone, one, which dev items chose."""
    return len(methods) - sum(len(names) - 1 for names in seed_sets(methods, seed))
