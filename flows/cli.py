"""The ``ratchet`` command.

Results go to stdout, progress to stderr. Exit codes are ``evalsuite.core.errors.ExitCode``; the README has the table.
Heavy packages are imported inside the commands, so that ``--help`` answers at once.
"""

import os
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Optional

import typer
from typer.exceptions import TyperException

from evalsuite.core.errors import ExitCode, RatchetError, UsageError
from evalsuite.core.terminal import make_streams_safe, own_encoding
from evalsuite.network.local_network import ask_local_servers_directly
from flows import stopping
from flows.evaluate_cli import evaluate
from flows.gate_cli import gate_app
from flows.golden_cli import golden_app
from flows.judge_cli import judge_app
from flows.launch_cli import launch
from flows.plan_cli import plan
from flows.project import project_root
from tasks.pipeline.runner import bring_back_halted

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Fine-tune, evaluate, compare, and promote a model only on evidence.",
)
report_app = typer.Typer(no_args_is_help=True, help="What reviewers read.")
app.add_typer(gate_app, name="gate")
app.add_typer(golden_app, name="golden")
app.add_typer(judge_app, name="judge")
app.add_typer(report_app, name="report")
app.command()(evaluate)
app.command()(plan)
app.command()(launch)


STAGES_KEPT = "stopped; finished stages are kept: `ratchet run` goes on"
STOPPED = {
    "run": STAGES_KEPT,
    "stage": STAGES_KEPT,
    "plan": STAGES_KEPT,
    "evaluate": "stopped; the answers so far are kept: the same command goes on",
    "promote": "stopped; `ratchet history` tells whether it was promoted",
    "rollback": "stopped; `ratchet history` tells whether it was rolled back",
    "serve": "stopped; the schedule is kept, and nothing runs until the next `ratchet serve`",
}
"""What a signal leaves behind, by command."""


@app.callback()
def _options(
    context: typer.Context,
    traceback: Annotated[bool, typer.Option("--traceback", help="Show where an error came from.")] = False,
) -> None:
    stopping.say(STOPPED.get(context.invoked_subcommand or "", "stopped"))
    os.environ["RATCHET_TRACEBACK"] = "1" if traceback else ""


@app.command()
def run(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what would run, and why.")] = False,
    no_promote: Annotated[bool, typer.Option("--no-promote", help="Leave the champion alone.")] = False,
    any_verdict: Annotated[bool, typer.Option("--any-verdict", help="Exit 0 whatever the verdict is.")] = False,
) -> None:
    """Run the whole flow: data, training, evaluation, comparison, gate, report, promotion."""
    from tasks.config.params import load_params
    from tasks.paths import ArtifactPaths

    root = project_root()
    paths = ArtifactPaths(root)
    params = load_params(paths.params)  # before what takes seconds to import
    from flows import views
    from tasks.pipeline.project_lock import only_run
    from tasks.pipeline.runner import pending_stages
    from tasks.preflight.checks import check
    from tasks.preflight.remote_inputs import prove_needed

    if dry_run:
        pending = pending_stages(root)
        views.show_pending(pending)
        check(params, paths)
        views.show_missing(params, pending)
        return
    with only_run(root, "ratchet run"):
        pending = pending_stages(root)
        if pending:
            check(params, paths)
            prove_needed(params, [item.name for item in pending])
        if pending or views.promotion_waits(params, paths, no_promote):
            from flows.environment import prepare_prefect

            prepare_prefect(root)
            from flows.start import run_flow

            run_flow(root, promote=not no_promote)
        else:
            typer.echo("inputs did not change since the last run: nothing to do")
        code = views.show_verdict(paths)
    raise typer.Exit(0 if any_verdict else code)


@app.command()
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
    import difflib

    from tasks.config.params import load_params
    from tasks.paths import ArtifactPaths
    from tasks.pipeline.project_lock import only_run
    from tasks.pipeline.runner import INPUTS, reads_inputs, run_stage, stage_names

    root = project_root()
    load_params(ArtifactPaths(root).params)
    known = stage_names(root)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
        hint = f"; did you mean {near[0]!r}?" if near else ";"
        raise UsageError(f"no stage {name!r}{hint} Stages: {', '.join(known)}")
    with only_run(root, f"ratchet stage {name}"):
        if reads_inputs(name, root):
            run_stage(INPUTS, root, on_line=lambda line: typer.echo(line, err=True))
        result = run_stage(name, root, force=force, on_line=lambda line: typer.echo(line, err=True))
    typer.echo(f"{name}: {'up to date' if result.skipped else 'done'}")


@app.command()
def status() -> None:
    """What is up to date, what would run and why, the champion and the last verdict."""
    from tasks.config.params import load_params
    from tasks.paths import ArtifactPaths

    root = project_root()
    paths = ArtifactPaths(root)
    params = load_params(paths.params)  # before what takes seconds to import
    from flows import views
    from tasks.pipeline.project_lock import running
    from tasks.pipeline.runner import pending_stages
    from tasks.preflight.checks import check

    holder = running(root)
    if holder is not None:
        typer.echo(f"running now: {holder}")
    views.show_pending(pending_stages(root))
    views.show_champion(paths)
    check(params, paths)


@report_app.command("open")
def report_open(
    only_print: Annotated[bool, typer.Option("--print", help="Print the path and open nothing.")] = False,
) -> None:
    """Open the promotion report in the browser."""
    import webbrowser

    from evalsuite.core.errors import MissingArtifactError
    from tasks.paths import ArtifactPaths

    report = ArtifactPaths(project_root()).report.resolve()
    if not report.is_file():
        raise MissingArtifactError(f"no report at {report}; make it with `ratchet run`")
    typer.echo(report)
    if not only_print and not webbrowser.open(report.as_uri()):
        raise UsageError(f"no browser found; open {report} yourself")


@app.command()
def promote(
    override: Annotated[Optional[str], typer.Option(help="Who promotes against the verdict.")] = None,  # noqa: UP045
    reason: Annotated[Optional[str], typer.Option(help="Why; stays in the ledger and in history.")] = None,  # noqa: UP045
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Verify everything, move nothing.")] = False,
) -> None:
    """Make the candidate of the present decision the champion, after proving decision and bytes again."""
    from tasks.config.params import load_params
    from tasks.paths import ArtifactPaths
    from tasks.pipeline.project_lock import only_run
    from tasks.registry.promote import Override
    from tasks.registry.promote import promote as promote_candidate

    root = project_root()
    paths = ArtifactPaths(root)
    if (override is None) != (reason is None):
        raise UsageError("an override needs both --override NAME and --reason TEXT")
    wish = Override(by=override, reason=reason) if override is not None and reason is not None else None
    params = load_params(paths.params).promote
    with nullcontext() if dry_run else only_run(root, "ratchet promote"):
        typer.echo(promote_candidate(paths, override=wish, params=params, dry_run=dry_run).summary)


@app.command()
def rollback(
    reason: Annotated[str, typer.Option(help="Why; stays in the ledger and in history.")],
    to: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Identity (or its start), or `none` for no champion; the previous champion if absent."),
    ] = None,
) -> None:
    """Bring an earlier champion back, after proving that its bytes can be had; `--to none` retires the present one."""
    from tasks.paths import ArtifactPaths
    from tasks.registry.promote import rollback as roll_back

    typer.echo(roll_back(ArtifactPaths(project_root()), to=to, reason=reason).summary)


@app.command()
def history(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Every verdict, promotion, override and rollback, oldest first; checks the hash chain."""
    from flows import views
    from tasks.paths import ArtifactPaths

    views.show_history(ArtifactPaths(project_root()), as_json)


@app.command()
def serve(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the deployment and its next runs.")] = False,
) -> None:
    """Serve the flow as a Prefect deployment on the schedule in params.yaml, until interrupted."""
    from flows.environment import prepare_prefect
    from tasks.config.params import load_params
    from tasks.paths import ArtifactPaths

    root = project_root()
    params = load_params(ArtifactPaths(root).params)
    prepare_prefect(root)
    from flows.deploy import next_runs, serve_flow, trigger_command
    from flows.server import prefect_server

    typer.echo(f"{params.schedule.name}: cron {params.schedule.cron!r} ({params.schedule.timezone}), next runs:")
    for moment in next_runs(params.schedule, 3):
        typer.echo(f"  {moment.isoformat(timespec='minutes')}")
    if not dry_run:
        with prefect_server(Path(".prefect") / "server.log", schedules=True) as url:
            typer.echo(f"Prefect at {url.removesuffix('/api')}; end with Ctrl-C")
            typer.echo(f"a run now: {trigger_command(url, params.schedule)}")
            stopping.beside_signals(lambda: serve_flow(Path.cwd(), params.schedule))


@app.command()
def doctor() -> None:
    """Check versions, devices, disk, shadowed packages, DVC and git, each with its remedy."""
    from flows.doctor import examine
    from flows.views import show_findings

    findings = examine(Path.cwd())
    show_findings(findings)
    if not all(finding.good for finding in findings):
        raise typer.Exit(int(ExitCode.USAGE))


def main() -> None:
    """Run the command; every failure is one line and the exit code that the README names."""
    stopping.install()
    stopping.after_ending(bring_back_halted)
    make_streams_safe()
    ask_local_servers_directly()
    try:
        code = app(prog_name="ratchet", standalone_mode=False)
        sys.stdout.flush()
    except TyperException as error:
        if error.format_message():  # a group without a command has printed its help
            _say(_usage(error))
        raise SystemExit(int(ExitCode.USAGE)) from None
    except RatchetError as error:
        if os.environ.get("RATCHET_TRACEBACK"):
            raise
        _say(str(error))
        raise SystemExit(int(error.exit_code)) from None
    except Exception as error:  # the last resort of a command line: one line, exit 4, and how to see more
        if os.environ.get("RATCHET_TRACEBACK"):
            raise
        _say(f"{type(error).__name__}: {error}; run `ratchet --traceback ...` to see where")
        raise SystemExit(int(ExitCode.STAGE)) from None
    raise SystemExit(code or 0)


def _usage(error: TyperException) -> str:
    """What is wrong with the command line, in one line, and where its options stand."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "ratchet"
    what = " ".join(error.format_message().split()).rstrip(".")
    return f"{what[:1].lower()}{what[1:]}; `{command} --help` has the options"


def _say(message: str) -> None:
    typer.secho("error: ", fg="red", nl=False, err=True)
    typer.echo(message, err=True)


if __name__ == "__main__":
    own_encoding()
    main()
