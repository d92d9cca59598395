"""What each strategy asks of DeepSpeed, torch and transformers."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from evalsuite.core.errors import UsageError
from evalsuite.core.yaml_file import parse_yaml
from tasks.config.launch import Strategy
from tasks.training.parallel.launch import LaunchPlan

COLLECTIVE_TIMEOUT = timedelta(minutes=30)
"""A collective that takes longer has lost a process."""
WAIT_TIMEOUT = timedelta(days=2)
"""The other processes wait this long while the first one answers the golden dev set."""


def deepspeed_config(plan: LaunchPlan) -> dict[str, Any] | None:
    """DeepSpeed's configuration, as the plan's file has it; None where it does not run."""
    if not plan.strategy.zero_stage:
        return None
    found: dict[str, Any] = json.loads(_settings(plan))
    return found


def _settings(plan: LaunchPlan) -> str:
    if plan.settings is None:
        raise UsageError(
            f"the launch plan has no settings for {plan.strategy.value!r}: run `ratchet stage plan@METHOD`"
        )
    return plan.settings.text


def start_processes(plan: LaunchPlan) -> None:
    """Join the other processes, before anything asks accelerate what it runs on.

    accelerate takes DeepSpeed's configuration without a word and runs plain data parallelism when
    ACCELERATE_USE_DEEPSPEED is not set; DeepSpeed looks for a GPU when DS_ACCELERATOR is not.
    """
    if plan.strategy.zero_stage:
        os.environ["ACCELERATE_USE_DEEPSPEED"] = "true"
        if plan.device == "cpu":
            os.environ["DS_ACCELERATOR"] = "cpu"
    if plan.in_stage:
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


def leave_processes() -> None:
    """Part from the other processes: one that exits with its connections open may be aborted."""
    import torch.distributed as dist

    if dist.is_initialized():
        dist.destroy_process_group()


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


def sharded_loading(plan: LaunchPlan) -> Any | None:
    """Arguments of ``from_pretrained`` with which each process reads and keeps its part only; None without FSDP2."""
    if plan.strategy is not Strategy.FSDP2:
        return None
    from transformers.distributed import DistributedConfig

    settings = parse_yaml(_settings(plan), "the plan's settings")
    return DistributedConfig(
        fsdp_size=settings["num_processes"],
        fsdp_mixed_precision=settings["mixed_precision"] == "bf16",
        fsdp_cpu_offload=settings["fsdp_config"]["fsdp_offload_params"],
    )


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
