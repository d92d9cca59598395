"""The chosen strategy's configuration for DeepSpeed or accelerate, as files that a launcher takes as they are."""

from pathlib import Path
from typing import Any

from evalsuite.files import write_json
from tasks.planning.choice import Option
from tasks.planning.memory import Numerics, Strategy


def deepspeed_settings(option: Option) -> dict[str, Any] | None:
    """DeepSpeed's JSON; None where it does not run. ``auto`` is filled in by transformers from its own arguments."""
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
    return {
        "zero_optimization": zero,
        "bf16": {"enabled": option.setup.numerics is not Numerics.FP32},
        "train_batch_size": "auto",
        "train_micro_batch_size_per_gpu": option.request.micro_batch,
        "gradient_accumulation_steps": option.request.micro_batches,
        "gradient_clipping": "auto",
        "zero_allow_untested_optimizer": True,
    }


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


def write_launch_file(option: Option, folder: Path, name: str) -> Path | None:
    """NAME.deepspeed.json or NAME.fsdp.yaml in ``folder``; None where a strategy needs neither."""
    import yaml

    deepspeed, accelerate = deepspeed_settings(option), accelerate_settings(option)
    if deepspeed is not None:
        path = folder / f"{name}.deepspeed.json"
        write_json(path, deepspeed)
        return path
    if accelerate is not None:
        path = folder / f"{name}.fsdp.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(accelerate, sort_keys=True), encoding="utf-8")
        return path
    return None
