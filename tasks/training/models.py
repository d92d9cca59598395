"""Loading the model that a method trains, and what it becomes."""

import re
from pathlib import Path
from typing import Any

from evalsuite.core.errors import UsageError
from tasks.config.methods import MethodKind, MethodParams
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


def load_trainable(base: Path, method: MethodParams, numerics: Numerics, split: Any | None = None) -> Any:
    """The base model as ``method`` trains it; ``split`` is transformers' DistributedConfig where FSDP2 shares it out.

    Frozen weights are of the compute type, or 4-bit NF4 with double quantisation for QLoRA (arXiv:2305.14314).
    """
    import torch

    compute = compute_dtype(numerics)
    if method.kind is not MethodKind.QLORA:
        dtype = trained_dtype(numerics) if method.kind is MethodKind.FULL else compute
        return load_plain(base, dtype) if split is None else load_split(base, dtype, split)
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    quantisation = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=compute,
    )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model: Any = AutoModelForCausalLM.from_pretrained(
        base,
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


def check_targets(model: Any, method: MethodParams) -> None:
    """Refuse target modules that peft leaves out in silence, refuses at length, or that no merge could keep apart.

    Raises:
        UsageError: ``target_modules = ...``, with the name that matches nothing or cannot have an adapter.
    """
    import torch
    from transformers.pytorch_utils import Conv1D

    targets = method.target_modules
    if method.kind is MethodKind.FULL or targets == "all-linear":
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
            hint = " (a text is a pattern of whole names; put names into a list)" if isinstance(targets, str) else ""
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
                f"{given}: {name} shares its weight with the model's other end (tie_word_embeddings), so an adapter on "
                "it alone could not be merged; leave it out"
            )


def adapter_config(method: MethodParams, goes_on: bool = False) -> Any | None:
    """The adapter's configuration; None for full fine-tuning.

    Args:
        method: How the model is trained.
        goes_on: Whether a checkpoint's adapter replaces this one, so that PiSSA's start need not be computed.
    """
    if method.kind is MethodKind.FULL:
        return None
    from peft import LoraConfig

    targets: Any = method.target_modules if isinstance(method.target_modules, str) else list(method.target_modules)
    return LoraConfig(
        r=method.rank,
        lora_alpha=method.lora_alpha or 2 * method.rank,
        lora_dropout=method.lora_dropout,
        target_modules=targets,
        use_dora=method.use_dora,
        use_rslora=method.use_rslora,
        init_lora_weights=method.init_lora_weights if method.is_pissa and not goes_on else True,
        bias="none",
        task_type="CAUSAL_LM",
    )


def load_checkpoint(checkpoint: Path, base: Path, method: MethodParams, dtype: Any) -> Any:
    """A saved epoch: complete weights, or the base in ``dtype`` (never quantised) with the adapter on it."""
    if method.kind is MethodKind.FULL:
        return load_plain(checkpoint, dtype)
    from peft import PeftModel

    return PeftModel.from_pretrained(load_plain(base, dtype), checkpoint, is_trainable=False)
