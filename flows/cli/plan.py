"""``ratchet plan``: what a training needs and costs, of the project's methods or of any model's config."""

import json
from pathlib import Path
from typing import Annotated, Literal, Optional

import typer

from evalsuite.core.errors import UsageError
from flows.cli.project import project_root

# The names of the planner's enumerations, which would cost `ratchet --help` half a second (a test compares them).
MethodName = Literal["full", "lora", "qlora"]
OptimizerName = Literal["adamw", "adamw_8bit", "paged_adamw_8bit"]
NumericsName = Literal["fp32", "mixed", "bf16_fp32_states", "pure_bf16"]
StrategyName = Literal[
    "one device",
    "data parallel",
    "zero1",
    "zero2",
    "zero3",
    "zero3 offload optimizer",
    "zero3 offload",
    "fsdp2",
]


def plan(
    context: typer.Context,
    model: Annotated[
        Optional[str], typer.Option(help="config.json, a model's folder or a hub id; the project's methods by default.")  # noqa: UP045
    ] = None,
    method: Annotated[MethodName, typer.Option(help="How the weights are trained.")] = "full",
    gpus: Annotated[Optional[str], typer.Option(help="8xA100-80GB, 4x24GB or cpu; this machine's by default.")] = None,  # noqa: UP045
    nodes: Annotated[int, typer.Option(help="Machines with these GPUs.")] = 1,
    optimizer: Annotated[OptimizerName, typer.Option(help="Optimizer states in full or 8-bit precision.")] = "adamw",
    numerics: Annotated[Optional[NumericsName], typer.Option(help="The best that fits by default.")] = None,  # noqa: UP045
    strategy: Annotated[Optional[StrategyName], typer.Option(help="The simplest that fits by default.")] = None,  # noqa: UP045
    sequence: Annotated[int, typer.Option(help="Tokens per row.")] = 2048,
    micro_batch: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="Rows per forward pass; the best of 4, 2, 1 by default."),
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Rows per optimizer step, over all devices.")] = 32,
    rank: Annotated[int, typer.Option(help="Rank of LoRA and QLoRA.")] = 16,
    dora: Annotated[bool, typer.Option("--dora", help="Weight-decomposed LoRA.")] = False,
    checkpointing: Annotated[
        Optional[bool],  # noqa: UP045
        typer.Option("--checkpointing/--no-checkpointing", help="Of gradients; by default only where needed."),
    ] = None,
    tokens: Annotated[int, typer.Option(help="Tokens per epoch.")] = 10_000_000,
    epochs: Annotated[int, typer.Option(help="Epochs.")] = 3,
    rows: Annotated[Optional[int], typer.Option(min=1, help="Training examples, for advice on methods.")] = None,  # noqa: UP045
    price: Annotated[Optional[float], typer.Option(min=0.0, help="Price of all machines per hour.")] = None,  # noqa: UP045
    probe: Annotated[bool, typer.Option("--probe", help="Measure ten steps here instead of estimating.")] = False,
    write: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Folder for the DeepSpeed JSON or accelerate YAML of the chosen strategy."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The plan as one JSON object.")] = False,
) -> None:
    """Plan memory, strategy, time and cost, before anything is spent; exit with 2 when nothing fits."""
    if model is None:
        given = [name for name in context.params if str(context.get_parameter_source(name)).endswith("COMMANDLINE")]
        if given:
            option = "--json" if given[0] == "as_json" else f"--{given[0].replace('_', '-')}"
            raise UsageError(f"{option} belongs to the plan of one model: give --model CONFIG_OR_ID too")
        _plan_project()
        return
    from flows.cli.views.model_plan import show_plan
    from tasks.config.methods import MethodKind
    from tasks.planning.advice import recipe
    from tasks.planning.architecture import read_config
    from tasks.planning.choice import Request
    from tasks.planning.hardware import detect_machines, read_machines
    from tasks.planning.launch_files import write_launch_file
    from tasks.planning.memory import Numerics, Optimizer, Strategy
    from tasks.planning.meta_device import count_parameters
    from tasks.planning.plan import check_rows, make_plan, say_what_is_missing

    config = read_config(model)
    architecture = count_parameters(config)
    request = Request(
        kind=MethodKind(method),
        machines=detect_machines(nodes) if gpus is None else read_machines(gpus, nodes),
        rank=rank,
        dora=dora,
        optimizer=Optimizer(optimizer),
        numerics=None if numerics is None else Numerics(numerics),
        strategies=tuple(Strategy) if strategy is None else (Strategy(strategy),),
        sequence_tokens=sequence,
        micro_batch=1 if micro_batch is None else micro_batch,
        batch_size=batch_size,
        checkpointing=checkpointing,
        total_tokens=tokens * epochs,
        price_per_hour=price,
    )
    check_rows(request)
    advice = recipe(request.kind, rows)
    result, chosen = make_plan(architecture, request, micro_batch is None, advice)
    if probe and chosen is not None:
        from tasks.planning.probe import measure_tokens_per_second

        measured = request._replace(
            tokens_per_second=measure_tokens_per_second(config, chosen),
            micro_batch=chosen.request.micro_batch,
            strategies=(chosen.setup.strategy,),
            numerics=chosen.setup.numerics,
            checkpointing=chosen.setup.checkpointing,
        )
        result, chosen = make_plan(architecture, measured, False, advice)
    if write is not None and chosen is not None:
        file = write_launch_file(chosen, write, method)
        result["launch_file"] = None if file is None else str(file)
    if as_json:
        typer.echo(json.dumps(result, indent=2, allow_nan=False))
    else:
        show_plan(result)
    if chosen is None:
        raise UsageError(say_what_is_missing(result))


def _plan_project() -> None:
    """Every method of params.yaml, through the stages that a plan needs."""
    from tasks.config.params import load_params
    from tasks.paths import ArtifactPaths

    root = project_root()
    paths = ArtifactPaths(root)
    params = load_params(paths.params)  # before what takes seconds to import
    from flows.cli.views.plan import show_plans
    from tasks.pipeline.project_lock import only_run
    from tasks.pipeline.runner import run_stage
    from tasks.preflight.checks import check

    check(params, paths)
    methods = list(params.methods)
    with only_run(root, "ratchet plan"):
        for name in ("inputs", "fetch", "prepare", *(f"plan@{method}" for method in methods)):
            run_stage(name, root, on_line=lambda line: typer.echo(line, err=True))
    show_plans(paths, methods)
