"""``ratchet report``: what reviewers read."""

from typing import Annotated

import typer

from evalsuite.core.errors import UsageError
from flows.cli.project import project_root

report_app = typer.Typer(no_args_is_help=True, help="What reviewers read.")


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
