"""What really runs, read from the model, the trainer and its optimizer, and the proof that it is what was planned."""

from typing import Any

from evalsuite.errors import StageError
from tasks.launch_params import Strategy
from tasks.params import MethodKind, MethodParams
from tasks.training.launch import LaunchPlan
from tasks.training.strategies import Ranks

Effective = dict[str, str | int | float | bool]


def read_effective(trainer: Any, autocast: str, ranks: Ranks) -> Effective:
    """What runs; all processes must call it."""
    model = trainer.model
    if trainer.optimizer is None:
        trainer.create_optimizer()
    optimizer = getattr(trainer.optimizer, "optimizer", trainer.optimizer)
    optimizer = getattr(optimizer, "optimizer", optimizer)  # DeepSpeed's around torch's
    trained = [p for p in model.parameters() if p.requires_grad]
    dtypes = {str(p.dtype).removeprefix("torch.") for p in trained}
    return {
        "device": str(model.device),
        "trained_dtype": ", ".join(sorted(dtypes)),
        "attention": str(model.config._attn_implementation),
        "optimizer": type(optimizer).__name__,
        "padding_free": bool(trainer.padding_free),
        "distributed_type": str(trainer.accelerator.distributed_type.value),
        "strategy": effective_strategy(trainer),
        "zero_stage": _zero_stage(trainer),
        "num_processes": int(trainer.accelerator.num_processes),
        "parameters_per_rank": ", ".join(str(n) for n in ranks.gather(sum(held_parameters(p) for p in trained))),
        "optimizer_parameters_per_rank": ", ".join(str(n) for n in ranks.gather(_optimizer_parameters(trainer))),
        "embedding_noise_alpha": float(getattr(model.get_input_embeddings(), "neftune_noise_alpha", 0.0)),
        "gradient_checkpointing": bool(trainer.args.activation_checkpointing),
        "autocast": autocast,
        "quantised": bool(getattr(model, "is_loaded_in_4bit", False)),
        "trained_parameters": count_trained(model),
    }


def check_effective(
    plan: LaunchPlan, method: MethodParams, packing: bool, batch: tuple[int, int], effective: dict[str, Any]
) -> None:
    """Stop when what runs is not what was planned.

    Args:
        plan: What was planned.
        method: What was asked for.
        packing: Whether several examples were to share a row.
        batch: Rows of an optimizer step, as planned and as they run.
        effective: What runs, as ``read_effective`` reads it.

    Raises:
        StageError: Names the field with both values.
    """
    deepspeed_bf16 = plan.strategy.zero_stage > 0 and plan.numerics != "fp32"
    parallel = "MULTI_CPU" if plan.device == "cpu" else "MULTI_GPU"
    wanted: dict[str, Any] = {
        "device": plan.device,
        # DeepSpeed computes with bf16 weights and keeps its own fp32 ones in the optimizer.
        "trained_dtype": "bfloat16" if deepspeed_bf16 else "float32",
        "autocast": "none" if plan.numerics == "fp32" else "bf16",
        "num_processes": plan.num_processes,
        "distributed_type": "DEEPSPEED" if plan.strategy.zero_stage else "NO" if plan.num_processes == 1 else parallel,
        "strategy": plan.strategy.value,
        "zero_stage": plan.strategy.zero_stage,
        "quantised": method.kind is MethodKind.QLORA,
        "padding_free": packing,
        "embedding_noise_alpha": method.neftune_noise_alpha or 0.0,
        "trained_parameters": plan.trained_parameters,
        "batch_size": batch[0],
    }
    found = {**effective, "device": str(effective["device"]).split(":")[0], "batch_size": batch[1]}
    for name, value in wanted.items():
        if found[name] != value:
            raise StageError(
                f"what runs is not what was planned: {name} is {found[name]!r}, the plan says {value!r}; where the "
                "machine or the model changed since, run `ratchet stage plan@METHOD --force` with this method"
            )


def effective_strategy(trainer: Any) -> str:
    """Which strategy the objects in memory show, whatever any configuration says."""
    from torch.nn.parallel import DistributedDataParallel

    stage = _zero_stage(trainer)
    if stage:
        offloaded = stage == 3 and trainer.deepspeed.zero_offload_optimizer() is not None
        names = {2: Strategy.ZERO2, 3: Strategy.ZERO3_OFFLOAD if offloaded else Strategy.ZERO3}
        return names[stage].value if stage in names else f"zero{stage}"
    if any(_is_split(p) for p in trainer.model.parameters()):
        return Strategy.FSDP2.value
    if isinstance(trainer.model_wrapped, DistributedDataParallel):
        return Strategy.DATA_PARALLEL.value
    return Strategy.ONE_DEVICE.value if trainer.accelerator.num_processes == 1 else "processes that do not communicate"


def held_parameters(parameter: Any) -> int:
    """Numbers of a parameter that this process keeps."""
    if hasattr(parameter, "ds_tensor"):
        return int(parameter.ds_tensor.numel())
    return int(parameter.to_local().numel() if _is_tensor_of_many(parameter) else parameter.numel())


def count_trained(model: Any) -> int:
    """Numbers that the optimizers of all processes change together."""
    return sum(int(getattr(p, "ds_numel", p.numel())) for p in model.parameters() if p.requires_grad)


def count_all(model: Any) -> int:
    """Numbers of the whole model, split or not."""
    return sum(int(getattr(p, "ds_numel", p.numel())) for p in model.parameters())


def _is_tensor_of_many(parameter: Any) -> bool:
    from torch.distributed.tensor import DTensor

    return isinstance(parameter.data, DTensor) or isinstance(parameter, DTensor)


def _is_split(parameter: Any) -> bool:
    """Whether this process keeps less than all of a parameter."""
    return _is_tensor_of_many(parameter) and held_parameters(parameter) < parameter.numel()


def _zero_stage(trainer: Any) -> int:
    engine = getattr(trainer, "deepspeed", None)
    return int(engine.zero_optimization_stage()) if engine is not None else 0


def _optimizer_parameters(trainer: Any) -> int:
    """Numbers that this process's optimizer keeps moments of."""
    optimizer = getattr(trainer.optimizer, "optimizer", trainer.optimizer)
    groups = getattr(optimizer, "single_partition_of_fp32_groups", None)
    groups = getattr(optimizer, "fp32_partitioned_groups_flat", None) if groups is None else groups
    if groups is not None:
        return sum(int(group.numel()) for group in groups)
    return sum(held_parameters(p) for group in optimizer.param_groups for p in group["params"])
