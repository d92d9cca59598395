"""Parameters of a causal language model, counted from its config.json alone.

The layers of the families below are written down as transformers 5.23 builds them, so that a plan needs neither torch
nor a network. Any other family that transformers knows is built on the meta device, where tensors have shapes and no
bytes. Mixture-of-experts blocks keep all experts of a layer in two tensors there: bitsandbytes' 4-bit layers do not
reach them, and peft's ``all-linear`` reaches Mixtral's alone.
"""

import reprlib
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from evalsuite.errors import UsageError
from evalsuite.files import parse_json
from evalsuite.model_source import PACKAGE_PREFIX

LARGEST_FIELD, MOST_LAYERS = 2**32, 10_000
"""Of a config; a larger number is a slip of the pen or meant to keep this program busy."""
LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
"""How families call their number of blocks."""


class Reads(StrEnum):
    """Whose output a linear layer reads."""

    NORM = "norm"
    ATTENTION = "attention"
    MLP = "mlp"


class Linear(NamedTuple):
    """One linear layer of a block: peft can put an adapter on it, bitsandbytes can keep it in 4 bits."""

    name: str
    inputs: int
    outputs: int
    bias: bool = False
    reads: Reads = Reads.NORM

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        return self.outputs * (self.inputs + self.bias)


class Block(NamedTuple):
    """One transformer block; ``repeats`` of them are alike."""

    repeats: int
    linears: tuple[Linear, ...]
    vectors: int
    """Norm weights and other parameters that are no matrix."""
    attention_width: int
    """Query heads times their width."""
    kv_width: int
    mlp_width: int
    """Hidden units of the MLP that one token passes, over all experts it is sent to."""
    gated: bool
    rms_norm: bool
    norms: int
    """Norms over the hidden size."""
    experts: int = 0
    """Parameters of all experts and their router."""
    active_experts: int = 0
    """Of them, those that work on one token."""
    expert_adapter: int = 0
    """What an adapter of rank 1 on the experts trains; 0 where peft does not reach them."""

    @property
    def parameters(self) -> int:
        """Of one block."""
        return sum(linear.parameters for linear in self.linears) + self.vectors + self.experts


class Architecture(NamedTuple):
    """What memory and compute depend on."""

    family: str
    hidden: int
    vocabulary: int
    blocks: tuple[Block, ...]
    embedding: int
    """Input embeddings, learnt positions included."""
    head: int
    """The output layer; 0 where it is the input embeddings' tensor."""
    other: int
    """Final norm and the like."""

    @property
    def parameters(self) -> int:
        """All of them, a tied output layer counted once."""
        return self.embedding + self.head + self.other + sum(block.repeats * block.parameters for block in self.blocks)

    @property
    def active_parameters(self) -> int:
        """Those that a token is multiplied with: no embedding table, and no expert that it does not meet."""
        idle = sum(block.repeats * (block.experts - block.active_experts) for block in self.blocks)
        return self.parameters - self.embedding - idle + (0 if self.head else self.hidden * self.vocabulary)

    @property
    def layers(self) -> int:
        """Number of blocks."""
        return sum(block.repeats for block in self.blocks)

    @property
    def linear_parameters(self) -> int:
        """Weights of linear layers but the output layer: what QLoRA keeps in 4 bits."""
        return sum(block.repeats * linear.inputs * linear.outputs for block in self.blocks for linear in block.linears)

    @property
    def largest_block(self) -> int:
        """Parameters of the largest block."""
        return max(block.parameters for block in self.blocks)

    def adapter_parameters(self, rank: int, targets: str | Iterable[str] = "all-linear", dora: bool = False) -> int:
        """What LoRA trains: rank times (inputs + outputs) a layer, and DoRA's magnitude of each output.

        Raises:
            UsageError: No linear layer has one of these names, or DoRA was asked for where peft has none.
        """
        sites = [(block.repeats, linear) for block in self.blocks for linear in block.linears]
        if targets != "all-linear":
            wanted = {targets} if isinstance(targets, str) else set(targets)
            known = sorted({linear.name for _, linear in sites})
            sites = [(count, linear) for count, linear in sites if linear.name in wanted]
            if not sites:
                raise UsageError(
                    f"target_modules = {sorted(wanted)}: no linear layer of this {self.family} model has such a name; "
                    f"known: {', '.join(known)}, or all-linear"
                )
        on_experts = 0
        if targets == "all-linear":
            on_experts = sum(block.repeats * block.expert_adapter for block in self.blocks)
        if dora and on_experts:
            raise UsageError(
                "use_dora: peft has no DoRA for the experts of this model; name target_modules without them"
            )
        return rank * on_experts + sum(
            count * (rank * (linear.inputs + linear.outputs) + dora * linear.outputs) for count, linear in sites
        )


class _Family(NamedTuple):
    """Where a family departs from Llama."""

    tied: bool = False
    qkv_bias: bool = False
    qk_norm: bool = False
    extra_norms: int = 0
    fused: bool = False
    """Query, key and value in one matrix, gate and up in another."""


LLAMA_LIKE = {
    "llama": _Family(),
    "mistral": _Family(),
    "qwen2": _Family(qkv_bias=True),
    "qwen3": _Family(qk_norm=True),
    "gemma": _Family(tied=True),
    "gemma2": _Family(tied=True, extra_norms=2),
    "gemma3_text": _Family(tied=True, qk_norm=True, extra_norms=2),
    "phi3": _Family(fused=True),
    "mixtral": _Family(),
    "qwen2_moe": _Family(qkv_bias=True),
    "qwen3_moe": _Family(qk_norm=True),
}


def read_config(model: str | Path) -> dict[str, Any]:
    """config.json: a file, a folder that holds one, or a hub id.

    Raises:
        UsageError: Nothing of that name, or not a config.
    """
    path = Path(model)
    try:
        if path.is_dir():
            path = path / "config.json"
        if not path.is_file():
            path = _from_hub(str(model))
        config = parse_json(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{str(path)[:200]} cannot be read: {error.strerror}; give a model's config.json") from None
    except (ValueError, RecursionError) as error:
        reason = error if isinstance(error, ValueError) else "nested too deeply"
        raise UsageError(f"{path} is not JSON: {reason}") from None
    if not isinstance(config, dict):
        raise UsageError(f"{path} holds {type(config).__name__}, expected an object; give a model's config.json")
    for part, where in ((config, "model_type"), (config.get("text_config") or config, "text_config.model_type")):
        if not isinstance(part, dict) or not isinstance(part.get("model_type"), str):
            raise UsageError(f"{path} has no {where}; give a model's config.json")
    return config


def _from_hub(name: str) -> Path:
    if name.startswith(PACKAGE_PREFIX):
        raise UsageError(
            f"--model {name}: a package may hold no config of its own; name it in model.id, run `ratchet stage fetch`, "
            "and give models/base/export"
        )
    if name.endswith(".json") or name.count("/") != 1:
        raise UsageError(f"no model config at {name!r}; give a config.json, a model's folder or a hub id OWNER/NAME")
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(name, "config.json"))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise UsageError(
            f"cannot get the config of {name!r} from the hub ({type(error).__name__}); give a config.json instead"
        ) from None


def count_parameters(config: Mapping[str, Any]) -> Architecture:
    """Read a config.

    Raises:
        UsageError: A field is missing or wrong, or transformers does not know the family.
    """
    config = config.get("text_config") or config
    family = config["model_type"]
    try:
        if family in LLAMA_LIKE:
            return _llama_like(config, LLAMA_LIKE[family])
        if family in ("gpt_neox", "gpt2"):
            return _gpt(config)
    except KeyError as missing:
        raise UsageError(f"the {family} config has no {missing.args[0]!r}, which the parameter count needs") from None
    for name in LAYERS:
        if config.get(name) is not None:
            _number(config, name)
    from tasks.planning.meta_device import count_on_meta_device

    return count_on_meta_device(config)


def _number(config: Mapping[str, Any], name: str, default: int | None = None, least: int = 1) -> int:
    value = config[name] if default is None else config.get(name)
    if value is None:
        value = default
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise UsageError(f"config field {name} = {reprlib.repr(value)} is not a whole number from {least} up")
    if value > (MOST_LAYERS if name in LAYERS else LARGEST_FIELD):
        raise UsageError(f"config field {name} = {reprlib.repr(value)} is larger than that of any model")
    return value


def _llama_like(config: Mapping[str, Any], family: _Family) -> Architecture:
    hidden, heads = _number(config, "hidden_size"), _number(config, "num_attention_heads")
    layers, vocabulary = _number(config, "num_hidden_layers"), _number(config, "vocab_size")
    head_dim = _number(config, "head_dim", hidden // max(1, heads))
    q, kv = heads * head_dim, _number(config, "num_key_value_heads", heads) * head_dim
    bias = bool(config.get("attention_bias", False))
    attention: tuple[Linear, ...]
    if family.fused:
        attention = (Linear("qkv_proj", hidden, q + 2 * kv), Linear("o_proj", q, hidden, False, Reads.ATTENTION))
    else:
        into = bias or family.qkv_bias
        attention = (
            Linear("q_proj", hidden, q, into),
            Linear("k_proj", hidden, kv, into),
            Linear("v_proj", hidden, kv, into),
            Linear("o_proj", q, hidden, bias, Reads.ATTENTION),
        )
    norms = 2 + family.extra_norms
    vectors = norms * hidden + (2 * head_dim if family.qk_norm else 0)
    plain = Block(layers, attention, vectors, q, kv, 0, gated=True, rms_norm=True, norms=norms)
    sparse = _expert_layers(config, layers)
    blocks = []
    if layers > sparse:
        width = _number(config, "intermediate_size")
        mlp = _gated_mlp(hidden, width, bool(config.get("mlp_bias", False)), family.fused)
        blocks.append(plain._replace(repeats=layers - sparse, linears=attention + mlp, mlp_width=width))
    if sparse:
        blocks.append(_with_experts(plain._replace(repeats=sparse), config, hidden))
    tied = bool(config.get("tie_word_embeddings", family.tied))
    return Architecture(
        family=config["model_type"],
        hidden=hidden,
        vocabulary=vocabulary,
        blocks=tuple(blocks),
        embedding=vocabulary * hidden,
        head=0 if tied else vocabulary * hidden,
        other=hidden,
    )


def _gated_mlp(hidden: int, width: int, bias: bool = False, fused: bool = False) -> tuple[Linear, ...]:
    into = (
        (Linear("gate_up_proj", hidden, 2 * width, bias),)
        if fused
        else (Linear("gate_proj", hidden, width, bias), Linear("up_proj", hidden, width, bias))
    )
    return (*into, Linear("down_proj", width, hidden, bias, Reads.MLP))


def _expert_layers(config: Mapping[str, Any], layers: int) -> int:
    """How many layers hold experts: Mixtral's all; Qwen's each ``decoder_sparse_step``-th but those named."""
    if config["model_type"] == "mixtral":
        return layers
    if config["model_type"] not in ("qwen2_moe", "qwen3_moe") or not _number(config, "num_experts", least=0):
        return 0
    named, step = config.get("mlp_only_layers") or [], _number(config, "decoder_sparse_step", 1)
    if not isinstance(named, list) or not all(isinstance(index, int) for index in named):
        raise UsageError(f"config field mlp_only_layers = {reprlib.repr(named)} is not a list of layer numbers")
    dense = set(named)
    return sum(index not in dense and (index + 1) % step == 0 for index in range(layers))


def _with_experts(block: Block, config: Mapping[str, Any], hidden: int) -> Block:
    mixtral = config["model_type"] == "mixtral"
    experts = _number(config, "num_local_experts" if mixtral else "num_experts")
    width = _number(config, "intermediate_size" if mixtral else "moe_intermediate_size")
    used = _number(config, "num_experts_per_tok")
    if used > experts:
        raise UsageError(f"config field num_experts_per_tok = {used} is more than the {experts} experts that there are")
    one, router = 3 * hidden * width, experts * hidden
    passed = used * width
    if config["model_type"] == "qwen2_moe":
        shared = _number(config, "shared_expert_intermediate_size", least=0)
        gate = Linear("shared_expert_gate", hidden, 1)
        block = block._replace(linears=(*block.linears, *_gated_mlp(hidden, shared), gate))
        passed += shared
    # peft gives the joint gate and up tensor twice the rank (its ParamWrapper, version 0.21.2)
    reached = (hidden + experts) + experts * (2 * (hidden + 2 * width) + (hidden + width)) if mixtral else 0
    return block._replace(
        mlp_width=passed,
        experts=experts * one + router,
        active_experts=used * one + router,
        expert_adapter=reached,
    )


def _gpt(config: Mapping[str, Any]) -> Architecture:
    neox = config["model_type"] == "gpt_neox"
    hidden = _number(config, "hidden_size" if neox else "n_embd")
    layers = _number(config, "num_hidden_layers" if neox else "n_layer")
    vocabulary = _number(config, "vocab_size")
    inner = 4 * hidden if not neox else 0
    width = _number(config, "intermediate_size") if neox else _number(config, "n_inner", inner)
    names = ("query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h")
    if not neox:
        names = ("c_attn", "attn.c_proj", "c_fc", "mlp.c_proj")
    bias = bool(config.get("attention_bias", True))
    linears = (
        Linear(names[0], hidden, 3 * hidden, bias),
        Linear(names[1], hidden, hidden, bias, Reads.ATTENTION),
        Linear(names[2], hidden, width, bias=True),
        Linear(names[3], width, hidden, True, Reads.MLP),
    )
    block = Block(layers, linears, 4 * hidden, hidden, hidden, width, gated=False, rms_norm=False, norms=2)
    positions = 0 if neox else _number(config, "n_positions") * hidden
    tied = bool(config.get("tie_word_embeddings", not neox))
    return Architecture(
        family=config["model_type"],
        hidden=hidden,
        vocabulary=vocabulary,
        blocks=(block,),
        embedding=vocabulary * hidden + positions,
        head=0 if tied else vocabulary * hidden,
        other=2 * hidden,
    )
