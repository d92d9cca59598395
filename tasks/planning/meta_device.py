"""Architectures that ``architecture`` does not write down, built by transformers where tensors have no bytes."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from evalsuite.errors import UsageError
from tasks.params import MethodKind, MethodParams
from tasks.planning.architecture import Architecture, Block, Linear, Reads
from tasks.training.models import adapter_config

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
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsageError(f"transformers cannot build a causal model of type {family!r}: {reason}") from None
    return architecture_of(model, family)


def architecture_of(model: Any, family: str) -> Architecture:
    """Count a model, on any device."""
    from torch import nn
    from transformers.pytorch_utils import Conv1D

    text = model.config.get_text_config()
    hidden, vocabulary = int(text.hidden_size), int(text.vocab_size)
    inputs, output = model.get_input_embeddings(), model.get_output_embeddings()
    tied = output is None or output.weight is inputs.weight
    repeated = _blocks(model)
    found: Counter[Block] = Counter()
    for block in repeated:
        linears = []
        for path, module in block.named_modules():
            if isinstance(module, nn.Linear | Conv1D):
                rows, columns = module.weight.shape
                if isinstance(module, Conv1D):
                    rows, columns = columns, rows
                name = path.rsplit(".", 1)[-1]
                reads = Reads.NORM if columns == hidden else Reads.MLP
                reads = Reads.ATTENTION if "attn" in path and name in ATTENTION_OUTPUTS else reads
                linears.append(Linear(name, int(columns), int(rows), module.bias is not None, reads))
        total = sum(parameter.numel() for parameter in block.parameters())
        rest = [parameter for parameter in block.parameters() if parameter.dim() > 2]
        experts = sum(parameter.numel() for parameter in rest)
        share = int(getattr(text, "num_experts_per_tok", 0) or 0)
        active = sum(parameter.numel() // parameter.shape[0] * share for parameter in rest)
        width = sum(each.outputs for each in linears if each.inputs == hidden and each.outputs > hidden) or hidden
        found[
            Block(
                repeats=1,
                linears=tuple(linears),
                vectors=total - experts - sum(each.parameters for each in linears),
                attention_width=hidden,
                kv_width=hidden,
                mlp_width=width + (active // (3 * hidden)),
                gated=True,
                rms_norm=True,
                norms=2,
                experts=experts,
                active_experts=active,
            )
        ] += 1
    blocks = tuple(block._replace(repeats=number) for block, number in found.items())
    embedding = int(inputs.weight.numel())
    head = 0 if tied else sum(int(parameter.numel()) for parameter in output.parameters())
    counted = embedding + head + sum(block.repeats * block.parameters for block in blocks)
    return Architecture(
        family, hidden, vocabulary, blocks, embedding, head, other=int(model.num_parameters()) - counted
    )


def _blocks(model: Any) -> list[Any]:
    """The list of modules with the most parameters: the transformer's blocks."""
    from torch import nn

    lists: list[Any] = [module for module in model.modules() if isinstance(module, nn.ModuleList)]
    if not lists:
        raise UsageError(f"{type(model).__name__} has no list of blocks that the planner could count")
    return list(max(lists, key=lambda found: sum(parameter.numel() for parameter in found.parameters())))


def count_trained(config: Any, method: MethodParams) -> int:
    """Parameters that the optimizer changes, as peft itself puts the adapters on a model without bytes.

    Args:
        config: transformers' configuration of the base model.
        method: How it is trained.

    Raises:
        UsageError: The adapter's target modules match nothing.
    """
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        model: Any = AutoModelForCausalLM.from_config(config)
        if method.kind is MethodKind.FULL:
            return int(model.num_parameters())
        from peft import get_peft_model

        try:
            model = get_peft_model(model, adapter_config(method))
        except ValueError as error:
            if "arget modules" not in str(error):
                raise
            reason = str(error).splitlines()[0]
            raise UsageError(f"target_modules = {method.target_modules!r}: {reason}") from None
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
