"""How a method runs: the part of the plan that training depends on, and the commands that start it."""

import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from evalsuite.core.errors import UsageError
from evalsuite.core.files import write_text
from tasks.config.launch import LaunchParams, Strategy
from tasks.config.methods import MethodParams
from tasks.config.numerics import Numerics, Optimizer
from tasks.config.train import TrainParams
from tasks.dvc_command import SAFE_PATH
from tasks.methods.kinds import KINDS, method_of
from tasks.training.state.checkpoints import checkpoint_bytes

WORKER = "tasks.training.worker"
DEFAULT_PORT = 29400
NODE_RANK_VARIABLE = "RATCHET_NODE_RANK"
RENDEZVOUS_VARIABLE = "RATCHET_RENDEZVOUS"
"""How `ratchet launch --node-rank N --rendezvous HOST:PORT` tells the stage, which has no arguments of its own."""


class LaunchFile(BaseModel):
    """DeepSpeed's JSON or accelerate's YAML, which the workers use as it is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    """From the project's root."""
    text: str


class LaunchPlan(BaseModel):
    """plans/METHOD.launch.json: only what changes training, so that a new price does not train again."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    schema_version: Literal[1] = 1
    strategy: Strategy = Strategy.ONE_DEVICE
    num_processes: int = Field(default=1, ge=1)
    """On all nodes together."""
    num_nodes: int = Field(default=1, ge=1)
    device: Literal["cpu", "cuda"]
    numerics: Numerics
    optimizer: Optimizer = Optimizer.ADAMW
    stochastic_rounding: bool = True
    """Of weights that are bf16; others are not rounded."""
    trained_parameters: int = Field(ge=1)
    """Counted from the model's config, adapters included."""
    settings: LaunchFile | None = None
    """Of DeepSpeed or FSDP2; None where neither runs."""

    @property
    def in_stage(self) -> bool:
        """Whether the stage's own process trains, without torchrun."""
        return self.num_processes == 1 and not self.strategy.zero_stage

    @property
    def rounds_stochastically(self) -> bool:
        """Whether the optimizer rounds weights up or down at random."""
        return self.stochastic_rounding and self.numerics.bf16_weights

    def checkpoint_bytes(self, saved_twice: bool) -> int:
        """Disk space of one checkpoint; some adapters are saved in a second form."""
        width = self.numerics.weight_bytes + self.optimizer.state_bytes(self.numerics)
        return checkpoint_bytes(self.trained_parameters, self.strategy.zero_stage, saved_twice, width)

    @property
    def processes_per_node(self) -> int:
        """Workers that one machine starts."""
        return self.num_processes // self.num_nodes


def check_settings(name: str, plan: LaunchPlan, project: Path) -> None:
    """Refuse a settings file that is not the one of the plan; write it again where DVC brought the plan back alone.

    Raises:
        UsageError: It was changed since the plan.
    """
    if plan.settings is None:
        return
    path = project / plan.settings.path
    if not path.exists():
        write_text(path, plan.settings.text)
    elif path.read_bytes() != plan.settings.text.encode():
        raise UsageError(
            f"{plan.settings.path} changed since plans/{name}.launch.json was made, whose settings training would not "
            f"run by; `ratchet stage plan@{name} --force` plans again (your own settings: launch.settings)"
        )


def check_plan(name: str, plan: LaunchPlan, method: MethodParams, launch: LaunchParams) -> None:
    """Refuse a plan that was made before params.yaml asked for something else: training runs by the plan alone.

    Raises:
        UsageError: Names what differs, with both values.
    """
    own = (f"plans/{name}.deepspeed.json", f"plans/{name}.fsdp.yaml")
    unpaged = plan.device == "cpu" and method.optimizer is Optimizer.PAGED_ADAMW_8BIT
    planned = None if plan.settings is None or plan.settings.path in own else plan.settings.path
    pairs: dict[str, tuple[object, object]] = {
        f"methods.{name}.numerics": (plan.numerics, method.numerics or plan.numerics),
        f"methods.{name}.optimizer": (plan.optimizer, Optimizer.ADAMW_8BIT if unpaged else method.optimizer),
        f"methods.{name}.stochastic_rounding": (plan.stochastic_rounding, method.stochastic_rounding),
        "launch.strategy": (plan.strategy, plan.strategy if launch.strategy == "auto" else launch.strategy),
        "launch.nodes": (plan.num_nodes, launch.nodes),
        "launch.processes_per_node": (plan.processes_per_node, launch.processes_per_node),
        "launch.settings": (planned, launch.settings),
    }
    for key, (found, wanted) in pairs.items():
        if found != wanted:
            raise UsageError(
                f"{key} is {_said(wanted)} in params.yaml and {_said(found)} in plans/{name}.launch.json, by which "
                f"training runs; `ratchet stage plan@{name}` plans again"
            )


def _said(value: object) -> str:
    return "absent" if value is None else str(value)


def choose_strategy(launch: LaunchParams, method: MethodParams, train: TrainParams) -> Strategy:
    """The strategy of params.yaml, or the simplest one.

    Raises:
        UsageError: The strategy does not fit the number of processes, the method or the batch.
    """
    world = launch.nodes * launch.processes_per_node
    strategy = launch.strategy
    if strategy == "auto":
        strategy = Strategy.ONE_DEVICE if world == 1 else Strategy.DATA_PARALLEL
    alone = (Strategy.ONE_DEVICE, Strategy.ZERO3_OFFLOAD_OPTIMIZER, Strategy.ZERO3_OFFLOAD)
    if (strategy is Strategy.ONE_DEVICE and world > 1) or (strategy not in alone and world == 1):
        raise UsageError(
            f"launch.strategy = {strategy.value!r} with {world} processes (launch.nodes x launch.processes_per_node); "
            f"one process runs as {', '.join(repr(other.value) for other in alone)}, several as "
            + ", ".join(repr(other.value) for other in Strategy if other is not Strategy.ONE_DEVICE)
        )
    if KINDS[method.kind].quantised and strategy.splits_weights:
        raise UsageError(
            f"launch.strategy = {strategy.value!r}: 4-bit weights are not split between processes; use 'data parallel' "
            "or 'zero2' for kind qlora"
        )
    if not runs_on(method, strategy):
        what = method_of(method).needs_whole_weights
        fitting = ", ".join(repr(other.value) for other in Strategy if runs_on(method, other))
        raise UsageError(f"launch.strategy = {strategy.value!r} was never shown to train {what} rightly; use {fitting}")
    if method.is_sweep and launch.nodes > 1:
        raise UsageError(
            f"launch.nodes = {launch.nodes}: {len(method.rates)} learning rates are tried on one machine; find the "
            "best there, and name it alone"
        )
    if train.batch_size % (train.micro_batch_size * world):
        raise UsageError(
            f"train.batch_size {train.batch_size} is no multiple of train.micro_batch_size {train.micro_batch_size} "
            f"times {world} processes; every process must take the same number of rows a step"
        )
    return strategy


def runs_on(method: MethodParams, strategy: Strategy) -> bool:
    """Whether the strategy leaves the method the whole base weights that it needs."""
    whole = strategy in (Strategy.ONE_DEVICE, Strategy.DATA_PARALLEL)
    return whole or method_of(method).needs_whole_weights is None


class Node(NamedTuple):
    """One machine of a launch."""

    rank: int
    rendezvous: str
    """HOST:PORT of node 0."""
    address: str | None = None
    """Of this machine, as the others reach it."""


def find_node(launch: LaunchParams, environment: Mapping[str, str] = os.environ) -> Node:
    """This machine's number and where node 0 waits, from params.yaml or Slurm's variables.

    Raises:
        UsageError: Several nodes, and neither says which one this is or where node 0 is.
    """
    if launch.nodes == 1:
        return Node(0, "localhost:0")
    told, slurm = environment.get(NODE_RANK_VARIABLE, ""), environment.get("SLURM_NODEID", "")
    rank = int(told) if told.isdigit() else launch.node_rank
    if rank is None and slurm.isdigit():
        rank = int(slurm)
    if rank is None or rank >= launch.nodes:
        raise UsageError(
            f"launch.nodes = {launch.nodes}, and this node's number is {rank}; give `ratchet launch --node-rank N` or "
            f"launch.node_rank (0 to {launch.nodes - 1}), or start by Slurm, which sets SLURM_NODEID"
        )
    address = launch.address or environment.get("SLURMD_NODENAME")
    return Node(rank, find_rendezvous(launch, environment), address)


def find_rendezvous(launch: LaunchParams, environment: Mapping[str, str] = os.environ) -> str:
    """HOST:PORT of node 0: as told, or as Slurm names it (``prefix[03-05,9],other``) with a port of the job's own.

    Raises:
        UsageError: Nobody says it.
    """
    given = environment.get(RENDEZVOUS_VARIABLE) or launch.rendezvous
    if given:
        return given
    nodes = environment.get("SLURM_JOB_NODELIST", "")
    if not nodes:
        raise UsageError("launch.rendezvous is missing: HOST:PORT of node 0, as the other nodes reach it")
    prefix, bracket, rest = nodes.partition("[")
    first = prefix.split(",")[0]
    if bracket and "," not in prefix:
        numbers, _, after = rest.partition("]")
        first = prefix + numbers.split(",")[0].split("-")[0] + after.split(",")[0]
    job = environment.get("SLURM_JOB_ID", "0")
    return f"{first}:{DEFAULT_PORT + int(job) % 1000 if job.isdigit() else DEFAULT_PORT}"


def agent_command(
    method: str, plan: LaunchPlan, node: Node, grace_seconds: int, rate: float | None = None
) -> list[str]:
    """The torchrun command of one node: it starts the node's workers and ends them together.

    Args:
        method: Name of what is trained.
        plan: How.
        node: This one.
        grace_seconds: Time to save after a SIGTERM.
        rate: Which of several learning rates.
    """
    where = (
        ["--standalone"]
        if plan.num_nodes == 1
        else [
            f"--node-rank={node.rank}",
            "--rdzv-backend=c10d",
            f"--rdzv-endpoint={node.rendezvous}",
            f"--rdzv-id=ratchet-{method}",
            f"--rdzv-conf=is_host={'true' if node.rank == 0 else 'false'}",
            *([f"--local-addr={node.address}"] if node.address else []),
        ]
    )
    return [
        sys.executable,
        "-m",
        "torch.distributed.run",
        f"--nnodes={plan.num_nodes}",
        f"--nproc-per-node={plan.processes_per_node}",
        *where,
        f"--shutdown-timeout={grace_seconds}",
        "-m",
        WORKER,
        method,
        *([] if rate is None else [repr(rate)]),
    ]


def node_commands(method: str, plan: LaunchPlan, launch: LaunchParams) -> list[str]:
    """One line a node, as a shell runs it: node 0 runs the stage, which starts its own agent; the others join it."""
    told = launch.rendezvous is None and plan.num_nodes > 1
    rendezvous = find_rendezvous(launch) if plan.num_nodes > 1 else ""
    safe = f"{SAFE_PATH}=1 " if os.environ.get(SAFE_PATH) else ""
    stage = safe + shlex.join([sys.executable, "-m", "tasks.stage", "train", method])
    if told:
        stage = f"{RENDEZVOUS_VARIABLE}={shlex.quote(rendezvous)} {stage}"
    if plan.num_nodes > 1:
        stage = f"{NODE_RANK_VARIABLE}=0 {stage}"
    others = [
        safe + shlex.join(agent_command(method, plan, Node(rank, rendezvous), launch.grace_seconds))
        for rank in range(1, plan.num_nodes)
    ]
    return [stage, *others]


def sbatch_file(method: str, plan: LaunchPlan, launch: LaunchParams) -> str:
    """A Slurm job: one task a node, requeued when it was pre-empted after saving (exit code 75)."""
    gpus = f"#SBATCH --gpus-per-node={plan.processes_per_node}\n" if plan.device == "cuda" else ""
    safe = f"export {SAFE_PATH}=1\n" if os.environ.get(SAFE_PATH) else ""
    return (
        "#!/bin/bash\n"
        f"#SBATCH --job-name=ratchet-{method}\n"
        f"#SBATCH --nodes={plan.num_nodes}\n"
        "#SBATCH --ntasks-per-node=1\n"
        f"{gpus}"
        "#SBATCH --exclusive\n"
        "#SBATCH --requeue\n"
        "#SBATCH --open-mode=append\n"
        f"#SBATCH --signal=TERM@{launch.grace_seconds + 60}\n"
        f"{safe}"
        'cd "$SLURM_SUBMIT_DIR"\n'
        f"srun --kill-on-bad-exit=0 {shlex.join([sys.executable, '-m', 'flows.cli', 'launch', method])}\n"
        "code=$?\n"
        'if [ "$code" -eq 75 ]; then scontrol requeue "$SLURM_JOB_ID"; fi\n'
        'exit "$code"\n'
    )
