"""``ratchet run``, ``ratchet stage`` and ``ratchet status``: bring the project up to date, and say what is not."""

from typing import Annotated

import typer

from evalsuite.core.errors import UsageError
from flows.cli.project import project_root


def run(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what would run, and why.")] = False,
    no_promote: Annotated[bool, typer.Option("--no-promote", help="Leave the champion alone.")] = False,
    any_verdict: Annotated[bool, typer.Option("--any-verdict", help="Exit with 0 whatever the verdict is.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show the whole log as it comes, not phases.")] = False,
) -> None:
    """Run the whole flow: data, training, evaluation, comparison, gate, report, promotion."""
    from tasks.config.params import load_params
    from tasks.paths import ArtifactPaths

    root = project_root()
    paths = ArtifactPaths(root)
    params = load_params(paths.params)  # before what takes seconds to import
    promote = params.promote.automatic and not no_promote
    from evalsuite.gate.decision import read_decision
    from flows.cli.views.decision import show_verdict
    from flows.cli.views.project import show_missing, show_pending
    from tasks.pipeline.compared import compared_inputs
    from tasks.pipeline.project_lock import only_run
    from tasks.pipeline.runner import pending_stages
    from tasks.preflight.checks import check
    from tasks.preflight.remote_inputs import prove_needed
    from tasks.registry.champion import awaits_promotion

    if dry_run:
        pending = pending_stages(root)
        show_pending(pending)
        check(params, paths)
        show_missing(params, pending)
        return
    with only_run(root, "ratchet run"):
        pending = pending_stages(root)
        if pending:
            check(params, paths)
            prove_needed(params, [item.name for item in pending])
        if pending or (promote and awaits_promotion(read_decision(paths.decision), paths)):
            from flows.lifecycle.environment import prepare_prefect
            from flows.lifecycle.phases import others_keep_busy

            if busy := others_keep_busy():
                typer.echo(busy, err=True)
            prepare_prefect(root)
            from flows.lifecycle.start import run_flow

            run_flow(root, promote, verbose)
        else:
            typer.echo("inputs did not change since the last run: nothing to do")
            typer.echo(compared_inputs(root))
        code = show_verdict(paths)
    raise typer.Exit(0 if any_verdict else code)


def stage(
    name: Annotated[str, typer.Argument(help="A stage of dvc.yaml, such as prepare or train@full.")],
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Run it even if nothing changed; a finished training is kept until it was trained again."
        ),
    ] = False,
) -> None:
    """Bring one stage up to date."""
    from evalsuite.core.extensions import did_you_mean
    from tasks.config.params import load_params
    from tasks.paths import ArtifactPaths
    from tasks.pipeline.project_lock import only_run
    from tasks.pipeline.runner import INPUTS, reads_inputs, run_stage, stage_names

    root = project_root()
    load_params(ArtifactPaths(root).params)
    known = stage_names(root)
    if name not in known:
        raise UsageError(f"no stage {name!r}; {did_you_mean(name, known, cutoff=0.4)}Stages: {', '.join(known)}")
    with only_run(root, f"ratchet stage {name}"):
        if reads_inputs(name, root):
            run_stage(INPUTS, root, on_line=lambda line: typer.echo(line, err=True))
        result = run_stage(name, root, force=force, on_line=lambda line: typer.echo(line, err=True))
    typer.echo(f"{name}: {'up to date' if result.skipped else 'done'}")


def status() -> None:
    """Show what is up to date, what would run and why, the champion and the last verdict."""
    from tasks.config.params import load_params
    from tasks.paths import ArtifactPaths

    root = project_root()
    paths = ArtifactPaths(root)
    params = load_params(paths.params)  # before what takes seconds to import
    from flows.cli.views.project import show_champion, show_pending
    from tasks.pipeline.project_lock import running
    from tasks.pipeline.runner import pending_stages
    from tasks.preflight.checks import check

    holder = running(root)
    if holder is not None:
        typer.echo(f"running now: {holder}")
    show_pending(pending_stages(root))
    show_champion(paths)
    check(params, paths)
