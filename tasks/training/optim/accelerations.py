"""What makes training faster, each on, or off with the reason: read from the objects that run."""

import importlib.util
from typing import Any

from tasks.training.optim.attention import DOCUMENTS, has_flash_attention

NO_GPU = "no CUDA device"


def has_liger(cuda: bool) -> bool:
    """Whether Liger's Triton kernels can run."""
    return cuda and importlib.util.find_spec("liger_kernel") is not None


def read_accelerations(trainer: Any) -> dict[str, str]:
    """Name -> ``on`` or ``off: REASON``, of a trainer that has its optimizer."""
    cuda = trainer.model.device.type == "cuda"
    optimizer = trainer.optimizer
    while hasattr(optimizer, "optimizer"):  # accelerate's and DeepSpeed's around torch's
        optimizer = optimizer.optimizer
    name = type(optimizer).__name__
    paged = getattr(optimizer, "is_paged", False)
    reasons = {
        "packing": None if trainer.padding_free else "train.packing is false; rows of like length share a step",
        "attention within documents": _no_documents(trainer),
        "FlashAttention": _no_flash_attention(trainer, cuda),
        "loss in place, at supervised positions": trainer.why_full_logits(),
        "Liger kernels": _no_liger(trainer, cuda),
        "fused optimizer": None if optimizer.defaults.get("fused") else f"{name} has no fused step here",
        "8-bit optimizer": None if "8bit" in name.lower() else f"the plan has {name} with states in full width",
        "paged optimizer": None if paged else f"the plan has {name}" if cuda else NO_GPU,
        "torch.compile": None if trainer.args.torch_compile else "micro-batches change their length at every step",
    }
    return {name: "on" if reason is None else f"off: {reason}" for name, reason in reasons.items()}


def _no_documents(trainer: Any) -> str | None:
    attention = str(trainer.model.config._attn_implementation)
    if not trainer.padding_free:
        return "train.packing is false"
    if attention == DOCUMENTS or attention.startswith("flash_attention"):
        return None
    return f"a mask over the row keeps documents apart (attention {attention!r})"


def _no_flash_attention(trainer: Any, cuda: bool) -> str | None:
    if not cuda:
        return NO_GPU
    if str(trainer.model.config._attn_implementation).startswith("flash_attention"):
        return None
    if has_flash_attention(trainer.model):
        return "train.packing is false"
    return "the package flash_attn is not installed, or not for this model"


def _no_liger(trainer: Any, cuda: bool) -> str | None:
    if trainer.args.use_liger_kernel:
        return None
    return "the package liger_kernel is not installed" if cuda else NO_GPU
