"""PiSSA: an adapter that starts from the base weights' largest singular values, which it takes out of them.

Meng et al. 2024, arXiv:2404.02948: W = W' + s B A before the first step, and W' is frozen. The trained adapter
therefore belongs to W', which nobody ships. A checkpoint holds it twice: as an ordinary LoRA of twice the rank on W,
W + s (B A - B0 A0), which the golden dev run, the export and everyone else load; and as it is, for a resume.
"""

import math
from pathlib import Path
from typing import Any

from evalsuite.core.errors import StageError, UsageError
from evalsuite.core.files import read_json, undo_private, write_json
from tasks.config.methods import MethodParams

INITIAL = "pissa_init"
"""Folder beside the checkpoints: the adapter before the first step."""
TRAINED = "pissa"
"""Folder in a checkpoint: the adapter as it is trained; only a resume reads it."""
WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"


def keep_initial(name: str, model: Any, method: MethodParams, root: Path, first: bool) -> None:
    """Keep the adapter with which training starts; where it is kept already, take the base weights' part out by it.

    Args:
        name: The method's, for messages.
        model: peft's model; of a training that goes on, with an adapter that has not changed the base weights.
        method: How it is trained.
        root: The checkpoints.
        first: Whether this process writes.

    Raises:
        UsageError: A base weight has fewer rows or columns than the adapter's rank.
    """
    config = model.peft_config["default"]
    if config.init_lora_weights is True:
        _take_out(model, root / INITIAL)
        return
    for layer, part in _layers(model):
        if part.lora_A["default"].weight.shape[0] < method.rank:
            shape = "x".join(str(size) for size in part.get_base_layer().weight.shape)
            raise UsageError(
                f"methods.{name}.rank = {method.rank}: {layer} is {shape} and has fewer singular values; lower it"
            )
    # As peft asks, so that whoever loads the adapter does not take the part out once more.
    config.init_lora_weights = True
    if first:
        model.save_pretrained(root / INITIAL)
        undo_private(root / INITIAL)


def _take_out(model: Any, folder: Path) -> None:
    """What peft's start did to the base weights, from the adapter that it gave: the same to the last bit."""
    from safetensors.torch import load_file

    if not (folder / WEIGHTS).is_file():
        raise StageError(
            f"{folder / WEIGHTS} is gone, so no checkpoint in {folder.parent} can go on; remove that folder"
        )
    initial = load_file(folder / WEIGHTS)
    for layer, part in _layers(model):
        weight = part.get_base_layer().weight
        update = part.scaling["default"] * initial[f"{layer}.lora_B.weight"] @ initial[f"{layer}.lora_A.weight"]
        weight.data = (weight.data.float() - update.to(weight.device)).to(weight.dtype)


def _layers(model: Any) -> list[tuple[str, Any]]:
    from peft.tuners.lora import LoraLayer

    return [(name, module) for name, module in model.named_modules() if isinstance(module, LoraLayer)]


def convert(checkpoint: Path, root: Path) -> None:
    """Put the adapter just saved in ``checkpoint`` aside, and in its place one that fits the base model as it is.

    B A - B0 A0 = [B, -B0] [A; A0], as peft's ``subtract_mutated_init`` (0.21) does it; peft's own way there loads a
    second adapter into the model, which is in training here.
    """
    import torch
    from safetensors.torch import load_file, save_file

    (checkpoint / TRAINED).mkdir(exist_ok=True)
    for file in (WEIGHTS, CONFIG):
        (checkpoint / file).rename(checkpoint / TRAINED / file)
    initial, trained = load_file(root / INITIAL / WEIGHTS), load_file(checkpoint / TRAINED / WEIGHTS)
    ordinary = {
        name: torch.cat([tensor, initial[name]], 0) if "lora_A" in name else torch.cat([tensor, -initial[name]], 1)
        for name, tensor in trained.items()
    }
    save_file(ordinary, checkpoint / WEIGHTS, metadata={"format": "pt"})
    config = read_json(checkpoint / TRAINED / CONFIG, "ratchet run")
    # The scale stays: alpha / rank, or alpha / sqrt(rank) with rsLoRA.
    alpha = config["lora_alpha"] * (math.sqrt(2) if config["use_rslora"] else 2)
    write_json(checkpoint / CONFIG, config | {"r": 2 * config["r"], "lora_alpha": alpha})
