"""``ratchet serve``: the schedule."""

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.project import project_root
from flows.lifecycle import signals


def serve(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the deployment and its next runs.")] = False,
) -> None:
    """Serve the flow as a Prefect deployment on the schedule in params.yaml, until interrupted."""
    from flows.lifecycle.environment import prepare_prefect
    from tasks.config.params import load_params
    from tasks.paths import ArtifactPaths

    root = project_root()
    params = load_params(ArtifactPaths(root).params)
    prepare_prefect(root)
    from flows.deploy import next_runs, serve_flow, trigger_command
    from flows.lifecycle.server import prefect_server

    typer.echo(f"{params.schedule.name}: cron {params.schedule.cron!r} ({params.schedule.timezone}), next runs:")
    for moment in next_runs(params.schedule, 3):
        typer.echo(f"  {moment.isoformat(timespec='minutes')}")
    if not dry_run:
        with prefect_server(Path(".prefect") / "server.log", schedules=True) as url:
            typer.echo(f"Prefect at {url.removesuffix('/api')}; end with Ctrl-C")
            typer.echo(f"a run now: {trigger_command(url, params.schedule)}")
            signals.beside_signals(lambda: serve_flow(Path.cwd(), params.schedule))
