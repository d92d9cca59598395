"""The chosen strategy's configuration for DeepSpeed or accelerate, as files that a launcher takes as they are."""

import json
from pathlib import Path
from typing import Any

from evalsuite.core.errors import UsageError
from evalsuite.core.files import write_text
from evalsuite.core.yaml_file import dump_yaml, parse_yaml
from tasks.planning.choice import Option
from tasks.planning.memory import Numerics, Strategy

MUST_AGREE = (
    "zero_optimization.stage",
    "zero_optimization.offload_optimizer.device",
    "zero_optimization.offload_param.device",
    "bf16.enabled",
    "fp16.enabled",
    "train_micro_batch_size_per_gpu",
    "gradient_accumulation_steps",
    "gradient_clipping",
    "optimizer.type",
    "scheduler.type",
    "curriculum_learning.enabled",
    "data_efficiency.enabled",
    "progressive_layer_drop.enabled",
)
"""What decides memory and weights in a DeepSpeed file; the rest is the user's to tune."""
NOT_HEEDED = ("compute_environment", "machine_rank", "main_training_function")
"""Of an accelerate file: for its own launcher."""


def deepspeed_settings(option: Option) -> dict[str, Any] | None:
    """DeepSpeed's JSON; None where it does not run. ``auto`` is filled in by transformers from its own arguments.

    On a CPU offloading moves nothing: torch's AdamW stays, where a GPU machine gets DeepSpeed's CPUAdam, which it
    compiles at its first use.
    """
    strategy, stage = option.setup.strategy, option.setup.strategy.zero_stage
    if not stage:
        return None
    cuda = option.setup.cuda
    zero: dict[str, Any] = {"stage": stage, "overlap_comm": cuda, "contiguous_gradients": True}
    if stage == 3:
        zero |= {
            "stage3_gather_16bit_weights_on_model_save": True,
            "stage3_param_persistence_threshold": "auto",
            "stage3_prefetch_bucket_size": "auto",
            "reduce_bucket_size": "auto",
        }
    if strategy.offloads:
        zero["offload_optimizer"] = {"device": "cpu", "pin_memory": cuda}
    if strategy is Strategy.ZERO3_OFFLOAD:
        zero["offload_param"] = {"device": "cpu", "pin_memory": cuda}
    settings: dict[str, Any] = {
        "zero_optimization": zero,
        "bf16": {"enabled": option.setup.numerics is not Numerics.FP32},
        "train_batch_size": "auto",
        "train_micro_batch_size_per_gpu": option.request.micro_batch,
        "gradient_accumulation_steps": option.request.micro_batches,
        "gradient_clipping": "auto",
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "steps_per_print": 2**31,
    }
    if strategy.offloads and cuda:
        settings["optimizer"] = {
            "type": "AdamW",
            "params": {name: "auto" for name in ("lr", "betas", "eps", "weight_decay")},
        }
    return settings


def accelerate_settings(option: Option) -> dict[str, Any] | None:
    """Accelerate's YAML for FSDP2; None where it does not run."""
    if option.setup.strategy is not Strategy.FSDP2:
        return None
    machines = option.request.machines
    return {
        "compute_environment": "LOCAL_MACHINE",
        "distributed_type": "FSDP",
        "mixed_precision": "no" if option.setup.numerics is Numerics.FP32 else "bf16",
        "num_machines": machines.nodes,
        "num_processes": machines.devices,
        "machine_rank": 0,
        "main_training_function": "main",
        "use_cpu": not machines.device.cuda,
        "fsdp_config": {
            "fsdp_version": 2,
            "fsdp_auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
            "fsdp_reshard_after_forward": True,
            "fsdp_offload_params": False,
            "fsdp_state_dict_type": "SHARDED_STATE_DICT",
            "fsdp_cpu_ram_efficient_loading": True,
            "fsdp_activation_checkpointing": option.setup.checkpointing,
        },
    }


def launch_file(option: Option, name: str) -> tuple[str, str] | None:
    """NAME.deepspeed.json or NAME.fsdp.yaml, and its text; None where a strategy needs neither."""
    deepspeed, accelerate = deepspeed_settings(option), accelerate_settings(option)
    if deepspeed is not None:
        return f"{name}.deepspeed.json", json.dumps(deepspeed, indent=2, sort_keys=True) + "\n"
    if accelerate is not None:
        return f"{name}.fsdp.yaml", dump_yaml(json.loads(json.dumps(accelerate, sort_keys=True)))
    return None


def own_settings(root: Path, name: str, made: tuple[str, str] | None) -> str:
    """Text of the file that params.yaml names, which must run the chosen strategy.

    Args:
        root: The project's root.
        name: ``launch.settings``, from the root.
        made: Name and text that the plan itself would write.

    Raises:
        UsageError: No such file, or it would run something else than the plan.
    """
    if made is None:
        raise UsageError(
            f"launch.settings = {name!r}: the strategy chosen takes none; leave it out or name launch.strategy"
        )
    try:
        text = (root / name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"launch.settings = {name!r} cannot be read: {str(error).splitlines()[0]}") from None
    found = parse_yaml(text, f"launch.settings = {name}")  # JSON is YAML
    planned = _flat(parse_yaml(made[1], made[0]))
    given = _flat(found if isinstance(found, dict) else {})
    for key in planned.keys() | given.keys() if made[0].endswith(".yaml") else MUST_AGREE:
        wanted, value = planned.get(key), given.get(key)
        if value != wanted and value != "auto" and key not in NOT_HEEDED:
            raise UsageError(
                f"launch.settings = {name!r} has {key} {value!r}, the plan {wanted!r}: training would not be what was "
                "planned; change the file, or launch and train in params.yaml"
            )
    return text


def _flat(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, entry in value.items():
        found |= _flat(entry, f"{prefix}{key}.") if isinstance(entry, dict) else {f"{prefix}{key}": entry}
    return found


def write_launch_file(option: Option, folder: Path, name: str) -> Path | None:
    """Write it into ``folder``; None where a strategy needs none."""
    found = launch_file(option, name)
    if found is None:
        return None
    write_text(folder / found[0], found[1])
    return folder / found[0]
