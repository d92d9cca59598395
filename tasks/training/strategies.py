"""What each strategy asks of DeepSpeed, torch and transformers."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from tasks.launch_params import Strategy
from tasks.training.launch import LaunchPlan

COLLECTIVE_TIMEOUT = timedelta(minutes=30)
"""A collective that takes longer has lost a process."""
WAIT_TIMEOUT = timedelta(days=2)
"""The other processes wait this long while the first one answers the golden dev set."""


def deepspeed_config(strategy: Strategy, cuda: bool) -> dict[str, Any] | None:
    """DeepSpeed's configuration; None where it does not run.

    ``auto`` is filled in by transformers from the training arguments. On a CPU offloading moves nothing: torch's AdamW
    stays, where a GPU machine gets DeepSpeed's CPUAdam, which it compiles at its first use.
    """
    if not strategy.zero_stage:
        return None
    zero: dict[str, Any] = {"stage": strategy.zero_stage, "overlap_comm": cuda, "contiguous_gradients": True}
    if strategy.zero_stage == 3:
        zero |= {
            "stage3_gather_16bit_weights_on_model_save": True,
            "stage3_param_persistence_threshold": "auto",
            "stage3_prefetch_bucket_size": "auto",
            "reduce_bucket_size": "auto",
        }
    config: dict[str, Any] = {
        "zero_optimization": zero,
        "train_batch_size": "auto",
        "train_micro_batch_size_per_gpu": "auto",
        "gradient_accumulation_steps": "auto",
        "gradient_clipping": "auto",
        "bf16": {"enabled": "auto"},
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "steps_per_print": 2**31,
    }
    if strategy is Strategy.ZERO3_OFFLOAD:
        zero["offload_optimizer"] = {"device": "cpu", "pin_memory": cuda}
        zero["offload_param"] = {"device": "cpu", "pin_memory": cuda}
        if cuda:
            rates = {name: "auto" for name in ("lr", "betas", "eps", "weight_decay")}
            config["optimizer"] = {"type": "AdamW", "params": rates}
    return config


def start_processes(plan: LaunchPlan) -> None:
    """Join the other processes, before anything asks accelerate what it runs on.

    accelerate takes DeepSpeed's configuration without a word and runs plain data parallelism when
    ACCELERATE_USE_DEEPSPEED is not set; DeepSpeed looks for a GPU when DS_ACCELERATOR is not.
    """
    if plan.strategy.zero_stage:
        os.environ["ACCELERATE_USE_DEEPSPEED"] = "true"
        if plan.device == "cpu":
            os.environ["DS_ACCELERATOR"] = "cpu"
    if plan.num_processes == 1:
        return
    import torch
    import torch.distributed as dist

    if plan.device == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    backend = "gloo" if plan.device == "cpu" else "nccl"
    if plan.strategy.zero_stage:
        import deepspeed

        deepspeed.init_distributed(dist_backend=backend, timeout=COLLECTIVE_TIMEOUT, verbose=False)
    elif not dist.is_initialized():
        dist.init_process_group(backend, timeout=COLLECTIVE_TIMEOUT)


class Ranks:
    """The processes of one training, this one among them; one process alone needs no communication."""

    def __init__(self) -> None:
        """Find the others; every process must create it at the same point."""
        import torch.distributed as dist

        self.size = dist.get_world_size() if dist.is_initialized() else 1
        self.rank = dist.get_rank() if self.size > 1 else 0
        self._waiting = dist.new_group(backend="gloo", timeout=WAIT_TIMEOUT) if self.size > 1 else None

    @property
    def first(self) -> bool:
        """Whether this process writes and evaluates."""
        return self.rank == 0

    def wait(self) -> None:
        """Go on when all are here."""
        if self._waiting is not None:
            import torch.distributed as dist

            dist.barrier(group=self._waiting)

    def tell(self, value: Any) -> Any:
        """The first process's ``value``, on all."""
        if self._waiting is None:
            return value
        import torch.distributed as dist

        box = [value]
        dist.broadcast_object_list(box, src=0, group=self._waiting)
        return box[0]

    def gather(self, value: int) -> list[int]:
        """Every process's ``value``, by rank."""
        if self._waiting is None:
            return [value]
        import torch
        import torch.distributed as dist

        found = [torch.zeros(1, dtype=torch.int64) for _ in range(self.size)]
        dist.all_gather(found, torch.tensor([value], dtype=torch.int64), group=self._waiting)
        return [int(entry) for entry in found]


def sharded_loading(plan: LaunchPlan, compute_dtype: Any) -> Any | None:
    """Arguments of ``from_pretrained`` with which each process reads and keeps its part only; None without FSDP2."""
    if plan.strategy is not Strategy.FSDP2:
        return None
    import torch
    from transformers.distributed import DistributedConfig

    return DistributedConfig(fsdp_size=plan.num_processes, fsdp_mixed_precision=compute_dtype is torch.bfloat16)


def split_again(model: Any) -> None:
    """Give up the whole weights that FSDP2 keeps after a forward pass without a backward one."""
    from torch.distributed.fsdp import FSDPModule

    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


@contextmanager
def whole_models() -> Iterator[None]:
    """Let ``from_pretrained`` load a complete model on one process while DeepSpeed splits those of the training."""
    from transformers.integrations import deepspeed as integration

    weak = integration._hf_deepspeed_config_weak_ref
    integration.unset_hf_deepspeed_config()
    try:
        yield
    finally:
        integration._hf_deepspeed_config_weak_ref = weak
