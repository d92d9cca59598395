"""What a method will need and cost, before anything is spent.

Run:  python -m tasks.plan METHOD
"""

import json
import sys
from typing import Any, Literal

from evalsuite.errors import UsageError
from evalsuite.files import read_json, write_json
from tasks.checks import check_evaluation
from tasks.entry import stage_main
from tasks.launch_params import LaunchParams
from tasks.launch_params import Strategy as LaunchStrategy
from tasks.params import HardwareParams, MethodKind, Params, TrainParams
from tasks.paths import ArtifactPaths
from tasks.planning.advice import advise
from tasks.planning.architecture import count_parameters, read_config
from tasks.planning.choice import Option, Request
from tasks.planning.hardware import Machines, detect_machines
from tasks.planning.memory import Numerics, Strategy
from tasks.planning.meta_device import count_trained
from tasks.planning.plan import make_plan
from tasks.training.checkpoints import checkpoint_bytes, most_checkpoints
from tasks.training.documents import num_pieces
from tasks.training.launch import LaunchPlan, choose_strategy, runs_on
from tasks.training.models import compute_dtype, shipped_dtype


def run(name: str, params: Params, paths: ArtifactPaths) -> dict[str, Any]:
    """Write plans/NAME.json, and plans/NAME.launch.json, which alone decides how training runs.

    Raises:
        UsageError: The method does not fit in memory; says what would. Or its target modules match nothing.
        MissingArtifactError: The base model or the prepared data is absent.
    """
    import torch
    from transformers import AutoConfig

    method, train = params.methods[name], params.train
    counts = _train_counts(paths, train)
    base = paths.export("base")
    read_json(base / "manifest.json", "ratchet stage fetch")
    config = AutoConfig.from_pretrained(base, local_files_only=True, trust_remote_code=False)
    try:
        trained = count_trained(config, method)
    except UsageError as error:
        raise UsageError(f"methods.{name}.{error}") from None
    fp32 = compute_dtype() is torch.float32
    request = Request(
        kind=method.kind,
        machines=_machines(params.hardware, params.launch),
        rank=method.rank,
        trained=trained,
        numerics=Numerics.FP32 if fp32 else Numerics.MIXED,
        strategies=_strategies(params, name),
        sequence_tokens=counts["longest"],
        micro_batch=train.micro_batch_size,
        batch_size=train.batch_size,
        checkpointing=train.gradient_checkpointing,
        total_tokens=counts["tokens"] * method.epochs * len(method.rates),
        price_per_hour=params.hardware.price_per_hour,
        tokens_per_second=params.hardware.tokens_per_second,
        evaluates=True,
    )
    advice = advise(method, train, counts["rows"])
    changes = params_changes(request, train)
    plan, chosen = make_plan(count_parameters(read_config(base)), request, False, advice, changes)
    if chosen is None:
        needed, available = plan["memory_bytes_per_device"]["total"], plan["available_bytes_per_device"]
        fitting = "; ".join(each["change"] for each in plan["remedies"])
        raise UsageError(
            f"method {name!r} needs about {needed / 2**30:.1f} GiB, the device has {available / 2**30:.1f} GiB; "
            + (f"what fits: {fitting}" if fitting else "no kind fits: take a smaller model or more memory")
        )
    strategy = launch_strategy(chosen)
    one = checkpoint_bytes(trained, strategy.zero_stage, method.is_pissa)
    numerics: Literal["fp32", "fp32 weights, bf16 compute"] = "fp32" if fp32 else "fp32 weights, bf16 compute"
    launch = LaunchPlan(
        strategy=strategy,
        num_processes=params.launch.nodes * params.launch.processes_per_node,
        num_nodes=params.launch.nodes,
        device="cuda" if request.machines.device.cuda else "cpu",
        numerics=numerics,
        trained_parameters=trained,
    )
    plan |= {
        "checkpoint_bytes": one,
        # Of several learning rates, the best one's checkpoints stay while another trains.
        "disk_bytes": one * most_checkpoints(method.epochs, train.keep_checkpoints) * min(2, len(method.rates))
        + plan["parameters"] * shipped_dtype(base).itemsize,
        "steps": -(-counts["rows"] // train.batch_size) * method.epochs * len(method.rates),
        "tokens_per_epoch": counts["tokens"],
        "seconds": plan["hours"] * 3600,
        "currency": params.hardware.currency,
    }
    write_json(paths.plans / f"{name}.launch.json", launch)
    write_json(paths.plan(name), plan)
    return plan


def _train_counts(paths: ArtifactPaths, train: TrainParams) -> dict[str, int]:
    """Rows, tokens and the longest row of the training rows, documents cut as training cuts them."""
    report = read_json(paths.prepared / "report.json", "ratchet stage prepare")
    counts: dict[str, int] = report["splits"]["train"]
    if report.get("objective") != "text":
        return counts
    limit = train.max_length_tokens
    with (paths.prepared / "train.jsonl").open(encoding="utf-8") as lines:
        rows = sum(num_pieces(json.loads(line)["num_tokens"], limit) for line in lines)
    return {**counts, "rows": rows, "longest": min(counts["longest"], limit)}


def _machines(hardware: HardwareParams, launch: LaunchParams) -> Machines:
    """A device for each process, with the memory that params.yaml gives it; processes on a CPU share it."""
    device = detect_machines().device
    processes = launch.processes_per_node
    if not device.cuda:
        share = device.memory_bytes // processes
        device = device._replace(memory_bytes=share, flops=device.flops / processes)
    if hardware.memory_gib is not None:
        device = device._replace(memory_bytes=int(hardware.memory_gib * 2**30))
    return Machines(device, processes, launch.nodes)


def _strategies(params: Params, name: str) -> tuple[Strategy, ...]:
    """What params.yaml names; where it leaves the choice, all that training can launch, the simplest first."""
    method, launch = params.methods[name], params.launch
    named = choose_strategy(launch, method, params.train)
    if launch.strategy != "auto" or named is LaunchStrategy.ONE_DEVICE:
        return (Strategy(named.value),)
    several = [each for each in LaunchStrategy if each is not LaunchStrategy.ONE_DEVICE and runs_on(method, each)]
    return tuple(Strategy(each.value) for each in several)


def launch_strategy(option: Option) -> LaunchStrategy:
    """The option's strategy, as the launcher names it."""
    return LaunchStrategy(option.setup.strategy.value)


def params_changes(request: Request, train: TrainParams) -> list[tuple[str, Request]]:
    """Changes of params.yaml that need less memory, the least first."""
    small = request._replace(micro_batch=1)
    least = small._replace(checkpointing=True)
    changes = [("train.micro_batch_size: 1", small)] if train.micro_batch_size > 1 else []
    changes.append(("train.micro_batch_size: 1 with train.gradient_checkpointing: true", least))
    kinds = list(MethodKind)[list(MethodKind).index(request.kind) + 1 :]
    for kind in kinds:
        changes += [
            (f"kind: {kind}", request._replace(kind=kind, trained=None)),
            (f"kind: {kind} with both", least._replace(kind=kind, trained=None)),
        ]
    return changes


def main(arguments: list[str] | None = None) -> int:
    """Run the stage for the method named on the command line."""
    names = sys.argv[1:] if arguments is None else arguments

    def stage(params: Params, paths: ArtifactPaths) -> str:
        if len(names) != 1 or names[0] not in params.methods:
            raise UsageError(f"plan takes one method, got {names}; methods: {', '.join(params.methods)}")
        check_evaluation(params, paths)
        plan = run(names[0], params, paths)
        lines = [
            f"{names[0]}: {plan['memory_bytes_per_device']['total'] / 2**30:.1f} GiB, {plan['steps']} steps, about "
            f"{plan['seconds'] / 60:.1f} min, {plan['cost']:.3f} {plan['currency']}",
            *(f"warning: {text}" for text in plan["warnings"]),
        ]
        return "\n".join(lines)

    return stage_main(stage)


if __name__ == "__main__":
    raise SystemExit(main())
