"""Architectures that ``architecture`` does not write down, built by transformers where tensors have no bytes."""

import textwrap
from collections import Counter
from collections.abc import Mapping
from typing import Any

from evalsuite.errors import UsageError
from tasks.params import MethodKind, MethodParams
from tasks.planning.architecture import Architecture, Block, Linear, Reads
from tasks.training.models import adapter_config, check_targets

ATTENTION_OUTPUTS = frozenset({"o_proj", "out_proj", "c_proj", "dense"})


def count_on_meta_device(config: Mapping[str, Any]) -> Architecture:
    """Every parameter counted; activations later follow from the block's linear layers.

    Raises:
        UsageError: transformers does not know the family, or cannot build it from this config.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    family = str(config["model_type"])
    fields = {name: value for name, value in config.items() if name not in ("model_type", "auto_map")}
    try:
        built = AutoConfig.for_model(family, **fields)
        with torch.device("meta"):
            model: Any = AutoModelForCausalLM.from_config(built, trust_remote_code=False)
    except Exception as error:  # a library of many families, each with failures of its own on a config that is wrong
        reason = textwrap.shorten(str(error).splitlines()[0] if str(error) else type(error).__name__, 200)
        raise UsageError(f"transformers cannot build a causal model of type {family!r}: {reason}") from None
    return architecture_of(model, family)


def architecture_of(model: Any, family: str) -> Architecture:
    """Count a model, on any device."""
    text = model.config.get_text_config()
    hidden, vocabulary = int(text.hidden_size), int(text.vocab_size)
    inputs, output = model.get_input_embeddings(), model.get_output_embeddings()
    tied = output is None or output.weight is inputs.weight
    used = int(getattr(text, "num_experts_per_tok", 0) or 0)
    found = Counter(_block(module, hidden, used) for module in _blocks(model))
    blocks = tuple(block._replace(repeats=number) for block, number in found.items())
    embedding = int(inputs.weight.numel())
    head = 0 if tied else sum(int(parameter.numel()) for parameter in output.parameters())
    counted = embedding + head + sum(block.repeats * block.parameters for block in blocks)
    return Architecture(
        family, hidden, vocabulary, blocks, embedding, head, other=int(model.num_parameters()) - counted
    )


def _block(module: Any, hidden: int, used_experts: int) -> Block:
    """One block's linear layers by what they read; tensors of three dimensions hold one matrix for each expert."""
    from torch import nn
    from transformers.pytorch_utils import Conv1D

    linears, norms = [], []
    for path, part in module.named_modules():
        name = path.rsplit(".", 1)[-1]
        if isinstance(part, nn.Linear | Conv1D):
            rows, columns = part.weight.shape if isinstance(part, nn.Linear) else reversed(part.weight.shape)
            attention = "attn" in path or "attention" in path
            reads = Reads.NORM if columns == hidden else Reads.MLP
            reads = Reads.ATTENTION if attention and name in ATTENTION_OUTPUTS else reads
            linears.append(Linear(name, int(columns), int(rows), part.bias is not None, reads))
        elif "norm" in type(part).__name__.lower() and getattr(part, "weight", None) is not None:
            norms.append(part)
    experts = [parameter for parameter in module.parameters() if parameter.dim() > 2]
    held = sum(int(parameter.numel()) for parameter in experts)
    active = sum(int(parameter.numel()) // int(parameter.shape[0]) * used_experts for parameter in experts)
    dense = sum(linear.inputs for linear in linears if linear.reads is Reads.MLP)
    outputs = [linear.inputs for linear in linears if linear.reads is Reads.ATTENTION]
    keys = [linear.outputs for linear in linears if linear.name == "k_proj"]
    return Block(
        repeats=1,
        linears=tuple(linears),
        vectors=sum(int(parameter.numel()) for parameter in module.parameters())
        - held
        - sum(linear.parameters for linear in linears),
        attention_width=outputs[0] if outputs else hidden,
        kv_width=keys[0] if keys else hidden,
        mlp_width=dense + active // (3 * hidden),
        gated=bool(experts) or _is_gated(linears, dense),
        rms_norm=any("rms" in type(norm).__name__.lower() for norm in norms),
        norms=sum(int(norm.weight.numel()) == hidden for norm in norms),
        experts=held,
        active_experts=active,
    )


def _is_gated(linears: list[Linear], width: int) -> bool:
    """Whether two products of the MLP's width are multiplied."""
    return sum(linear.outputs for linear in linears if linear.outputs in (width, 2 * width)) >= 2 * width > 0


def _blocks(model: Any) -> list[Any]:
    """The list of modules with the most parameters: the transformer's blocks."""
    from torch import nn

    lists: list[Any] = [module for module in model.modules() if isinstance(module, nn.ModuleList)]
    if not lists:
        raise UsageError(f"{type(model).__name__} has no list of blocks that the planner could count")

    def size(modules: Any) -> int:
        return sum(int(parameter.numel()) for parameter in modules.parameters())

    return list(max(lists, key=size))


def count_trained(config: Any, method: MethodParams) -> int:
    """Parameters that the optimizer changes, as peft itself puts the adapters on a model without bytes.

    Args:
        config: transformers' configuration of the base model.
        method: How it is trained.

    Raises:
        UsageError: A target module of the adapter is not there, or takes none.
    """
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        model: Any = AutoModelForCausalLM.from_config(config)
        if method.kind is MethodKind.FULL:
            return int(model.num_parameters())
        from peft import get_peft_model

        check_targets(model, method)
        # PiSSA's start has the same shapes and needs weights with bytes.
        model = get_peft_model(model, adapter_config(method, goes_on=True))
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
