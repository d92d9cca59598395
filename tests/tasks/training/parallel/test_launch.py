"""Who starts what where."""

import shlex
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from evalsuite.core.errors import UsageError
from tasks.config.launch import LaunchParams, Strategy
from tasks.config.methods import MethodKind, MethodParams
from tasks.config.train import TrainParams
from tasks.training.parallel.launch import (
    LaunchFile,
    LaunchPlan,
    Node,
    agent_command,
    check_plan,
    choose_strategy,
    find_node,
    find_rendezvous,
    node_commands,
    sbatch_file,
)

FULL = MethodParams(kind=MethodKind.FULL, learning_rate=1e-5)
QLORA = MethodParams(kind=MethodKind.QLORA, learning_rate=1e-4)
TWO_NODES = LaunchPlan(
    strategy=Strategy.ZERO3, num_processes=16, num_nodes=2, device="cuda", numerics="fp32", trained_parameters=1
)


def test_torchrun_accepts_the_commands_and_starts_as_many_processes_as_planned() -> None:
    from torch.distributed.run import config_from_args, get_args_parser

    for rank in (0, 1):
        command = agent_command("full", TWO_NODES, Node(rank, "gpu1:29500", f"gpu{rank + 1}"), 90)
        assert command[:3] == [sys.executable, "-m", "torch.distributed.run"]
        config, program, arguments = config_from_args(get_args_parser().parse_args(command[3:]))
        assert (config.min_nodes, config.max_nodes, config.nproc_per_node) == (2, 2, 8)
        assert (config.rdzv_backend, config.rdzv_endpoint, config.max_restarts) == ("c10d", "gpu1:29500", 0)
        assert config.rdzv_configs["is_host"] == ("true" if rank == 0 else "false")
        assert config.local_addr == f"gpu{rank + 1}"
        assert config.shutdown_timeout == 90
        assert [str(program), *arguments][-2:] == ["tasks.training.worker", "full"]


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("gpu[03-05,9]", "gpu03"),
        ("gpu7", "gpu7"),
        ("login,gpu[1-2]", "login"),
        ("rack[2,4]-node", "rack2-node"),
        ("a1,b2", "a1"),
    ],
)
def test_slurms_node_list_gives_the_rendezvous(nodes: str, first: str) -> None:
    # The first host of `scontrol show hostnames NODELIST`, by the list's syntax in Slurm's documentation.
    environment = {"SLURM_JOB_NODELIST": nodes, "SLURM_JOB_ID": "123456"}
    assert find_rendezvous(LaunchParams(nodes=2), environment) == f"{first}:29856"


def test_slurm_says_which_node_this_is_and_the_command_line_overrides_it() -> None:
    launch = LaunchParams(nodes=2, rendezvous="gpu1:29500")
    slurm = {"SLURM_NODEID": "1", "SLURMD_NODENAME": "gpu2"}
    assert find_node(launch, slurm) == Node(1, "gpu1:29500", "gpu2")
    assert find_node(launch, {**slurm, "RATCHET_NODE_RANK": "0"}).rank == 0
    assert find_node(launch.model_copy(update={"node_rank": 0}), slurm).rank == 0


def test_a_node_that_nobody_numbered_is_refused() -> None:
    with pytest.raises(UsageError, match=r"launch\.nodes = 2, and this node's number is None.*--node-rank"):
        find_node(LaunchParams(nodes=2, rendezvous="gpu1:29500"), {})
    with pytest.raises(UsageError, match=r"this node's number is 2"):
        find_node(LaunchParams(nodes=2, rendezvous="gpu1:29500", node_rank=2), {})
    with pytest.raises(UsageError, match=r"launch\.rendezvous is missing"):
        find_node(LaunchParams(nodes=2, node_rank=0), {})
    with pytest.raises(ValidationError, match=r"'gpu1' is not HOST:PORT"):
        LaunchParams(nodes=2, rendezvous="gpu1")


def test_every_node_has_one_command_line_that_a_shell_splits_as_it_was_made() -> None:
    launch = LaunchParams(nodes=2, processes_per_node=8, rendezvous="gpu1:29500")
    first, second = node_commands("full", TWO_NODES, launch)
    assert shlex.split(first) == ["RATCHET_NODE_RANK=0", sys.executable, "-m", "tasks.stage", "train", "full"]
    assert shlex.split(second) == agent_command("full", TWO_NODES, Node(1, "gpu1:29500"), 120)


def test_the_slurm_file_starts_one_task_a_node_and_requeues_what_was_pre_empted() -> None:
    text = sbatch_file("full", TWO_NODES, LaunchParams(nodes=2, processes_per_node=8, grace_seconds=90))
    assert {"#SBATCH --nodes=2", "#SBATCH --ntasks-per-node=1", "#SBATCH --gpus-per-node=8"} <= set(text.splitlines())
    assert "#SBATCH --signal=TERM@150" in text
    assert 'if [ "$code" -eq 75 ]; then scontrol requeue "$SLURM_JOB_ID"; fi' in text


@pytest.mark.parametrize(
    ("launch", "method", "train", "text"),
    [
        ({"strategy": "zero3"}, FULL, {}, r"'zero3' with 1 processes .*one process runs as 'one device'"),
        ({"strategy": "one device", "processes_per_node": 2}, FULL, {}, r"'one device' with 2 processes"),
        ({"strategy": "fsdp2", "processes_per_node": 2}, QLORA, {}, r"4-bit weights are not split"),
        ({"processes_per_node": 3}, FULL, {"batch_size": 16}, r"batch_size 16 is no multiple of .* times 3 processes"),
    ],
)
def test_a_launch_that_cannot_be_is_refused_while_planning(
    launch: dict[str, object], method: MethodParams, train: dict[str, object], text: str
) -> None:
    with pytest.raises(UsageError, match=text):
        choose_strategy(LaunchParams.model_validate(launch), method, TrainParams.model_validate(train))


def test_several_processes_share_data_unless_told_otherwise() -> None:
    assert choose_strategy(LaunchParams(), FULL, TrainParams()) is Strategy.ONE_DEVICE
    assert choose_strategy(LaunchParams(processes_per_node=2, nodes=2), FULL, TrainParams()) is Strategy.DATA_PARALLEL


@pytest.mark.parametrize("setting", [{"init_lora_weights": "pissa"}, {"use_dora": True}])
def test_adapters_that_read_whole_base_weights_are_refused_where_those_are_split(setting: dict[str, Any]) -> None:
    method = MethodParams.model_validate({"kind": "lora", "learning_rate": 1e-4, **setting})
    for strategy in (Strategy.ZERO2, Strategy.ZERO3, Strategy.ZERO3_OFFLOAD, Strategy.FSDP2):
        launch = LaunchParams(strategy=strategy, processes_per_node=2)
        with pytest.raises(
            UsageError, match=f"'{strategy.value}' was never shown to train .* use 'one device', 'data pa"
        ):
            choose_strategy(launch, method, TrainParams())
    launch = LaunchParams(strategy=Strategy.DATA_PARALLEL, processes_per_node=2)
    assert choose_strategy(launch, method, TrainParams()) is Strategy.DATA_PARALLEL


@pytest.mark.parametrize(
    ("key", "method", "launch"),
    [
        ("methods.full.numerics is mixed", {"numerics": "mixed"}, {}),
        ("methods.full.optimizer is adamw_8bit", {"optimizer": "adamw_8bit"}, {}),
        ("methods.full.stochastic_rounding is False", {"stochastic_rounding": False}, {}),
        ("launch.strategy is fsdp2", {}, {"strategy": "fsdp2"}),
        ("launch.nodes is 1", {}, {"nodes": 1, "processes_per_node": 16}),
        ("launch.processes_per_node is 4", {}, {"processes_per_node": 4}),
        ("launch.settings is mine.json", {}, {"settings": "mine.json"}),
    ],
)
def test_a_plan_made_before_params_asked_for_something_else_is_refused(
    key: str, method: dict[str, Any], launch: dict[str, Any]
) -> None:
    as_planned = {"nodes": 2, "processes_per_node": 8}
    check_plan("full", TWO_NODES, FULL, LaunchParams.model_validate(as_planned))
    asked = MethodParams.model_validate({"kind": "full", "learning_rate": 1e-5, **method})
    with pytest.raises(UsageError, match=rf"^{key} in params\.yaml and .* in plans/full\.launch.*stage plan@full`"):
        check_plan("full", TWO_NODES, asked, LaunchParams.model_validate(as_planned | launch))


def test_a_plan_by_the_settings_of_params_or_with_unpaged_states_on_a_cpu_is_taken() -> None:
    paged = MethodParams.model_validate({"kind": "full", "learning_rate": 1e-5, "optimizer": "paged_adamw_8bit"})
    unpaged = LaunchPlan(device="cpu", numerics="fp32", trained_parameters=1, optimizer="adamw_8bit")
    check_plan("full", unpaged, paged, LaunchParams())
    for path, settings in (("plans/full.deepspeed.json", None), ("plans/full.mine.json", "plans/full.mine.json")):
        plan = TWO_NODES.model_copy(update={"settings": LaunchFile(path=path, text="{}")})
        check_plan("full", plan, FULL, LaunchParams(nodes=2, processes_per_node=8, settings=settings))


def test_the_commands_for_other_machines_look_for_no_module_in_a_project_without_sources(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    launch = LaunchParams(nodes=2, processes_per_node=8, rendezvous="n0:1")
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    as_before = [*node_commands("full", TWO_NODES, launch), sbatch_file("full", TWO_NODES, launch)]
    assert not any("PYTHONSAFEPATH" in text for text in as_before)
    monkeypatch.setenv("PYTHONSAFEPATH", "1")
    stage, other = node_commands("full", TWO_NODES, launch)
    assert stage.startswith("RATCHET_NODE_RANK=0 PYTHONSAFEPATH=1 ")
    assert other.startswith("PYTHONSAFEPATH=1 ")
    job = sbatch_file("full", TWO_NODES, launch).splitlines()
    assert job.index("export PYTHONSAFEPATH=1") < next(n for n, line in enumerate(job) if line.startswith("srun "))
