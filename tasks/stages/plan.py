"""What a method will need and cost, before anything is spent."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from evalsuite.core.errors import UsageError
from evalsuite.core.files import read_json, write_json, write_text
from evalsuite.engines.capability import why_not_answered
from tasks.base_model.context import check_fits, context_tokens
from tasks.config.launch import LaunchParams, Strategy
from tasks.config.methods import MethodParams
from tasks.config.model import ModelParams
from tasks.config.numerics import Optimizer
from tasks.config.train import TrainParams
from tasks.config.training import MethodSections
from tasks.methods.kinds import method_of
from tasks.methods.loading import shipped_dtype
from tasks.objectives.find import blamed, prepared_objective
from tasks.paths import ArtifactPaths
from tasks.planning.advice import Advice, advise
from tasks.planning.architecture import read_config
from tasks.planning.choice import Option, Request, is_supported, usable_numerics
from tasks.planning.hardware import Machines, launch_machines
from tasks.planning.launch_files import launch_file, own_settings
from tasks.planning.meta_device import count_parameters, count_trained
from tasks.planning.plan import make_plan
from tasks.training.parallel.launch import LaunchFile, LaunchPlan, choose_strategy, runs_on
from tasks.training.state.checkpoints import most_checkpoints


class PlanSections(MethodSections):
    """What the stage reads of params.yaml."""

    model: ModelParams


def run(name: str, params: PlanSections, paths: ArtifactPaths) -> dict[str, Any]:
    """Write plans/NAME.json, and plans/NAME.launch.json, which alone decides how training runs.

    Raises:
        UsageError: The method does not fit in memory; says what would. Or its target modules match nothing, or rows may
            be longer than the model's context.
        MissingArtifactError: The base model or the prepared data is absent.
    """
    from transformers import AutoConfig

    method, train = params.methods[name], params.train
    counts = _train_counts(paths, train)
    base = paths.export("base")
    read_json(base / "manifest.json", "ratchet stage fetch")
    config = AutoConfig.from_pretrained(base, local_files_only=True, trust_remote_code=False)
    reason = why_not_answered(config)
    if reason is not None:
        raise UsageError(
            f"model.id = {params.model.id!r}: {reason}, so that its checkpoints could not be evaluated; name a "
            "decoder-only base model with attention"
        )
    check_fits("train.max_length_tokens", train.max_length_tokens, context_tokens(base))
    try:
        trained = count_trained(config, method)
    except UsageError as error:
        raise UsageError(f"methods.{name}.{error}") from None
    machines = launch_machines(params.hardware, params.launch)
    optimizer, unpaged = _optimizer(method, machines)
    request = Request(
        kind=method.kind,
        machines=machines,
        rank=method.rank,
        trained=trained,
        optimizer=optimizer,
        numerics=method.numerics,
        stochastic_rounding=method.stochastic_rounding,
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
    _check_supported(name, request)
    advice = [*advise(method, train, counts["rows"]), *unpaged]
    changes = params_changes(request, train)
    plan, chosen = make_plan(count_parameters(read_config(base)), request, False, advice, changes)
    if chosen is None:
        needed, available = plan["memory_bytes_per_device"]["total"], plan["available_bytes_per_device"]
        fitting = "; ".join(each["change"] for each in plan["remedies"])
        raise UsageError(
            f"method {name!r} needs about {needed / 2**30:.1f} GiB, the device has {available / 2**30:.1f} GiB; "
            + (f"what fits: {fitting}" if fitting else "no kind fits: take a smaller model or more memory")
        )
    launch = LaunchPlan(
        strategy=chosen.setup.strategy,
        num_processes=params.launch.nodes * params.launch.processes_per_node,
        num_nodes=params.launch.nodes,
        device="cuda" if request.machines.device.cuda else "cpu",
        numerics=chosen.setup.numerics,
        optimizer=chosen.setup.optimizer,
        stochastic_rounding=method.stochastic_rounding,
        trained_parameters=trained,
        settings=_settings(name, params.launch, chosen, paths),
    )
    one = launch.checkpoint_bytes(method_of(method).saves_twice)
    plan |= {
        "checkpoint_bytes": one,
        # Of several learning rates, the best one's checkpoints stay while another trains.
        "disk_bytes": one * most_checkpoints(method.epochs, train.keep_checkpoints) * min(2, len(method.rates))
        + (plan["parameters"] + plan["parameters_beside_text"]) * shipped_dtype(base).itemsize,
        "steps": -(-counts["rows"] // train.batch_size) * method.epochs * len(method.rates),
        "tokens_per_epoch": counts["tokens"],
        "seconds": plan["hours"] * 3600,
        "currency": params.hardware.currency,
    }
    write_json(paths.plans / f"{name}.launch.json", launch)
    write_json(paths.plan(name), plan)
    return plan


def _train_counts(paths: ArtifactPaths, train: TrainParams) -> dict[str, int]:
    """Sequences (``rows``), tokens and the longest sequence of training."""
    report = read_json(paths.prepared / "report.json", "ratchet stage prepare")
    objective = prepared_objective(paths.prepared)
    with blamed(objective):
        return objective.counts(report["splits"]["train"], _num_tokens(paths.prepared / "train.jsonl"), train)


def _num_tokens(path: Path) -> Iterator[int]:
    """Of each row; the file is read only where an objective asks."""
    with path.open(encoding="utf-8") as lines:
        yield from (json.loads(line)["num_tokens"] for line in lines)


def _optimizer(method: MethodParams, machines: Machines) -> tuple[Optimizer, list[Advice]]:
    """The method's optimizer; paged states need a GPU, and without one bitsandbytes runs 8-bit ones that are not."""
    if method.optimizer is not Optimizer.PAGED_ADAMW_8BIT or machines.device.cuda:
        return method.optimizer, []
    text = f"optimizer {method.optimizer} pages by CUDA, which is not here: {Optimizer.ADAMW_8BIT} runs"
    return Optimizer.ADAMW_8BIT, [Advice(text, "bitsandbytes 0.50.2, Optimizer8bit.get_state_buffer")]


def _check_supported(name: str, request: Request) -> None:
    """Refuse numerics and optimizers that no strategy of this launch has.

    Raises:
        UsageError: Names the keys of params.yaml.
    """
    numerics = usable_numerics(request)
    if any(
        is_supported(request.kind, strategy, number, request.optimizer)
        for strategy in request.strategies
        for number in numerics
    ):
        return
    strategies = " or ".join(repr(str(strategy)) for strategy in request.strategies)
    raise UsageError(
        f"methods.{name}.numerics = {'/'.join(numerics)} with optimizer {request.optimizer} does not run by launch."
        f"strategy {strategies}: DeepSpeed keeps fp32 weights of its own (numerics fp32 or mixed), and bitsandbytes' "
        "8-bit optimizers neither split weights of 'fsdp2' nor offload"
    )


def _strategies(params: MethodSections, name: str) -> tuple[Strategy, ...]:
    """What params.yaml names; where it leaves the choice, all that training can launch, the simplest first."""
    method, launch = params.methods[name], params.launch
    named = choose_strategy(launch, method, params.train)
    if launch.strategy != "auto":
        return (named,)
    if named is Strategy.ONE_DEVICE:
        return (Strategy.ONE_DEVICE, *(each for each in Strategy if each.offloads and runs_on(method, each)))
    return tuple(each for each in Strategy if each is not Strategy.ONE_DEVICE and runs_on(method, each))


def _settings(name: str, launch: LaunchParams, option: Option, paths: ArtifactPaths) -> LaunchFile | None:
    """The chosen strategy's file: the one that params.yaml names, or one made here and written into plans/.

    Raises:
        UsageError: The file that params.yaml names is absent, or is of another strategy.
    """
    for old in paths.plans.glob(f"{name}.*"):
        if old.name in (f"{name}.deepspeed.json", f"{name}.fsdp.yaml"):
            old.unlink()
    made = launch_file(option, name)
    if launch.settings is not None:
        return LaunchFile(path=launch.settings, text=own_settings(paths.root, launch.settings, made))
    if made is None:
        return None
    path = paths.plans / made[0]
    write_text(path, made[1])
    return LaunchFile(path=path.relative_to(paths.root).as_posix(), text=made[1])


def params_changes(request: Request, train: TrainParams) -> list[tuple[str, Request]]:
    """Changes of params.yaml that need less memory, the least first."""
    small = request._replace(micro_batch=1)
    least = small._replace(checkpointing=True)
    changes = [("train.micro_batch_size: 1", small)] if train.micro_batch_size > 1 else []
    changes.append(("train.micro_batch_size: 1 with train.gradient_checkpointing: true", least))
    if request.optimizer is Optimizer.ADAMW:
        changes.append(("optimizer: adamw_8bit with both", least._replace(optimizer=Optimizer.ADAMW_8BIT)))
    same, least = (each._replace(optimizer=Optimizer.ADAMW, numerics=None, trained=None) for each in (request, least))
    for kind in request.kind.lighter:
        changes += [
            (f"kind: {kind}", same._replace(kind=kind)),
            (f"kind: {kind} with both", least._replace(kind=kind)),
        ]
    return changes


Sections = PlanSections


def keys(params: PlanSections) -> tuple[str, ...]:
    """The methods."""
    return tuple(params.methods)


def stage(params: PlanSections, paths: ArtifactPaths, name: str) -> str:
    """Do the work; returns its summary."""
    plan = run(name, params, paths)
    lines = [
        f"{name}: {plan['memory_bytes_per_device']['total'] / 2**30:.1f} GiB, {plan['steps']} steps, about "
        f"{plan['seconds'] / 60:.1f} min"
        + ("" if plan["cost"] is None else f", {plan['cost']:.3f} {plan['currency']}"),
        *(f"warning: {text}" for text in plan["warnings"]),
    ]
    return "\n".join(lines)
