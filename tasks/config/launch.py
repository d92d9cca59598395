"""How training is spread over processes and machines."""

from enum import StrEnum
from typing import Literal

from pydantic import Field, field_validator

from tasks.config.section import Section


class Strategy(StrEnum):
    """What is split between processes; every process works on its own rows."""

    ONE_DEVICE = "one device"
    DATA_PARALLEL = "data parallel"
    """Nothing: a whole copy on each (torch's DistributedDataParallel)."""
    ZERO1 = "zero1"
    """The optimizer (DeepSpeed)."""
    ZERO2 = "zero2"
    """Gradients and optimizer (DeepSpeed)."""
    ZERO3 = "zero3"
    """Weights too (DeepSpeed)."""
    ZERO3_OFFLOAD_OPTIMIZER = "zero3 offload optimizer"
    """Weights too, and the optimizer in the machine's memory (DeepSpeed)."""
    ZERO3_OFFLOAD = "zero3 offload"
    """Weights too, and they and the optimizer in the machine's memory (DeepSpeed)."""
    FSDP2 = "fsdp2"
    """Weights, gradients and optimizer (torch's fully_shard)."""

    @property
    def zero_stage(self) -> int:
        """DeepSpeed's ZeRO stage; 0 where DeepSpeed does not run."""
        stages = {Strategy.ZERO1: 1, Strategy.ZERO2: 2}
        return stages.get(self, 3 if self.value.startswith("zero3") else 0)

    @property
    def splits_weights(self) -> bool:
        """Whether no device holds all weights."""
        return self.zero_stage == 3 or self is Strategy.FSDP2

    @property
    def offloads(self) -> bool:
        """Whether optimizer states lie in the machine's memory."""
        return self in (Strategy.ZERO3_OFFLOAD_OPTIMIZER, Strategy.ZERO3_OFFLOAD)


class LaunchParams(Section):
    """Processes and machines that train one method together."""

    strategy: Strategy | Literal["auto"] = "auto"
    """``auto``: one device, or data parallel where there are several processes."""
    settings: str | None = None
    """DeepSpeed JSON or accelerate FSDP YAML of ``ratchet plan --write``, used as it is; the plan's own when absent."""
    processes_per_node: int = Field(default=1, ge=1)
    """One a GPU, or any number on CPUs."""
    nodes: int = Field(default=1, ge=1)
    """Machines; they must see the same project folder."""
    rendezvous: str | None = None
    """HOST:PORT of node 0, as the other nodes reach it; Slurm's first node when absent."""
    node_rank: int | None = Field(default=None, ge=0)
    """This machine's number from 0; Slurm's SLURM_NODEID when absent."""
    address: str | None = None
    """This machine's name or address as the others reach it; SLURMD_NODENAME or the host name when absent."""
    grace_seconds: int = Field(default=120, ge=1)
    """Time to save after a SIGTERM before the processes are killed."""

    @field_validator("rendezvous")
    @classmethod
    def _host_and_port(cls, rendezvous: str | None) -> str | None:
        host, _, port = (rendezvous or "host:1").rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise ValueError(f"{rendezvous!r} is not HOST:PORT")
        return rendezvous
