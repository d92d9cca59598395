"""``ratchet evaluate``: one suite on any model."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

from evalsuite.core.errors import StageError, UsageError
from flows.cli.project import project_root


def evaluate(
    model: Annotated[
        str, typer.Argument(help="base, champion, a method, a folder, package:NAME or OWNER/NAME@REVISION.")
    ],
    suite: Annotated[str, typer.Option(help="A suite of params.yaml, or any lm-eval task or group.")],
    limit: Annotated[Optional[int], typer.Option(min=1, help="The first N items (of each subtask).")] = None,  # noqa: UP045
    output: Annotated[Optional[Path], typer.Option(help="Folder for items.parquet and summary.json.")] = None,  # noqa: UP045
    adapter: Annotated[Optional[Path], typer.Option(help="A peft adapter to load on the model, unmerged.")] = None,  # noqa: UP045
    shard: Annotated[Optional[str], typer.Option(help="I/N: cache the answers of this part and stop.")] = None,  # noqa: UP045
    shards: Annotated[int, typer.Option(min=1, help="Answer in N processes, one per device, then score.")] = 1,
) -> None:
    """Run one suite on one model and print its summary; answers are cached, and a killed run continues with them."""
    from evalsuite.engines.sharded import parse_shard
    from flows.cli.views.suite import show_suite
    from tasks.config.params import load_params
    from tasks.evaluation.one_suite import evaluate as evaluate_model
    from tasks.logs import start_logging
    from tasks.paths import ArtifactPaths

    here = Path.cwd()
    paths = ArtifactPaths(project_root())
    params = load_params(paths.params)
    part = parse_shard(shard) if shard is not None else None
    if part is not None and shards > 1:
        raise UsageError("--shards starts the processes that --shard names; give one of the two options")
    start_logging()
    output = here / output if output is not None else None
    adapter = here / adapter if adapter is not None else None
    model = str(here / model) if model.startswith(".") else model
    if shards > 1:
        if not params.evaluation.cache:
            raise UsageError("--shards needs the answer cache; set evaluation.cache to true")
        options = ["--limit", str(limit)] * (limit is not None) + ["--adapter", str(adapter)] * (adapter is not None)
        _run_shards([model, "--suite", suite, *options], shards)
    done = evaluate_model(model, suite, params, paths, limit, output, adapter, part)
    if done is None:
        typer.echo(f"{suite}: the answers of shard {shard} are in {paths.eval_cache}")
    else:
        show_suite(model, done[0].summary(), done[1])


def _run_shards(arguments: list[str], count: int) -> None:
    """One process a shard, each with its own device where there are several."""
    import torch

    devices = torch.cuda.device_count()
    processes = []
    for number in range(count):
        own = {"CUDA_VISIBLE_DEVICES": str(number % devices)} if devices > 1 else {}
        if not devices:
            own["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // count))
        command = [sys.executable, "-m", "flows.cli", "evaluate", *arguments, "--shard", f"{number + 1}/{count}"]
        # In sessions of their own: one Ctrl-C is answered once, by the process that started them.
        processes.append(
            subprocess.Popen(command, stdout=sys.stderr, env={**os.environ, **own}, start_new_session=True)  # noqa: S603
        )
    codes = [process.wait() for process in processes]
    if any(codes):
        raise StageError(f"shards ended with exit codes {codes}; finished answers are kept: run the same command again")
