"""``ratchet launch``: one method on several processes and machines."""

import os
from typing import Annotated, Optional

import typer

from evalsuite.core.errors import StageError, UsageError
from flows.cli.project import project_root


def launch(
    method: Annotated[str, typer.Argument(help="A method of params.yaml.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print each node's command and a Slurm file.")] = False,
    node_rank: Annotated[Optional[int], typer.Option(min=0, help="This machine's number; by default Slurm's.")] = None,  # noqa: UP045
    rendezvous: Annotated[Optional[str], typer.Option(help="HOST:PORT of node 0; by default Slurm's first.")] = None,  # noqa: UP045
) -> None:
    """Train one method by its plan: run this on every node; node 0 runs the stage, the others run its processes."""
    from evalsuite.core.files import read_model
    from tasks.config.params import load_params
    from tasks.logs import start_logging
    from tasks.paths import ArtifactPaths
    from tasks.pipeline.project_lock import only_run
    from tasks.pipeline.runner import run_stage
    from tasks.training.parallel.launch import (
        NODE_RANK_VARIABLE,
        RENDEZVOUS_VARIABLE,
        LaunchPlan,
        check_plan,
        find_node,
        node_commands,
        sbatch_file,
    )
    from tasks.training.parallel.processes import run_agent

    root = project_root()
    paths = ArtifactPaths(root)
    params = load_params(paths.params)
    if method not in params.methods:
        raise UsageError(f"no method {method!r} in params.yaml; methods: {', '.join(params.methods)}")
    if node_rank is not None:
        os.environ[NODE_RANK_VARIABLE] = str(node_rank)
    if rendezvous is not None:
        os.environ[RENDEZVOUS_VARIABLE] = rendezvous
    plan = read_model(paths.plans / f"{method}.launch.json", LaunchPlan, f"ratchet stage plan@{method}")
    check_plan(method, plan, params.methods[method], params.launch)
    if dry_run:
        for rank, line in enumerate(node_commands(method, plan, params.launch)):
            typer.echo(f"# node {rank} of {plan.num_nodes}\n{line}")
        typer.echo(f"\n# {method}.sbatch\n{sbatch_file(method, plan, params.launch)}", nl=False)
        return
    if find_node(params.launch).rank == 0:
        with only_run(root, f"ratchet launch {method}"):
            run_stage(f"train@{method}", root, on_line=lambda line: typer.echo(line, err=True))
        typer.echo(f"train@{method}: done")
        return
    start_logging()
    code = run_agent(method, plan, params.launch, root).code
    if code != 0:
        raise StageError(f"this node's processes ended with exit code {code}; node 0 prints the reason")
