"""What really runs, read from the model, the trainer and its optimizer, and the proof that it is what was planned."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from evalsuite.core.errors import StageError
from tasks.config.launch import Strategy
from tasks.config.numerics import Numerics, Optimizer
from tasks.training.job import Job
from tasks.training.optim.accelerations import read_accelerations
from tasks.training.parallel.launch import LaunchPlan
from tasks.training.parallel.strategies import Ranks

Effective = dict[str, str | int | float | bool]
MOMENTS = ("exp_avg", "exp_avg_sq", "state1", "state2")
"""AdamW's two, as torch, DeepSpeed and bitsandbytes name them."""


def read_effective(trainer: Any, ranks: Ranks) -> Effective:
    """What runs; all processes must call it."""
    model = trainer.model
    if trainer.optimizer is None:
        trainer.create_optimizer()
    optimizer = _innermost(trainer.optimizer)
    trained = [p for p in model.parameters() if p.requires_grad]
    dtypes = {str(p.dtype).removeprefix("torch.") for p in trained}
    return {
        "device": str(model.device),
        "trained_dtype": ", ".join(sorted(dtypes)),
        "attention": str(model.config._attn_implementation),
        "optimizer": type(optimizer).__name__,
        "optimizer_paged": bool(getattr(optimizer, "is_paged", False)),
        "stochastic_rounding": dtypes == {"bfloat16"} and bool(getattr(optimizer, "stochastic_rounding", False)),
        "padding_free": bool(trainer.padding_free),
        "distributed_type": str(trainer.accelerator.distributed_type.value),
        "strategy": effective_strategy(trainer),
        "zero_stage": _zero_stage(trainer),
        "num_processes": int(trainer.accelerator.num_processes),
        "parameters_per_rank": ", ".join(str(n) for n in ranks.gather(sum(held_parameters(p) for p in trained))),
        "optimizer_parameters_per_rank": ", ".join(str(n) for n in ranks.gather(_optimizer_parameters(trainer))),
        "embedding_noise_alpha": float(getattr(model.get_input_embeddings(), "neftune_noise_alpha", 0.0)),
        "gradient_checkpointing": bool(trainer.args.activation_checkpointing),
        "autocast": "bf16" if trainer.args.bf16 else "none",
        "quantised": bool(getattr(model, "is_loaded_in_4bit", False)),
        "trained_parameters": count_trained(model),
        **{f"acceleration: {name}": state for name, state in read_accelerations(trainer).items()},
    }


def check_effective(job: Job, batch: tuple[int, int], effective: dict[str, Any]) -> None:
    """Stop when what runs is not what was planned.

    Args:
        job: What was asked for and planned.
        batch: Rows of an optimizer step, as planned and as they run.
        effective: What runs, as ``read_effective`` reads it.

    Raises:
        StageError: Names the field with both values.
    """
    from tasks.training.optim.optimizers import optimizer_name

    plan, method = job.plan, job.method
    deepspeed_bf16 = plan.strategy.zero_stage > 0 and plan.numerics is Numerics.MIXED
    parallel = "MULTI_CPU" if plan.device == "cpu" else "MULTI_GPU"
    wanted: dict[str, Any] = {
        "device": plan.device,
        # DeepSpeed computes with bf16 weights and keeps its own fp32 ones in the optimizer.
        "trained_dtype": "bfloat16" if deepspeed_bf16 or plan.numerics.bf16_weights else "float32",
        "autocast": "bf16" if plan.numerics is Numerics.MIXED else "none",
        "optimizer": optimizer_name(plan),
        "optimizer_paged": plan.optimizer is Optimizer.PAGED_ADAMW_8BIT,
        "stochastic_rounding": plan.rounds_stochastically,
        "num_processes": plan.num_processes,
        "distributed_type": "DEEPSPEED" if plan.strategy.zero_stage else "NO" if plan.num_processes == 1 else parallel,
        "strategy": plan.strategy.value,
        "zero_stage": plan.strategy.zero_stage,
        "padding_free": job.params.packing,
        "embedding_noise_alpha": method.params.neftune_noise_alpha or 0.0,
        "trained_parameters": plan.trained_parameters,
        "batch_size": batch[0],
        **method.effective(),
    }
    _compare({**effective, "device": str(effective["device"]).split(":")[0], "batch_size": batch[1]}, wanted)


def check_numbers(plan: LaunchPlan, trainer: Any) -> Effective:
    """Types of gradients and optimizer states, right after the optimizer's step, before the gradients are freed.

    Raises:
        StageError: They are not the plan's; names the field with both values.
    """
    found = _read_numbers(trainer)
    states = "bfloat16" if plan.numerics is Numerics.PURE_BF16 else "float32"
    wanted = {"optimizer_state_dtype": "uint8" if plan.optimizer.eight_bit else states}
    if not plan.strategy.zero_stage:  # DeepSpeed keeps gradients to itself
        wanted["gradient_dtype"] = "bfloat16" if plan.numerics.bf16_weights else "float32"
    _compare(found, wanted)
    return found


def _read_numbers(trainer: Any) -> Effective:
    gradients = {str(p.grad.dtype).removeprefix("torch.") for p in trainer.model.parameters() if p.grad is not None}
    states: Counter[str] = Counter()
    for state in _innermost(trainer.optimizer).state.values():
        moments = [value for name, value in state.items() if name in MOMENTS]
        for moment in moments:
            states[str(moment.dtype).removeprefix("torch.")] += held_parameters(moment)
    most = states.most_common(1)
    # The type of most of them: bitsandbytes keeps the states of tensors below 4,096 numbers in fp32.
    return {
        "gradient_dtype": ", ".join(sorted(gradients)) or "not shown",
        "optimizer_state_dtype": most[0][0] if most else "none",
    }


def _compare(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    for name, value in wanted.items():
        if found[name] != value:
            raise StageError(
                f"what runs is not what was planned: {name} is {found[name]!r}, the plan says {value!r}; where the "
                "machine or the model changed since, run `ratchet stage plan@METHOD --force` with this method"
            )


def _innermost(optimizer: Any) -> Any:
    """Torch's optimizer, without accelerate's wrapper and DeepSpeed's."""
    optimizer = getattr(optimizer, "optimizer", optimizer)
    return getattr(optimizer, "optimizer", optimizer)


def effective_strategy(trainer: Any) -> str:
    """Which strategy the objects in memory show, whatever any configuration says."""
    from torch.nn.parallel import DistributedDataParallel

    stage = _zero_stage(trainer)
    if stage:
        if stage == 3 and trainer.deepspeed.zero_offload_param() is not None:
            return Strategy.ZERO3_OFFLOAD.value
        if stage == 3 and trainer.deepspeed.zero_offload_optimizer() is not None:
            return Strategy.ZERO3_OFFLOAD_OPTIMIZER.value
        return f"zero{stage}"
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
