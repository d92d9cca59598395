"""Memory, steps, time and cost of a method, from the model's config and the data's counts.

Activations follow Korthikanti et al. 2022 (arXiv:2205.05198, section 4): 34 s b h bytes a layer at 16 bits without the
attention matrix, which memory-efficient attention never stores; twice that at fp32. Optimizer: AdamW keeps two moments.
"""

import os
from typing import Any, NamedTuple

from tasks.params import HardwareParams, MethodKind, MethodParams, TrainParams

FEW_EXAMPLES = 10_000
FULL_RATES = (1e-6, 1e-4)
ADAPTER_RATES = (1e-5, 2e-3)
CPU_FLOPS_PER_CORE = 64e9
"""fp32 GEMM rate of one core with AVX2, FLOP/s, measured; training reaches about half of it."""
GPU_FLOPS = 300e12
"""bf16 dense rate assumed for a data-centre GPU, FLOP/s; training reaches about 40% of it."""
CPU_EFFICIENCY = 0.45
GPU_EFFICIENCY = 0.4


class ModelShape(NamedTuple):
    """What memory and compute depend on."""

    parameters: int
    layers: int
    hidden: int
    vocabulary: int


class Memory(NamedTuple):
    """Bytes on one device, by component."""

    weights: int
    gradients: int
    optimizer: int
    activations: int
    logits: int

    @property
    def total(self) -> int:
        """All components."""
        return sum(self)


class DataCounts(NamedTuple):
    """From data/prepared/report.json."""

    rows: int
    tokens: int
    longest: int


def trained_parameters(shape: ModelShape, method: MethodParams) -> int:
    """All of them, or those of adapters on every linear layer: rank times the sum of both sides of each matrix.

    A transformer layer holds about 12 h^2 weights in its linear layers, whose sides add up to about 18 h.
    """
    if method.kind is MethodKind.FULL:
        return shape.parameters
    return min(shape.parameters, shape.layers * 18 * shape.hidden * method.rank)


def memory(shape: ModelShape, method: MethodParams, train: TrainParams, row_tokens: int, cuda: bool) -> Memory:
    """Bytes on one device without sharding.

    Args:
        shape: The model.
        method: How it is trained.
        train: Micro-batch and gradient checkpointing.
        row_tokens: Tokens of one micro-batch row.
        cuda: Mixed precision (fp32 weights, bf16 compute) instead of fp32.
    """
    trained = trained_parameters(shape, method)
    frozen_bytes = 0.55 if method.kind is MethodKind.QLORA else 4
    weights = (
        4 * shape.parameters if method.kind is MethodKind.FULL else int(frozen_bytes * shape.parameters) + 4 * trained
    )
    tokens = row_tokens * train.micro_batch_size
    activation_bytes = 34 * shape.hidden * tokens * (1 if cuda else 2)
    stored_layers = 1 + shape.layers**0.5 if train.gradient_checkpointing else shape.layers
    return Memory(
        weights=weights,
        gradients=4 * trained,
        optimizer=8 * trained,
        activations=int(activation_bytes * stored_layers),
        logits=2 * 4 * tokens * shape.vocabulary,
    )


def tokens_per_second(shape: ModelShape, method: MethodParams, hardware: HardwareParams, cuda: bool) -> float:
    """Given, or model FLOPs over the device's rate: 6 a parameter and token, 4 where the weights are frozen."""
    if hardware.tokens_per_second is not None:
        return hardware.tokens_per_second
    flops = (6 if method.kind is MethodKind.FULL else 4) * shape.parameters
    rate = GPU_FLOPS * GPU_EFFICIENCY if cuda else (os.cpu_count() or 1) * CPU_FLOPS_PER_CORE * CPU_EFFICIENCY
    return rate / flops


def warnings(method: MethodParams, train: TrainParams, data: DataCounts) -> list[str]:
    """What experience says against this plan."""
    found = []
    if method.kind is MethodKind.FULL and data.rows < FEW_EXAMPLES:
        found.append(f"{data.rows} examples: below {FEW_EXAMPLES:,} LoRA usually does as well for less")
    low, high = FULL_RATES if method.kind is MethodKind.FULL else ADAPTER_RATES
    if not low <= method.learning_rate <= high:
        found.append(
            f"learning rate {method.learning_rate:g} is outside {low:g} to {high:g}, usual for {method.kind}; full "
            "fine-tuning takes about a hundredth to a tenth of LoRA's"
        )
    if not 0.01 <= method.warmup_ratio <= 0.03:
        found.append(f"warm-up {method.warmup_ratio:g} of the steps; 0.01 to 0.03 is usual")
    if method.epochs < train.keep_checkpoints:
        found.append(f"{method.epochs} epochs leave fewer than {train.keep_checkpoints} checkpoints to choose from")
    return found


def steps(rows: int, train: TrainParams, method: MethodParams) -> int:
    """Optimizer steps of the whole run."""
    return -(-rows // train.batch_size) * method.epochs


def model_shape(config: Any) -> ModelShape:
    """Count parameters on the meta device, so that no weight is loaded or allocated."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    return ModelShape(
        parameters=int(model.num_parameters()),
        layers=int(config.num_hidden_layers),
        hidden=int(config.hidden_size),
        vocabulary=int(config.vocab_size),
    )
