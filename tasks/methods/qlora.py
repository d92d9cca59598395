"""QLoRA (Dettmers et al. 2023, arXiv:2305.14314): adapters beside 4-bit NF4 weights with double quantisation."""

from pathlib import Path
from typing import Any

from tasks.config.numerics import Numerics
from tasks.methods.loading import compute_dtype
from tasks.methods.lora import Lora

NF4_BYTES = 4.127 / 8
"""Of a weight, with double quantisation (section 3)."""


class QLora(Lora):
    """Ships the base as it is plus an adapter that was learnt beside its 4-bit form."""

    quantised = True
    slowdown = 1.3
    """De-quantisation in each layer: 2413 against 3083 tokens a second (torchtune's README, Llama 3.1 8B on a 4090)."""

    @staticmethod
    def linear_bytes(compute: int) -> float:
        """NF4."""
        return NF4_BYTES

    def load(self, folder: Path, numerics: Numerics, split: Any | None = None) -> Any:
        """Quantised as they are read."""
        import torch
        from transformers import AutoModelForCausalLM, BitsAndBytesConfig

        compute = compute_dtype(numerics)
        quantisation = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=compute,
        )
        device = "cuda" if torch.cuda.is_available() else "cpu"
        model: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            quantization_config=quantisation,
            device_map={"": device},
            dtype=compute,
            local_files_only=True,
            trust_remote_code=False,
        )
        _keep_differentiable(model)
        return model


def _keep_differentiable(model: Any) -> None:
    """Keep bitsandbytes from repacking 4-bit weights for inference.

    On a CPU with AVX512-BF16, its Linear4bit repacks them at the first forward pass in evaluation mode, for good, for a
    kernel without a gradient: every epoch after the first evaluation would then train on wrong gradients, with no more
    than a warning (bitsandbytes 0.50.2, nn/modules.py, Linear4bit.forward).
    """
    from bitsandbytes.nn import Linear4bit

    for module in model.modules():
        if isinstance(module, Linear4bit):
            module.support_avx512bf16_for_cpu = False
