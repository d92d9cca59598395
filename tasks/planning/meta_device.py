"""Models that transformers builds where tensors have shapes and no bytes, counted block by block."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from evalsuite.core.errors import UsageError
from tasks.config.methods import MethodParams
from tasks.methods.kinds import method_of
from tasks.planning.architecture import Architecture, Block, Linear, Reads
from tasks.planning.model_config import as_transformers_reads, in_one_line, only_errors, text_config_of

ATTENTION_OUTPUTS = frozenset({"o_proj", "out_proj", "c_proj", "dense", "wo", "Wo"})
MLP_OUTPUTS = frozenset({"down_proj", "dense_4h_to_h", "c_proj", "fc2", "fc_out", "w2"})
USED_EXPERTS = ("num_experts_per_tok", "num_experts_per_token", "moe_k", "moe_topk", "top_k_experts")
"""How families call the number of experts that a token is sent to."""
JOINT = frozenset({"qkv_proj", "query_key_value", "c_attn", "Wqkv", "qkv"})
"""Names of a linear layer that makes query, key and value."""


def count_parameters(config: Mapping[str, Any]) -> Architecture:
    """Read a config as transformers reads it: a field that is absent has its class's default.

    Of a model with other parts, such as a vision tower, the text model is counted; ``beside`` says how much they hold.

    Raises:
        UsageError: A field is wrong, or transformers does not know the family.
    """
    return count_model(build_empty(config))


def build_empty(fields: Mapping[str, Any]) -> Any:
    """The model of a config.json, on the meta device; see ``build``."""
    import torch

    with torch.device("meta"):
        return build(fields)


@contextmanager
def unsharded() -> Iterator[None]:
    """Build whole parameters inside a training by ZeRO-3 too, where transformers shards every model that it builds."""
    from transformers.integrations import deepspeed

    settings = getattr(deepspeed, "_hf_deepspeed_config_weak_ref", None)
    found = None if settings is None else settings()
    deepspeed.unset_hf_deepspeed_config()
    try:
        yield
    finally:
        if found is not None:
            deepspeed.set_hf_deepspeed_config(found)


def build(fields: Mapping[str, Any]) -> Any:
    """The model of a config.json with random weights: what ``AutoModelForCausalLM`` loads where it knows the family.

    A family that it does not know, such as LLaVA, is built with its other parts.

    Raises:
        UsageError: transformers does not know the family, it is no causal language model, or it cannot be built.
    """
    config = as_transformers_reads(fields)
    text = text_config_of(config)
    family = config.model_type
    if text.is_encoder_decoder:
        raise UsageError(
            f"a {family!r} model is an encoder with a decoder; Ratchet trains decoder-only language models: give the "
            "config.json of one"
        )
    if text is not config and not getattr(text, "tie_word_embeddings", True) and "tie_word_embeddings" not in fields:
        # Several families with towers tie by default; their checkpoints hold both tensors, which are then not tied.
        config.tie_word_embeddings = False
    builder = _builder(config)
    try:
        with only_errors(), unsharded():
            return builder.from_config(config, trust_remote_code=False)
    except Exception as error:  # as for reading a config
        raise UsageError(f"transformers cannot build a model of type {family!r}: {in_one_line(error)}") from None


def _builder(config: Any) -> Any:
    """The first of transformers' Auto classes that has a language model for this configuration."""
    import transformers

    for task in ("CausalLM", "ImageTextToText", "MultimodalLM"):
        auto: Any = getattr(transformers, f"AutoModelFor{task}")
        if type(config) in auto._model_mapping:
            return auto
    raise UsageError(
        f"transformers has no language model of type {config.model_type!r}; give the config.json of one that generates "
        "text"
    )


def count_model(model: Any) -> Architecture:
    """Count a model's text part, on any device; what is not text is the Architecture's ``beside``.

    Raises:
        UsageError: More experts are used than there are, or there are no blocks.
    """
    from torch import nn

    config = model.config
    text = text_config_of(config)
    try:
        hidden, vocabulary = int(text.hidden_size), int(text.vocab_size)
        inputs, output = model.get_input_embeddings(), model.get_output_embeddings()
    except (AttributeError, NotImplementedError):
        raise UsageError(f"a {config.model_type!r} model has no table of tokens that the planner could count") from None
    # A model with towers keeps its text model apart, with the output layer outside of it.
    parts = [model] if text is config else [model.get_decoder(), inputs, *([] if output is None else [output])]
    total = _size(parts)
    tables = [each for each in parts[0].modules() if isinstance(each, nn.Embedding)]
    embedding = _size([inputs, *tables])
    head = _size([inputs, *tables, *([] if output is None else [output])]) - embedding
    used = next((int(value) for name in USED_EXPERTS if (value := getattr(text, name, None))), 0)
    reached = text.model_type == "mixtral"
    found = Counter(_block(module, hidden, used, reached) for module in _blocks(parts[0]))
    blocks = tuple(block._replace(repeats=number) for block, number in found.items())
    counted = embedding + head + sum(block.repeats * block.parameters for block in blocks)
    return Architecture(
        family=text.model_type,
        hidden=hidden,
        vocabulary=vocabulary,
        blocks=blocks,
        embedding=embedding,
        head=head,
        other=total - counted,
        beside=_size([model]) - total,
    )


def _size(modules: list[Any]) -> int:
    """Parameters of some modules together, each tensor once."""
    unique = {id(each): int(each.numel()) for module in modules for each in module.parameters()}
    return sum(unique.values())


def _block(module: Any, hidden: int, used_experts: int, adapted_experts: bool) -> Block:
    """One block's linear layers by what they read.

    Tensors of three dimensions hold one matrix for each expert, and those beside them one vector.
    """
    from torch import nn
    from torch.nn.modules.conv import _ConvNd
    from transformers.pytorch_utils import Conv1D

    linears, norms, experts = [], [], []
    number = 0
    for path, part in module.named_modules():
        name = path.rsplit(".", 1)[-1]
        own = list(part.parameters(recurse=False))
        if isinstance(part, nn.Linear | Conv1D):
            rows, columns = part.weight.shape if isinstance(part, nn.Linear) else reversed(part.weight.shape)
            linears.append(
                Linear(name, int(columns), int(rows), part.bias is not None, _reads(path, columns == hidden))
            )
        elif "norm" in type(part).__name__.lower() and getattr(part, "weight", None) is not None:
            norms.append(part)
        elif any(each.dim() > 2 for each in own) and not isinstance(part, _ConvNd):
            experts += own
            number = max(number, max(int(each.shape[0]) for each in own))
    if used_experts > number > 0:
        raise UsageError(
            f"config field num_experts_per_tok = {used_experts} is more than the {number} experts that there are"
        )
    share = (used_experts or number) / max(1, number)
    held = sum(int(each.numel()) for each in experts)
    active = round(held * share)
    dense = sum(linear.inputs for linear in linears if linear.reads is Reads.MLP)
    attention_width, kv_width = _attention_widths(linears, hidden)
    width = held // (3 * hidden * max(1, number))
    return Block(
        repeats=1,
        linears=tuple(linears),
        vectors=sum(int(parameter.numel()) for parameter in module.parameters())
        - held
        - sum(linear.parameters for linear in linears),
        attention_width=attention_width,
        kv_width=kv_width,
        mlp_width=dense + active // (3 * hidden),
        gated=bool(experts) or _is_gated(linears, dense),
        rms_norm=any("rms" in type(norm).__name__.lower() for norm in norms),
        norms=sum(int(norm.weight.numel()) == hidden for norm in norms),
        experts=held,
        active_experts=active,
        # peft gives the joint gate and up tensor twice the rank (its ParamWrapper, version 0.21.2)
        expert_adapter=(hidden + number) + number * (2 * (hidden + 2 * width) + (hidden + width))
        if adapted_experts
        else 0,
    )


def _reads(path: str, as_wide_as_hidden: bool) -> Reads:
    """Whose output a linear layer reads, by its name; latent projections of an attention count with its norm."""
    name = path.rsplit(".", 1)[-1]
    if "attn" in path or "attention" in path:
        return Reads.ATTENTION if name in ATTENTION_OUTPUTS else Reads.NORM
    return Reads.NORM if as_wide_as_hidden and name not in MLP_OUTPUTS else Reads.MLP


def _attention_widths(linears: list[Linear], hidden: int) -> tuple[int, int]:
    """Width of the attention's output, and of its keys; of a joint matrix, what the queries leave, halved.

    Multi-head latent attention makes keys and values of about one width from a latent vector (``kv_b_proj``).
    """
    query = next((linear.inputs for linear in linears if linear.reads is Reads.ATTENTION), hidden)
    for linear in linears:
        if linear.name in ("k_proj", "key"):
            return query, linear.outputs
        if linear.name == "kv_b_proj":
            return query, linear.outputs // 2
    for linear in linears:
        if linear.name in JOINT and linear.outputs > query:
            return query, (linear.outputs - query) // 2
    return query, query


def _is_gated(linears: list[Linear], width: int) -> bool:
    """Whether two products of the MLP's width are multiplied."""
    return sum(linear.outputs for linear in linears if linear.outputs in (width, 2 * width)) >= 2 * width > 0


def _blocks(model: Any) -> list[Any]:
    """The list of modules with the most parameters: the transformer's blocks."""
    from torch import nn

    lists: list[Any] = [module for module in model.modules() if isinstance(module, nn.ModuleList)]
    if not lists:
        raise UsageError(f"{type(model).__name__} has no list of blocks that the planner could count")

    return list(max(lists, key=lambda modules: _size([modules])))


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
        chosen = method_of(method)
        chosen.check_targets(model)
        # PiSSA's start has the same shapes and needs weights with bytes.
        adapter = chosen.adapter(goes_on=True)
        if adapter is not None:
            from peft import get_peft_model

            model = get_peft_model(model, adapter)
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
