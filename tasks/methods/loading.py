"""Models read from a folder, whole or split between processes, and the types of their numbers."""

from pathlib import Path
from typing import Any

from tasks.config.numerics import Numerics


def compute_dtype(numerics: Numerics) -> Any:
    """What layers compute in, and the type of frozen weights."""
    import torch

    return torch.float32 if numerics is Numerics.FP32 else torch.bfloat16


def trained_dtype(numerics: Numerics) -> Any:
    """Type of the weights that are trained, as they are loaded."""
    import torch

    return torch.bfloat16 if numerics.bf16_weights else torch.float32


def shipped_dtype(base: Path) -> Any:
    """Type of the weights that ship: the base model's own."""
    import torch
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(base, local_files_only=True, trust_remote_code=False)
    dtype = config.dtype or config.get_text_config().dtype
    return dtype if isinstance(dtype, torch.dtype) else torch.float32


def load_plain(folder: Path, dtype: Any) -> Any:
    """Complete weights as ``dtype`` on the best device."""
    import torch
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, local_files_only=True, trust_remote_code=False
    )
    if any(hasattr(parameter, "ds_tensor") for parameter in model.parameters()):
        return model  # DeepSpeed has split it already and moves the parts itself
    return model.to("cuda" if torch.cuda.is_available() else "cpu")


def load_split(folder: Path, dtype: Any, split: Any) -> Any:
    """This process's part of the weights, as FSDP2 keeps it.

    Each process reads only its part, save where input and output embedding are one tensor: transformers 5.23 ties them
    after the split, FSDP2 then knows of one of the two only, and the output layer's part of the gradient is lost,
    silently. Such a model is read whole, tied, and split here.
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    offline = {"local_files_only": True, "trust_remote_code": False}
    config = AutoConfig.from_pretrained(folder, **offline)
    # A model with a vision tower says it for both its parts, and the whole decides.
    if not any(getattr(part, "tie_word_embeddings", False) for part in (config, config.get_text_config())):
        return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, distributed_config=split, **offline)
    return _split_tied(AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, **offline), split)


def _split_tied(model: Any, split: Any) -> Any:
    """Split each decoder layer, and all else as one group, so that tied tensors stay one.

    The attributes are those that ``PreTrainedModel.maybe_distribute_model`` sets (transformers 5.23,
    distributed/mixin.py): trainer and ``save_pretrained`` read them.
    """
    import torch
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
    from transformers.distributed.utils import initialize_distributed_mesh

    _, meshes = initialize_distributed_mesh(split)
    policy = MixedPrecisionPolicy()
    if split.fsdp_mixed_precision:
        policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
    for module in model.modules():
        if type(module).__name__ in (model._no_split_modules or ()):
            fully_shard(module, mesh=meshes.get_mesh("fsdp"), mp_policy=policy)
    fully_shard(model, mesh=meshes.get_mesh("fsdp"), mp_policy=policy)
    model.config.distributed_config = split
    model._mesh_manager = meshes
    model._device_mesh = meshes.get_mesh(("pp", "fsdp", "tp"))
    model._is_distributed_loading_by_transformers = model._is_fsdp_managed_module = True
    model._tp_size, model._fsdp_size = split.tp_size, split.fsdp_size
    return model
