"""The ``ratchet`` command.

Results go to stdout, progress to stderr. Exit codes are ``evalsuite.core.errors.ExitCode``.
Heavy packages are imported inside the commands, so that ``--help`` answers at once.
"""

import importlib.metadata
import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from evalsuite.core.errors import ExitCode, RatchetError
from evalsuite.core.terminal import make_streams_safe
from evalsuite.network.local_network import ask_local_servers_directly
from evalsuite.network.network_errors import is_disk_error, remedy_for
from flows.cli.data.commands import data_app
from flows.cli.data.inbox import inbox_app
from flows.cli.evaluate import evaluate
from flows.cli.gate import gate_app
from flows.cli.golden import golden_app
from flows.cli.history import history
from flows.cli.judge import judge_app
from flows.cli.launch import launch
from flows.cli.manual.command import show_page
from flows.cli.plan import plan
from flows.cli.promote import promote, rollback
from flows.cli.report import report_app
from flows.cli.run import run, stage, status
from flows.cli.serve import serve
from flows.cli.setup import doctor, import_rows, init
from flows.lifecycle import signals

ORDER = (
    *("init", "doctor", "run", "status", "report", "promote", "rollback", "history"),
    *("data", "golden", "gate", "plan", "stage", "evaluate", "serve"),
    *("import-rows", "inbox", "judge", "launch", "help"),
)
"""The main path, what is looked at on it, and what few need: as ``ratchet --help`` lists them."""


class InOrder(TyperGroup):
    """Lists commands and groups of commands together."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Every command; one that ``ORDER`` does not name comes last."""
        places = {name: place for place, name in enumerate(ORDER)}
        return sorted(self.commands, key=lambda name: places.get(name, len(places)))


app = typer.Typer(
    cls=InOrder,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Fine-tune, evaluate, compare, and promote a model only on evidence.",
)
app.add_typer(data_app, name="data")
app.add_typer(gate_app, name="gate")
app.add_typer(golden_app, name="golden")
app.add_typer(inbox_app, name="inbox")
app.add_typer(judge_app, name="judge")
app.add_typer(report_app, name="report")
for command in (
    init,
    import_rows,
    run,
    stage,
    status,
    plan,
    launch,
    evaluate,
    promote,
    rollback,
    history,
    serve,
    doctor,
):
    app.command()(command)
app.command("help")(show_page)

STAGES_KEPT = "stopped; finished stages are kept: `ratchet run` goes on"
STOPPED = {
    "init": "stopped; no project was made",
    "import-rows": "stopped; files that came whole are in data/raw: the same command goes on",
    "run": STAGES_KEPT,
    "stage": STAGES_KEPT,
    "plan": STAGES_KEPT,
    "evaluate": "stopped; the answers so far are kept: the same command goes on",
    "promote": "stopped; `ratchet history` tells whether it was promoted",
    "rollback": "stopped; `ratchet history` tells whether it was rolled back",
    "serve": "stopped; the schedule is kept, and nothing runs until the next `ratchet serve`",
}
"""What a signal leaves behind, by command."""


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"ratchet {importlib.metadata.version('ratchet-ft')}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    traceback: Annotated[bool, typer.Option("--traceback", help="Show where an error came from.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    from tasks.pipeline.runner import bring_back_halted

    signals.after_ending(bring_back_halted)
    signals.say(STOPPED.get(context.invoked_subcommand or "", "stopped"))
    os.environ["RATCHET_TRACEBACK"] = "1" if traceback else ""


def main() -> None:
    """Run the command; every failure is one line and its exit code."""
    signals.install()
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
        remedy = f"{remedy_for(error)}, or " if is_disk_error(error) else ""
        _say(f"{type(error).__name__}: {error}; {remedy}run `ratchet --traceback ...` to see where")
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
