"""Memory, disk, steps, time and cost of a method, from the model's config and the data's counts.

Activations follow Korthikanti et al. 2022 (arXiv:2205.05198, section 4): 34 s b h bytes a layer at 16 bits without the
attention matrix, which memory-efficient attention never stores; twice that at fp32. Optimizer: AdamW keeps two moments.
NF4 with double quantisation takes 4.127 bits a weight (Dettmers et al. 2023, arXiv:2305.14314, section 3).
"""

import os
from pathlib import Path
from typing import Any, NamedTuple

from evalsuite.errors import UsageError
from tasks.params import HardwareParams, MethodKind, MethodParams, TrainParams
from tasks.training.models import adapter_config

HEADROOM = 1.15
"""Buffers and fragmentation on top of the counted components."""
NF4_BYTES = 4.127 / 8
RUNTIME_BYTES = {"cpu": 2**30, "cuda": 2**29}
"""Assumed, not measured: Python with torch, transformers, trl and a BERTScore model; the CUDA context."""
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
    """Of the base model, without adapters."""
    linear_parameters: int
    """Those in linear layers but the output layer: what QLoRA quantises."""
    trained_parameters: int
    """All of them, or the adapters'."""
    layers: int
    hidden: int
    vocabulary: int


class Memory(NamedTuple):
    """Bytes on one device, by component."""

    runtime: int
    weights: int
    gradients: int
    optimizer: int
    activations: int
    logits: int
    dev_run: int
    """The checkpoint that answers the golden dev set, beside the model in training; gradients are freed by then."""

    @property
    def total(self) -> int:
        """At the worse of the two moments: a training step, or the dev run between two epochs."""
        step = self.gradients + self.activations + self.logits
        return self.runtime + self.weights + self.optimizer + max(step, self.dev_run)


class DataCounts(NamedTuple):
    """From data/prepared/report.json."""

    rows: int
    tokens: int
    longest: int


def memory(shape: ModelShape, method: MethodParams, train: TrainParams, row_tokens: int, cuda: bool) -> Memory:
    """Bytes on one device without sharding.

    Args:
        shape: The model with the method's adapters.
        method: How it is trained.
        train: Micro-batch and gradient checkpointing.
        row_tokens: Tokens of one micro-batch row.
        cuda: Mixed precision (trained weights fp32, frozen ones and compute bf16) instead of fp32.
    """
    trained, frozen_bytes = shape.trained_parameters, 2 if cuda else 4
    quantised = shape.linear_parameters if method.kind is MethodKind.QLORA else 0
    weights = 4 * shape.parameters
    if method.kind is not MethodKind.FULL:
        weights = int(NF4_BYTES * quantised) + frozen_bytes * (shape.parameters - quantised) + 4 * trained
    tokens = row_tokens * train.micro_batch_size
    activation_bytes = 34 * shape.hidden * tokens * (1 if cuda else 2)
    stored_layers = 1 + shape.layers**0.5 if train.gradient_checkpointing else shape.layers
    return Memory(
        runtime=RUNTIME_BYTES["cuda" if cuda else "cpu"],
        weights=weights,
        gradients=4 * trained,
        optimizer=8 * trained,
        activations=int(activation_bytes * stored_layers),
        logits=2 * 4 * tokens * shape.vocabulary,
        dev_run=frozen_bytes * shape.parameters,
    )


def needed_bytes(memory: Memory) -> int:
    """What the device must have."""
    return int(HEADROOM * memory.total)


def remedies(
    config: Any, method: MethodParams, train: TrainParams, row_tokens: int, cuda: bool, have: int
) -> list[str]:
    """Changes of params.yaml, the least first, with which a method that does not fit would."""
    smaller = train.model_copy(update={"micro_batch_size": 1})
    least = smaller.model_copy(update={"gradient_checkpointing": True})
    options = {
        "train.micro_batch_size: 1": (method, smaller),
        "train.micro_batch_size: 1 with train.gradient_checkpointing: true": (method, least),
    }
    if method.kind is MethodKind.FULL:
        shared = {"learning_rate": method.learning_rate, "epochs": method.epochs}
        for kind in (MethodKind.LORA, MethodKind.QLORA):
            other = MethodParams.model_validate({"kind": kind, **shared})
            options |= {f"kind: {kind}": (other, train), f"kind: {kind} with both": (other, least)}
    if method.kind is MethodKind.LORA:
        other = method.model_copy(update={"kind": MethodKind.QLORA})
        options |= {f"kind: {MethodKind.QLORA}": (other, train), f"kind: {MethodKind.QLORA} with both": (other, least)}
    return [
        text
        for text, (other, settings) in options.items()
        if needed_bytes(memory(model_shape(config, other), other, settings, row_tokens, cuda)) <= have
    ]


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


def model_shape(config: Any, method: MethodParams) -> ModelShape:
    """Count parameters on the meta device, so that no weight is loaded or allocated.

    Raises:
        UsageError: The adapter's target modules match nothing.
    """
    import torch
    from transformers import AutoModelForCausalLM

    text = config.get_text_config()
    with torch.device("meta"):
        model: Any = AutoModelForCausalLM.from_config(config)
        parameters = int(model.num_parameters())
        output = model.get_output_embeddings()
        linear = [m for m in model.modules() if isinstance(m, torch.nn.Linear) and m is not output]
        linear_parameters = sum(module.weight.numel() for module in linear)
        trained = parameters
        if method.kind is not MethodKind.FULL:
            from peft import get_peft_model

            try:
                model = get_peft_model(model, adapter_config(method))
            except ValueError as error:
                if "arget modules" not in str(error):
                    raise
                reason = str(error).splitlines()[0]
                raise UsageError(f"target_modules = {method.target_modules!r}: {reason}") from None
            trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return ModelShape(
        parameters=parameters,
        linear_parameters=linear_parameters,
        trained_parameters=trained,
        layers=int(text.num_hidden_layers),
        hidden=int(text.hidden_size),
        vocabulary=int(text.vocab_size),
    )


def device_memory(cuda: bool) -> int:
    """Bytes of the GPU, or of the machine where a container's limit is not lower."""
    if cuda:
        import torch

        return int(torch.cuda.get_device_properties(0).total_memory)
    import psutil

    limit = Path("/sys/fs/cgroup/memory.max")
    text = limit.read_text(encoding="ascii").strip() if limit.is_file() else "max"
    machine = int(psutil.virtual_memory().total)
    return min(machine, int(text)) if text.isdigit() else machine
