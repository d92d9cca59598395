"""What experience says of a method, each piece with where it comes from."""

from typing import NamedTuple

from tasks.config.methods import MethodKind, MethodParams
from tasks.config.train import TrainParams
from tasks.methods.kinds import KINDS
from tasks.planning.memory import Numerics

FEW_EXAMPLES = 10_000
LORA_LEARNS_LESS = "Biderman et al. 2024, LoRA Learns Less and Forgets Less, arXiv:2405.09673"
QLORA_PAPER = "Dettmers et al. 2023, arXiv:2305.14314, appendix B"
ALPACA = "Taori et al. 2023, Stanford Alpaca, training command"
THINKING_MACHINES = "Schulman et al. 2025, LoRA Without Regret, Thinking Machines Lab"
INSTRUCTGPT = "Ouyang et al. 2022, arXiv:2203.02155, section 3.5: select among epochs by a score, not by loss"
LLAMA_2 = "Touvron et al. 2023, arXiv:2307.09288, section 3.1"
BF16_PAPER = "Zamirai et al. 2020, Revisiting BFloat16 Training, arXiv:2010.06192"


class Advice(NamedTuple):
    """One sentence and its source."""

    text: str
    source: str
    warns: bool = True
    """Whether it speaks against the plan; else it says what may come next."""


def advise(method: MethodParams, train: TrainParams, rows: int | None) -> list[Advice]:
    """What speaks against this plan, and what may come next."""
    full = not KINDS[method.kind].frozen
    found = _volume(full, rows)
    low, high = KINDS[method.kind].usual_rates
    for rate in method.rates:
        if low <= rate <= high:
            continue
        text = (
            f"learning rate {rate:g} is outside {low:g} to {high:g}, usual for {method.kind}; full "
            "fine-tuning takes about a hundredth to a tenth of LoRA's"
        )
        found.append(Advice(text, THINKING_MACHINES if full else QLORA_PAPER))
    if not 0.01 <= method.warmup_ratio <= 0.03:
        found.append(Advice(f"warm-up {method.warmup_ratio:g} of the steps; 0.01 to 0.03 is usual", ALPACA))
    if full and not 0.05 <= method.weight_decay <= 0.1:
        text = f"weight decay {method.weight_decay:g}; 0.05 to 0.1 is usual for full fine-tuning"
        found.append(Advice(text, LLAMA_2))
    if method.epochs < train.keep_checkpoints:
        text = f"{method.epochs} epochs leave fewer than {train.keep_checkpoints} checkpoints to choose from"
        found.append(Advice(text, INSTRUCTGPT))
    return found


def advise_numerics(numerics: Numerics, stochastic_rounding: bool) -> list[Advice]:
    """Weights in bf16 have 8 bits of precision: a step below a 512th of a weight is rounded away."""
    if not numerics.bf16_weights:
        return []
    if stochastic_rounding:
        text = (
            f"numerics {numerics}: bf16 weights are rounded up or down at random (stochastic_rounding), since to the "
            "nearest most updates would vanish; plain AdamW of other trainers does not"
        )
        return [Advice(text, BF16_PAPER, warns=False)]
    text = (
        f"numerics {numerics}: the weights themselves are bf16, whose 8 bits round most updates of usual "
        "learning rates to nothing; use stochastic_rounding: true, mixed (fp32 master weights), or LoRA, whose "
        "adapters stay fp32"
    )
    return [Advice(text, BF16_PAPER)]


def recipe(kind: MethodKind, rows: int | None) -> list[Advice]:
    """What to start with, where no method of params.yaml says it."""
    full = not KINDS[kind].frozen
    low, high = KINDS[kind].usual_rates
    found = [
        Advice(f"learning rate from {low:g} to {high:g} for {kind}", THINKING_MACHINES if full else QLORA_PAPER),
        Advice("warm-up over 1% to 3% of the steps", ALPACA),
        Advice("keep the checkpoints of the last 3 epochs at least, and choose by a score", INSTRUCTGPT),
    ]
    if full:
        found.insert(2, Advice("weight decay from 0.05 to 0.1", LLAMA_2))
    return [each._replace(warns=False) for each in [*found, *_volume(full, rows)]]


def _volume(full: bool, rows: int | None) -> list[Advice]:
    """LoRA for few examples; for many, full fine-tuning where LoRA does not reach the bar."""
    if full and rows is not None and rows < FEW_EXAMPLES:
        text = f"{rows:,} examples: below {FEW_EXAMPLES:,} LoRA usually does as well for less"
        return [Advice(text, THINKING_MACHINES)]
    if not full and rows is not None and rows >= FEW_EXAMPLES:
        text = f"{rows:,} examples: if LoRA stays below the bar, full fine-tuning may reach it"
        return [Advice(text, LORA_LEARNS_LESS, warns=False)]
    return []
