"""LLaMA-Factory and axolotl at their best flags for a CPU, as ``benchmarks.train`` starts them."""

import json
from pathlib import Path
from typing import Any, NamedTuple

PEER_SIDES = ("llamafactory", "axolotl")
OFFLINE = {
    "USE_MODELSCOPE_HUB": "0",
    "HF_HUB_OFFLINE": "1",
    "CUDA_VISIBLE_DEVICES": "",
    "FORCE_TORCHRUN": "0",
    "DO_NOT_TRACK": "1",
}


class Settings(NamedTuple):
    """What every side has alike."""

    learning_rate: float
    max_length: int
    """Tokens of a packed row."""
    step_rows: int
    """Packed rows an optimizer step."""


def peer_command(side: str, python: str, folder: Path, base: Path, out: Path, settings: Settings) -> list[str]:
    """What starts a peer at its best flags for a CPU; its settings are written beside the examples."""
    shared: dict[str, Any] = {"learning_rate": settings.learning_rate, "seed": 7}
    path = folder / f"{side}.yaml"
    if side == "llamafactory":
        flags = shared | {
            "model_name_or_path": str(base),
            "stage": "sft",
            "do_train": True,
            "finetuning_type": "full",
            "dataset": "examples",
            "dataset_dir": str(folder),
            "template": "smollm2",
            "cutoff_len": settings.max_length,
            "packing": True,
            "neat_packing": True,
            "output_dir": str(out),
            "per_device_train_batch_size": 1,
            "gradient_accumulation_steps": settings.step_rows,
            "num_train_epochs": 1.0,
            "lr_scheduler_type": "cosine",
            "fp16": False,
            "bf16": False,
            "use_cpu": True,
            "disable_gradient_checkpointing": True,
            "report_to": "none",
            "save_strategy": "no",
            "logging_steps": 1,
            "overwrite_output_dir": True,
        }
        command = [python, "-m", "llamafactory.cli", "train", str(path)]
    else:
        flags = shared | {
            "base_model": str(base),
            "datasets": [{"path": str(folder / "examples.jsonl"), "ds_type": "json", "type": "chat_template"}],
            "sequence_len": settings.max_length,
            "sample_packing": True,
            "pad_to_sequence_len": False,
            "attn_implementation": "sdpa",
            "micro_batch_size": 1,
            "gradient_accumulation_steps": settings.step_rows,
            "num_epochs": 1,
            "optimizer": "adamw_torch_fused",
            "lr_scheduler": "cosine",
            "bf16": False,
            "fp16": False,
            "tf32": False,
            "gradient_checkpointing": False,
            "output_dir": str(out),
            "dataset_processes": 1,
            "dataset_prepared_path": str(folder / "axolotl_prepared"),
            "val_set_size": 0.0,
            "save_strategy": "no",
            "logging_steps": 1,
        }
        command = [python, "-m", "axolotl.cli.train", str(path)]
    path.write_text(json.dumps(flags))  # JSON is YAML
    return command
